//! The state table of spec/ecosystem.md §6.3: the product of what a node, its daemon, the API server, the runtime's
//! folder, the pod, the record and the namespace can be, and of what the runtime asks for. Every state that is reachable
//! is set up in real folders and carried out by what we ship: plugin, installation, guard and removal in this process,
//! the daemon as a process of its own. There is no second model of multus here, only one of the runtime.
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: folders of a node, daemons and the processes that are killed"
)]

#[cfg(test)]
#[path = "../daemon/api.rs"]
#[expect(
    dead_code,
    reason = "shared with the daemon's tests, which ask for more"
)]
mod api;
#[cfg(test)]
mod axes;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod daemons;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod life;
#[cfg(test)]
mod place;
#[cfg(test)]
mod runtime;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod table;
#[cfg(test)]
mod upheaval;
#[cfg(test)]
mod verdict;

#[cfg(test)]
mod tests {
    use multus::guard::Guard;

    use crate::axes::{Op, State};
    use crate::crash;
    use crate::daemons::Daemons;
    use crate::faults;
    use crate::kill::Ended;
    use crate::runtime::shipped;
    use crate::table::{Findings, Tested, explore};
    use crate::upheaval;

    const SHIPPED: Tested = Tested {
        multus: shipped,
        on_sigterm: Guard::leave,
    };

    #[test]
    fn no_reachable_state_blocks_a_plain_add_or_a_del_and_none_attaches_a_pod_partially() {
        let findings = explore(&Daemons::start(), SHIPPED, |_| true, false);
        println!("{}", findings.print());
        assert!(findings.is_clean(), "{}", findings.print());
    }

    fn found(tested: Tested, words: &str) {
        let adds = |state: &State| state.op == Op::Add;
        let findings: Findings = explore(&Daemons::start(), tested, adds, true);
        println!("{}", findings.print());
        assert!(findings.says(words), "{}", findings.print());
    }

    #[test]
    fn the_table_finds_a_configuration_that_is_removed_on_sigterm() {
        let tested = Tested {
            on_sigterm: faults::configuration_removed_on_sigterm,
            ..SHIPPED
        };
        found(tested, "a pod that asks for networks runs with");
    }

    #[test]
    fn the_table_finds_an_absent_key_that_is_read_as_plain() {
        let tested = Tested {
            multus: faults::absent_key_is_plain,
            ..SHIPPED
        };
        found(tested, "instead of all its networks");
    }

    fn crashes(op: Op) {
        let mut states = crash::states();
        states.retain(|state| state.op == op);
        let found = crash::explore(&Daemons::start(), SHIPPED, &states, false);
        println!("{}", found.print());
        assert!(found.wrong.is_empty(), "{}", found.print());
    }

    #[test]
    fn an_add_killed_before_any_of_its_changes_is_repeated_or_deleted_completely() {
        crashes(Op::Add);
    }

    #[test]
    fn a_del_killed_before_any_of_its_changes_is_completed_by_the_next_one() {
        crashes(Op::Del);
    }

    #[test]
    fn a_gc_killed_before_any_of_its_changes_leaves_what_del_needs() {
        crashes(Op::Gc);
    }

    #[test]
    fn the_table_finds_a_record_that_is_written_after_the_delegate() {
        let tested = Tested {
            multus: faults::record_after_the_delegate,
            ..SHIPPED
        };
        let found = crash::explore(&Daemons::start(), tested, &crash::states(), true);
        println!("{}", found.print());
        let left = |wrong: &String| wrong.contains("leaves [") && wrong.contains("net1");
        assert!(found.wrong.iter().any(left), "{}", found.print());
    }

    #[test]
    fn i6_installation_healing_and_removal_killed_before_any_of_their_changes_keep_plain_pods_running()
     {
        let found = upheaval::explore(&Daemons::start());
        println!("{}", found.print());
        assert!(found.wrong.is_empty(), "{}", found.print());
    }

    #[test]
    fn i3_the_end_of_the_daemon_makes_no_change_while_the_node_serves() {
        assert_eq!(
            upheaval::sigterm_changes(&Daemons::start()),
            Ended::Finished
        );
    }

    #[test]
    fn an_add_syncs_its_record_once_before_the_first_delegate_and_nothing_later() {
        let changes = crash::changes_of_an_add(&Daemons::start(), SHIPPED);
        let synced: Vec<usize> = (0..changes.len())
            .filter(|at| changes[*at].ends_with("sync"))
            .collect();
        // The record's bytes, then its name in the folder.
        let names: Vec<_> = synced.iter().map(|at| changes[*at]).collect();
        assert_eq!(names, ["fdatasync", "fsync"], "{changes:?}");
        let delegate = changes.iter().position(|name| *name == "wait4").unwrap();
        assert!(synced[1] < delegate, "{changes:?}");
    }
}
