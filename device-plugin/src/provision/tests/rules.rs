//! What is written, in which order, and what is not.

use super::*;

#[test]
fn from_zero_vfs_to_two_drivers_with_the_pf_up_first() {
    let bench = Bench::new();
    let reports = bench.run(TWO);
    assert_eq!(
        lines(&reports),
        [
            "0000:01:00.0 (ens1f0): changed: up, sriov_numvfs 0 -> 7, vf 4 to vfio-pci, vf 5 to vfio-pci, vf 6 to vfio-pci"
        ]
    );
    assert_eq!(bench.kernel.count(), 7);
    assert_eq!(bench.kernel.driver(VF2).as_deref(), Some("igbvf"));
    assert_eq!(bench.kernel.driver(VF4).as_deref(), Some("vfio-pci"));
    let writes = bench.kernel.writes();
    assert_eq!(
        writes[0], "ip ens1f0 up",
        "igbvf takes no VF of a PF that is down"
    );
    assert_eq!(
        writes[1..4],
        [
            "echo 0 > /sys/bus/pci/devices/0000:01:00.0/sriov_drivers_autoprobe",
            "echo 7 > /sys/bus/pci/devices/0000:01:00.0/sriov_numvfs",
            "echo 1 > /sys/bus/pci/devices/0000:01:00.0/sriov_drivers_autoprobe",
        ],
        "no VF gets a driver that is taken away again"
    );
}

#[test]
fn a_an_equal_count_writes_nothing_and_asks_nobody() {
    let bench = Bench::provisioned(TWO);
    bench.asked.set(0);
    *bench.holdings.borrow_mut() = Err("no kubelet".to_owned());
    let reports = bench.run(TWO);
    assert_eq!(lines(&reports), ["0000:01:00.0 (ens1f0): as configured"]);
    assert_eq!(bench.kernel.writes(), [""; 0]);
    assert_eq!(bench.asked.get(), 0);
    assert_eq!(bench.pending(TWO), [""; 0]);
}

