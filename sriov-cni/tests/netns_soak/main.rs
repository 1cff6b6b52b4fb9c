//! The program itself, with the reference plugins behind it, many times over: pods come and go on software slots, and
//! the node must not have more of anything afterwards. `FERROVIA_SOAK` is the number of pairs of ADD and DEL; `make
//! test-long` asks for 10,000.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "test code that runs the binary"
)]

mod gauges;
mod killed;
mod planted;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use gauges::{Gauges, is_leak, memory_kb};
use host::netlink::create::NewLink;
use host::netlink::link::LinkChange;
use host::testing::netns::{TestNetNs, fresh, own_netlink};
use nix::mount::{MsFlags, mount};
use serde_json::{Value, json};

/// Pairs of ADD and DEL unless told otherwise.
const SHORT: usize = 60;
/// Attachments made in parallel.
const WORKERS: usize = 2;
/// A pod's namespace is replaced after this many attachments.
const PER_NAMESPACE: usize = 25;
/// Memory is looked at after each of so many stretches of equal length.
const STRETCHES: usize = 3;
/// Of fewer attachments, a leak would not stand out of what else the machine does.
const MEASURABLE: usize = 1_000;
/// An interface that is left costs the kernel about 10 kB, a namespace per 25 attachments 4 kB each.
const ALLOWED_BYTES_EACH: usize = 2_000;
/// Where distributions put the plugins.
const FOLDERS: [&str; 3] = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];

/// Where the plugins are; `CNI_PLUGINS` names another folder.
fn plugins() -> Option<PathBuf> {
    let named = std::env::var_os("CNI_PLUGINS").map(PathBuf::from);
    let mut folders = named.into_iter().chain(FOLDERS.map(PathBuf::from));
    folders.find(|folder| folder.join("macvlan").exists())
}

/// Folders of our own in place of the machine's, and a master for macvlan.
fn node() {
    let mut host = own_netlink();
    for folder in ["/var/lib", "/run"] {
        let nothing: Option<&str> = None;
        mount(
            Some("tmpfs"),
            folder,
            Some("tmpfs"),
            MsFlags::empty(),
            nothing,
        )
        .unwrap();
    }
    // What a dying program leaves behind becomes ours, and is counted.
    nix::sys::prctl::set_child_subreaper(true).unwrap();
    host.create_link("eth1", NewLink::Veth { peer: "eth1-wire" })
        .unwrap();
    for name in ["eth1", "eth1-wire"] {
        // Its own address comes seconds later, with routes that nobody is to count. A kernel without IPv6 has no key.
        let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1");
        let index = host.link_by_name(name).unwrap().unwrap().index;
        let up = LinkChange {
            up: Some(true),
            ..LinkChange::default()
        };
        host.change_link(index, &up).unwrap();
    }
}

fn start(command: &str, worker: usize, pod: &TestNetNs, plugins: &Path) -> Child {
    let config = json!({
        "cniVersion": "1.0.0", "name": "soft", "type": "sriov", "deviceID": format!("software-{worker}"),
        "fallback": { "type": "macvlan", "master": "eth1", "mode": "bridge" },
        "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.90.0.0/24" }]] },
    });
    let mut child = Command::new(env!("CARGO_BIN_EXE_sriov"))
        .env_clear()
        .env("CNI_COMMAND", command)
        .env("CNI_CONTAINERID", format!("soak-{worker}"))
        .env("CNI_NETNS", pod.netns.path())
        .env("CNI_IFNAME", "net1")
        .env("CNI_PATH", plugins)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(config.to_string().as_bytes()).unwrap();
    child
}

fn call(command: &str, worker: usize, pod: &TestNetNs, plugins: &Path) -> Value {
    let child = start(command, worker, pod, plugins);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command}: {output:?}");
    match output.stdout.as_slice() {
        b"" => Value::Null,
        printed => serde_json::from_slice(printed).unwrap(),
    }
}

/// One pod's life on the worker's slot.
fn attach_and_detach(worker: usize, round: usize, pod: &TestNetNs, plugins: &Path) {
    let result = call("ADD", worker, pod, plugins);
    if round.is_multiple_of(50) {
        let link = pod.netns.netlink().unwrap().link_by_name("net1").unwrap();
        let mac = link.unwrap().address.unwrap().to_string();
        assert_eq!(result["interfaces"][0]["mac"], mac);
        assert!(result["ips"][0]["address"].is_string(), "{result}");
    }
    assert_eq!(call("DEL", worker, pod, plugins), Value::Null);
    if round.is_multiple_of(50) {
        let links = pod.netns.netlink().unwrap().links().unwrap();
        assert_eq!(links.len(), 1, "{links:?}");
    }
}

fn run(rounds: usize, plugins: &Path) {
    let next = AtomicUsize::new(0);
    thread::scope(|threads| {
        for worker in 0..WORKERS {
            let next = &next;
            threads.spawn(move || {
                let (mut pod, mut used) = (fresh(), 0);
                loop {
                    let round = next.fetch_add(1, Ordering::Relaxed);
                    if round >= rounds {
                        return;
                    }
                    if used == PER_NAMESPACE {
                        (pod, used) = (fresh(), 0);
                    }
                    attach_and_detach(worker, round, &pod, plugins);
                    used += 1;
                }
            });
        }
    });
}

#[test]
fn pods_that_come_and_go_on_software_slots_leave_nothing_behind() {
    let Some(plugins) = plugins() else {
        eprintln!("skipped: the reference plugins are not installed");
        return;
    };
    let asked = std::env::var("FERROVIA_SOAK").ok();
    let rounds: usize = asked.map_or(SHORT, |asked| asked.parse().unwrap());
    node();
    // What is made once (lock files, the pool's folder, caches of the kernel's) is there after a tenth.
    let warm = rounds / 10;
    run(warm, &plugins);
    let before = Gauges::read();
    let mut memory = vec![memory_kb()];
    let started = Instant::now();
    let stretch = (rounds - warm) / STRETCHES;
    for _ in 0..STRETCHES {
        run(stretch, &plugins);
        memory.push(memory_kb());
    }
    let each = started.elapsed() / u32::try_from(stretch * STRETCHES).unwrap();
    let after = Gauges::read();
    let told = format!(
        "{} ADD and DEL on software slots, {WORKERS} at a time, {} ms a pair; {after}; kernel memory {memory:?} kB",
        warm + stretch * STRETCHES,
        each.as_millis(),
    );
    assert_eq!(
        after.more_than(&before),
        [""; 0],
        "{told}, before: {before}"
    );
    let allowed_kb = u64::try_from(stretch * ALLOWED_BYTES_EACH / 1024).unwrap();
    assert!(
        rounds < MEASURABLE || !is_leak(&memory, allowed_kb),
        "{told}"
    );
    eprintln!("{told}");
}
