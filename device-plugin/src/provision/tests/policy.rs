//! Who may be disturbed: rule (c), the policies, and the node's own NIC.

use super::*;

const SHRINK: &str = r#"{"pf":{"pfNames":["ens1f0"]},"numVfs":4}"#;

fn with_policy(policy: &str) -> String {
    SHRINK.replace(
        "\"numVfs\"",
        &format!("\"onMismatch\":\"{policy}\",\"numVfs\""),
    )
}

/// The change is refused with this text and nothing is written.
#[track_caller]
fn assert_refused(bench: &Bench, text: &str) {
    let reports = bench.run(SHRINK);
    let line = reports[0].to_string();
    assert!(reports[0].is_failure());
    assert!(
        line.starts_with("0000:01:00.0 (ens1f0): refused (sriov_numvfs 7 -> 4): sriov_numvfs 7 -> 4 would disturb "),
        "{line}"
    );
    assert!(line.contains(text), "{line:?} lacks {text:?}");
    assert_eq!(bench.kernel.writes(), [""; 0]);
    assert_eq!(bench.kernel.count(), 7);
}

#[test]
fn c_a_vf_that_a_pod_holds_refuses_the_change_with_the_pods_name() {
    let bench = Bench::provisioned(TWO);
    bench.hold(VF2);
    assert_refused(
        &bench,
        "would disturb 0000:01:10.4: pod default/app-1 (container main) holds it as intel.com/net",
    );
}

#[test]
fn c_a_kubelet_that_cannot_be_asked_counts_as_use() {
    let bench = Bench::provisioned(TWO);
    *bench.holdings.borrow_mut() = Err("reach the kubelet: no such file".to_owned());
    assert_refused(
        &bench,
        "it may be in use: the kubelet cannot be asked what pods hold: reach the kubelet: no such file",
    );
}

#[test]
fn c_vfs_are_made_from_zero_without_a_kubelet_because_none_can_be_in_use() {
    let bench = Bench::new();
    *bench.holdings.borrow_mut() = Err("not started yet".to_owned());
    assert_eq!(bench.run(TWO)[0].result, Done::Changed);
}

#[test]
fn c_a_vf_in_the_ledger_of_this_boot_is_in_use_and_one_of_another_boot_is_not() {
    let bench = Bench::provisioned(TWO);
    let record = |boot: &str, phase: &str| {
        format!(
            r#"{{"format":1,"vf":"{VF2}","phase":"{phase}","owner":{{"netns":"/run/netns/x","boot":"{boot}"}}}}"#
        )
    };
    bench.state_file(format!("ledger/pci/{VF2}"), "abc@net1");
    bench.state_file("ledger/abc@net1", &record(BOOT, "committed"));
    assert_refused(
        &bench,
        "0000:01:10.4: the ledger of sriov gives it to abc@net1",
    );
    bench.state_file("ledger/abc@net1", &record(BOOT, "releasing"));
    assert_refused(&bench, "the ledger of sriov");
    bench.state_file("ledger/abc@net1", &record("an earlier one", "committed"));
    assert_eq!(bench.run(SHRINK)[0].result, Done::Changed);
}

#[test]
fn c_a_vf_that_the_go_plugin_gave_to_a_living_namespace_is_in_use() {
    let bench = Bench::provisioned(TWO);
    bench.state_file(format!("pci/{VF2}"), "/proc/self/ns/net");
    assert_refused(
        &bench,
        "the sriov plugin's files give it to /proc/self/ns/net",
    );
    bench.state_file(format!("pci/{VF2}"), "/run/netns/gone");
    assert_eq!(bench.run(SHRINK)[0].result, Done::Changed);
}

#[test]
fn c_a_vf_whose_interface_is_in_another_namespace_is_in_use() {
    let bench = Bench::provisioned(TWO);
    bench
        .kernel
        .sysfs
        .remove(format!("bus/pci/devices/{VF2}/net"));
    assert_refused(
        &bench,
        "driver igbvf has it and its interface is not on the host",
    );
}

#[test]
fn c_a_vfio_group_that_a_program_has_open_is_in_use() {
    let bench = Bench::provisioned(TWO);
    bench.kernel.open.borrow_mut().insert("/dev/vfio/14".into());
    assert_refused(&bench, "a program has its group /dev/vfio/14 open");
}

