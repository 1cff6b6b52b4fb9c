//! What the kubelet offers: the ids that it would give to a pod, and how long a change takes until it is seen there.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use crate::{
    guest::{cluster::NODE, node::Node},
    scenario::look::{self, Offers},
};
use anyhow::{Result, bail};

/// Far more than a change takes; a step that waits longer does not hold.
const LIMIT: Duration = Duration::from_mins(1);
/// The kubelet answers PodResources 100 times a second, and others ask, too.
const LOOK: Duration = Duration::from_millis(25);

/// Waits until the resource consists of exactly these healthy devices. Returns how long it took.
///
/// # Errors
/// After a minute, with what the kubelet offers instead.
pub(super) async fn wait<S: AsRef<str>>(
    resource: &str,
    ids: impl IntoIterator<Item = S>,
) -> Result<Duration> {
    let wanted: BTreeSet<String> = ids.into_iter().map(|id| id.as_ref().to_owned()).collect();
    until(&format!("{resource} offers {wanted:?}"), |offers| {
        offers.get(resource).cloned().unwrap_or_default() == wanted
    })
    .await
}

/// Waits until a condition holds. Returns how long it took.
///
/// # Errors
/// After a minute, with what the kubelet offers instead.
pub(super) async fn until(what: &str, holds: impl Fn(&Offers) -> bool) -> Result<Duration> {
    let started = Instant::now();
    loop {
        // A kubelet that restarts does not answer.
        let seen = look::offers().await;
        if seen.as_ref().is_ok_and(&holds) {
            return Ok(started.elapsed());
        }
        if started.elapsed() > LIMIT {
            bail!("waited {} s until {what}; it is {seen:?}", LIMIT.as_secs());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits until the node's status counts the resource so: all devices, and those that may be given to pods.
///
/// # Errors
/// After 60 s (a real kubelet writes its status every 10 s), with what the status says instead.
pub(super) async fn wait_counts(node: &Node, resource: &str, wanted: (usize, usize)) -> Result<()> {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let status = node.cluster.client.node(NODE).await?["status"].clone();
        let count = |of: &str| status[of][resource].as_str().and_then(|n| n.parse().ok());
        let seen: (Option<usize>, Option<usize>) = (count("capacity"), count("allocatable"));
        if seen == (Some(wanted.0), Some(wanted.1)) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!(
                "the node counts {seen:?} of {resource} (capacity, allocatable), wanted {wanted:?}"
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Seconds with two digits, for an observation.
pub(super) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}
