//! GC: gives back what belongs to no valid attachment of this one network (spec/sriov-cni.md §3.4).

use cni::ipam::Ipam;
use cni::plugin::{Attachment, Invocation};

use super::Context;
use crate::config::Network;
use crate::crash::{self, Verb};
use crate::error::{Error, Result};
use crate::ledger::Entry;
use crate::node::Node;
use crate::site::Site;

/// Collects; goes on after errors and tells them all.
pub fn gc(site: &Site, node: &mut dyn Node, call: &Invocation) -> Result<()> {
    let _scope = crash::scope(Verb::Gc);
    let network = Network::read(&call.config)?;
    let valid = call.valid_attachments()?;
    let mut context = Context::new(site, node, call, &network)?;
    let mut errors = Vec::new();
    let records = context.ledger.all().map_err(Error::State)?;
    // The list of valid attachments is this network's; records of others are none of our business.
    let stale = records
        .into_iter()
        .filter(|record| record.network == network.name && !valid.contains(&record.attachment));
    for record in stale {
        match context.lock(record.vf, site.add_lock) {
            Err(error) => errors.push(error),
            Ok(_lock) => {
                // What was read without the lock may be gone or renewed.
                let Some(mut record) = context
                    .record(&record.attachment)?
                    .filter(|now| *now == record)
                else {
                    continue;
                };
                context.log.info(&format!(
                    "VFLeakRepaired: collecting VF {} of {}",
                    record.vf, record.attachment.container_id
                ));
                errors.extend(context.release(&mut record, site.comes_back).errors);
            }
        }
    }
    errors.extend(context.gc_slots(&valid)?);
    if let Some(ipam) = Ipam::of(call, Some(site.ipam))? {
        errors.extend(ipam.gc().err().map(|failure| Error::Ipam {
            plugin: ipam.plugin_type().to_owned(),
            failure,
        }));
    }
    Error::from_many(errors).map_or(Ok(()), Err)
}

impl Context<'_> {
    fn gc_slots(&mut self, valid: &[Attachment]) -> Result<Vec<Error>> {
        let mut errors = Vec::new();
        for slot in self.ledger.slots().map_err(Error::State)? {
            let is_stale = |entry: &Entry| match entry {
                Entry::Slot(record) => {
                    record.network == self.call.name && !valid.contains(&record.attachment)
                }
                _ => false,
            };
            if !is_stale(&self.ledger.of_slot(slot).map_err(Error::State)?) {
                continue;
            }
            match self.lock(slot, self.site.add_lock) {
                Err(error) => errors.push(error),
                Ok(_lock) => {
                    let entry = self.ledger.of_slot(slot).map_err(Error::State)?;
                    if is_stale(&entry)
                        && let Entry::Slot(mut record) = entry
                    {
                        errors.extend(self.release_slot(&mut record).err());
                    }
                }
            }
        }
        Ok(errors)
    }
}
