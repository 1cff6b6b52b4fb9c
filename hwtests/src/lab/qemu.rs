//! The machine: QEMU's command line for two emulated Intel 82576 PFs, an IOMMU, a disk and two shared folders.

use std::{
    ffi::OsString,
    fs::File,
    io::Write,
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};

use super::Lab;

/// MAC addresses of the two emulated PFs.
pub const PF_MACS: [&str; 2] = ["52:54:00:aa:bb:01", "52:54:00:aa:bb:02"];
/// MAC addresses of the plain NICs: masters of macvlan and of ipvlan, since one NIC cannot be both.
pub const PLAIN_NIC_MACS: [&str; 2] = ["52:54:00:aa:bb:05", "52:54:00:aa:bb:06"];

/// Socket of QEMU's monitor in the folder of files.
const MONITOR: &str = "monitor";

/// What a machine is started with.
#[derive(Debug, Clone, Copy)]
pub struct Machine<'a> {
    /// Folder shared read-write, `/exchange` inside.
    pub exchange: &'a Path,
    /// Raw disk image that survives a reboot.
    pub disk: &'a Path,
    /// Folder shared read-only, `/assets` inside.
    pub assets: Option<&'a Path>,
    /// Memory in MiB.
    pub memory_mib: u32,
}

/// Starts the machine.
///
/// QEMU runs from inside the guest's tree in a mount namespace of its own, so that a killed lab leaves no mount.
///
/// # Errors
/// When QEMU cannot be started. That it ends early is seen by waiting for the child.
pub fn start(lab: &Lab, machine: &Machine<'_>) -> Result<Child> {
    let Machine {
        exchange,
        disk,
        assets,
        memory_mib,
    } = *machine;
    let console = File::create(exchange.join("console.log")).context("create console.log")?;
    let script = r#"
set -eu
root=$1; exchange=$2; disk=$3; assets=$4; shift 4
for d in proc dev sys; do mount --rbind "/$d" "$root/$d"; done
mount --bind "$exchange" "$root/exchange"
mount --bind "$disk" "$root/state.img"
[ -z "$assets" ] || mount --bind "$assets" "$root/assets"
exec chroot "$root" /usr/bin/qemu-system-x86_64 "$@"
"#;
    // An emulator that outlives whoever is killed takes a machine's time for ever.
    Command::new("setpriv")
        .args([
            "--pdeathsig",
            "KILL",
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
            "sh",
        ])
        .arg(lab.root())
        .arg(exchange)
        .arg(disk)
        .arg(assets.unwrap_or(Path::new("")))
        .args(arguments(memory_mib))
        .stdin(Stdio::null())
        .stdout(console.try_clone().context("share console.log")?)
        .stderr(console)
        .spawn()
        .context("start QEMU in the guest's tree")
}

/// Pulls a PF's cable or plugs it in, by the PF's place in [`PF_MACS`].
///
/// # Errors
/// When the machine's monitor does not take the command.
pub fn set_link(exchange: &Path, pf: usize, plugged: bool) -> Result<()> {
    let word = if plugged { "on" } else { "off" };
    let mut monitor =
        UnixStream::connect(exchange.join(MONITOR)).context("connect to QEMU's monitor")?;
    writeln!(monitor, "set_link pf{pf} {word}").context("write to QEMU's monitor")
}

/// Halts the machine for a moment. Under load the emulator can lose a wake-up, once in some thousands of seconds: a request of
/// 9p or a timer is never answered, and all of the guest waits for it. Going on after a halt looks at everything anew.
///
/// # Errors
/// When the machine's monitor does not take the command.
pub fn nudge(exchange: &Path) -> Result<()> {
    let mut monitor =
        UnixStream::connect(exchange.join(MONITOR)).context("connect to QEMU's monitor")?;
    monitor
        .write_all(b"stop\ncont\n")
        .context("write to QEMU's monitor")
}

fn arguments(memory_mib: u32) -> Vec<OsString> {
    let mut list: Vec<String> = [
        // intel-iommu gives every VF an IOMMU group of its own, so vfio-pci binds as on a real server.
        "-M q35,kernel-irqchip=split -accel tcg,thread=multi -cpu max -smp 2",
        "-nographic -no-reboot -kernel /boot/lab-vmlinuz -initrd /boot/lab-initramfs.gz",
        "-device intel-iommu,intremap=on",
        "-virtfs local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap",
        "-virtfs local,path=/exchange,mount_tag=exchange,security_model=none,multidevs=remap",
        "-drive file=/state.img,format=raw,if=virtio,cache=writeback",
    ]
    .iter()
    .flat_map(|line| line.split(' '))
    .map(str::to_owned)
    .collect();
    list.extend([
        "-monitor".to_owned(),
        format!("unix:/exchange/{MONITOR},server=on,wait=off"),
    ]);
    list.extend(["-m".to_owned(), format!("{memory_mib}M")]);
    list.extend([
        "-append".to_owned(),
        // On a busy host the emulated timer is late for the kernel's test of it, which ends in a panic.
        "console=ttyS0 quiet panic=-1 intel_iommu=on iommu=pt no_timer_check".to_owned(),
    ]);
    for (index, mac) in PF_MACS.iter().enumerate() {
        list.extend([
            "-netdev".to_owned(),
            format!("hubport,id=pf{index},hubid={index}"),
            "-device".to_owned(),
            format!("pcie-root-port,id=rp{index},slot={}", index + 1),
            "-device".to_owned(),
            format!("igb,bus=rp{index},netdev=pf{index},mac={mac}"),
        ]);
    }
    for (index, mac) in PLAIN_NIC_MACS.iter().enumerate() {
        // On a PF's wire: a wire that nobody else is on never takes a packet, and the driver complains.
        list.extend([
            "-netdev".to_owned(),
            format!("hubport,id=plain{index},hubid={index}"),
            "-device".to_owned(),
            format!("virtio-net-pci,netdev=plain{index},mac={mac}"),
        ]);
    }
    list.into_iter().map(OsString::from).collect()
}
