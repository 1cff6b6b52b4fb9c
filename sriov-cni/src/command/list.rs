//! `sriov list`: VFs and slots, who has them, and how far they are from what they should be.

use std::fmt;

use cni::plugin::Attachment;
use host::pci::PciAddress;
use serde::Serialize;

use super::{Context, Known};
use crate::baseline::{self, Baseline};
use crate::error::Result;
use crate::node::{Found, Node, Place};
use crate::plan;
use crate::record::{Netdev, Phase, Record};
use crate::site::Site;
use crate::{observe, undo};

/// A VF or a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// PCI address of the VF, or id of the slot.
    pub device: String,
    /// The VF's PF; absent if it is not known now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pf: Option<PciAddress>,
    /// The VF's driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Whether someone has it.
    pub state: State,
    /// Who has it, or had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Attachment>,
    /// Network of the attachment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// How far the attachment's work got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// What is not as it should be: of a VF in use, against what was asked; of a dead owner's, what `recover` would do;
    /// of a free one, against its baseline, or where it has none against what a driver makes of a fresh VF.
    pub drift: Vec<String>,
}

/// Whether someone has a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nobody has it.
    Free,
    /// A living pod has it.
    Used,
    /// A pod that is gone has it: something is left to be done.
    Stale,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Free => "free",
            State::Used => "used",
            State::Stale => "stale",
        };
        write!(f, "{} {state}", self.device)?;
        if let Some(pf) = self.pf {
            write!(f, ", pf {pf}")?;
        }
        if let Some(driver) = &self.driver {
            write!(f, ", driver {driver}")?;
        }
        if let Some(owner) = &self.owner {
            let network = self.network.as_deref().unwrap_or_default();
            write!(
                f,
                ", container {} as {} on network {network}",
                owner.container_id, owner.ifname
            )?;
        }
        if !self.drift.is_empty() {
            write!(f, ", drift: {}", self.drift.join(", "))?;
        }
        Ok(())
    }
}

/// Every VF of the node, and every slot and VF that a record names. Changes nothing.
pub fn list(site: &Site, node: &mut dyn Node) -> Result<Vec<Row>> {
    let call = super::recover::call(site, &cni::plugin::Env::default());
    let mut context = Context::new(site, node, &call, &crate::config::Network::unnamed())?;
    let mut rows = Vec::new();
    for attachment in context.attachments()? {
        let row = match context.known(&attachment)? {
            Some(Known::Vf(record)) => context.recorded(&record)?,
            Some(Known::Slot(record)) => Row {
                device: record.slot.to_string(),
                pf: None,
                driver: None,
                state: state(context.is_slot_alive(&record)?),
                owner: Some(attachment),
                network: Some(record.network.clone()),
                phase: Some(record.phase),
                drift: Vec::new(),
            },
            None => continue,
        };
        rows.push(row);
    }
    for vf in context.node.all_vfs()? {
        if !rows.iter().any(|row| row.device == vf.to_string()) {
            rows.push(context.free(vf)?);
        }
    }
    rows.sort_by(|a, b| a.device.cmp(&b.device));
    Ok(rows)
}

fn state(is_alive: bool) -> State {
    if is_alive { State::Used } else { State::Stale }
}

impl Context<'_> {
    fn recorded(&mut self, record: &Record) -> Result<Row> {
        let is_alive = self.is_alive(record)?;
        let mut row = self.free(record.vf)?;
        row.drift = if is_alive {
            self.drift_of_asked(record)?
        } else {
            self.left(record)?
        };
        row.state = state(is_alive);
        row.owner = Some(record.attachment.clone());
        row.network = Some(record.network.clone());
        row.phase = Some(record.phase);
        Ok(row)
    }

    /// The VF as it is, against its baseline or a fresh one.
    fn free(&mut self, vf: PciAddress) -> Result<Row> {
        let mut row = Row {
            device: vf.to_string(),
            pf: None,
            driver: None,
            state: State::Free,
            owner: None,
            network: None,
            phase: None,
            drift: Vec::new(),
        };
        match self.node.function(vf)? {
            Found::Vf(function) => {
                let baseline = Baseline::read(&self.site.state, vf, &self.boot)
                    // With another driver the VF is another one.
                    .filter(|baseline| baseline.driver == function.driver);
                let before = baseline.as_ref().map(|baseline| &baseline.original);
                if let Some(state) = self.node.attributes(&function.pf, function.index)? {
                    let expected = match before.and_then(|before| before.attributes.as_ref()) {
                        Some(before) => baseline::attributes(before),
                        None => plan::missing_defaults(&state),
                    };
                    let missing = expected
                        .iter()
                        .filter(|expected| expected.holds(&state) == Some(false));
                    row.drift
                        .extend(missing.map(|expected| {
                            crate::apply::attributes::told(expected, Some(&state))
                        }));
                }
                if let Some(netdev) = before.and_then(|before| before.netdev.as_ref()) {
                    row.drift.extend(match self.node.netdev(Place::Host, vf)? {
                        Some(now) => baseline::differences(netdev, &Netdev::from(&now)),
                        None => vec![format!("interface {} is not on the host", netdev.name)],
                    });
                }
                row.pf = Some(function.pf.address);
                row.driver = function.driver;
            }
            Found::NoPfInterface { pf } | Found::NotListed { pf } => row.pf = Some(pf),
            Found::Nothing | Found::NoVf => row.drift.push("the VF is gone".to_owned()),
        }
        Ok(row)
    }

    /// What a living pod's VF has not got, though it was set.
    fn drift_of_asked(&mut self, record: &Record) -> Result<Vec<String>> {
        let Found::Vf(function) = self.node.function(record.vf)? else {
            return Ok(vec!["the VF is gone".to_owned()]);
        };
        let Some(state) = self.node.attributes(&function.pf, function.index)? else {
            return Ok(vec!["the driver tells nothing of the VF".to_owned()]);
        };
        // Values of the Go plugin's attachments are not known.
        let is_known = record.pf.is_some();
        let differs = record
            .attributes
            .iter()
            .filter(|asked| is_known && asked.holds(&state) == Some(false));
        Ok(differs
            .map(|asked| {
                let now = crate::apply::attributes::told(asked, Some(&state));
                format!("{now} instead of {asked}")
            })
            .collect())
    }

    /// What is left to be undone of a dead pod's VF.
    fn left(&mut self, record: &Record) -> Result<Vec<String>> {
        if !self.holds(record)? {
            return Ok(Vec::new());
        }
        let pod = self.whereabouts(record)?;
        let observed = observe::before_undo(self.node, record, pod.as_deref())?;
        let steps = undo::plan(record, &observed, undo::Progress::default());
        Ok(steps.iter().map(crate::step::Step::alone).collect())
    }
}
