//! The node under test, seen from inside: hardware, services, cluster. Runs as root in the lab's guest.

pub mod cluster;
pub mod cni;
pub mod containerd;
pub mod hardware;
pub mod machine;
pub mod node;
pub mod pod;
pub mod relay;
pub mod run;
pub mod service;
pub mod shell;
