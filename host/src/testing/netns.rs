//! Network namespaces for tests on the real kernel.
#![expect(
    clippy::expect_used,
    reason = "a namespace that cannot be made must stop the test"
)]

use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::thread;

use nix::sched::{CloneFlags, unshare};

use crate::netlink::Netlink;
use crate::netns::NetNs;

/// A namespace and the handle that keeps it alive.
#[derive(Debug)]
pub struct TestNetNs {
    _keeper: NetNs,
    /// The namespace, opened by a path that other processes of this user can open as well.
    pub netns: NetNs,
}

/// Makes a namespace in which only a loopback exists.
///
/// # Panics
/// If the process may not.
pub fn fresh() -> TestNetNs {
    let make = || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a new network namespace");
        NetNs::current(Path::new("/proc")).expect("the new network namespace")
    };
    let keeper = thread::scope(|scope| scope.spawn(make).join()).expect("a thread");
    let path = format!(
        "/proc/{}/fd/{}",
        std::process::id(),
        keeper.as_fd().as_raw_fd()
    );
    TestNetNs {
        netns: NetNs::open(path).expect("the new network namespace by path"),
        _keeper: keeper,
    }
}

/// A netlink socket of the test's own namespace.
///
/// # Panics
/// If the loopback is up, which means that the namespace is in use: the test then runs in the host's.
pub fn own_netlink() -> Netlink {
    let mut netlink = Netlink::open().expect("a netlink socket");
    let loopback = netlink
        .link_by_name("lo")
        .expect("an answer")
        .expect("a loopback");
    assert!(
        !loopback.up,
        "this test needs a network namespace of its own: run it with `cargo nextest run`, whose configuration wraps \
         it in `unshare --map-root-user --net --mount`"
    );
    netlink
}
