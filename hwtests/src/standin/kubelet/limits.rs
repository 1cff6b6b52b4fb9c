//! Processor, memory and huge page limits: from quantities to what CRI wants. Nothing here does I/O.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Container;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use proto::cri::{HugepageLimit, LinuxContainerResources};

/// Period of the processor quota in microseconds.
const PERIOD: i64 = 100_000;

/// A quantity that is no number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("quantity {0:?} is not understood")]
pub(crate) struct BadQuantity(String);

/// From this priority on, a pod is critical for its node (`system-cluster-critical`, scheduling.k8s.io).
const CRITICAL: i32 = 2_000_000_000;

/// How readily the kernel kills its processes when memory is short: a pod without guarantees first, one that the node
/// needs last (the kubelet's `GetContainerOOMScoreAdjust`).
fn oom_score(priority: Option<i32>) -> i64 {
    if priority.is_some_and(|priority| priority >= CRITICAL) {
        -997
    } else {
        1000
    }
}

/// A container's limits, in a pod of this priority.
pub(crate) fn of_container(
    container: &Container,
    priority: Option<i32>,
) -> Result<LinuxContainerResources, BadQuantity> {
    let asked = container.resources.clone().unwrap_or_default();
    let (requests, limits) = (
        asked.requests.unwrap_or_default(),
        asked.limits.unwrap_or_default(),
    );
    let milli = |map: &BTreeMap<String, Quantity>| {
        map.get("cpu").map(|cpu| thousandths(&cpu.0)).transpose()
    };
    let quota = milli(&limits)?.map_or(0, |milli| milli * PERIOD / 1000);
    let shares = milli(&requests)?.unwrap_or_default() * 1024 / 1000;
    let memory = limits
        .get("memory")
        .map(|memory| thousandths(&memory.0))
        .transpose()?;
    let mut hugepage_limits = Vec::new();
    for (name, size) in &limits {
        if let Some(page) = name.strip_prefix("hugepages-") {
            let limit = u64::try_from(thousandths(&size.0)? / 1000).unwrap_or_default();
            hugepage_limits.push(HugepageLimit {
                page_size: page_size(page),
                limit,
            });
        }
    }
    Ok(LinuxContainerResources {
        cpu_period: if quota > 0 { PERIOD } else { 0 },
        cpu_quota: quota,
        cpu_shares: shares.max(2),
        memory_limit_in_bytes: memory.map_or(0, |memory| memory / 1000),
        oom_score_adj: oom_score(priority),
        hugepage_limits,
        ..LinuxContainerResources::default()
    })
}

/// The bytes of a quantity.
pub(crate) fn bytes(quantity: &Quantity) -> Result<i64, BadQuantity> {
    Ok(thousandths(&quantity.0)? / 1000)
}

/// How many devices of a resource a container wants.
pub(crate) fn count(quantity: &Quantity) -> Result<usize, BadQuantity> {
    let thousandths = thousandths(&quantity.0)?;
    usize::try_from(thousandths / 1000).map_err(|_| BadQuantity(quantity.0.clone()))
}

/// `2Mi` as cgroups say it: `2MB`.
fn page_size(quantity: &str) -> String {
    quantity
        .replace("Ki", "KB")
        .replace("Mi", "MB")
        .replace("Gi", "GB")
}

/// The value of a quantity in thousandths.
fn thousandths(quantity: &str) -> Result<i64, BadQuantity> {
    const UNITS: &[(&str, i64)] = &[
        ("Ki", 1024 * 1000),
        ("Mi", 1024 * 1024 * 1000),
        ("Gi", 1024 * 1024 * 1024 * 1000),
        ("m", 1),
        ("k", 1_000_000),
        ("M", 1_000_000_000),
        ("G", 1_000_000_000_000),
        ("", 1000),
    ];
    let bad = || BadQuantity(quantity.to_owned());
    let (number, factor) = UNITS
        .iter()
        .find_map(|(unit, factor)| quantity.strip_suffix(unit).map(|number| (number, *factor)))
        .ok_or_else(bad)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut total = whole
        .parse::<i64>()
        .map_err(|_| bad())?
        .checked_mul(factor)
        .ok_or_else(bad)?;
    let mut place = factor;
    for digit in fraction.chars() {
        place /= 10;
        total += i64::from(digit.to_digit(10).ok_or_else(bad)?) * place;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn limits(resources: &serde_json::Value) -> Result<LinuxContainerResources, BadQuantity> {
        let container = json!({"name": "c", "resources": resources});
        of_container(&serde_json::from_value(container).unwrap(), None)
    }

    #[test]
    fn quantities_become_limits() {
        let limits = limits(&json!({
            "requests": {"cpu": "500m"}, "limits": {"cpu": "1.5", "memory": "64Mi", "hugepages-2Mi": "4Mi", "a.b/c": "1"},
        }));
        let limits = limits.unwrap();
        assert_eq!(
            (limits.cpu_shares, limits.cpu_quota, limits.cpu_period),
            (512, 150_000, 100_000)
        );
        assert_eq!(limits.memory_limit_in_bytes, 64 << 20);
        assert_eq!(
            limits.hugepage_limits,
            [HugepageLimit {
                page_size: "2MB".into(),
                limit: 4 << 20
            }]
        );
    }

    #[test]
    fn no_quantity_is_no_limit() {
        let limits = limits(&json!({})).unwrap();
        assert_eq!(
            (
                limits.cpu_shares,
                limits.cpu_quota,
                limits.memory_limit_in_bytes
            ),
            (2, 0, 0)
        );
    }

    #[test]
    fn what_the_node_needs_is_killed_last() {
        let score = |priority| {
            let container = serde_json::from_value(json!({"name": "c"})).unwrap();
            of_container(&container, priority).unwrap().oom_score_adj
        };
        assert_eq!(
            [score(None), score(Some(0)), score(Some(2_000_001_000))],
            [1000, 1000, -997]
        );
    }

    #[test]
    fn nonsense_is_named() {
        assert_eq!(
            limits(&json!({"limits": {"memory": "much"}})).unwrap_err(),
            BadQuantity("much".into())
        );
        assert_eq!(count(&Quantity("3".into())).unwrap(), 3);
        assert!(count(&Quantity("-1".into())).is_err());
    }
}
