//! What outlives an edit, a restart, and the time between Allocate and PodResources; and signs that come and go.

use std::time::Duration;

use super::*;
use crate::memory::Memory;

impl World {
    /// As a restart of the program does, by way of its file.
    fn restart(&mut self) {
        let directory = tempfile::tempdir().unwrap();
        let memory = || Memory::new(directory.path(), std::path::Path::new("/proc"));
        memory().write(self.inventory.records()).unwrap();
        self.inventory = Inventory::default();
        self.inventory.restore(memory().read(), self.now);
    }

    /// As Allocate does.
    fn grant(&mut self, device: &str) {
        let node = scan(&self.fake.sysfs(), &f1_network()).unwrap();
        let plan = plan(&self.config, &node);
        let device = plan.pools[0]
            .devices
            .iter()
            .find(|planned| planned.function.id.to_string() == device);
        let selectors = Inventory::selectors(&self.config.pools[0]);
        let name = self.config.pools[0].name.clone();
        let _before = self.inventory.grant(&name, device.unwrap(), selectors);
    }
}

fn again(vf: &str) -> String {
    format!("{vf}: it was removed and created again while a pod holds it")
}

#[test]
fn a_held_device_that_was_created_again_before_a_restart_stays_unhealthy_after_it() {
    let mut world = World::new(NET);
    let held = [("x.org/net", VF[1])];
    world.pass(&held);
    world.destroy(VF[1]);
    world.pass(&held);
    world.create(VF[1], "iavf");
    let gone = format!("{}: it is gone while a pod holds it", VF[1]);
    for _ in 0..2 {
        assert_eq!(world.pass(&held), [[VF[0], &gone, VF[2]]]);
        world.restart();
    }
    assert_eq!(world.pass(&[]), [VF]);
}

#[test]
fn a_held_device_that_is_created_again_while_the_program_is_down_is_noticed() {
    let mut world = World::new(NET);
    let held = [("x.org/net", VF[1])];
    world.pass(&held);
    world.restart();
    world.destroy(VF[1]);
    world.create(VF[1], "iavf");
    assert_eq!(world.pass(&held), [[VF[0], &again(VF[1]), VF[2]]]);
    assert_eq!(world.pass(&[]), [VF]);
}

#[test]
fn a_held_device_whose_driver_changes_while_the_program_is_down_is_noticed() {
    let mut world = World::new(NET);
    let held = [("x.org/net", VF[1])];
    world.pass(&held);
    world.restart();
    world.fake.set_driver(VF[1], Some("vfio-pci"));
    let changed = format!(
        "{}: its driver changed from iavf to vfio-pci while a pod holds it",
        VF[1]
    );
    assert!(world.pass(&held)[0].contains(&changed));
}

#[test]
fn what_pods_held_is_known_before_the_kubelet_answers() {
    let mut world = World::new(NET);
    world.pass(&[("x.org/net", VF[1])]);
    world.restart();
    let known = world.inventory.known();
    assert_eq!(known["x.org/net"].len(), 1);
}

