//! Each rule of design §5 on fake nodes.

use host::testing::sysfs::{F1, FakeSysfs};

use super::*;
use crate::{
    config::{self, Defaults},
    node::{self, Network, tests::link},
    plan::plan,
};

const NET: &str = r#"{"resourceName":"net","selectors":{"vendors":["8086"],"devices":["154c"]},"fallback":{"slots":3}}"#;
const BY_NAME: &str = r#"{"resourceName":"net","selectors":{"pfNames":["ens1f0#0-3"],"drivers":["iavf"]},"fallback":{"slots":3}}"#;
/// A node without anything of SR-IOV.
const PLAIN: &str = "pci 0000:04:00.0{8086:100e, 0200, drv=e1000, net=[eth0]}";
/// A PF of the pool without VFs, as the kernel shows it before its driver is there.
const EARLY: &str = "pci 0000:18:00.0{8086:1572, 0200, vfs=64/0}";

/// One pool over time.
struct Bench {
    sysfs: FakeSysfs,
    pools: String,
    fallback: Fallback,
    now: Instant,
    held: Option<Allocated>,
}

impl Bench {
    fn new(sysfs: &str, pools: &str) -> Self {
        let sysfs = FakeSysfs::parse(sysfs);
        sysfs.file("bus/pci/devices/0000:18:00.0/sriov_vf_device", "154c\n");
        Self {
            sysfs,
            pools: pools.to_owned(),
            fallback: Fallback::default(),
            now: Instant::now(),
            held: Some(Allocated::new()),
        }
    }

    fn hold(&mut self, ids: &[&str]) {
        let ids = ids.iter().map(|id| id.parse().unwrap()).collect();
        self.held = Some(Allocated::from([("intel.com/net".to_owned(), ids)]));
    }

    fn later(&mut self, time: Duration) {
        self.now += time;
    }

