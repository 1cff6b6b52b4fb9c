//! Gives one SR-IOV virtual function to one pod and takes it back, whatever crashes in between.
//!
//! Every change follows one shape: [`observe`] reads the node into a value, [`plan`] and [`undo`] turn it into
//! [`step`]s without touching anything, [`apply`] carries a step out and reads it back. The [`ledger`] has the record
//! of an attachment before its first change. All effects on the kernel go through [`node`].
#![forbid(unsafe_code)]

pub mod addresses;
pub mod admin;
pub mod announce;
pub mod apply;
pub mod baseline;
pub mod command;
pub mod compat;
pub mod config;
pub mod crash;
pub mod delegate;
pub mod error;
pub mod ledger;
pub mod log;
pub mod node;
pub mod observe;
pub mod plan;
pub mod plugin;
pub mod record;
pub mod restore;
pub mod site;
pub mod slot;
pub mod step;
pub mod undo;

#[cfg(test)]
mod fake;