#[test]
fn a_device_between_allocate_and_pod_resources_is_held() {
    let mut world = World::new(NET);
    world.pass(&[]);
    world.grant(VF[1]);
    world.configure(r#"{"resourceName":"net","selectors":{"pfNames":["pf0#0"]}},{"resourceName":"other","selectors":{"pfNames":["pf0"]}}"#);
    let kept = format!(
        "{}: the pool no longer selects it, a pod still holds it",
        VF[1]
    );
    assert_eq!(
        world.pass(&[]),
        [vec![VF[0], &kept], vec![VF[2]]],
        "neither moved nor vanished"
    );
    world.restart();
    assert_eq!(world.pass(&[]), [vec![VF[0], &kept], vec![VF[2]]]);
    assert_eq!(
        world.pass(&[("x.org/net", VF[1])]),
        [vec![VF[0], &kept], vec![VF[2]]]
    );
    assert_eq!(world.pass(&[]), [&VF[..1], &VF[1..]], "its pod ended");
}

#[test]
fn a_device_whose_pod_never_shows_up_is_free_after_a_while() {
    let mut world = World::new(NET);
    world.pass(&[]);
    world.grant(VF[1]);
    world.destroy(VF[1]);
    let gone = format!("{}: it is gone while a pod holds it", VF[1]);
    assert_eq!(world.pass(&[]), [[VF[0], &gone, VF[2]]]);
    world.now += Duration::from_secs(61);
    assert_eq!(world.pass(&[]), [[VF[0], VF[2]]]);
}

#[test]
fn a_pool_that_is_no_longer_configured_lives_as_long_as_a_pod_holds_one_of_its_devices() {
    let mut world = World::new(NET);
    let held = [("x.org/net", VF[1])];
    world.pass(&held);
    world.configure(r#"{"resourceName":"other","selectors":{"pfNames":["pf0"]}}"#);
    let kept = format!(
        "{}: the pool is no longer configured, a pod still holds it",
        VF[1]
    );
    assert_eq!(world.pass(&held), [vec![kept.as_str()], vec![VF[0], VF[2]]]);
    world.restart();
    assert_eq!(world.pass(&held), [vec![kept.as_str()], vec![VF[0], VF[2]]]);
    world.configure(NET);
    assert_eq!(world.pass(&held), [VF], "the edit is taken back");
    world.configure(r#"{"resourceName":"other","selectors":{"pfNames":["pf0"]}}"#);
    assert_eq!(world.pass(&[]), [VF], "only the new pool is left");
}

#[test]
fn a_carrier_that_goes_matters_only_to_pools_that_ask_and_only_while_it_is_gone() {
    let mut world = World::new(NET);
    // The PF of the fixture's network has no carrier.
    assert_eq!(world.pass(&[]), [VF]);
    world.configure(
        r#"{"resourceName":"net","selectors":{"pfNames":["pf0"]},"health":{"carrier":true}}"#,
    );
    let down: Vec<String> = VF
        .iter()
        .map(|vf| format!("{vf}: pf0 has no carrier"))
        .collect();
    assert_eq!(world.pass(&[]), std::slice::from_ref(&down));
    assert_eq!(world.pass(&[("x.org/net", VF[1])]), [down]);
    world.configure(NET);
    assert_eq!(world.pass(&[("x.org/net", VF[1])]), [VF]);
}

#[test]
fn a_vfio_group_that_cannot_be_opened_makes_its_device_unhealthy_until_it_can() {
    let mut world = World::new(NET);
    let member = "kernel/iommu_groups/17/devices/0000:18:02.1";
    world.fake.file(member, "");
    let busy = format!(
        "{}: 0000:18:02.1 in its IOMMU group 17 belongs to driver iavf",
        VF[2]
    );
    assert_eq!(world.pass(&[]), [[VF[0], VF[1], &busy]]);
    world.configure(
        r#"{"resourceName":"net","selectors":{"pfNames":["pf0"]},"health":{"vfioGroup":false}}"#,
    );
    assert_eq!(world.pass(&[]), [VF]);
    world.configure(NET);
    world.fake.remove(member);
    assert_eq!(world.pass(&[]), [VF]);
}

#[test]
fn a_pool_may_not_care_about_drivers() {
    let mut world = World::new(
        r#"{"resourceName":"net","selectors":{"pfNames":["pf0"]},"health":{"driver":false}}"#,
    );
    let held = [("x.org/net", VF[1])];
    world.pass(&held);
    world.fake.set_driver(VF[1], Some("vfio-pci"));
    world.fake.link(
        format!("bus/pci/devices/{}/iommu_group", VF[1]),
        "../../../../kernel/iommu_groups/17",
    );
    assert_eq!(world.pass(&held), [VF]);
}
