use super::*;
use crate::error::Kind;

#[test]
fn a_name_with_dots_is_one_component() {
    let proc = tempfile::tempdir().unwrap();
    let directory = proc.path().join("sys/net/ipv4/conf/eth0.5");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("arp_notify"), "0\n").unwrap();
    let key = ["net", "ipv4", "conf", "eth0.5", "arp_notify"];
    write(proc.path(), &key, "1").unwrap();
    assert_eq!(read(proc.path(), &key).unwrap(), "1");
}

#[test]
fn a_key_that_would_leave_the_tree_is_refused() {
    let proc = tempfile::tempdir().unwrap();
    for key in [
        &["net", "..", "kernel"][..],
        &["net/ipv4"],
        &["net", ""],
        &["."],
        &[],
    ] {
        assert_eq!(
            write(proc.path(), key, "1").unwrap_err().kind(),
            Kind::Invalid,
            "{key:?}"
        );
    }
}
