//! Stories that are played on a node, and what each of their steps must show.

pub mod bad_input;
pub mod bench_multus;
pub mod bench_sriov;
pub mod demo;
pub mod deploy;
pub mod figures;
pub(crate) mod go_multus;
pub mod honesty;
pub mod installation;
pub mod leftovers;
pub(crate) mod load;
pub mod look;
pub mod multus;
pub mod multus_networks;
pub mod replacement;
pub mod sriov;
pub mod sriov_crash;
pub mod sriovdp;
pub mod storm;