    fn plan_of(&mut self, pool: usize) -> Vec<String> {
        let text = format!(r#"{{"resourceList":[{}]}}"#, self.pools);
        let defaults = Defaults {
            prefix: "intel.com".to_owned(),
            socket_directory: "/s".into(),
        };
        let loaded = config::load(text.as_bytes(), &defaults).unwrap();
        assert_eq!(loaded.rejected, []);
        let network = Network::new(&[link(1, "eth0"), link(2, "ens1f0"), link(3, "eth1")], &[]);
        let network = if self.sysfs.root().join("class/net/mgmt0").exists() {
            node::tests::f1_network()
        } else {
            network
        };
        let node = node::scan(&self.sysfs.sysfs(), &network).unwrap();
        let mut plan = plan(&loaded.config, &node);
        self.fallback.apply(
            &loaded.config,
            &node,
            &mut plan,
            self.held.as_ref(),
            self.now,
        );
        let devices = plan.pools[pool].devices.iter();
        devices
            .map(|device| device.function.id.to_string())
            .collect()
    }

    fn offered(&mut self) -> Vec<String> {
        self.plan_of(0)
    }

    fn why(&self) -> String {
        self.fallback
            .sides
            .values()
            .next()
            .unwrap()
            .why()
            .to_owned()
    }
}

const SLOTS: [&str; 3] = ["software-0", "software-1", "software-2"];

#[test]
fn a_node_without_nic_of_the_pool_has_its_slots_at_once() {
    let mut bench = Bench::new(
        "pci 0000:04:00.0{1af4:1041, 0200, drv=virtio-pci, net=[eth0]}",
        NET,
    );
    assert_eq!(bench.offered(), SLOTS);
    assert_eq!(
        bench.why(),
        "3 software slots: no PF of this node is the pool's"
    );
}

#[test]
fn a_pool_without_the_key_has_none() {
    let mut bench = Bench::new(
        PLAIN,
        r#"{"resourceName":"net","selectors":{"vendors":["dead"]}}"#,
    );
    assert_eq!(bench.offered(), [""; 0]);
    assert!(bench.fallback.sides.is_empty());
}

#[test]
fn a_node_whose_pf_matches_has_vfs_and_no_slots() {
    let mut bench = Bench::new(F1, NET);
    assert_eq!(
        bench.offered(),
        ["0000:18:02.0", "0000:18:02.1", "0000:18:02.2"]
    );
    assert_eq!(
        bench.why(),
        "no software slots: VFs of PF pf0 (0000:18:00.0) are the pool's"
    );
}

#[test]
fn missing_vfs_on_a_matching_pf_count_zero_and_never_software() {
    for pool in [
        NET,
        r#"{"resourceName":"net","selectors":{"rootDevices":["0000:18:00.0#0-3"]},"fallback":{"slots":3}}"#,
    ] {
        let mut bench = Bench::new(
            "pci 0000:18:00.0{8086:1572, 0200, drv=i40e, net=[ens1f0], vfs=64/0}",
            pool,
        );
        assert_eq!(bench.offered(), [""; 0]);
        bench.later(GRACE * 100);
        assert_eq!(bench.offered(), [""; 0]);
    }
}

#[test]
fn a_pf_whose_driver_is_still_probing_is_hardware_already() {
    for pool in [NET, BY_NAME] {
        let mut bench = Bench::new(EARLY, pool);
        assert_eq!(bench.offered(), [""; 0]);
        bench.later(GRACE * 100);
        assert_eq!(
            bench.offered(),
            [""; 0],
            "its name is not known, so it could be the pool's"
        );
    }
}

#[test]
fn a_pf_that_udev_is_about_to_rename_gives_no_slots_meanwhile() {
    let before = "pci 0000:18:00.0{8086:1572, 0200, drv=i40e, net=[eth1], vfs=64/0}";
    let mut bench = Bench::new(before, BY_NAME);
    assert_eq!(bench.offered(), [""; 0]);
    assert!(bench.fallback.is_waiting());
    bench.later(GRACE / 2);
    bench.sysfs.add(&before.replace("eth1", "ens1f0"));
    assert_eq!(bench.offered(), [""; 0]);
    assert!(!bench.fallback.is_waiting());
    bench.later(GRACE * 2);
    assert_eq!(bench.offered(), [""; 0], "it has its name now");
}

#[test]
fn a_node_with_other_pfs_only_has_slots_after_the_grace() {
    let other = "pci 0000:18:00.0{8086:1572, 0200, drv=i40e, net=[eth1], vfs=64/0}";
    let mut bench = Bench::new(other, BY_NAME);
    assert_eq!(bench.offered(), [""; 0]);
    bench.later(GRACE);
    assert_eq!(bench.offered(), SLOTS);
}

#[test]
fn a_pf_whose_vfs_have_another_device_id_is_not_the_pools() {
    let mut bench = Bench::new(
        "pci 0000:18:00.0{8086:1521, 0200, drv=igb, net=[eth1], vfs=7/0}",
        NET,
    );
    bench
        .sysfs
        .file("bus/pci/devices/0000:18:00.0/sriov_vf_device", "1520\n");
    bench.offered();
    bench.later(GRACE);
    assert_eq!(bench.offered(), SLOTS);
}

#[test]
fn rebinding_never_turns_a_node_with_hardware_into_a_software_one() {
    let mut bench = Bench::new(
        F1,
        r#"{"resourceName":"net","selectors":{"pfNames":["pf0"],"drivers":["iavf"]},"fallback":{"slots":3}}"#,
    );
    assert_eq!(bench.offered(), ["0000:18:02.0", "0000:18:02.1"]);
    for vf in ["0000:18:02.0", "0000:18:02.1"] {
        bench.sysfs.set_driver(vf, Some("vfio-pci"));
    }
    bench.later(GRACE * 2);
    assert_eq!(bench.offered(), [""; 0]);
    bench.sysfs.set_driver("0000:18:00.0", None);
    bench.sysfs.remove("bus/pci/devices/0000:18:00.0/net");
    bench.later(GRACE * 2);
    assert_eq!(
        bench.offered(),
        [""; 0],
        "a PF without a driver has no name"
    );
}

#[test]
fn the_side_does_not_change_to_hardware_while_pods_hold_slots() {
    let mut bench = Bench::new(PLAIN, NET);
    assert_eq!(bench.offered(), SLOTS);
    bench.hold(&["software-1"]);
    bench
        .sysfs
        .add(EARLY)
        .file("bus/pci/devices/0000:18:00.0/sriov_vf_device", "154c\n");
    bench
        .sysfs
        .add("pci 0000:18:02.0{8086:154c, 0200, drv=iavf, net=[v0], pf=0000:18:00.0}");
    assert_eq!(bench.offered(), ["software-1"], "held slots only, no VF");
    assert!(
        bench.why().contains("pods hold 1 software slots"),
        "{}",
        bench.why()
    );
    bench.hold(&[]);
    assert_eq!(bench.offered(), ["0000:18:02.0"]);
}

#[test]
fn the_side_does_not_change_to_software_while_pods_hold_devices() {
    let mut bench = Bench::new(PLAIN, NET);
    bench.hold(&["0000:18:02.0"]);
    bench.later(GRACE * 2);
    assert_eq!(bench.offered(), [""; 0]);
    assert!(
        bench.why().contains("pods hold 1 devices"),
        "{}",
        bench.why()
    );
    bench.hold(&[]);
    assert_eq!(bench.offered(), SLOTS);
}

#[test]
fn nothing_is_offered_before_the_kubelet_has_told_what_pods_hold() {
    let mut bench = Bench::new(PLAIN, NET);
    bench.held = None;
    assert_eq!(bench.offered(), [""; 0]);
    assert!(bench.fallback.is_waiting());
    bench.held = Some(Allocated::new());
    assert_eq!(bench.offered(), SLOTS);
}

#[test]
fn each_pool_has_slots_of_its_own() {
    let second =
        r#"{"resourceName":"storage","selectors":{"vendors":["15b3"]},"fallback":{"slots":1}}"#;
    let mut bench = Bench::new(
        "pci 0000:04:00.0{1af4:1041, 0200, drv=virtio-pci, net=[eth0]}",
        &format!("{NET},{second}"),
    );
    assert_eq!(bench.plan_of(0), SLOTS);
    assert_eq!(bench.plan_of(1), ["software-0"]);
}

#[test]
fn the_nodes_own_nic_does_not_make_it_a_node_with_hardware() {
    let pool = r#"{"resourceName":"net","selectors":{"vendors":["8086"]},"fallback":{"slots":3}}"#;
    let mut bench = Bench::new(
        "pci 0000:04:00.0{8086:1521, 0200, drv=igb, net=[mgmt0]}",
        pool,
    );
    assert_eq!(bench.offered(), SLOTS);
}

#[test]
fn a_vf_that_a_vm_was_given_is_hardware_whatever_drives_it() {
    let pool = r#"{"resourceName":"net","selectors":{"vendors":["8086"],"devices":["154c"],"drivers":["iavf"]},"fallback":{"slots":3}}"#;
    let mut bench = Bench::new("pci 0000:07:00.0{8086:154c, 0200, net=[eth1]}", pool);
    bench.later(GRACE * 2);
    assert_eq!(bench.offered(), [""; 0]);
    assert_eq!(bench.why(), "no software slots: 0000:07:00.0 is the pool's");
}
