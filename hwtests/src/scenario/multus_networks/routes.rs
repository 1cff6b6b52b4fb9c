//! Whose default route a pod has, by family; upstream's test of it only prints.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::stage::Stage;
use crate::{guest::pod::PodSpec, scenario::look};

/// Gateway of the lab's default network.
const PRIMARY: &str = "10.244.0.1 eth0";

/// A pod, what it asks for, and the default routes that it must have: IPv4, IPv6.
struct Case {
    pod: &'static str,
    wish: Value,
    four: &'static [&'static str],
    six: &'static [&'static str],
    /// `gateway` in network-status, by position.
    told: &'static [&'static [&'static str]],
}

fn cases() -> [Case; 5] {
    [
        Case {
            pod: "route-one",
            wish: json!([{"name": "macvlan-args", "ips": ["10.1.1.21/24"], "default-route": ["10.1.1.254"]}]),
            four: &["10.1.1.254 net1"],
            six: &[],
            told: &[&[], &["10.1.1.254"]],
        },
        Case {
            pod: "route-none",
            wish: json!([{"name": "macvlan-args", "ips": ["10.1.1.22/24"]}]),
            four: &[PRIMARY],
            six: &[],
            // The route of the default network names no gateway, and so does its status.
            told: &[&[], &[]],
        },
        Case {
            pod: "route-dual",
            wish: json!([{"name": "macvlan1", "ips": ["10.1.1.23/24", "fd00:1::23/64"],
                "default-route": ["10.1.1.254", "fd00:1::254"]}]),
            four: &["10.1.1.254 net1"],
            six: &["fd00:1::254 net1"],
            told: &[&[], &["10.1.1.254", "fd00:1::254"]],
        },
        // A gateway of one family costs the pod no route of the other.
        Case {
            pod: "route-v4",
            wish: json!([{"name": "macvlan-six", "ips": ["fd00:6::24/64"]},
                {"name": "macvlan1", "ips": ["10.1.1.24/24"], "default-route": ["10.1.1.254"]}]),
            four: &["10.1.1.254 net2"],
            six: &["fd00:6::1 net1"],
            told: &[&[], &["fd00:6::1"], &["10.1.1.254"]],
        },
        // The network's own route stays and the default network's goes.
        Case {
            pod: "route-empty",
            wish: json!([{"name": "macvlan-routes", "ips": ["10.1.2.25/24"], "default-route": []}]),
            four: &["10.1.2.1 net1"],
            six: &[],
            told: &[&[], &["10.1.2.1"]],
        },
    ]
}

pub(super) async fn default_route(stage: &Stage<'_>) -> Result<String> {
    let cases = cases();
    let pods: Vec<PodSpec> = cases
        .iter()
        .map(|case| PodSpec::new(case.pod).networks(&case.wish.to_string()))
        .collect();
    stage.start(&pods).await?;
    let mut rows = Vec::new();
    for case in &cases {
        let pod = case.pod;
        let four = stage.default_routes(pod, "-4").await?;
        ensure!(
            four == case.four,
            "IPv4 default of {pod}: {four:?}, wanted {:?}",
            case.four
        );
        let six = stage.default_routes(pod, "-6").await?;
        ensure!(
            six == case.six,
            "IPv6 default of {pod}: {six:?}, wanted {:?}",
            case.six
        );
        let status = look::network_status(stage.node, pod).await?;
        for (entry, wanted) in status.iter().zip(case.told) {
            let told = entry["gateway"].as_array().cloned().unwrap_or_default();
            ensure!(
                told == *wanted,
                "network-status of {pod} tells gateway {told:?} for {}, wanted {wanted:?}",
                entry["interface"]
            );
        }
        rows.push(format!("{pod}: {}", [four, six].concat().join(", ")));
    }
    stage.delete(&cases.map(|case| case.pod)).await?;
    Ok(rows.join("\n"))
}
