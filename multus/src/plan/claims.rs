//! Devices of resource claims, added to those of the kubelet's device plugins (spec/multus.md §3 "DRA").
//!
//! A claim that is named by the pod may be for anything; devices that are not for us are passed over. A claim for an
//! extended resource that a network uses must have exactly what it stands for.

use std::collections::{BTreeMap, BTreeSet};

use multus_plugin::wire::PodRef;

use super::Refusal;
use crate::api::claim::ClaimDevice;
use crate::api::pod::RequestMapping;
use crate::dra::{Claim, Claims, Published};
use crate::known::Allocation;

/// Adds the devices of `claims` to `allocation`, and everything that is published to what is managed. `wanted`:
/// resources of the pod's networks. Returns what was passed over, for whoever misses a device.
pub(super) fn add(
    allocation: &mut Allocation,
    claims: &Claims,
    wanted: &BTreeSet<&str>,
    pod: &PodRef,
) -> Result<Vec<String>, Refusal> {
    let mut passed_over = Vec::new();
    for claim in &claims.given {
        let refuse = |text: String| Refusal::Claim {
            claim: claim.name.clone(),
            pod: pod.to_string(),
            text,
        };
        let Some(devices) = &claim.devices else {
            return Err(refuse("it has no devices yet".into()));
        };
        // Looking at a device is no reason to attach it: it is another pod's.
        let devices = devices.iter().filter(|d| d.admin_access != Some(true));
        match &claim.extended {
            None => of_named(allocation, claims, claim, devices, &mut passed_over),
            Some(mappings) => {
                let devices: Vec<&ClaimDevice> = devices.collect();
                let mappings = mappings
                    .iter()
                    .filter(|mapping| wanted.contains(mapping.resource_name.as_str()));
                of_extended(allocation, claims, &devices, mappings).map_err(refuse)?;
            }
        }
    }
    if let Some(managed) = &mut allocation.managed {
        managed.extend(claims.published.iter().filter_map(|p| p.device_id.clone()));
    }
    Ok(passed_over)
}

/// Sorted within a claim; claims keep the pod's order.
fn of_named<'a>(
    allocation: &mut Allocation,
    claims: &Claims,
    claim: &Claim,
    devices: impl Iterator<Item = &'a ClaimDevice>,
    passed_over: &mut Vec<String>,
) {
    let mut by_resource: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for device in devices {
        match usable(claims, device) {
            Ok((resource, id)) => by_resource.entry(resource).or_default().push(id.to_owned()),
            Err(why) => passed_over.push(format!("claim {}: {why}", claim.name)),
        }
    }
    for (resource, ids) in by_resource {
        append(allocation, resource, ids);
    }
}

/// Sorted within a container; containers keep the order of the mappings.
fn of_extended<'a>(
    allocation: &mut Allocation,
    claims: &Claims,
    devices: &[&ClaimDevice],
    mappings: impl Iterator<Item = &'a RequestMapping>,
) -> Result<(), String> {
    let mut groups: Vec<(&RequestMapping, Vec<String>)> = Vec::new();
    for mapping in mappings {
        let answers = devices.iter().filter(|d| answers(d, &mapping.request_name));
        let mut ids = Vec::new();
        for device in answers {
            let (resource, id) = usable(claims, device)?;
            if resource != mapping.resource_name {
                return Err(format!(
                    "device {} is published for {resource}, not for {}",
                    device.device, mapping.resource_name
                ));
            }
            ids.push(id.to_owned());
        }
        if ids.is_empty() {
            return Err(format!(
                "it has no device for the request {}, which stands for {}",
                mapping.request_name, mapping.resource_name
            ));
        }
        let same = |group: &&mut (&RequestMapping, Vec<String>)| {
            (&group.0.container_name, &group.0.resource_name)
                == (&mapping.container_name, &mapping.resource_name)
        };
        match groups.iter_mut().find(same) {
            Some((_, all)) => all.append(&mut ids),
            None => groups.push((mapping, ids)),
        }
    }
    for (mapping, ids) in groups {
        append(allocation, &mapping.resource_name, ids);
    }
    Ok(())
}

/// An alternative of a request is named `<request>/<alternative>`.
fn answers(device: &ClaimDevice, request: &str) -> bool {
    let rest = device.request.strip_prefix(request);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Resource name and device id of a claimed device, as the newest slice of its pool on this node tells them.
fn usable<'a>(claims: &'a Claims, device: &ClaimDevice) -> Result<(&'a str, &'a str), String> {
    let of_pool = |p: &&Published| (&p.key[0], &p.key[1]) == (&device.driver, &device.pool);
    let pool = || claims.published.iter().filter(of_pool);
    let newest = pool().map(|p| p.generation).max();
    let found = pool().find(|p| Some(p.generation) == newest && p.key[2] == device.device);
    let what = format!("device {} of driver {}", device.device, device.driver);
    let found = found.ok_or_else(|| format!("{what} is not published for this node"))?;
    let text = |value: &'a Option<String>, name: &str| {
        let value = value.as_deref().filter(|value| !value.is_empty());
        value.ok_or_else(|| format!("{what} has no attribute k8s.cni.cncf.io/{name}"))
    };
    Ok((
        text(&found.resource, "resourceName")?,
        text(&found.device_id, "deviceID")?,
    ))
}

fn append(allocation: &mut Allocation, resource: &str, mut ids: Vec<String>) {
    // A device that the kubelet lists, too, is one device.
    ids.retain(|id| !allocation.holds(id));
    if !ids.is_empty() {
        allocation.add_container(resource, ids);
    }
}
