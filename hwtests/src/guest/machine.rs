//! The machine without a cluster: VFs as an admin makes them, the programs under test, and nothing that uses either.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::Result;

use super::{
    hardware::{Hardware, VfState},
    node::{Options, set_up_hardware},
};

/// What a story about `sriov` alone is given.
#[derive(Debug)]
pub struct Machine {
    /// PFs and VFs; the last two VFs of the first PF are bound to vfio-pci.
    pub hardware: Hardware,
    /// State of every VF before anything touched it in this boot.
    pub baseline: BTreeMap<String, VfState>,
    /// Folder with `sriov`, and `sriov-crash` that can be aborted at named points.
    pub programs: PathBuf,
    /// Folder for logs; the host keeps it.
    pub logs: PathBuf,
    /// Whether all of a story is played, or the spread that fits into CI's time.
    pub long: bool,
    /// Which boot on this disk it is, from 1.
    pub boot: u32,
}

impl Machine {
    /// Makes the VFs and looks at them.
    ///
    /// # Errors
    /// When hardware does not come up.
    pub fn set_up(options: &Options) -> Result<Self> {
        let hardware = set_up_hardware()?;
        Ok(Self {
            baseline: hardware.observe()?,
            hardware,
            programs: options.programs.clone(),
            logs: options.logs.clone(),
            long: options.long,
            boot: options.boot,
        })
    }
}
