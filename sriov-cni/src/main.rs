//! The CNI plugin `sriov`. Everything that is fixed on a node is fixed here.
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: the clock is handed down from here"
)]

use std::process::ExitCode;
use std::time::SystemTime;

use cni::plugin::Env;
use host::sysfs::Sysfs;
use sriov::admin;
use sriov::node::kernel::Kernel;
use sriov::plugin::Sriov;
use sriov::site::Site;

fn main() -> ExitCode {
    let site = Site::new("/var/lib/cni/sriov", SystemTime::now);
    let open = || Kernel::new(Sysfs::new("/sys"), "/proc", "/run/netns");
    let env: Env = std::env::vars_os().collect();
    #[cfg(feature = "crash-points")]
    if let Err(error) = env
        .get("FERROVIA_CRASH_AT")
        .map_or(Ok(()), sriov::crash::arm)
    {
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("sriov: {error}\n"));
        return ExitCode::from(2);
    }
    let words: Vec<_> = std::env::args().skip(1).collect();
    // A runtime's call is one whatever the arguments, as with the Go plugin.
    if words.is_empty() || env.get("CNI_COMMAND").is_some() {
        return cni::plugin::main(&Sriov::new(site, open));
    }
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    ExitCode::from(admin::main(&words, &site, open, &env, &mut out, &mut err))
}
