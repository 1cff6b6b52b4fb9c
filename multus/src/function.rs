//! Which PCI function a plugin would take that is told an interface by name, hardware address or path.

use std::path::Path;

use host::pci::PciAddress;
use host::sysfs::Sysfs;

use crate::known::Naming;

/// The function's address; `None` where sysfs knows no such interface, or no PCI function is behind it.
pub fn behind(sysfs: &Path, naming: &Naming) -> Option<String> {
    let sysfs = Sysfs::new(sysfs);
    match naming {
        Naming::Interface(name) => of_interface(&sysfs, name),
        Naming::HardwareAddress(wanted) => {
            let names = sysfs.entry("class/net").list().ok()??;
            let has_it = |name: &String| {
                let address = sysfs.entry("class/net").child(name).read("address");
                address.is_ok_and(|address| address.trim().eq_ignore_ascii_case(wanted))
            };
            names
                .iter()
                .find(|name| has_it(name))
                .and_then(|name| of_interface(&sysfs, name))
        }
        Naming::Path(path) => of_path(&sysfs, path),
    }
}

fn of_interface(sysfs: &Sysfs, name: &str) -> Option<String> {
    cni::name::check_interface(name).ok()?;
    let entry = sysfs.entry("class/net").child(name);
    address(&entry.link("device").ok()??)
}

/// Links on the way are followed, as the kernel does for the plugin.
fn of_path(sysfs: &Sysfs, path: &str) -> Option<String> {
    let below = Path::new(path).strip_prefix("/sys").ok()?;
    let real = sysfs.entry(below).resolve().ok()??;
    let mut parts = real.iter().rev().filter_map(|part| part.to_str());
    parts.find_map(address)
}

fn address(text: &str) -> Option<String> {
    let parsed: PciAddress = text.parse().ok()?;
    Some(parsed.to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// VF 3b:02.1 is virtfn1 of 3b:00.0 and has interface `vf1`; `lo` is no device's.
    fn sysfs() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let vf = "devices/pci0000:3a/0000:3a:00.0/0000:3b:02.1";
        let pf = "devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0";
        for (folder, address) in [
            (format!("{vf}/net/vf1"), "02:00:00:00:00:aa\n"),
            ("devices/virtual/net/lo".into(), "00:00:00:00:00:00\n"),
        ] {
            host::file::create_dir(&root.join(&folder), 0o700).unwrap();
            let file = root.join(folder).join("address");
            host::file::write(
                &file,
                address.as_bytes(),
                0o600,
                host::file::Durability::Process,
            )
            .unwrap();
        }
        for folder in ["class/net", pf] {
            host::file::create_dir(&root.join(folder), 0o700).unwrap();
        }
        for (target, link) in [
            (format!("../../{vf}/net/vf1"), "class/net/vf1".to_owned()),
            ("../../devices/virtual/net/lo".into(), "class/net/lo".into()),
            (
                "../../../0000:3b:02.1".into(),
                format!("{vf}/net/vf1/device"),
            ),
            ("../0000:3b:02.1".into(), format!("{pf}/virtfn1")),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        dir
    }

    #[test]
    fn an_interface_is_found_by_name_hardware_address_and_path_links_included() {
        let dir = sysfs();
        let path = |text: &str| Naming::Path(text.into());
        for naming in [
            Naming::Interface("vf1".into()),
            Naming::HardwareAddress("02:00:00:00:00:AA".into()),
            path("/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:02.1"),
            path("/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/virtfn1"),
            path("/sys/devices/pci0000:3a/../pci0000:3a/0000:3a:00.0/0000:3b:02.1/"),
        ] {
            let found = behind(dir.path(), &naming);
            assert_eq!(found.as_deref(), Some("0000:3b:02.1"), "{naming:?}");
        }
    }

    #[test]
    fn what_is_no_pci_function_has_no_address() {
        let dir = sysfs();
        for naming in [
            Naming::Interface("lo".into()),
            Naming::Interface("../../devices".into()),
            Naming::Interface("gone".into()),
            Naming::HardwareAddress("00:00:00:00:00:00".into()),
            Naming::HardwareAddress(String::new()),
            Naming::Path("/etc/passwd".into()),
            Naming::Path("/sys/devices/virtual/net/lo".into()),
            Naming::Path("/sys/gone".into()),
        ] {
            assert_eq!(behind(dir.path(), &naming), None, "{naming:?}");
        }
    }
}