#[test]
fn b_another_count_goes_through_zero_when_every_vf_is_idle() {
    let bench = Bench::provisioned(r#"{"pf":{"pfNames":["ens1f0"]},"numVfs":4}"#);
    let reports = bench.run(r#"{"pf":{"pfNames":["ens1f0"]},"numVfs":2}"#);
    assert_eq!(
        lines(&reports),
        ["0000:01:00.0 (ens1f0): changed: sriov_numvfs 4 -> 2"]
    );
    assert_eq!(
        bench.kernel.writes(),
        [
            "echo 0 > /sys/bus/pci/devices/0000:01:00.0/sriov_numvfs",
            "echo 2 > /sys/bus/pci/devices/0000:01:00.0/sriov_numvfs",
        ]
    );
    assert_eq!(bench.kernel.count(), 2);
}

#[test]
fn b_more_vfs_than_the_pf_allows_are_refused_before_any_write() {
    let bench = Bench::new();
    let reports = bench.run(r#"{"pf":{"pfNames":["ens1f0"]},"numVfs":12}"#);
    assert_eq!(
        lines(&reports),
        ["0000:01:00.0 (ens1f0): refused: 12 VFs asked, it allows 7 (sriov_totalvfs)"]
    );
    assert!(reports[0].is_failure());
    assert_eq!(bench.kernel.writes(), [""; 0]);
}

#[test]
fn max_is_what_each_pf_allows_and_groups_are_cut_to_it() {
    let bench = Bench::new();
    let reports = bench.run(
        r#"{"pf":{"vendors":["8086"]},"numVfs":"max","groups":[{"vfs":"5-63","driver":"vfio-pci"}]}"#,
    );
    assert_eq!(
        reports.len(),
        2,
        "both PFs, not the node's own NIC of another vendor"
    );
    assert_eq!(bench.kernel.count(), 7);
    assert_eq!(
        bench.kernel.driver("0000:02:11.4").as_deref(),
        Some("vfio-pci")
    );
}

#[test]
fn d_a_write_that_hangs_is_given_up_after_its_deadline() {
    let fake = host::testing::sysfs::FakeSysfs::new();
    let pipe = fake
        .root()
        .join("bus/pci/devices/0000:01:00.0/sriov_numvfs");
    host::file::create_dir(pipe.parent().unwrap(), 0o700).unwrap();
    // Opening it blocks as a sick driver does: nobody reads.
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let kernel = Kernel {
        sysfs: fake.sysfs(),
        deadline: std::time::Duration::from_millis(50),
    };
    let path = "bus/pci/devices/0000:01:00.0/sriov_numvfs";
    let error = kernel.write(path, "8").unwrap_err();
    assert_eq!(error.kind(), host::error::Kind::Deadline);
    assert!(
        error.to_string().contains("sriov_numvfs: still waiting"),
        "{error}"
    );
}

#[test]
fn d_a_pf_that_fails_is_told_with_its_step_and_the_other_one_is_done() {
    let bench = Bench::new();
    *bench.kernel.refuses.borrow_mut() =
        Some(("0000:01:00.0/sriov_numvfs", host::error::Kind::Deadline));
    let reports = bench
        .run(r#"{"pf":{"drivers":["igb"]},"numVfs":3,"groups":[{"vfs":"2","driver":"vfio-pci"}]}"#);
    assert!(
        reports[0].to_string().contains("failed (up, sriov_numvfs 0 -> 3, vf 2 to vfio-pci): echo 3 > /sys/bus/pci/devices/0000:01:00.0/sriov_numvfs: "),
        "{}",
        reports[0]
    );
    assert_eq!(reports[1].result, Done::Changed);
    let entry = bench
        .kernel
        .sysfs
        .sysfs()
        .entry("bus/pci/devices/0000:01:00.0");
    assert_eq!(
        entry.read("sriov_drivers_autoprobe").unwrap(),
        "1",
        "the switch is not left off"
    );
}

#[test]
fn e_the_plan_prints_exactly_the_writes_that_a_run_does() {
    let bench = Bench::new();
    let entry = r#"{"pf":{"pfNames":["ens1f0"]},"numVfs":3,"mtu":9000,"groups":[{"vfs":"0-1"},{"vfs":"2","driver":"vfio-pci"}]}"#;
    let plan = bench.plan(entry);
    assert_eq!(bench.kernel.writes(), [""; 0], "a plan changes nothing");
    let printed: Vec<String> = plan[0].steps.iter().map(ToString::to_string).collect();
    bench.run(entry);
    // A VF that does not exist yet has no name of its interface.
    let done: Vec<String> = bench
        .kernel
        .writes()
        .iter()
        .map(|line| line.replace("ip ens1f0", "ip link set dev ens1f0"))
        .map(|line| {
            line.replace(
                "ip v000001100",
                "ip link set dev $(ls /sys/bus/pci/devices/0000:01:00.0/virtfn0/net)",
            )
        })
        .map(|line| {
            line.replace(
                "ip v000001102",
                "ip link set dev $(ls /sys/bus/pci/devices/0000:01:00.0/virtfn1/net)",
            )
        })
        .collect();
    assert_eq!(printed, done);
    assert!(printed.contains(
        &"echo vfio-pci > /sys/bus/pci/devices/0000:01:00.0/virtfn2/driver_override".to_owned()
    ));
    assert!(
        printed.contains(&"echo 0000:01:10.4 > /sys/bus/pci/drivers_probe".to_owned()),
        "{printed:?}"
    );
    assert_eq!(bench.plan(entry)[0].result, Done::Matches);
}

#[test]
fn the_mtu_is_given_to_the_pf_before_it_is_up_and_to_kernel_vfs_last() {
    let bench = Bench::new();
    bench.run(r#"{"pf":{"pfNames":["ens1f0"]},"numVfs":1,"mtu":9000}"#);
    let writes = bench.kernel.writes();
    assert_eq!(writes[..2], ["ip ens1f0 mtu 9000", "ip ens1f0 up"]);
    assert_eq!(writes[3], "ip v000001100 mtu 9000");
}

#[test]
fn drivers_change_both_ways_and_what_a_user_left_is_reset() {
    let bench = Bench::provisioned(TWO);
    let reports = bench.run(
        r#"{"pf":{"pfNames":["ens1f0"]},"groups":[{"vfs":"2","driver":"vfio-pci"},{"vfs":"4"}]}"#,
    );
    assert_eq!(
        lines(&reports),
        ["0000:01:00.0 (ens1f0): changed: vf 2 to vfio-pci, vf 4 to its default driver"]
    );
    let vf = "/sys/bus/pci/devices/0000:01:00.0/virtfn";
    assert_eq!(
        bench.kernel.writes(),
        [
            format!("echo vfio-pci > {vf}2/driver_override"),
            format!("echo {VF2} > {vf}2/driver/unbind"),
            format!("echo 1 > {vf}2/reset"),
            format!("echo {VF2} > /sys/bus/pci/drivers_probe"),
            format!("echo > {vf}4/driver_override"),
            format!("echo {VF4} > {vf}4/driver/unbind"),
            format!("echo 1 > {vf}4/reset"),
            format!("echo {VF4} > /sys/bus/pci/drivers_probe"),
        ]
    );
    assert_eq!(bench.kernel.driver(VF4).as_deref(), Some("igbvf"));
}

#[test]
fn a_switch_that_a_crash_left_off_is_on_again_before_a_vf_is_probed() {
    let bench = Bench::new();
    let pf = bench
        .kernel
        .sysfs
        .sysfs()
        .entry(format!("bus/pci/devices/{PF}"));
    pf.write("sriov_drivers_autoprobe", "0").unwrap();
    let entry = r#"{"pf":{"pfNames":["ens1f0"]},"numVfs":2,"groups":[{"vfs":"0-1"}]}"#;
    assert_eq!(bench.run(entry)[0].result, Done::Changed);
    assert_eq!(pf.read("sriov_drivers_autoprobe").unwrap(), "1");
    assert_eq!(
        bench.kernel.driver("0000:01:10.2").as_deref(),
        Some("igbvf")
    );
}

#[test]
fn g_without_a_count_somebody_else_makes_the_vfs_and_only_drivers_are_given() {
    let bench = Bench::new();
    let entry = r#"{"pf":{"pfNames":["ens1f0"]},"groups":[{"vfs":"1","driver":"vfio-pci"}]}"#;
    let reports = bench.run(entry);
    assert_eq!(
        lines(&reports),
        ["0000:01:00.0 (ens1f0): refused: groups name vf 1, but it has 0 VFs"]
    );
    let pf = format!("bus/pci/devices/{PF}");
    bench
        .kernel
        .change_link(PF.parse().unwrap(), LinkChange::Up)
        .unwrap();
    bench
        .kernel
        .write(&format!("{pf}/sriov_numvfs"), "3")
        .unwrap();
    bench.kernel.writes();
    assert_eq!(
        lines(&bench.run(entry)),
        ["0000:01:00.0 (ens1f0): changed: vf 1 to vfio-pci"]
    );
    assert!(
        !bench
            .kernel
            .writes()
            .iter()
            .any(|write| write.contains("numvfs"))
    );
    assert_eq!(bench.kernel.count(), 3);
}

#[test]
fn h_a_vm_binds_the_vfs_that_it_was_given_themselves() {
    let bench = Bench::new();
    bench.kernel.sysfs.add(
        "pci 0000:07:00.0{8086:10ca, 0200, drv=igbvf, net=[ens7], acpi=3}
         pci 0000:08:00.0{8086:10ca, 0200, drv=igbvf, net=[ens8]}",
    );
    let entry = r#"{"functions":{"acpiIndexes":["3"]},"driver":"vfio-pci"}"#;
    assert_eq!(
        lines(&bench.run(entry)),
        ["0000:07:00.0 (ens7): changed: it to vfio-pci"]
    );
    assert_eq!(
        bench.kernel.driver("0000:07:00.0").as_deref(),
        Some("vfio-pci")
    );
    assert_eq!(
        bench.kernel.driver("0000:08:00.0").as_deref(),
        Some("igbvf")
    );
    assert_eq!(bench.run(entry)[0].result, Done::Matches);
    let by_address = r#"{"functions":{"pciAddresses":["0000:08:00.0"]},"mtu":1400}"#;
    bench
        .kernel
        .sysfs
        .file("bus/pci/devices/0000:08:00.0/net/ens8/mtu", "1500\n");
    assert_eq!(
        lines(&bench.run(by_address)),
        ["0000:08:00.0 (ens8): changed: it: MTU 1400"]
    );
}

#[test]
fn after_a_reboot_the_same_file_brings_the_same_state() {
    let before = Bench::provisioned(TWO);
    let after = Bench::provisioned(TWO);
    assert_eq!(after.functions(), before.functions());
}
