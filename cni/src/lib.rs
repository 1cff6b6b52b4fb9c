//! The CNI specification (0.1.0 to 1.1.0) and the multi-network specification as a library, both
//! sides: what a plugin needs to be called, and what a runtime needs to call plugins.
//!
//! Knows nothing of kernels, VFs or clusters. Effects are confined to [`exec`], [`runtime`] (its
//! result cache), [`plugin`] (standard streams, own namespace), [`conf_dir`] and
//! [`net_attach::device_info`].
#![forbid(unsafe_code)]

pub mod args;
pub mod conf_dir;
pub mod config;
pub mod error;
pub mod exec;
pub mod ipam;
pub mod name;
pub mod net_attach;
pub mod plugin;
pub mod raw;
pub mod result;
pub mod runtime;
pub mod version;

pub use error::Error;
pub use version::Version;