#[test]
fn c_what_cannot_be_proven_free_counts_as_used() {
    let bench = Bench::provisioned(TWO);
    bench.kernel.groups_cannot_be_opened.set(true);
    assert_refused(
        &bench,
        "0000:01:11.0: vfio-pci has it and nobody can prove that no program uses it: /dev/vfio/14: permission denied",
    );
    bench.kernel.groups_cannot_be_opened.set(false);
    bench
        .kernel
        .sysfs
        .directory(format!("bus/pci/devices/{VF4}/vfio-dev/vfio0"));
    assert_refused(
        &bench,
        "it can be opened through iommufd, which does not tell",
    );
    bench.kernel.sysfs.set_driver(VF4, Some("uio_pci_generic"));
    assert_refused(&bench, "UIO does not tell");
}

#[test]
fn only_the_vf_that_changes_must_be_idle_for_a_driver() {
    let bench = Bench::provisioned(TWO);
    bench.hold(VF2);
    let other =
        r#"{"pf":{"pfNames":["ens1f0"]},"numVfs":7,"groups":[{"vfs":"1","driver":"vfio-pci"}]}"#;
    assert_eq!(bench.run(other)[0].result, Done::Changed);
    let held =
        r#"{"pf":{"pfNames":["ens1f0"]},"numVfs":7,"groups":[{"vfs":"2","driver":"vfio-pci"}]}"#;
    let line = bench.run(held)[0].to_string();
    assert!(
        line.contains("giving vf 2 to vfio-pci would disturb 0000:01:10.4: pod default/app-1"),
        "{line}"
    );
}

#[test]
fn when_idle_leaves_it_for_a_later_run_without_an_error() {
    let bench = Bench::provisioned(TWO);
    bench.hold(VF2);
    let reports = bench.run(&with_policy("whenIdle"));
    assert!(!reports[0].is_failure());
    assert!(
        reports[0]
            .to_string()
            .starts_with("0000:01:00.0 (ens1f0): waits until it is idle (sriov_numvfs 7 -> 4): "),
        "{}",
        reports[0]
    );
    assert_eq!(bench.kernel.writes(), [""; 0]);
    *bench.holdings.borrow_mut() = Ok(Vec::new());
    assert_eq!(bench.run(&with_policy("whenIdle"))[0].result, Done::Changed);
}

#[test]
fn force_does_it_and_names_who_lost_a_vf() {
    let bench = Bench::provisioned(TWO);
    bench.hold(VF2);
    let line = bench.run(&with_policy("force"))[0].to_string();
    assert_eq!(bench.kernel.count(), 4);
    assert!(
        line.contains("forced: sriov_numvfs 7 -> 4 would disturb 0000:01:10.4: pod default/app-1"),
        "{line}"
    );
}

#[test]
fn a_pf_that_a_pod_holds_itself_gets_no_vfs() {
    let bench = Bench::new();
    bench.hold(PF);
    let line = bench.run(TWO)[0].to_string();
    assert!(
        line.contains("the PF itself: pod default/app-1 (container main) holds it"),
        "{line}"
    );
}

fn with_default_route_through(index: u32) -> Bench {
    let bench = Bench::new();
    let links = [
        node::tests::link(1, "ens1f0"),
        node::tests::link(2, "ens2f0"),
    ];
    let routes = [node::tests::default_route("::/0", index)];
    *bench.network.borrow_mut() = Network::new(&links, &routes);
    bench
}

