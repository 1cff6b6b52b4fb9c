use host::file::{Durability, PRIVATE};

use super::*;

fn write(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    file::create_dir(path.parent().unwrap(), 0o700).unwrap();
    file::write(&path, text.as_bytes(), PRIVATE, Durability::Process).unwrap();
}

fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

fn read_left(dir: &Path) -> Left {
    read(dir, "c1", "eth0", Path::new("/devinfo"))
        .unwrap()
        .unwrap()
}

#[test]
fn a_sandbox_without_a_file_is_unknown() {
    let dir = tempfile::tempdir().unwrap();
    assert!(
        read(dir.path(), "c1", "eth0", Path::new("/d"))
            .unwrap()
            .is_none()
    );
    file::create_dir(&dir.path().join("c1"), 0o700).unwrap();
    assert!(
        read(dir.path(), "c1", "eth0", Path::new("/d"))
            .unwrap()
            .is_none()
    );
}

#[test]
fn row_39_delegates_keep_order_names_and_interface_names_of_go_multus() {
    let dir = tempfile::tempdir().unwrap();
    let list = r#"{"cniVersion":"0.3.1","name":"cbr0","plugins":[{"type":"bridge"}]}"#;
    let conf = r#"{"name":"n","type":"sriov"}"#;
    let text = format!(
        r#"[{{"Conf":{{"ipam":{{}}}},"ConfList":{{}},"CNINetworkConfigList":{{"Plugins":null}},"Name":"","Bytes":"{}"}},
            {{"Name":"d/n","deviceID":"0000:3b:02.1","macRequest":"02:00:00:00:00:01","ipRequest":["10.0.0.1/24"],"Bytes":"{}"}},
            {{"Name":"d/m","ifnameRequest":"dpdk0","Bytes":"{}"}}]"#,
        base64(list),
        base64(conf),
        base64(conf)
    );
    write(dir.path(), "c1", &text);
    let left = read_left(dir.path());
    let shape: Vec<_> = left
        .entries
        .iter()
        .map(|e| (e.name.as_str(), e.ifname.as_str(), e.default))
        .collect();
    assert_eq!(
        shape,
        [
            ("cbr0", "eth0", true),
            ("d/n", "net1", false),
            ("d/m", "dpdk0", false)
        ]
    );
    assert_eq!(left.entries[0].config.get(), list);
    assert_eq!(
        left.entries[1].device_info.as_deref(),
        Some(Path::new("/devinfo/d-n-c1_net1"))
    );
    assert_eq!(
        left.entries[1].capabilities["mac"].get(),
        r#""02:00:00:00:00:01""#
    );
    assert_eq!(
        left.entries[1].capabilities["ips"].get(),
        r#"["10.0.0.1/24"]"#
    );
}

#[test]
fn the_configuration_in_libcnis_cache_wins_over_the_lossy_copy() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        r#"[{{"Name":"a","Bytes":"{}"}}]"#,
        base64(r#"{"name":"a","type":"x"}"#)
    );
    write(dir.path(), "c1", &text);
    let whole = r#"{"name":"a","type":"x","kept":1}"#;
    let cache = format!(
        r#"{{"kind":"cniCacheV1","containerId":"c1","config":"{}","ifName":"eth0","networkName":"a","capabilityArgs":{{"mac":"m"}}}}"#,
        base64(whole)
    );
    write(dir.path(), "results/a-c1-eth0", &cache);
    let left = read_left(dir.path());
    assert_eq!(left.entries[0].config.get(), whole);
    assert_eq!(left.entries[0].capabilities["mac"].get(), r#""m""#);
}

#[test]
fn row_40_a_damaged_file_falls_back_to_libcnis_cache_of_this_container_only() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "c1", "[{");
    for (id, ifname) in [("c1", "net1"), ("c1", "eth0"), ("x-c1", "eth0")] {
        let cache = format!(
            r#"{{"containerId":"{id}","config":"{}","ifName":"{ifname}","networkName":"n"}}"#,
            base64(r#"{"name":"n","type":"x"}"#)
        );
        write(dir.path(), &format!("results/n-{id}-{ifname}"), &cache);
    }
    let left = read_left(dir.path());
    let ifnames: Vec<_> = left.entries.iter().map(|e| e.ifname.as_str()).collect();
    assert_eq!(ifnames, ["eth0", "net1"]);
    assert_eq!(left.warnings.len(), 1);
}

#[test]
fn an_empty_array_is_an_empty_sandbox_and_no_crash() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "c1", "[]");
    assert!(read_left(dir.path()).entries.is_empty());
}
