//! The planner half of multus: which networks a sandbox gets, from its pod's annotations, the NADs
//! and the devices the kubelet gave it; network-status and events afterwards. It executes nothing.
//!
//! [`plan`] decides and does no I/O. The edges are [`api`] (the only user of kube), [`kubelet`] (the
//! only user of tonic), [`server`] (HTTP on a unix socket) and the files of [`nads`], [`outbox`] and
//! [`primary`].
#![forbid(unsafe_code)]

pub mod api;
pub mod args;
pub mod certificate;
pub mod config;
pub mod daemon;
pub mod dra;
pub mod function;
pub mod guard;
pub mod install;
pub mod known;
pub mod kubeconfig;
pub mod kubelet;
pub mod logging;
pub mod metrics;
pub mod nads;
pub mod namespaces;
pub mod oneshot;
pub mod outbox;
pub mod plain;
pub mod plan;
pub mod primary;
pub mod probe;
pub mod report;
pub mod server;
pub mod service;
pub mod sources;
pub mod thin;
