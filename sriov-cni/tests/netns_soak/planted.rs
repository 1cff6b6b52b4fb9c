//! The checks find what is planted: a check that cannot fail shows nothing.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;

use host::testing::netns::fresh;
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::gauges::{Gauges, is_leak, memory_kb, processes};
use crate::node;

/// Attempts at a measurement that the rest of the machine disturbs.
const TRIES: usize = 10;

fn run(words: &str) {
    let mut words = words.split(' ');
    let status = Command::new(words.next().unwrap()).args(words).status();
    assert!(status.unwrap().success());
}

/// What the gauges tell of a fault.
fn told(plant: impl FnOnce()) -> Vec<String> {
    let before = Gauges::read();
    plant();
    let more = Gauges::read().more_than(&before);
    // Without the numbers.
    more.iter()
        .map(|line| line.split([' ', ',']).nth(1).unwrap().to_owned())
        .collect()
}

#[test]
fn every_kind_of_leftover_is_told() {
    node();
    assert_eq!(told(|| {}), [""; 0]);
    assert_eq!(told(|| fs::write("/var/lib/left", "").unwrap()), ["files"]);
    let mut kept = None;
    assert_eq!(
        told(|| kept = Some(File::open("/proc/self/status").unwrap())),
        ["descriptors"]
    );
    assert!(kept.unwrap().as_raw_fd() > 2);
    let nothing: Option<&str> = None;
    let tmpfs = || {
        fs::create_dir("/run/left").unwrap();
        let flags = MsFlags::empty();
        mount(
            Some("tmpfs"),
            Path::new("/run/left"),
            Some("tmpfs"),
            flags,
            nothing,
        )
        .unwrap();
    };
    assert_eq!(told(tmpfs), ["mounts"]);
    assert_eq!(
        told(|| run("ip link add left type veth peer name left-wire")),
        ["links"]
    );
    let neighbour = "ip neighbour add 192.0.2.1 lladdr 02:00:00:00:00:01 dev eth1";
    assert_eq!(told(|| run(neighbour)), ["neighbours"]);
    assert_eq!(
        told(|| run("ip route add 198.51.100.0/24 dev eth1")),
        ["routes"]
    );
    // Its parent ends at once and leaves it to whoever adopts it.
    let orphan = || {
        let mut shell = Command::new("sh");
        let status = shell
            .args(["-c", "sleep 600 </dev/null >/dev/null 2>&1 &"])
            .status();
        assert!(status.unwrap().success());
    };
    assert!(told(orphan).contains(&"processes".to_owned()));
    for id in processes() {
        kill(Pid::from_raw(id.parse().unwrap()), Signal::SIGKILL).unwrap();
    }
}

#[test]
fn memory_that_grows_in_every_stretch_is_a_leak_and_what_others_do_is_not() {
    let leak = [500_000, 530_000, 560_500, 590_000];
    assert!(is_leak(&leak, 6_000));
    assert!(!is_leak(&leak, 30_000));
    // Somebody builds something meanwhile, and ends.
    assert!(!is_leak(&[500_000, 580_000, 579_000, 580_000], 6_000));
    assert!(!is_leak(&[500_000, 505_000, 510_000, 515_000], 6_000));
    assert!(!is_leak(&[500_000], 0));
}

#[test]
fn namespaces_that_are_left_show_in_the_kernels_memory() {
    // 4 kB for each of 1,500 attachments is what a namespace for every 25 of them takes; less is allowed.
    let is_seen = (0..TRIES).any(|_| {
        let mut kept = Vec::new();
        let mut memory = vec![memory_kb()];
        for _ in 0..3 {
            kept.extend((0..60).map(|_| fresh()));
            memory.push(memory_kb());
        }
        is_leak(&memory, 60 * 25 * 2_000 / 1024)
    });
    assert!(is_seen);
}
