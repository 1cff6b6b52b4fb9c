//! What becomes of a DaemonSet's pods on one node: a decision without I/O (apps/v1 DaemonSet, KEP-1591 for the surge).

use serde_json::Value;

/// One pod of the set on the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    /// Made from the template as it is now.
    pub(super) current: bool,
    /// Runs and is ready.
    pub(super) available: bool,
    /// Deletion was asked for.
    pub(super) terminating: bool,
}

/// How many pods more or less than one an update may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Strategy {
    pub(super) surge: u64,
    pub(super) unavailable: u64,
}

impl Strategy {
    /// `spec.updateStrategy.rollingUpdate` for this many nodes; shares of nodes are rounded up.
    pub(super) fn of(set: &Value, nodes: u64) -> Strategy {
        let rolling = &set["spec"]["updateStrategy"]["rollingUpdate"];
        Strategy {
            surge: number(&rolling["maxSurge"], nodes).unwrap_or(0),
            unavailable: number(&rolling["maxUnavailable"], nodes).unwrap_or(1),
        }
    }
}

fn number(value: &Value, nodes: u64) -> Option<u64> {
    let share = |text: &str| {
        let percent: u64 = text.strip_suffix('%')?.parse().ok()?;
        Some((percent * nodes).div_ceil(100))
    };
    value.as_u64().or_else(|| share(value.as_str()?))
}

/// What to do now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Steps {
    /// A pod is to be made.
    pub(super) create: bool,
    /// Indices of the pods to delete.
    pub(super) delete: Vec<usize>,
}

/// Decides from the pods, oldest first. What is to follow is decided when this has happened.
pub(super) fn steps(members: &[Member], strategy: Strategy) -> Steps {
    let living = |current: bool| {
        let alive = members
            .iter()
            .enumerate()
            .filter(move |(_, one)| !one.terminating && one.current == current);
        alive.collect::<Vec<_>>()
    };
    let (old, new) = (living(false), living(true));
    let indices = |list: &[(usize, &Member)]| list.iter().map(|(at, _)| *at).collect::<Vec<_>>();
    if old.is_empty() {
        return Steps {
            create: members.is_empty(),
            // One is enough; the oldest stays.
            delete: new.iter().skip(1).map(|(at, _)| *at).collect(),
        };
    }
    let unavailable = indices(
        &old.iter()
            .copied()
            .filter(|(_, one)| !one.available)
            .collect::<Vec<_>>(),
    );
    if strategy.surge == 0 {
        let may = strategy.unavailable > 0;
        return Steps {
            create: false,
            delete: if may { indices(&old) } else { unavailable },
        };
    }
    match new.first() {
        None => Steps {
            create: true,
            // Nothing is lost with it.
            delete: unavailable,
        },
        Some((_, new)) if new.available => Steps {
            create: false,
            delete: indices(&old),
        },
        Some(_) => Steps {
            create: false,
            delete: unavailable,
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OLD: Member = Member {
        current: false,
        available: true,
        terminating: false,
    };
    const NEW: Member = Member {
        current: true,
        ..OLD
    };
    const NEW_STARTING: Member = Member {
        available: false,
        ..NEW
    };
    const OLD_ENDING: Member = Member {
        terminating: true,
        ..OLD
    };
    const SURGE: Strategy = Strategy {
        surge: 1,
        unavailable: 0,
    };
    const NO_SURGE: Strategy = Strategy {
        surge: 0,
        unavailable: 1,
    };

    fn decided(members: &[Member], strategy: Strategy) -> (bool, Vec<usize>) {
        let Steps { create, delete } = steps(members, strategy);
        (create, delete)
    }

    #[test]
    fn with_a_surge_the_new_pod_serves_before_the_old_one_goes() {
        assert_eq!(decided(&[], SURGE), (true, vec![]));
        assert_eq!(decided(&[OLD], SURGE), (true, vec![]));
        assert_eq!(decided(&[OLD, NEW_STARTING], SURGE), (false, vec![]));
        assert_eq!(decided(&[OLD, NEW], SURGE), (false, vec![0]));
        assert_eq!(decided(&[OLD_ENDING, NEW], SURGE), (false, vec![]));
        let broken = Member {
            available: false,
            ..OLD
        };
        assert_eq!(decided(&[broken], SURGE), (true, vec![0]));
    }

    #[test]
    fn without_a_surge_there_are_never_two() {
        assert_eq!(decided(&[OLD], NO_SURGE), (false, vec![0]));
        assert_eq!(decided(&[OLD_ENDING], NO_SURGE), (false, vec![]));
        assert_eq!(decided(&[], NO_SURGE), (true, vec![]));
        assert_eq!(decided(&[NEW, NEW], NO_SURGE), (false, vec![1]));
    }

    #[test]
    fn shares_of_nodes_are_rounded_up() {
        let set = json!({"spec": {"updateStrategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "10%"}}}});
        assert_eq!(Strategy::of(&set, 1), NO_SURGE);
        let surge = json!({"spec": {"updateStrategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}});
        assert_eq!(Strategy::of(&surge, 1), SURGE);
    }
}
