//! Which device is offered as what, and which pod has it.
//!
//! Pure: the kubelet was asked before, and what it would not say is said.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{
    explain,
    holder::{Holder, Holding},
    node::Node,
    plan::Plan,
    table,
};

/// The devices of all pools, and what pods hold of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Ordered by pool and device.
    pub devices: Vec<Line>,
    /// Why the kubelet does not tell who has what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubelet: Option<String>,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The resource.
    pub resource: String,
    /// The device.
    pub id: String,
    /// Interface or address of its PF, and its index there.
    pub pf: Option<String>,
    /// Driver.
    pub driver: Option<String>,
    /// Memory node.
    pub numa: Option<u32>,
    /// The containers that have it. More than one is a fault.
    pub holders: Vec<Holder>,
    /// The pool offers it now; if not, a pod holds what is gone or was moved.
    pub offered: bool,
}

/// Lists a plan. `holdings` is what the kubelet told, or why it did not.
pub fn list(node: &Node, plan: &Plan, holdings: &Result<Vec<Holding>, String>) -> Listed {
    let nobody = Vec::new();
    let held = holdings.as_ref().unwrap_or(&nobody);
    let mut devices = Vec::new();
    for pool in &plan.pools {
        let resource = pool.name.to_string();
        let offered: BTreeSet<_> = pool
            .devices
            .iter()
            .map(|device| device.function.id())
            .collect();
        let mine = || held.iter().filter(|holding| holding.resource == resource);
        let mut ids = offered.clone();
        ids.extend(mine().map(|holding| holding.id.clone()));
        devices.extend(ids.into_iter().map(|id| {
            let function = node.function(&id);
            let holders = mine().filter(|holding| holding.id == id);
            Line {
                resource: resource.clone(),
                id: id.to_string(),
                pf: function.and_then(|function| explain::pf(function)),
                driver: function.and_then(|function| function.driver.clone()),
                numa: function.and_then(|function| function.numa),
                holders: holders.map(|holding| holding.holder.clone()).collect(),
                offered: offered.contains(&id),
            }
        }));
    }
    Listed {
        devices,
        kubelet: holdings.as_ref().err().cloned(),
    }
}

impl Listed {
    /// As a table.
    pub fn table(&self) -> String {
        let head = ["POOL", "DEVICE", "PF", "DRIVER", "NUMA", "HELD BY"];
        let mut rows = vec![head.map(str::to_owned)];
        rows.extend(self.devices.iter().map(|line| self.row(line)));
        let mut text = table::text(&rows);
        if let Some(why) = &self.kubelet {
            text.extend(["what pods hold is unknown: ", why, "\n"]);
        }
        text
    }

    fn row(&self, line: &Line) -> [String; 6] {
        let or_none = |text: Option<String>| text.unwrap_or("-".to_owned());
        let mut holders: Vec<String> = line.holders.iter().map(ToString::to_string).collect();
        if holders.len() > 1 {
            holders.insert(0, "FAULT, given twice:".to_owned());
        }
        if !line.offered {
            holders.push("(the pool no longer offers it)".to_owned());
        }
        let unknown = self.kubelet.as_ref().map(|_| "unknown".to_owned());
        let held = if holders.is_empty() {
            or_none(unknown)
        } else {
            holders.join(" ")
        };
        [
            line.resource.clone(),
            line.id.clone(),
            or_none(line.pf.clone()),
            or_none(line.driver.clone()),
            or_none(line.numa.map(|numa| numa.to_string())),
            held,
        ]
    }
}
