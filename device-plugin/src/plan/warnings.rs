//! What works as configured and may surprise: objects that never get anything, one NIC in two pools
//! (spec/device-plugin.md §6).

use std::collections::{BTreeMap, BTreeSet};

use super::{Plan, refusal::refusal};
use crate::{
    config::{Config, DeviceType, Object, Pool, ResourceName},
    node::Node,
};

/// One line per surprise, for people.
pub fn warnings(config: &Config, node: &Node, plan: &Plan) -> Vec<String> {
    let mut lines = shadowed(config, node);
    lines.extend(shared(node, plan));
    lines
}

/// Objects all of whose devices go to earlier ones.
fn shadowed(config: &Config, node: &Node) -> Vec<String> {
    let objects: Vec<(&Pool, usize, &Object)> = config
        .pools
        .iter()
        .flat_map(|pool| {
            let objects = pool.objects.iter().enumerate();
            objects.map(move |(place, object)| (pool, place, object))
        })
        .collect();
    // Devices that match, and of them those that no earlier object took.
    let mut counts = vec![(0_usize, 0_usize); objects.len()];
    for function in &node.functions {
        let mut free = true;
        for ((pool, _, object), (matching, taken)) in objects.iter().zip(&mut counts) {
            let matches =
                pool.device_type == function.kind && refusal(pool, object, function).is_none();
            if matches {
                *matching += 1;
                *taken += usize::from(std::mem::take(&mut free));
            }
        }
    }
    let dead = objects.iter().zip(counts);
    dead.filter(|(_, (matching, taken))| *matching > 0 && *taken == 0)
        .map(|((pool, place, _), (matching, _))| {
            format!(
                "{}: selector object {} gets nothing: an earlier one takes each of the {matching} devices that it matches",
                pool.name,
                place + 1
            )
        })
        .collect()
}

/// PFs that one pool gives away whole, and another in parts.
fn shared(node: &Node, plan: &Plan) -> Vec<String> {
    let mut whole = BTreeMap::new();
    let mut parts: BTreeMap<_, BTreeSet<&ResourceName>> = BTreeMap::new();
    for (verdict, function) in plan.verdicts.iter().zip(&node.functions) {
        let Some(pool) = &verdict.taken else {
            continue;
        };
        match function.kind {
            DeviceType::NetDevice => {
                whole.insert(function.address, pool);
            }
            DeviceType::AuxNetDevice => {
                parts.entry(function.address).or_default().insert(pool);
            }
            DeviceType::Accelerator => {}
        }
    }
    whole
        .into_iter()
        .flat_map(|(pf, pool)| {
            let others = parts.remove(&pf).unwrap_or_default();
            others.into_iter().map(move |other| {
                format!("{pf} is a device of {pool} while its sub-functions are devices of {other}: two pods may get one NIC")
            })
        })
        .collect()
}
