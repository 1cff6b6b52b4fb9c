//! Proof on real kernels: builds and boots the emulated lab, plays scenarios in it, reports what was observed.
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: the whole crate drives processes, files and machines"
)]
#![expect(
    clippy::print_stdout,
    reason = "the report is what this program is for"
)]

pub mod guest;
pub mod lab;
pub mod report;
pub mod scenario;
pub mod standin;
