//! `/debug/devices`: every device with the pool that took it, how it is, and who has it, as JSON.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use crate::{holder::Holding, node::DeviceId, serve::Shared};

/// The document.
pub(super) async fn devices(shared: &Arc<Shared>) -> String {
    let holdings = shared.kubelet.holdings().await.unwrap_or_default();
    let document = document(shared, &holdings);
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

pub(super) fn document(shared: &Shared, holdings: &[Holding]) -> Value {
    let holders: BTreeMap<&DeviceId, &Holding> = holdings
        .iter()
        .map(|holding| (&holding.id, holding))
        .collect();
    let facts = shared.status.lock();
    let mut pools = serde_json::Map::new();
    for (name, pool) in &facts.pools {
        let device = |(id, listed): (&DeviceId, &crate::inventory::Listed)| {
            let holder = holders.get(id).map(|holding| {
                let holder = &holding.holder;
                json!({"namespace": holder.namespace, "pod": holder.pod, "container": holder.container})
            });
            json!({
                "id": id.to_string(),
                "health": if listed.unwell.is_none() { "Healthy" } else { "Unhealthy" },
                "reason": listed.unwell.as_ref().map(crate::inventory::Unwell::word),
                "why": listed.unwell.as_ref().map(ToString::to_string),
                "numa": listed.device.as_ref().and_then(|device| device.numa),
                "driver": listed.device.as_ref().and_then(|device| device.function.driver.clone()),
                "holder": holder,
            })
        };
        let devices: Vec<Value> = pool.listing.iter().map(device).collect();
        let entry = json!({
            "phase": pool.phase.word(),
            "registrations": pool.registrations,
            "devices": devices,
        });
        pools.insert(name.to_string(), entry);
    }
    let verdicts = facts.plan.iter().flat_map(|plan| &plan.verdicts);
    let functions: Vec<Value> = verdicts
        .map(|verdict| {
            let refused = verdict.refused.iter().map(|(pool, object, refusal)| {
                json!({"pool": pool.to_string(), "object": object + 1, "why": refusal.to_string()})
            });
            json!({
                "id": verdict.id.to_string(),
                "pool": verdict.taken.as_ref().map(ToString::to_string),
                "refused": refused.collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "configuration": {"generation": facts.generation, "problems": facts.config_problems},
        "obstacles": facts.obstacles(),
        "pools": pools,
        "devices": functions,
        "skipped": facts.node.as_ref().map(|node| node.skipped.clone()).unwrap_or_default(),
    })
}
