//! `resetPolicy`: what the VF is made before and after the pod has it (spec/sriov-cni.md §1.4, §8 row 8, §11.3).

use super::Invalid;

/// What the VF goes back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResetPolicy {
    /// What it was when the pod got it.
    #[default]
    Restore,
    /// What a driver makes of a fresh VF, which it is made before the pod gets it, too: whatever an administrator or
    /// another program left on it does not reach the pod, and is not brought back.
    Defaults,
    /// As `Restore`. A VF for programs in user space is reset by its PCI function before the pod gets it and when it
    /// comes back, because no driver of the kernel does that for it.
    Flr,
}

pub(super) fn policy(value: Option<&str>) -> Result<ResetPolicy, Invalid> {
    match value {
        None | Some("" | "restore") => Ok(ResetPolicy::Restore),
        Some("defaults") => Ok(ResetPolicy::Defaults),
        Some("flr") => Ok(ResetPolicy::Flr),
        Some(other) => Err(Invalid::new(
            "resetPolicy",
            format!("{other:?}"),
            "give \"restore\", \"defaults\" or \"flr\"",
        )),
    }
}
