//! Pools, their health, allocations, and the program itself.

use std::collections::{BTreeMap, BTreeSet};

use proto::prometheus::{Kind, Page};

use super::Asked;
use crate::{inventory::Unwell, status::Facts};

pub(super) fn write(page: &mut Page, facts: &Facts, asked: &Asked) {
    states(page, facts, asked);
    health(page, facts);
    kubelet(page, facts);
    program(page, facts);
}

fn states(page: &mut Page, facts: &Facts, asked: &Asked) {
    page.metric(
        "sriov_pool_devices",
        Kind::Gauge,
        "Devices of a pool by state.",
    );
    for (name, pool) in &facts.pools {
        let name = name.to_string();
        let held: BTreeSet<_> = asked
            .holdings
            .iter()
            .filter(|holding| holding.resource == name)
            .map(|holding| &holding.id)
            .collect();
        let healthy = |id| {
            pool.listing
                .get(id)
                .is_some_and(|listed| listed.unwell.is_none())
        };
        let well = pool.listing.keys().filter(|id| healthy(*id)).count();
        let free = pool
            .listing
            .keys()
            .filter(|id| healthy(*id) && !held.contains(id))
            .count();
        let states = [
            ("healthy", well),
            ("unhealthy", pool.listing.len() - well),
            ("allocated", held.len()),
            ("free", free),
        ];
        for (state, count) in states {
            let labels = [("resource", name.as_str()), ("state", state)];
            page.sample("sriov_pool_devices", &labels, count);
        }
    }
}

fn health(page: &mut Page, facts: &Facts) {
    page.metric(
        "sriov_device_unhealthy",
        Kind::Gauge,
        "1 for each unhealthy device, with the reason.",
    );
    for (name, pool) in &facts.pools {
        for (id, listed) in pool.listing.iter() {
            let Some(reason) = listed.unwell.as_ref().map(Unwell::word) else {
                continue;
            };
            let (name, id) = (name.to_string(), id.to_string());
            let labels = [
                ("resource", name.as_str()),
                ("pciAddr", &id),
                ("reason", reason),
            ];
            page.sample("sriov_device_unhealthy", &labels, 1);
        }
    }
    page.metric(
        "sriov_device_health_transitions_total",
        Kind::Counter,
        "Changes of a device's health, by what it became.",
    );
    for ((resource, reason), count) in &facts.transitions {
        let labels = [("resource", resource.as_str()), ("reason", *reason)];
        page.sample("sriov_device_health_transitions_total", &labels, count);
    }
    page.metric(
        "sriov_pf_link_up",
        Kind::Gauge,
        "Whether a PF can send, carrier included.",
    );
    for (pf, carrier) in &facts.signs.carriers {
        page.sample("sriov_pf_link_up", &[("pf", pf)], u8::from(*carrier));
    }
    page.metric(
        "sriov_pf_link_changes_total",
        Kind::Counter,
        "Changes of a PF's carrier.",
    );
    for (pf, count) in &facts.link_changes {
        page.sample("sriov_pf_link_changes_total", &[("pf", pf)], count);
    }
    excluded(page, facts);
}

/// Devices that a pool refused, by the selector or rule that did.
fn excluded(page: &mut Page, facts: &Facts) {
    page.metric(
        "sriov_device_excluded",
        Kind::Gauge,
        "Devices that no object of a pool took, by the first reason.",
    );
    let mut counts: BTreeMap<(String, &'static str), u64> = BTreeMap::new();
    for verdict in facts.plan.iter().flat_map(|plan| &plan.verdicts) {
        let mut told = BTreeSet::new();
        for (pool, _, refusal) in &verdict.refused {
            if verdict.taken.as_ref() != Some(pool) && told.insert(pool) {
                *counts
                    .entry((pool.to_string(), refusal.word()))
                    .or_default() += 1;
            }
        }
    }
    for ((resource, reason), count) in &counts {
        let labels = [("resource", resource.as_str()), ("reason", *reason)];
        page.sample("sriov_device_excluded", &labels, count);
    }
}

fn kubelet(page: &mut Page, facts: &Facts) {
    page.metric(
        "sriovdp_pool_streaming",
        Kind::Gauge,
        "Whether the kubelet follows a pool's list.",
    );
    for (name, pool) in &facts.pools {
        let streaming = u8::from(pool.phase == crate::status::Phase::Streaming);
        page.sample(
            "sriovdp_pool_streaming",
            &[("resource", &name.to_string())],
            streaming,
        );
    }
    page.metric(
        "sriovdp_registrations_total",
        Kind::Counter,
        "How often the kubelet took a pool.",
    );
    for (name, pool) in &facts.pools {
        page.sample(
            "sriovdp_registrations_total",
            &[("resource", &name.to_string())],
            pool.registrations,
        );
    }
    page.metric(
        "sriovdp_allocate_refused_total",
        Kind::Counter,
        "Allocations that were refused.",
    );
    for (name, pool) in &facts.pools {
        page.sample(
            "sriovdp_allocate_refused_total",
            &[("resource", &name.to_string())],
            pool.refused,
        );
    }
    let metric = "sriovdp_allocate_duration_seconds";
    page.metric(metric, Kind::Histogram, "Time that Allocate took.");
    for (name, pool) in &facts.pools {
        let (name, times) = (name.to_string(), &pool.allocations);
        let bucket = format!("{metric}_bucket");
        for (bound, count) in times.buckets() {
            let bound = bound.to_string();
            page.sample(&bucket, &[("resource", &name), ("le", &bound)], count);
        }
        page.sample(
            &bucket,
            &[("resource", &name), ("le", "+Inf")],
            times.count(),
        );
        page.sample(
            &format!("{metric}_sum"),
            &[("resource", &name)],
            times.sum(),
        );
        page.sample(
            &format!("{metric}_count"),
            &[("resource", &name)],
            times.count(),
        );
    }
    page.metric(
        "sriovdp_kubelet_answers",
        Kind::Gauge,
        "Whether PodResources answers.",
    );
    page.sample(
        "sriovdp_kubelet_answers",
        &[],
        u8::from(facts.kubelet_answers),
    );
}

fn program(page: &mut Page, facts: &Facts) {
    page.metric("sriovdp_ready", Kind::Gauge, "What /readyz says.");
    page.sample("sriovdp_ready", &[], u8::from(facts.obstacles().is_empty()));
    page.metric(
        "sriovdp_config_generation",
        Kind::Gauge,
        "Number of configurations taken since the start.",
    );
    page.sample("sriovdp_config_generation", &[], facts.generation);
    page.metric(
        "sriovdp_config_problems",
        Kind::Gauge,
        "Problems of the configuration as it is on disk.",
    );
    page.sample("sriovdp_config_problems", &[], facts.config_problems.len());
    page.metric("sriovdp_scans_total", Kind::Counter, "Scans of the node.");
    page.sample("sriovdp_scans_total", &[], facts.scans);
    page.metric(
        "sriovdp_scan_duration_seconds",
        Kind::Gauge,
        "Time that the last scan took.",
    );
    page.sample(
        "sriovdp_scan_duration_seconds",
        &[],
        facts.scan_time.as_secs_f64(),
    );
}
