use super::*;

fn pci() -> DeviceInfo {
    DeviceInfo {
        kind: "pci".into(),
        version: VERSION.into(),
        pci: Some(Pci {
            pci_address: "0000:3b:02.0".into(),
            ..Pci::default()
        }),
        ..DeviceInfo::default()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn files_are_named_after_resource_and_device_or_attachment() {
    assert_eq!(
        dp_path(
            Path::new("/d"),
            "intel.com/intel_sriov_netdevice",
            "0000:3b:02.0"
        ),
        Path::new("/d/intel.com-intel_sriov_netdevice-0000:3b:02.0-device.json")
    );
    assert_eq!(
        dp_path(Path::new("/d"), "a/b", "c/d"),
        Path::new("/d/a-b-c-d-device.json")
    );
    assert_eq!(
        cni_path(Path::new("/d"), "default/sriov-net", "c1", "net1"),
        Path::new("/d/default-sriov-net-c1_net1")
    );
}

#[test]
fn a_pci_device_is_written_compact_and_read_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("devinfo/dp/x-device.json");
    write(&path, &pci()).unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        r#"{"type":"pci","version":"1.1.0","pci":{"pci-address":"0000:3b:02.0"}}"#
    );
    assert_eq!(mode(&path), 0o444);
    assert_eq!(read(&path).unwrap(), Some(pci()));
}

#[test]
fn writing_again_replaces_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    write(&path, &DeviceInfo::default()).unwrap();
    write(&path, &pci()).unwrap();
    assert_eq!(read(&path).unwrap(), Some(pci()));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn every_type_of_the_specification_keeps_its_keys() {
    for text in [
        r#"{"type":"pci","version":"1.1.0","pci":{"pci-address":"0000:3b:02.0","vhost-net":"/dev/vhost-net","rdma-device":"mlx5_7","pf-pci-address":"0000:3b:00.0","representor-device":"eth3"}}"#,
        r#"{"type":"vdpa","version":"1.1.0","vdpa":{"parent-device":"vdpa1","driver":"vhost","path":"/dev/vhost-vdpa-0","pci-address":"0000:65:00.3","pf-pci-address":"0000:65:00.0","representor-device":"eth3"}}"#,
        r#"{"type":"vhost-user","version":"1.1.0","vhost-user":{"mode":"client","path":"/s"}}"#,
        r#"{"type":"memif","version":"1.1.0","memif":{"role":"master","path":"/s","mode":"ethernet"}}"#,
    ] {
        let info: DeviceInfo = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&info).unwrap(), text);
    }
}

#[test]
fn a_copy_is_byte_for_byte_and_read_only() {
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = (dir.path().join("dp"), dir.path().join("cni/target"));
    let text = "{ \"type\":\"pci\", \"future\": 1.0e5 }\n";
    fs::write(&source, text).unwrap();
    assert!(copy(&source, &target).unwrap());
    assert_eq!(fs::read_to_string(&target).unwrap(), text);
    assert_eq!(mode(&target), 0o444);
    assert!(copy(&source, &target).unwrap());
}

#[test]
fn a_device_without_file_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = (dir.path().join("dp"), dir.path().join("cni/target"));
    assert!(!copy(&source, &target).unwrap());
    assert!(!target.exists());
    assert_eq!(read(&source).unwrap(), None);
    remove(&source).unwrap();
}

#[test]
fn removing_takes_the_file_away() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    write(&path, &pci()).unwrap();
    remove(&path).unwrap();
    assert!(!path.exists());
}

#[test]
fn what_is_no_device_info_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    fs::write(&path, "{").unwrap();
    let error = read(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("device info {}", path.display()));
    fs::create_dir(dir.path().join("d")).unwrap();
    let error = write(&dir.path().join("d"), &pci()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("write device info {}", dir.path().join("d").display())
    );
}

#[test]
fn an_attachment_whose_name_is_too_long_for_a_file_has_a_file_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let nad = format!("d/{}", "n".repeat(253));
    let path = cni_path(dir.path(), &nad, &"c".repeat(64), "net1");
    write(&path, &pci()).unwrap();
    assert_eq!(read(&path).unwrap(), Some(pci()));
    let other = cni_path(dir.path(), &format!("{nad}n"), &"c".repeat(64), "net1");
    assert_ne!(path, other);
}
