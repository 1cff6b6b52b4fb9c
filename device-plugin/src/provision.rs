//! The block `provision`: gives PFs the VFs, MTU and drivers that the configuration asks for
//! (spec/ecosystem.md §1.4, design §4).
//!
//! ```text
//!  sysfs ─► observe ─┐
//!  configuration ────┼─► plan (pure) ─► apply ─► observe and plan again: nothing may be left
//!  kubelet, ledger ──┴─ evidence
//! ```
//!
//! `sriovdp provision` does it and ends; `sriovdp plan` prints the same plan. The process that serves
//! has no right to write: it makes the same plan from what it sees and withholds each VF that still
//! has a step before it ([`pending`]). So both agree by the node itself, and no file can lie.

mod apply;
mod baseline;
mod evidence;
mod observe;
mod pending;
mod plan;
mod run;
mod step;
#[cfg(test)]
mod tests;
mod usage;

pub use apply::{Hands, Kernel};
pub use baseline::Baseline;
pub use observe::{Bound, Function, Interface, Sriov, Vf, observe};
pub use pending::{pending, withhold};
pub use plan::{Decision, Outcome, plan};
pub use run::{Done, Provisioner, Report};
pub use step::{Attribute, LinkChange, Owner, Step, Value};
pub use usage::{Usage, Use};
