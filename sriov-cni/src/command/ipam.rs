//! The IPAM plugin: allocation for this call, release for any record.

use cni::ipam::Ipam;
use cni::plugin::{Command, Invocation};
use cni::raw::Object;
use cni::result::AddResult;

use super::Context;
use crate::crash::{self, Point};
use crate::delegate;
use crate::error::{Error, Result};
use crate::record::{Record, SlotRecord};
use crate::slot::Slot;

impl Context<'_> {
    /// Asks for addresses; at least one, as upstream has it.
    pub(super) fn allocate(&self) -> Result<Option<AddResult>> {
        let Some(ipam) = Ipam::of(self.call, Some(self.site.ipam))? else {
            return Ok(None);
        };
        let result = ipam.add().map_err(|failure| Error::Ipam {
            plugin: ipam.plugin_type().to_owned(),
            failure,
        })?;
        if result.ips.is_empty() {
            return Err(Error::IpamResult {
                plugin: ipam.plugin_type().to_owned(),
                // Upstream's text; tools match it.
                problem: "IPAM plugin returned missing IP config".to_owned(),
            });
        }
        Ok(Some(result))
    }

    /// Releases what was allocated for a record, with the configuration that its ADD was given.
    pub(super) fn deallocate(&self, record: &Record) -> Result<()> {
        let Some(ipam) = &record.ipam else {
            return Ok(());
        };
        if ipam.config.is_none() && self.call.name != record.network {
            return Err(Error::IpamUnknown {
                plugin: ipam.r#type.clone(),
            });
        }
        let call = self.call_for(record, ipam.config.as_deref());
        deallocate(&call, self.site)
    }

    /// Releases what was allocated for a slot, with the configuration that its plugin was given.
    pub(super) fn deallocate_of_slot(&self, record: &SlotRecord, netns: &str) -> Result<()> {
        let mut call = self.call.clone();
        call.command = Command::Del;
        call.container_id
            .clone_from(&record.attachment.container_id);
        call.ifname.clone_from(&record.attachment.ifname);
        netns.clone_into(&mut call.netns);
        call.name.clone_from(&record.network);
        call.stdin = record.config.as_bytes().to_vec();
        call.config = Object::parse(&call.stdin)
            .map_err(|error| cni::Error::from_chain(cni::error::code::DECODE, &error))?;
        call.path.extend(record.path.iter().cloned());
        for (name, value) in [
            ("CNI_COMMAND", Command::Del.as_str()),
            ("CNI_CONTAINERID", &record.attachment.container_id),
            ("CNI_IFNAME", &record.attachment.ifname),
            ("CNI_NETNS", netns),
            ("CNI_ARGS", &record.args),
        ] {
            call.env.set(name, value);
        }
        deallocate(&call, self.site)
    }

    /// Releases what the runtime's own input names; for an attachment of which nothing is known.
    pub(super) fn deallocate_unknown(&self) -> Result<()> {
        let id: Option<String> = self.call.config.typed_folded("deviceID").ok().flatten();
        if id.is_none_or(|id| id.parse::<Slot>().is_err()) {
            return deallocate(self.call, self.site);
        }
        // ADD had the plugin behind the slot ask for them, which speaks no newer version.
        let mut call = self.call.clone();
        let version = delegate::spoken(call.version);
        call.config.set_str("cniVersion", version.as_str());
        call.stdin = call.config.to_bytes();
        call.version = version;
        deallocate(&call, self.site)
    }

    /// The call that the runtime made, or would have made, to delete the record's attachment.
    fn call_for(&self, record: &Record, config: Option<&str>) -> Invocation {
        let mut call = self.call.clone();
        call.command = Command::Del;
        call.container_id
            .clone_from(&record.attachment.container_id);
        call.ifname.clone_from(&record.attachment.ifname);
        if record.attachment != self.attachment() {
            let netns = record
                .owner
                .as_ref()
                .map(|owner| owner.netns.display().to_string());
            call.netns = netns.unwrap_or_default();
            call.env.set("CNI_NETNS", &call.netns);
            if let Some(ipam) = &record.ipam {
                call.env.set("CNI_ARGS", &ipam.args);
                if !ipam.path.is_empty() {
                    call.env.set("CNI_PATH", &ipam.path);
                    call.path = std::env::split_paths(&ipam.path).collect();
                }
            }
        }
        call.env.set("CNI_COMMAND", Command::Del.as_str());
        call.env.set("CNI_CONTAINERID", &call.container_id);
        call.env.set("CNI_IFNAME", &call.ifname);
        if let Some((config, object)) =
            config.and_then(|text| Some((text, Object::parse(text.as_bytes()).ok()?)))
        {
            call.stdin = config.as_bytes().to_vec();
            call.name.clone_from(&record.network);
            call.config = object;
        }
        call
    }
}

fn deallocate(call: &Invocation, site: &crate::site::Site) -> Result<()> {
    let Some(ipam) = Ipam::of(call, Some(site.ipam))? else {
        return Ok(());
    };
    crash::around(Point::Deallocate, || ipam.del()).map_err(|failure| Error::Ipam {
        plugin: ipam.plugin_type().to_owned(),
        failure,
    })
}
