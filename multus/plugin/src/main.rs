//! `multus`: the CNI plugin that gives a pod every network it asked for. Also installed as
//! `multus-shim`; both names do the same.
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: the clock is read here and handed down"
)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use cni::net_attach::device_info;
use multus_plugin::command::Multus;
use multus_plugin::session::Node;

fn main() -> ExitCode {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let node = Node {
        // A clock before 1970 makes every record look young, which only delays GC.
        now: now.map_or(0, |since| since.as_secs()),
        proc: PathBuf::from("/proc"),
        own_dir: std::env::current_exe()
            .ok()
            .and_then(|exe| exe.parent().map(Path::to_owned)),
        devinfo: PathBuf::from(device_info::CNI_DIR),
    };
    cni::plugin::main(&Multus { node })
}
