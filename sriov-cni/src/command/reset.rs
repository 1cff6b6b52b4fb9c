//! Resetting the VF's PCI function before a program in user space gets it (`resetPolicy`, spec/sriov-cni.md §8 row 8).

use std::time::Duration;

use super::Context;
use crate::apply::{self, Subject};
use crate::config::{Config, ResetPolicy};
use crate::error::{Error, Result};
use crate::plan::{self, Observed, Plan};
use crate::record::Record;
use crate::step::Step;

/// Milliseconds between readings of the address that the PF shows: its driver hears of the reset by an interrupt.
const PAUSES: [u64; 5] = [5, 10, 20, 40, 80];

impl Context<'_> {
    /// Resets the VF if the plan says so; what is observed afterwards is what it goes back to.
    pub(super) fn reset_first(
        &mut self,
        config: &Config,
        mut observed: Observed,
        plan: Plan,
        record: &mut Record,
    ) -> Result<(Observed, Plan)> {
        if !plan.reset_first {
            return Ok((observed, plan));
        }
        let function = observed.function.clone();
        let subject = Subject {
            vf: config.vf,
            function: &function,
            pod: None,
        };
        match apply::apply(self.node, &subject, &Step::ResetFunction) {
            Ok(_) => {}
            Err(error) if config.reset_policy == ResetPolicy::Flr => return Err(error),
            // It would have told whose address the PF shows; without it, an administrator's.
            Err(error) => {
                self.log.warning(&cni::error::chain(&error));
                return Ok((observed, plan));
            }
        }
        for pause in PAUSES {
            let told = self.node.attributes(&function.pf, function.index)?;
            observed.attributes = told.unwrap_or(observed.attributes);
            if observed.attributes.mac.is_zero() {
                break;
            }
            self.node.pause(Duration::from_millis(pause));
        }
        let plan = plan::plan(config, &observed, &record.attachment.ifname)?;
        record.original.attributes = Some(plan.original);
        record.attributes.clone_from(&plan.attributes);
        self.ledger.update(record).map_err(Error::State)?;
        Ok((observed, plan))
    }
}
