//! The executor half of multus: what the plugin and the daemon say to each other, and the code that
//! runs an attachment plan on the host.
//!
//! The daemon (package `multus`) decides, this crate acts. It has no API client and no async
//! runtime (design §2): everything that DEL, CHECK and GC need is in the journal on disk.
#![forbid(unsafe_code)]

pub mod admin;
pub mod allowed;
pub mod attach;
pub mod auxiliary;
pub mod command;
pub mod config;
pub mod decision;
pub mod detach;
pub mod failure;
pub mod journal;
pub mod lifecycle;
pub mod log;
pub mod passthru;
pub mod planner;
pub mod primary;
pub mod sandbox;
pub mod session;
pub mod wire;
