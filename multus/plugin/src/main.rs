//! `multus`: the CNI plugin that gives a pod every network it asked for. Also installed as
//! `multus-shim`; both names do the same. Under the name `passthru` it is that plugin.
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: the clock is read here and handed down"
)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use cni::net_attach::device_info;
use multus_plugin::admin;
use multus_plugin::command::Multus;
use multus_plugin::passthru::{self, Passthru};
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
        runtime_cache: PathBuf::from(multus_plugin::session::RUNTIME_CACHE),
        log_dirs: vec![PathBuf::from("/var/log")],
    };
    if is_called(passthru::NAME) {
        return cni::plugin::main(&Passthru);
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    if std::env::var_os("CNI_COMMAND").is_some() {
        return cni::plugin::main(&Multus { node });
    }
    match admin::parse(&words) {
        Ok(None) => cni::plugin::main(&Multus { node }),
        Ok(Some(request)) => told(admin::run(&request, &node)),
        Err(error) => told(Err(error)),
    }
}

/// Whether the program was started under this name.
fn is_called(name: &str) -> bool {
    std::env::args_os()
        .next()
        .is_some_and(|program| Path::new(&program).file_name() == Some(name.as_ref()))
}

/// What an admin's command has to say, and its exit code.
fn told(outcome: Result<admin::Told, admin::AdminError>) -> ExitCode {
    let (written, complete) = match outcome {
        Ok(told) => (
            std::io::stdout().write_all(told.text.as_bytes()),
            told.complete,
        ),
        Err(error) => (
            writeln!(std::io::stderr(), "multus: {}", cni::error::chain(&error)),
            false,
        ),
    };
    ExitCode::from(u8::from(!complete || written.is_err()))
}
