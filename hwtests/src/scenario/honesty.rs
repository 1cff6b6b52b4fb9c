//! Faults that are planted to prove that the demo finds them: a demo that cannot fail shows nothing.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::demo::step;
use crate::guest::node::Options;

/// A fault, planted from outside: the programs never know that they are tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Planted {
    /// The device plugin is `false`.
    SriovdpIsFalse,
    /// The meta-plugin is `false`.
    MultusIsFalse,
    /// The delegate is `false`.
    SriovIsFalse,
    /// The delegate is called without the network's VLAN.
    VlanNotSet,
    /// The delegate's DEL says success and does nothing.
    VfNotRestored,
    /// The API server writes a pod's status to another pod.
    StatusOfWrongPod,
}

impl Planted {
    /// All faults.
    pub const ALL: [Self; 6] = [
        Self::SriovdpIsFalse,
        Self::MultusIsFalse,
        Self::SriovIsFalse,
        Self::VlanNotSet,
        Self::VfNotRestored,
        Self::StatusOfWrongPod,
    ];

    /// Where time is short: a fault that every program but one survives, and that only the PF shows.
    pub const SPREAD: [Self; 1] = [Self::VlanNotSet];

    /// Step at which the demo must fail.
    pub fn found_at(self) -> &'static str {
        match self {
            Self::SriovdpIsFalse => step::ADVERTISE,
            Self::MultusIsFalse | Self::SriovIsFalse | Self::VlanNotSet => step::VLAN_100,
            Self::VfNotRestored => step::DELETION,
            Self::StatusOfWrongPod => step::STATUS,
        }
    }

    /// Puts the fault's program in the place of the real one.
    ///
    /// # Errors
    /// When the replacement cannot be written.
    pub fn replace_programs(self, options: &mut Options) -> Result<()> {
        let real = options.programs.join("sriov");
        let real = real.display();
        let (name, file) = match self {
            Self::SriovdpIsFalse => ("sriovdp", PathBuf::from("/bin/false")),
            Self::MultusIsFalse => ("multus", PathBuf::from("/bin/false")),
            Self::SriovIsFalse => ("sriov", PathBuf::from("/bin/false")),
            Self::VlanNotSet => (
                "sriov",
                script(&format!("sed 's/\"vlan\":[0-9]*,//' | {real}"))?,
            ),
            Self::VfNotRestored => (
                "sriov",
                script(&format!(
                    "[ \"$CNI_COMMAND\" = DEL ] && exit 0\nexec {real}"
                ))?,
            ),
            Self::StatusOfWrongPod => return Ok(()),
        };
        options.replaced.insert(name.to_owned(), file);
        Ok(())
    }
}

fn script(body: &str) -> Result<PathBuf> {
    let path = Path::new("/run/planted-sriov").to_owned();
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).context("write the planted program")?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
        .context("make the planted program executable")?;
    Ok(path)
}
