//! What happens to devices that pods hold (design §4; G11 of spec/device-plugin.md §8.7).

use host::testing::sysfs::{F1, FakeSysfs};

use super::*;
use crate::{
    config::{Defaults, load},
    health,
    node::{
        scan,
        tests::{f1_network, set_aside},
    },
    plan::plan,
};

mod lasting;

const VF: [&str; 3] = ["0000:18:02.0", "0000:18:02.1", "0000:18:02.2"];

/// The base fixture, a configuration, and what was decided so far.
struct World {
    fake: FakeSysfs,
    config: Config,
    inventory: Inventory,
    now: Instant,
}

impl World {
    fn new(pools: &str) -> Self {
        let mut world = Self {
            fake: FakeSysfs::parse(F1),
            config: Config::default(),
            inventory: Inventory::default(),
            now: Instant::now(),
        };
        world.configure(pools);
        world
    }

    fn configure(&mut self, pools: &str) {
        let text = format!(r#"{{"resourceList":[{pools}]}}"#);
        let defaults = Defaults {
            prefix: "x.org".to_owned(),
            socket_directory: "/".into(),
        };
        self.config = load(text.as_bytes(), &defaults).unwrap().config;
    }

    /// One pass; `held` is `resource device` per line. Gives `device` or `device: reason` per pool.
    fn pass(&mut self, held: &[(&str, &str)]) -> Vec<Vec<String>> {
        let mut allocated = Allocated::new();
        for (resource, id) in held {
            let ids = allocated.entry((*resource).to_owned()).or_default();
            ids.insert(id.parse().unwrap());
        }
        let network = f1_network();
        let node = scan(&self.fake.sysfs(), &network).unwrap();
        let plan = plan(&self.config, &node);
        let seen = Seen {
            config: &self.config,
            plan: &plan,
            node: &node,
            signs: &health::observe(&self.fake.sysfs(), &network, &node),
        };
        let held = self.inventory.effective(&allocated, self.now);
        let pools = self.inventory.apply(&seen, &held);
        let show = |(address, listed): (&DeviceId, &Listed)| match &listed.unwell {
            None => address.to_string(),
            Some(reason) => format!("{address}: {reason}"),
        };
        pools
            .values()
            .map(|listing| listing.iter().map(show).collect())
            .collect()
    }

    fn destroy(&self, address: &str) {
        set_aside(&self.fake, address);
    }

    fn create(&self, address: &str, driver: &str) {
        self.fake.add(&format!(
            "pci {address}{{8086:154c, 0200, drv={driver}, pf=0000:18:00.0}}"
        ));
    }
}

const NET: &str = r#"{"resourceName":"net","selectors":{"pfNames":["pf0"]}}"#;

#[test]
fn a_free_device_that_vanishes_leaves_the_list() {
    let mut world = World::new(NET);
    assert_eq!(world.pass(&[]), [VF]);
    world.destroy(VF[1]);
    assert_eq!(world.pass(&[]), [[VF[0], VF[2]]]);
}

#[test]
fn a_held_device_that_vanishes_stays_unhealthy_until_its_pod_ends() {
    let mut world = World::new(NET);
    let held = [("x.org/net", VF[1])];
    assert_eq!(world.pass(&held), [VF]);
    world.destroy(VF[1]);
    let gone = format!("{}: it is gone while a pod holds it", VF[1]);
    assert_eq!(world.pass(&held), [[VF[0], &gone, VF[2]]]);
    assert!(world.inventory.is_waiting());
    assert_eq!(world.pass(&[]), [[VF[0], VF[2]]]);
    assert!(!world.inventory.is_waiting());
}

#[test]
fn a_held_device_that_is_gone_before_we_start_is_listed_unhealthy_all_the_same() {
    let mut world = World::new(NET);
    world.destroy(VF[1]);
    let gone = format!("{}: it is gone while a pod holds it", VF[1]);
    assert_eq!(world.pass(&[("x.org/net", VF[1])]), [[VF[0], &gone, VF[2]]]);
}

#[test]
fn a_held_device_that_is_created_again_stays_unhealthy_until_its_pod_ends() {
    let mut world = World::new(NET);
    let held = [("x.org/net", VF[1])];
    world.pass(&held);
    world.destroy(VF[1]);
    world.create(VF[1], "iavf");
    let again = format!(
        "{}: it was removed and created again while a pod holds it",
        VF[1]
    );
    assert_eq!(world.pass(&held), [[VF[0], &again, VF[2]]]);
    assert_eq!(world.pass(&held), [[VF[0], &again, VF[2]]]);
    assert_eq!(world.pass(&[]), [VF]);
}

#[test]
fn a_held_device_that_vanished_stays_unhealthy_when_it_comes_back() {
    let mut world = World::new(NET);
    let held = [("x.org/net", VF[1])];
    world.pass(&held);
    world.destroy(VF[1]);
    world.pass(&held);
    world.create(VF[1], "iavf");
    let gone = format!("{}: it is gone while a pod holds it", VF[1]);
    assert_eq!(world.pass(&held), [[VF[0], &gone, VF[2]]]);
    assert_eq!(world.pass(&[]), [VF]);
}

#[test]
fn a_held_device_whose_driver_changes_is_unhealthy() {
    let mut world = World::new(r#"{"resourceName":"net","selectors":{"drivers":["iavf"]}}"#);
    let held = [("x.org/net", VF[1])];
    assert_eq!(world.pass(&held), [&VF[..2]]);
    world.fake.set_driver(VF[1], Some("vfio-pci"));
    let changed = format!(
        "{}: its driver changed from iavf to vfio-pci while a pod holds it",
        VF[1]
    );
    assert_eq!(world.pass(&held), [[VF[0], &changed]]);
    assert_eq!(world.pass(&[]), [[VF[0]]]);
}

#[test]
fn a_held_device_that_only_looks_different_inside_its_pod_stays_healthy() {
    let mut world = World::new(r#"{"resourceName":"rdma","selectors":{"isRdma":true}}"#);
    let held = [("x.org/rdma", "0000:af:00.2")];
    let both = [["0000:af:00.2", "0000:af:00.3"]];
    assert_eq!(world.pass(&held), both);
    // In exclusive mode the RDMA device moves into the pod's namespace.
    world.fake.remove("bus/pci/devices/0000:af:00.2/infiniband");
    assert_eq!(world.pass(&held), both);
    assert_eq!(world.pass(&[]), [["0000:af:00.3"]]);
}

#[test]
fn a_held_device_that_an_edit_gives_to_another_pool_stays_where_it_is_until_it_is_free() {
    let mut world = World::new(
        r#"{"resourceName":"a","selectors":{"pfNames":["pf0#0-1"]}},{"resourceName":"b","selectors":{"pfNames":["pf0#2"]}}"#,
    );
    let held = [("x.org/a", VF[1])];
    assert_eq!(world.pass(&held), [&VF[..2], &VF[2..]]);
    world.configure(
        r#"{"resourceName":"a","selectors":{"pfNames":["pf0#0"]}},{"resourceName":"b","selectors":{"pfNames":["pf0#1-2"]}}"#,
    );
    let deselected = format!(
        "{}: the pool no longer selects it, a pod still holds it",
        VF[1]
    );
    assert_eq!(world.pass(&held), [vec![VF[0], &deselected], vec![VF[2]]]);
    assert_eq!(world.pass(&[]), [&VF[..1], &VF[1..]]);
}

#[test]
fn a_device_that_another_plugins_resource_holds_is_withheld() {
    let mut world = World::new(NET);
    assert_eq!(world.pass(&[("old.example/net", VF[0])]), [&VF[1..]]);
}

#[test]
fn an_empty_pool_is_offered_with_no_devices() {
    let mut world = World::new(r#"{"resourceName":"none","selectors":{"vendors":["ffff"]}}"#);
    assert_eq!(world.pass(&[]), [Vec::<String>::new()]);
}
