//! The CNI plugin `sriov`. Everything that is fixed on a node is fixed here.
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: the clock is handed down from here"
)]

use std::process::ExitCode;
use std::time::SystemTime;

use host::sysfs::Sysfs;
use sriov::node::kernel::Kernel;
use sriov::plugin::Sriov;
use sriov::site::Site;

fn main() -> ExitCode {
    let site = Site::new("/var/lib/cni/sriov", SystemTime::now);
    let plugin = Sriov::new(site, || Kernel::new(Sysfs::new("/sys"), "/proc"));
    cni::plugin::main(&plugin)
}
