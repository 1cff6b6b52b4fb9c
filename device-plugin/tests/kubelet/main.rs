//! The plugin and a kubelet: registration, lists, allocation, restarts (spec/device-plugin.md §8.7).
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]
#![expect(clippy::disallowed_methods, reason = "tests look at files")]

mod cdi;
mod changes;
mod corrections;
mod fake;
mod lasting;
mod plugin;
mod preferred;
mod provision;
mod registration;
