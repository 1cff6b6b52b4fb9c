//! Devices: what each is, who has it, what it carried.

use std::collections::BTreeMap;

use proto::prometheus::{Kind, Page};

use super::Asked;
use crate::{
    config::ResourceName,
    counters,
    node::{DeviceId, Function, Node},
    status::Facts,
};

pub(super) fn write(page: &mut Page, facts: &Facts, node: &Node, asked: &Asked) {
    let pools: BTreeMap<&DeviceId, &ResourceName> = facts
        .pools
        .iter()
        .flat_map(|(name, pool)| pool.listing.keys().map(move |id| (id, name)))
        .collect();
    page.metric(
        "sriov_device_info",
        Kind::Gauge,
        "1 for each device of a pool; who has it, if anybody.",
    );
    for (id, resource) in &pools {
        let Some(function) = node.function(id) else {
            continue;
        };
        let device = Labels::of(function);
        let (resource, holder) = (resource.to_string(), asked.holder(id));
        let mut labels = vec![
            ("pci", device.address.as_str()),
            ("pf", &device.pf),
            ("vf", &device.vf),
            ("driver", function.driver.as_deref().unwrap_or_default()),
            ("numa", &device.numa),
            ("resource", &resource),
            ("namespace", holder.map_or("", |holder| &holder.namespace)),
            ("pod", holder.map_or("", |holder| &holder.pod)),
            ("container", holder.map_or("", |holder| &holder.container)),
        ];
        let interface = function.interfaces.first().map_or("", String::as_str);
        labels.push(("interface", interface));
        page.sample("sriov_device_info", &labels, 1);
    }
    page.metric(
        "sriov_kubepoddevice",
        Kind::Gauge,
        "1 for each device that a pod has.",
    );
    for holding in &asked.holdings {
        // Ids of other plugins may look like ours; the separate exporter shows them, too.
        if holding.id.pci().is_none() {
            continue;
        }
        let id = holding.id.to_string();
        let labels = [
            ("pciAddr", id.as_str()),
            ("dev_type", &holding.resource),
            ("pod", &holding.holder.pod),
            ("namespace", &holding.holder.namespace),
            ("container", &holding.holder.container),
        ];
        page.sample("sriov_kubepoddevice", &labels, 1);
    }
    traffic(page, node, asked, &pools);
}

fn traffic(
    page: &mut Page,
    node: &Node,
    asked: &Asked,
    pools: &BTreeMap<&DeviceId, &ResourceName>,
) {
    for counter in counters::names(&asked.counters) {
        let (old, new) = (
            format!("sriov_vf_{counter}"),
            format!("sriov_vf_{counter}_total"),
        );
        let mut of_pods = Vec::new();
        page.metric(
            &old,
            Kind::Counter,
            "Counter of a VF, as the exporter names it.",
        );
        for (address, counters) in &asked.counters {
            let id = DeviceId::Pci(*address);
            let (Some(value), Some(function)) = (counters.get(counter), node.function(&id)) else {
                continue;
            };
            let device = Labels::of(function);
            let labels = [
                ("numa_node", device.numa_or_unknown()),
                ("pciAddr", device.address.as_str()),
                ("pf", &device.pf),
                ("vf", &device.vf),
            ];
            page.sample(&old, &labels, value);
            of_pods.push((id, device, *value));
        }
        page.metric(
            &new,
            Kind::Counter,
            "Counter of a VF, with the pod that has it.",
        );
        for (id, device, value) in of_pods {
            let resource = pools.get(&id).map_or(String::new(), ToString::to_string);
            let holder = asked.holder(&id);
            let labels = [
                ("pci", device.address.as_str()),
                ("pf", &device.pf),
                ("vf", &device.vf),
                ("resource", &resource),
                ("namespace", holder.map_or("", |holder| &holder.namespace)),
                ("pod", holder.map_or("", |holder| &holder.pod)),
                ("container", holder.map_or("", |holder| &holder.container)),
            ];
            page.sample(&new, &labels, value);
        }
    }
}

/// A device in the words of labels.
struct Labels {
    address: String,
    pf: String,
    vf: String,
    numa: String,
}

impl Labels {
    fn of(function: &Function) -> Self {
        let parent = function.parent.as_ref();
        let pf = parent.and_then(|parent| parent.pf.names.first().cloned());
        let index = parent.and_then(|parent| parent.index);
        let number =
            |number: Option<u32>| number.map_or(String::new(), |number| number.to_string());
        Self {
            address: function.id.to_string(),
            pf: pf.unwrap_or_default(),
            vf: number(index),
            numa: number(function.numa),
        }
    }

    /// As the kernel writes it.
    fn numa_or_unknown(&self) -> &str {
        if self.numa.is_empty() {
            "-1"
        } else {
            &self.numa
        }
    }
}
