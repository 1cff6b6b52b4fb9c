//! Pods that come and go while one multus takes another's place.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::pods::{delete_one, has, running};
use crate::guest::{cluster::NODE, node::Base, pod::PodSpec};

/// Makes and deletes a pod with macvlan and a plain one, again and again, until `done` and at least so many times. A
/// sandbox may be refused and tried again; no pod may run without its network. Returns a line about them.
///
/// # Errors
/// When a pod does not run, runs without its network, or does not go.
pub(crate) async fn come_and_go(
    base: &Base,
    round: &str,
    least: usize,
    done: &Cell<bool>,
) -> Result<String> {
    let client = &base.cluster.client;
    let (mut made, mut refused, mut longest) = (0, 0, Duration::ZERO);
    while made < least || !done.get() {
        let names = [
            format!("{round}-load-{made}"),
            format!("{round}-free-{made}"),
        ];
        let began = Instant::now();
        let pods = [
            PodSpec::new(&names[0]).networks("mv"),
            PodSpec::new(&names[1]),
        ];
        for pod in &pods {
            client.create(&pod.manifest(NODE)).await?;
        }
        for name in &names {
            running(base, name).await?;
        }
        longest = longest.max(began.elapsed());
        has(base, &names[0], "net1").await?;
        for name in &names {
            let events = client.events(name).await?;
            refused += events
                .iter()
                .filter(|event| event.starts_with("FailedCreatePodSandBox"))
                .count();
            delete_one(base, name).await?;
        }
        made += 1;
    }
    Ok(format!(
        "meanwhile {made} pods with macvlan and {made} plain ones, all with what they asked for; {refused} refusals, each \
         tried again; a pair runs after {} ms at most",
        longest.as_millis()
    ))
}