#[test]
fn the_nodes_own_nic_is_left_alone_by_a_selector_by_kind_and_refused_when_named() {
    let bench = with_default_route_through(1);
    let reports = bench.run(r#"{"pf":{"drivers":["igb"]},"numVfs":2}"#);
    assert_eq!(
        reports[0].to_string(),
        "0000:01:00.0 (ens1f0): left alone: the node's default route goes through ens1f0: name it in allowHostNics if it is meant all the same"
    );
    assert!(!reports[0].is_failure());
    assert_eq!(reports[1].result, Done::Changed);
    let named = bench.run(SHRINK);
    assert!(named[0].is_failure() && matches!(named[0].result, Done::Refused(_)));
    assert_eq!(bench.kernel.count(), 0);
    assert_eq!(bench.pending(SHRINK), [""; 0], "nothing of it is withheld");
}

#[test]
fn the_nodes_own_nic_is_provisioned_when_the_entry_overrides_it_by_name() {
    let bench = with_default_route_through(1);
    let entry = r#"{"pf":{"drivers":["igb"]},"numVfs":2,"allowHostNics":["ens1f0"]}"#;
    assert_eq!(bench.run(entry)[0].result, Done::Changed);
    assert_eq!(bench.kernel.count(), 2);
}

#[test]
fn a_vf_that_carries_the_nodes_default_route_is_not_even_forced() {
    let bench = Bench::provisioned(TWO);
    let vf = "v000001104";
    let route = node::tests::default_route("0.0.0.0/0", 9);
    *bench.network.borrow_mut() = Network::new(&[node::tests::link(9, vf)], &[route]);
    let line = bench.run(&with_policy("force"))[0].to_string();
    assert!(
        line.contains("would disturb 0000:01:10.4, through which the node's default route goes"),
        "{line}"
    );
    assert_eq!(bench.kernel.count(), 7);
}

#[test]
fn of_two_entries_the_first_that_selects_a_pf_counts() {
    let bench = Bench::new();
    bench.run(r#"{"pf":{"pfNames":["ENS1F0"]},"numVfs":2},{"pf":{"vendors":["8086"]},"numVfs":5}"#);
    assert_eq!(bench.kernel.count(), 2);
    let other = host::sriov::num_vfs(&bench.kernel.sysfs.sysfs(), "0000:02:00.0".parse().unwrap());
    assert_eq!(other, 5);
}

#[test]
fn what_cannot_work_is_refused_with_what_to_do() {
    let bench = Bench::new();
    let refused = |entry: &str| bench.run(entry)[0].to_string();
    assert!(
        refused(
            r#"{"pf":{"pfNames":["ens1f0"]},"numVfs":1,"groups":[{"vfs":"0","driver":"igb_uio"}]}"#
        )
        .ends_with("refused: driver igb_uio is not loaded: load its kernel module first")
    );
    assert!(refused(r#"{"pf":{"pfNames":["eth0"]},"numVfs":1}"#).contains("can have no VFs"));
    let net = format!("bus/pci/devices/{PF}/net/ens1f0");
    bench
        .kernel
        .sysfs
        .file(format!("{net}/phys_port_name"), "p0\n");
    bench
        .kernel
        .sysfs
        .file(format!("{net}/phys_switch_id"), "0a1b\n");
    assert!(refused(SHRINK).contains("is in switchdev mode"));
    assert_eq!(bench.kernel.writes(), [""; 0]);
}

#[test]
fn vfs_are_withheld_until_count_and_driver_are_as_asked() {
    let bench = Bench::provisioned(SHRINK);
    let vf = |address: &str, why: &str| format!("{address}: {why}");
    let count = "its PF has 4 VFs, 7 are asked";
    assert_eq!(
        bench.pending(TWO),
        [PF, "0000:01:10.0", "0000:01:10.2", VF2, "0000:01:10.6"].map(|one| vf(one, count))
    );
    bench.run(TWO);
    assert_eq!(bench.pending(TWO), [""; 0]);
    bench.kernel.sysfs.set_driver(VF4, Some("igbvf"));
    assert_eq!(
        bench.pending(TWO),
        [vf(VF4, "its driver is igbvf, vfio-pci is asked")]
    );
}

#[test]
fn an_accelerator_is_provisioned_only_when_it_is_named() {
    let bench = Bench::new();
    bench
        .kernel
        .sysfs
        .add("pci 0000:b1:00.0{8086:0d5c, 1200, drv=pf-driver, vfs=16/0}");
    let by_kind = bench.plan(r#"{"pf":{"vendors":["8086"]},"numVfs":2}"#);
    assert_eq!(by_kind.len(), 2, "{by_kind:?}");
    let named = bench.plan(r#"{"pf":{"pciAddresses":["b1:00.0"]},"numVfs":2}"#);
    assert_eq!(
        named[0].planned().to_string(),
        "0000:b1:00.0: would be changed: sriov_numvfs 0 -> 2"
    );
}
