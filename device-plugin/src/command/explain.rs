//! `sriovdp explain`.

use anyhow::Context;
use tokio::time::Instant;

use super::{Answer, decide, json, load, observe};
use crate::{
    args::Options,
    explain::{self, Facts, Namer},
    health,
    inventory::{Inventory, Seen},
    memory::Memory,
    provision,
};

/// Says for each device which pool takes it, or why none does. A device that is asked for and does
/// not exist is an error.
pub fn explain(options: &Options, name: Namer<'_>) -> anyhow::Result<Answer> {
    let loaded = load(options)?;
    let (sysfs, network, node) = observe(options, &loaded.config)?;
    let functions = provision::observe(&sysfs, &network, &node)?;
    let pending = provision::pending(&loaded.config.provision, &functions);
    let (plan, fallback) = decide(options, &loaded.config, &node);
    let facts = Facts {
        loaded: &loaded,
        node: &node,
        pending: &pending,
        sides: &fallback.sides,
    };
    let mut explained = explain::explain(facts, &plan, name);
    let seen = Seen {
        config: &loaded.config,
        plan: &plan,
        node: &node,
        signs: &health::observe(&sysfs, &network, &node),
    };
    // What the serving process knows of devices that pods hold.
    let mut memory = Memory::new(&options.settings.device_info, &options.settings.proc_root);
    let mut inventory = Inventory::default();
    inventory.restore(memory.read(), Instant::now());
    let held = inventory.known();
    explained.unhealthy = explain::unhealthy(&inventory.apply(&seen, &held));
    if let Some(id) = &options.device {
        explained = explained.only(id).with_context(|| {
            format!("device {id}: no device of this node that a pool could have; `sriovdp explain` lists them")
        })?;
    }
    let text = if options.json {
        json(&explained)?
    } else {
        explained.table()
    };
    Ok(Answer { text, good: true })
}
