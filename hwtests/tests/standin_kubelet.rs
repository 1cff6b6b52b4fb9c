//! The stand-in kubelet between a device plugin and a container runtime that are played here in-process, over their
//! real sockets.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the functions around the tests fail as the tests do"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: the folders of the bench"
)]

#[path = "standin_kubelet/bench.rs"]
mod bench;
#[path = "standin_kubelet/health.rs"]
mod health;
#[path = "standin_kubelet/plugin.rs"]
mod plugin;
#[path = "standin_kubelet/plugins.rs"]
mod plugins;
#[path = "standin_kubelet/pods.rs"]
mod pods;
#[path = "standin_kubelet/removal.rs"]
mod removal;
#[path = "standin_kubelet/resources.rs"]
mod resources;
#[path = "standin_kubelet/runtime.rs"]
mod runtime;
