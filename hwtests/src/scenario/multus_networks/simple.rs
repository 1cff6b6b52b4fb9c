//! One pod, two pods, a pod of the kubelet's own.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use super::stage::{STATIC_POD, Stage};
use crate::{
    guest::{cluster::NODE, pod::PodSpec},
    scenario::{leftovers, look},
};

/// A pod that asks for nothing has the default network, a status that says so, and no record.
pub(super) async fn plain(stage: &Stage<'_>) -> Result<String> {
    stage.start(&[PodSpec::new("simple")]).await?;
    let rows = look::check_status(stage.node, "simple", &["eth0"]).await?;
    let records = leftovers::records()?;
    ensure!(records.is_empty(), "records of a plain pod: {records:?}");
    stage.delete(&["simple"]).await?;
    Ok(rows.join("\n"))
}

/// Addresses as asked, by capability and by argument, and packets both ways.
pub(super) async fn two_macvlan_pods(stage: &Stage<'_>) -> Result<String> {
    let pods = [
        ("macvlan1-a", "macvlan1", "10.1.1.11"),
        ("macvlan1-b", "macvlan-args", "10.1.1.12"),
    ];
    let specs = pods.map(|(pod, network, ip)| {
        let wish = json!([{"name": network, "ips": [format!("{ip}/24")]}]);
        PodSpec::new(pod).networks(&wish.to_string())
    });
    stage.start(&specs).await?;
    for (pod, _, ip) in pods {
        look::check_status(stage.node, pod, &["eth0", "net1"]).await?;
        let seen = stage.link(pod, "net1").await?.ips;
        let seen: Vec<&String> = seen.iter().filter(|ip| ip.contains('.')).collect();
        ensure!(seen == [ip], "net1 of {pod} has {seen:?}, wanted {ip}");
    }
    for (from, to) in [("macvlan1-a", "10.1.1.12"), ("macvlan1-b", "10.1.1.11")] {
        reach(stage, from, to).await?;
    }
    stage.delete(&pods.map(|(pod, ..)| pod)).await?;
    Ok("10.1.1.11 <-> 10.1.1.12, no lease, record or result left".to_owned())
}

/// The first packet may go before the neighbour is known.
async fn reach(stage: &Stage<'_>, from: &str, to: &str) -> Result<()> {
    let words = ["/bin/ping", "-I", "net1", "-c", "1", "-W", "1", to];
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let output = stage
            .node
            .runtime
            .exec(from, &words, Duration::from_secs(10))
            .await?;
        if output.code == 0 {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "{from} does not reach {to} through net1: {}{}",
            output.stdout,
            output.stderr
        );
    }
}

/// The kubelet runs it under a UID of its own, which the API server does not know.
pub(super) async fn static_pod(stage: &Stage<'_>) -> Result<String> {
    let manifest = PodSpec::new("static-web")
        .networks("bridge-nad")
        .manifest(NODE);
    stage.node.cluster.run_static(&manifest).await?;
    let limit = stage.patience();
    let client = &stage.node.cluster.client;
    client.wait_there(STATIC_POD, true, limit).await?;
    let pod = client.wait_phase(STATIC_POD, "Running", limit).await?;
    let annotations = &pod["metadata"]["annotations"];
    ensure!(
        annotations["kubernetes.io/config.source"] == "file"
            && annotations["kubernetes.io/config.hash"] != pod["metadata"]["uid"],
        "{STATIC_POD} is no static pod: {annotations}"
    );
    let rows = look::check_status(stage.node, STATIC_POD, &["eth0", "net1"]).await?;
    stage.node.cluster.stop_static(STATIC_POD).await?;
    client.wait_there(STATIC_POD, false, limit).await?;
    stage.delete(&[]).await?;
    Ok(rows.join("\n"))
}
