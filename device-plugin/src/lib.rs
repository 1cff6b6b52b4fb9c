//! The SR-IOV device plugin.
//!
//! ```text
//!  config file ───► config ─┐
//!  sysfs, netlink ─► node ──┴► plan ──► inventory ──► serve (a task per pool) ◄──► kubelet
//!                              pure      pure          async
//! ```
//!
//! [`node`] observes everything once per scan into one immutable value, [`plan`] decides from
//! configuration and observation which pool gets which function, [`inventory`] adds what time
//! brings (a device that vanished under a pod), and [`serve`] tells the kubelet. Nothing below
//! `main` reads the environment or a fixed path.

pub mod access;
pub mod allocate;
pub mod args;
pub mod book;
pub mod command;
pub mod config;
pub mod counters;
pub mod daemon;
pub mod explain;
pub mod failure;
pub mod fallback;
pub mod handover;
pub mod health;
pub mod holder;
pub mod http;
pub mod inventory;
pub mod list;
pub mod memory;
pub mod node;
pub mod plan;
pub mod preferred;
pub mod provision;
pub mod rdma;
pub mod serve;
pub mod status;
mod table;
pub mod watch;
