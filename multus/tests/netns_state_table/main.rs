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
mod daemons;
#[cfg(test)]
mod faults;
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
mod verdict;

#[cfg(test)]
mod tests {
    use multus::guard::Guard;

    use crate::axes::{Op, State};
    use crate::daemons::Daemons;
    use crate::faults;
    use crate::runtime::shipped;
    use crate::table::{Findings, Tested, explore};

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
}
