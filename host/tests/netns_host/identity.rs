use std::fs;
use std::path::Path;

use host::error::Kind;
use host::netns::NetNs;
use host::sysctl;
use host::testing::netns::{fresh, own_netlink};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::pair;

const PROC: &str = "/proc";

/// What `ip netns add` does: a file that a namespace is mounted over.
fn pin(netns: &NetNs, path: &Path) {
    fs::write(path, "").unwrap();
    mount(
        Some(netns.path()),
        path,
        None::<&str>,
        MsFlags::MS_BIND,
        None::<&str>,
    )
    .unwrap();
}

#[test]
fn a_new_namespace_at_the_same_path_has_another_identity() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pod");
    let first = {
        let netns = fresh();
        pin(&netns.netns, &path);
        NetNs::open(&path).unwrap().identity().unwrap()
    };
    umount2(&path, MntFlags::MNT_DETACH).unwrap();
    let other = fresh();
    pin(&other.netns, &path);
    let second = NetNs::open(&path).unwrap().identity().unwrap();
    umount2(&path, MntFlags::MNT_DETACH).unwrap();
    assert!(first.cookie.is_some() && second.cookie.is_some());
    assert!(!first.is_same(&second), "{first:?} {second:?}");
}

#[test]
fn one_namespace_has_one_identity_by_every_path() {
    let netns = fresh();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pod");
    pin(&netns.netns, &path);
    let pinned = NetNs::open(&path).unwrap();
    assert_eq!(pinned.path(), path);
    assert_eq!(pinned.identity().unwrap(), netns.netns.identity().unwrap());
    umount2(&path, MntFlags::MNT_DETACH).unwrap();
    let own = NetNs::current(Path::new(PROC)).unwrap().identity().unwrap();
    assert!(!own.is_same(&netns.netns.identity().unwrap()));
}

#[test]
fn a_path_that_is_no_namespace_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let plain = directory.path().join("plain");
    fs::write(&plain, "").unwrap();
    let error = NetNs::open(&plain).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(
        error
            .to_string()
            .ends_with("plain: exists, but is no network namespace"),
        "{error}"
    );
    let fifo = directory.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(NetNs::open(&fifo).unwrap_err().kind(), Kind::Invalid);
    let error = NetNs::open(directory.path().join("missing")).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
}

#[test]
fn another_kind_of_namespace_cannot_be_entered() {
    let error = NetNs::open("/proc/self/ns/uts")
        .unwrap()
        .run(|| ())
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(
        error
            .to_string()
            .starts_with("enter network namespace /proc/self/ns/uts"),
        "{error}"
    );
}

#[test]
fn a_socket_opened_inside_is_used_from_outside_and_the_caller_stays() {
    let mut outside = own_netlink();
    let pod = fresh();
    let before = NetNs::current(Path::new(PROC)).unwrap().identity().unwrap();
    let mut inside = pod.netns.netlink().unwrap();
    pair(&mut inside, "net1", "peer");
    assert!(inside.link_by_name("net1").unwrap().is_some());
    assert!(outside.link_by_name("net1").unwrap().is_none());
    let after = NetNs::current(Path::new(PROC)).unwrap().identity().unwrap();
    assert_eq!(before, after);
}

#[test]
fn a_sysctl_is_written_in_the_namespace_of_the_thread() {
    let mut outside = own_netlink();
    let pod = fresh();
    pair(&mut outside, "net1", "peer");
    pair(&mut pod.netns.netlink().unwrap(), "net1", "peer");
    let key = ["net", "ipv4", "conf", "net1", "arp_notify"];
    let proc = Path::new(PROC);
    pod.netns
        .run(|| sysctl::write(proc, &key, "1"))
        .unwrap()
        .unwrap();
    assert_eq!(
        pod.netns.run(|| sysctl::read(proc, &key)).unwrap().unwrap(),
        "1"
    );
    assert_eq!(sysctl::read(proc, &key).unwrap(), "0");
    let missing = ["net", "ipv4", "conf", "net7", "arp_notify"];
    assert_eq!(
        sysctl::write(proc, &missing, "1").unwrap_err().kind(),
        Kind::NotFound
    );
}

#[test]
#[should_panic(expected = "inside")]
fn a_panic_inside_goes_on_in_the_caller() {
    let _ = fresh().netns.run(|| panic!("inside"));
}
