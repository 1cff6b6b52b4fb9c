//! VF attributes: one message for all, read back, and the refused one named.

use std::time::Duration;

use host::netlink::vf::{VfAttribute, VfState};

use super::{Node, PAUSES, Subject, patiently};
use crate::error::{Error, Result};

/// Sets what is not yet as wanted.
pub(super) fn set(
    node: &mut dyn Node,
    subject: &Subject<'_>,
    wanted: &[VfAttribute],
) -> Result<()> {
    let (pf, index) = (&subject.function.pf, subject.function.index);
    if let Err(refusal) = patiently(node, |node| node.set_attributes(pf, index, wanted)) {
        let now = node.attributes(pf, index)?;
        let refused = wanted
            .iter()
            .find(|attribute| !holds(attribute, now.as_ref()));
        return Err(Error::Attribute {
            driver: subject
                .function
                .pf_driver
                .clone()
                .unwrap_or_else(|| "none".to_owned()),
            attribute: refused
                .or(wanted.first())
                .map_or_else(String::new, ToString::to_string),
            refusal: Box::new(refusal),
        });
    }
    // Some drivers carry attributes out after they have answered.
    let mut now = node.attributes(pf, index)?;
    for pause in PAUSES {
        if wanted
            .iter()
            .all(|attribute| holds(attribute, now.as_ref()))
        {
            return Ok(());
        }
        node.pause(Duration::from_millis(pause));
        now = node.attributes(pf, index)?;
    }
    match wanted
        .iter()
        .find(|attribute| !holds(attribute, now.as_ref()))
    {
        None => Ok(()),
        Some(attribute) => Err(Error::NotApplied {
            attribute: attribute.to_string(),
            index,
            pf: Box::new(pf.clone()),
            told: told(attribute, now.as_ref()),
        }),
    }
}

/// Sets one by one whatever can be set; returns what could not.
pub(crate) fn set_each(
    node: &mut dyn Node,
    subject: &Subject<'_>,
    wanted: &[VfAttribute],
) -> Vec<Error> {
    wanted
        .iter()
        .filter_map(|attribute| set(node, subject, std::slice::from_ref(attribute)).err())
        .collect()
}

/// Read back as wanted, or the driver does not tell. A VF that is gone from the list is not as wanted.
fn holds(attribute: &VfAttribute, now: Option<&VfState>) -> bool {
    now.is_some_and(|now| attribute.holds(now) != Some(false))
}

pub(crate) fn told(attribute: &VfAttribute, now: Option<&VfState>) -> String {
    let Some(now) = now else {
        return "nothing about the VF".to_owned();
    };
    let value = match attribute {
        VfAttribute::Mac(_) => VfAttribute::Mac(now.mac),
        VfAttribute::Vlan(_) => VfAttribute::Vlan(now.vlan),
        VfAttribute::Rate(_) => VfAttribute::Rate(now.rate),
        VfAttribute::SpoofCheck(on) => VfAttribute::SpoofCheck(now.spoof_check.unwrap_or(!on)),
        VfAttribute::Trust(on) => VfAttribute::Trust(now.trust.unwrap_or(!on)),
        VfAttribute::LinkState(_) => VfAttribute::LinkState(now.link_state),
        VfAttribute::RssQuery(on) => VfAttribute::RssQuery(now.rss_query.unwrap_or(!on)),
        VfAttribute::NodeGuid(_) => VfAttribute::NodeGuid(now.node_guid.unwrap_or_default()),
        VfAttribute::PortGuid(_) => VfAttribute::PortGuid(now.port_guid.unwrap_or_default()),
    };
    value.to_string()
}
