//! GC: gives back what belongs to no valid attachment of this one network (spec/sriov-cni.md §3.4).

use std::collections::BTreeSet;

use cni::ipam::Ipam;
use cni::plugin::{Attachment, Invocation};

use super::{Context, Known};
use crate::compat;
use crate::config::Network;
use crate::crash::{self, Verb};
use crate::error::{Error, Result};
use crate::node::Node;
use crate::site::Site;

/// Collects; goes on after errors and tells them all.
pub fn gc(site: &Site, node: &mut dyn Node, call: &Invocation) -> Result<()> {
    let _scope = crash::scope(Verb::Gc);
    let network = Network::read(&call.config)?;
    let valid = call.valid_attachments()?;
    // A Go file's name does not tell where the container's id ends.
    let valid: BTreeSet<_> = valid.iter().map(compat::cache_name).collect();
    let mut context = Context::new(site, node, call, &network)?;
    let mut errors = Vec::new();
    for attachment in context.attachments()? {
        if !valid.contains(&compat::cache_name(&attachment)) {
            match context.collect(&attachment) {
                Ok(left) => errors.extend(left),
                Err(error) => errors.push(error),
            }
        }
    }
    if let Some(ipam) = Ipam::of(call, Some(site.ipam))? {
        errors.extend(ipam.gc().err().map(|failure| Error::Ipam {
            plugin: ipam.plugin_type().to_owned(),
            failure,
        }));
    }
    Error::from_many(errors).map_or(Ok(()), Err)
}

impl Context<'_> {
    /// Gives back what an attachment has of this network. Returns what could not be done.
    fn collect(&mut self, attachment: &Attachment) -> Result<Vec<Error>> {
        let Some(device) = self
            .of_this_network(attachment)?
            .map(|known| known.device())
        else {
            return Ok(Vec::new());
        };
        let _lock = self.lock(&device, self.site.add_lock)?;
        // What was read without the lock may be gone or renewed.
        let known = self
            .of_this_network(attachment)?
            .filter(|now| now.device() == device);
        let Some(known) = known else {
            return Ok(Vec::new());
        };
        self.log.info(&format!(
            "VFLeakRepaired: collecting {device} of {}",
            attachment.container_id
        ));
        Ok(match known {
            Known::Vf(mut record) => self.release(&mut record, self.site.comes_back).errors,
            Known::Slot(mut record) => self.release_slot(&mut record).err().into_iter().collect(),
        })
    }

    /// The list of valid attachments is this network's; records of others are none of our business.
    fn of_this_network(&self, attachment: &Attachment) -> Result<Option<Known>> {
        let known = self.known(attachment)?;
        Ok(known.filter(|known| known.network() == self.call.name))
    }
}
