//! G7: DeviceInfo of every kind of device.

use super::*;

const FILE: &str = "devinfo/dp/intel.com-net-0000:65:00.3-device.json";

fn vdpa(kind: &str, driver: &str) -> World {
    let fake = FakeSysfs::parse(&format!(
        "pci 0000:65:00.3{{15b3:101e, 0200, drv=mlx5_core}}
         vdpa vdpa7{{on=0000:65:00.3, drv={driver}, node=vhost-vdpa-2}}"
    ));
    let rest = format!(r#""selectors":{{"vdpaType":"{kind}"}}"#);
    World::with(fake, &pool("net", &rest), Answer::default())
}

#[test]
fn g7_the_file_of_a_pci_device() {
    let world = World::new(&pool("net", r#""selectors":{}"#));
    world.allocate("net", &[KERNEL]);
    let path = format!("devinfo/dp/intel.com-net-{KERNEL}-device.json");
    assert_eq!(
        world.read(&path),
        r#"{"type":"pci","version":"1.1.0","pci":{"pci-address":"0000:18:02.0"}}"#
    );
    assert_eq!(world.mode(&path), 0o444);
}

#[test]
fn g7_rdma_devices_are_named_and_a_second_allocation_overwrites() {
    let world = World::new(&pool("net", r#""selectors":{"isRdma":true}"#));
    let path = "devinfo/dp/intel.com-net-0000:af:00.3-device.json";
    world.allocate("net", &["0000:af:00.3"]);
    assert!(world.read(path).contains(r#""rdma-device":"mlx5_3""#));
    world
        .fake
        .directory("bus/pci/devices/0000:af:00.3/infiniband/mlx5_8");
    world.allocate("net", &["0000:af:00.3"]);
    assert_eq!(
        world.read(path),
        r#"{"type":"pci","version":"1.1.0","pci":{"pci-address":"0000:af:00.3","rdma-device":"mlx5_3,mlx5_8"}}"#
    );
}

#[test]
fn g7_the_file_of_a_vhost_vdpa_device() {
    let world = vdpa("vhost", "vhost_vdpa");
    world.allocate("net", &["0000:65:00.3"]);
    assert_eq!(
        world.read(FILE),
        r#"{"type":"vdpa","version":"1.1.0","vdpa":{"parent-device":"vdpa7","driver":"vhost","path":"/dev/vhost-vdpa-2","pci-address":"0000:65:00.3"}}"#
    );
    assert_eq!(world.mode(FILE), 0o444);
}

#[test]
fn g7_the_file_of_a_virtio_vdpa_device_has_no_path() {
    let fake = FakeSysfs::parse(
        "pci 0000:65:00.3{15b3:101e, 0200, drv=mlx5_core}
         vdpa vdpa7{on=0000:65:00.3, drv=virtio_vdpa}",
    );
    let rest = r#""selectors":{"vdpaType":"virtio"}"#;
    let world = World::with(fake, &pool("net", rest), Answer::default());
    world.allocate("net", &["0000:65:00.3"]);
    assert_eq!(
        world.read(FILE),
        r#"{"type":"vdpa","version":"1.1.0","vdpa":{"parent-device":"vdpa7","driver":"virtio","pci-address":"0000:65:00.3"}}"#
    );
}

#[test]
fn g7_the_file_of_a_sub_function_names_its_pf_its_rdma_device_and_its_representor() {
    let fake = FakeSysfs::parse(
        "pci 0000:af:00.0{15b3:1017, 0200, drv=mlx5_core, net=[p1, r7, r88], port p1=p1, port r7=pf1sf7, port r88=pf1sf88}
         aux mlx5_core.sf.4{on=0000:af:00.0, sfnum=88, ib=[mlx5_9]}
         aux mlx5_core.sf.5{on=0000:af:00.0, sfnum=90}",
    );
    let pools = [
        pool(
            "rdma",
            r#""deviceType":"auxNetDevice","selectors":{"auxTypes":["sf"],"isRdma":true}"#,
        ),
        pool(
            "sf",
            r#""deviceType":"auxNetDevice","selectors":{"auxTypes":["sf"]}"#,
        ),
    ];
    let world = World::with(fake, &pools.join(","), Answer::default());
    world.allocate("rdma", &["mlx5_core.sf.4"]);
    world.allocate("sf", &["mlx5_core.sf.5"]);
    assert_eq!(
        world.read("devinfo/dp/intel.com-rdma-mlx5_core.sf.4-device.json"),
        r#"{"type":"pci","version":"1.1.0","pci":{"rdma-device":"mlx5_9","pf-pci-address":"0000:af:00.0","representor-device":"r88"}}"#
    );
    assert_eq!(
        world.read("devinfo/dp/intel.com-sf-mlx5_core.sf.5-device.json"),
        r#"{"type":"pci","version":"1.1.0","pci":{"pf-pci-address":"0000:af:00.0"}}"#
    );
}

#[test]
fn an_accelerator_has_no_device_info() {
    let world = World::new(&pool("fec", r#""deviceType":"accelerator","selectors":{}"#));
    world.allocate("fec", &["0000:b1:00.0"]);
    assert!(!world.directory.path().join("devinfo").exists());
}

#[test]
fn g8_the_device_info_of_a_held_device_is_written_again_after_a_reboot() {
    let mut world = World::new(&pool("net", r#""selectors":{}"#));
    let path = format!("devinfo/dp/intel.com-net-{KERNEL}-device.json");
    for _ in 0..2 {
        world.restart();
        let held = world.held(&[("net", KERNEL)]);
        world
            .handover
            .restore(&world.roots(), &world.listings, &held);
        assert!(world.read(&path).contains(KERNEL));
    }
    // A device that nobody holds gets none.
    assert_eq!(
        host::file::list(&world.directory.path().join("devinfo/dp"))
            .unwrap()
            .len(),
        1
    );
}
