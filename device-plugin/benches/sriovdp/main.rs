//! What `sriovdp` costs on a big node: 1024 VFs of 16 PFs in 50 pools (G12 of spec/device-plugin.md §8.7, design §9).
//!
//! Run by `make bench-sriovdp`. Figures are printed, never judged. Both programs see the same node: a tree in place of
//! /sys and a stand-in kubelet in place of /var/lib/kubelet, in namespaces of their own. `PEER_BIN` names a folder
//! that may have a Go `sriovdp`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement that cannot be made ends"
)]
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "boundary: starts programs, makes files, prints figures"
)]

#[expect(dead_code, reason = "made for the tests beside, which use all of it")]
#[path = "../../tests/kubelet/fake.rs"]
mod fake;
mod node;
mod program;

use std::{path::PathBuf, process::Command, time::Duration};

use program::{Figures, Program};

/// Set for the process inside the namespaces.
const INSIDE: &str = "SRIOVDP_BENCH_INSIDE";

fn main() {
    if std::env::var_os(INSIDE).is_none() {
        let own = std::env::current_exe().unwrap();
        let status = Command::new("unshare")
            .args(["--net", "--mount", "--propagation", "private", "--"])
            .arg(own)
            .env(INSIDE, "1")
            .status()
            .expect("unshare of util-linux");
        assert!(status.success(), "the measurement ended with {status}");
        return;
    }
    let node = node::Node::new();
    println!(
        "{} VFs of {} PFs in {} pools",
        node::VFS,
        node::PFS,
        node::POOLS
    );
    let scan = node::Node::scan_time();
    println!(
        "scan, plan and lists, in this process: {}",
        milliseconds(scan)
    );

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let ours = runtime.block_on(program::measure(&node, &Program::ours()));
    show("sriovdp", &ours);
    let peer = std::env::var_os("PEER_BIN").map(|folder| PathBuf::from(folder).join("sriovdp"));
    let Some(peer) = peer.filter(|peer| peer.exists()) else {
        println!("no Go sriovdp in PEER_BIN: no ratios");
        return;
    };
    let theirs = runtime.block_on(program::measure(&node, &Program::peer(peer, &node)));
    show("Go sriovdp", &theirs);
    println!("ratios, Go to ours:");
    let ratio = |name: &str, theirs: f64, ours: f64| println!("  {name}: {:.1}", theirs / ours);
    ratio(
        "first list",
        theirs.first.as_secs_f64(),
        ours.first.as_secs_f64(),
    );
    ratio(
        "all lists",
        theirs.all.as_secs_f64(),
        ours.all.as_secs_f64(),
    );
    ratio("CPU", theirs.cpu.as_secs_f64(), ours.cpu.as_secs_f64());
    ratio("idle memory", megabytes(theirs.idle), megabytes(ours.idle));
    ratio("peak memory", megabytes(theirs.peak), megabytes(ours.peak));
}

fn show(name: &str, figures: &Figures) {
    println!("{name}:");
    println!(
        "  start to the first pool's list: {}",
        milliseconds(figures.first)
    );
    println!(
        "  start to the last pool's list: {}",
        milliseconds(figures.all)
    );
    println!("  CPU until then: {}", milliseconds(figures.cpu));
    println!("  idle memory: {:.1} MB", megabytes(figures.idle));
    println!("  peak memory: {:.1} MB", megabytes(figures.peak));
    match figures.update {
        Some(update) => println!(
            "  edit of the configuration to the new list: {}",
            milliseconds(update)
        ),
        None => {
            println!("  edit of the configuration to the new list: never, it must be restarted");
        }
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "kilobytes of a process fit by far"
)]
fn megabytes(kilobytes: u64) -> f64 {
    kilobytes as f64 / 1024.0
}
