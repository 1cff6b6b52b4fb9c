//! G9: CDI, from the file to the names in the answer.

use std::collections::HashMap;

use super::*;

const DPDK: &str = r#""selectors":{"drivers":["vfio-pci"]}"#;

#[test]
fn g9_a_pool_of_vfio_devices() {
    let world = World::new(&pool("dpdk", DPDK));
    let response = world.allocate("dpdk", &[VFIO]);
    assert!(response.devices.is_empty(), "nodes come by name only");
    assert_eq!(names(&response), ["intel.com/net-pci-dpdk=0000:18:02.2"]);
    assert_eq!(
        response.annotations,
        HashMap::from([(
            "cdi.k8s.io/intel.com_dpdk".to_owned(),
            "intel.com/net-pci-dpdk=0000:18:02.2".to_owned()
        )])
    );
    assert!(response.envs["PCIDEVICE_INTEL_COM_DPDK_INFO"].contains("/dev/vfio/17"));
    assert_eq!(
        world.specifications(),
        ["sriov-dp-intel.com-dpdk-0000:18:02.2.json"]
    );
    let path = "cdi/sriov-dp-intel.com-dpdk-0000:18:02.2.json";
    assert_eq!(
        world.read(path),
        concat!(
            r#"{"cdiVersion":"0.5.0","kind":"intel.com/net-pci-dpdk","devices":[{"name":"0000:18:02.2","containerEdits":{"deviceNodes":["#,
            r#"{"path":"/dev/vfio/vfio","hostPath":"/dev/vfio/vfio","permissions":"rw"},"#,
            r#"{"path":"/dev/vfio/17","hostPath":"/dev/vfio/17","permissions":"rw"}]}}]}"#
        )
    );
}

#[test]
fn g9_where_the_names_go_is_chosen() {
    for (answer, field, annotations) in [
        (Answer::Field, 1, 0),
        (Answer::Annotations, 0, 1),
        (Answer::Both, 1, 1),
    ] {
        let world = World::with(FakeSysfs::parse(F1), &pool("dpdk", DPDK), answer);
        let response = world.allocate("dpdk", &[VFIO]);
        assert_eq!(response.cdi_devices.len(), field, "{answer:?}");
        assert_eq!(response.annotations.len(), annotations, "{answer:?}");
    }
}

#[test]
fn g9_a_pool_of_kernel_devices_works_and_needs_nothing_of_the_runtime() {
    let world = World::new(&pool("net", r#""selectors":{"drivers":["iavf"]}"#));
    let response = world.allocate("net", &[KERNEL]);
    assert_eq!(response.envs["PCIDEVICE_INTEL_COM_NET"], KERNEL);
    assert!(response.cdi_devices.is_empty() && response.annotations.is_empty());
    assert!(world.specifications().is_empty());
}

#[test]
fn g9_of_a_mixed_pool_only_devices_with_nodes_are_named() {
    let world = World::new(&pool("net", r#""selectors":{}"#));
    let response = world.allocate("net", &[KERNEL, VFIO]);
    assert_eq!(names(&response), ["intel.com/net-pci-net=0000:18:02.2"]);
    assert_eq!(world.specifications().len(), 1);
}

#[test]
fn g9_two_pools_of_one_prefix_in_one_container_share_no_key_and_no_file() {
    let fake = FakeSysfs::parse(F1);
    fake.add("pci 0000:18:02.1{8086:154c, 0200, drv=vfio-pci, iommu=18, pf=0000:18:00.0}");
    let pools = [
        pool("a", r#""selectors":{"pciAddresses":["18:02.1"]}"#),
        pool("b", r#""selectors":{"pciAddresses":["18:02.2"]}"#),
    ];
    let world = World::with(fake, &pools.join(","), Answer::default());
    let (a, b) = (
        world.allocate("a", &["0000:18:02.1"]),
        world.allocate("b", &["0000:18:02.2"]),
    );
    let keys: Vec<_> = a.annotations.keys().chain(b.annotations.keys()).collect();
    assert_eq!(keys, ["cdi.k8s.io/intel.com_a", "cdi.k8s.io/intel.com_b"]);
    assert_eq!(names(&a), ["intel.com/net-pci-a=0000:18:02.1"]);
    assert_eq!(names(&b), ["intel.com/net-pci-b=0000:18:02.2"]);
    let nodes = |file: &str| nodes(&world.read(&format!("cdi/{file}")));
    assert_eq!(
        nodes("sriov-dp-intel.com-a-0000:18:02.1.json"),
        ["/dev/vfio/vfio", "/dev/vfio/18"]
    );
    assert_eq!(
        nodes("sriov-dp-intel.com-b-0000:18:02.2.json"),
        ["/dev/vfio/vfio", "/dev/vfio/17"]
    );
}

#[test]
fn g9_nodes_that_were_renumbered_are_fresh_at_the_next_allocation() {
    let fake = FakeSysfs::parse(F1);
    let number = |number: u8| {
        fake.remove("class/infiniband_verbs");
        fake.file(
            format!("class/infiniband_verbs/uverbs{number}/ibdev"),
            "mlx5_3\n",
        );
    };
    number(4);
    let root = fake.sysfs();
    let world = World::with(
        FakeSysfs::parse(F1),
        &pool("rdma", r#""selectors":{"isRdma":true}"#),
        Answer::default(),
    );
    let give = || {
        let resource = resource("rdma");
        let ids = ["0000:af:00.3".to_owned()];
        let devices = allocate::devices(&resource, &world.listings[&resource], &ids).unwrap();
        let roots = Roots {
            sysfs: root.clone(),
            dev: world.directory.path().join("dev"),
        };
        let access = access::access(&roots, devices[0]).unwrap();
        world.handover.give(&resource, devices[0], &access).unwrap();
        nodes(&world.read("cdi/sriov-dp-intel.com-rdma-0000:af:00.3.json"))
    };
    assert_eq!(
        give(),
        ["/dev/infiniband/uverbs4", "/dev/infiniband/rdma_cm"]
    );
    number(0);
    assert_eq!(
        give(),
        ["/dev/infiniband/uverbs0", "/dev/infiniband/rdma_cm"]
    );
}

#[test]
fn g9_the_class_tells_the_type() {
    let fake = FakeSysfs::parse(F1);
    fake.add("aux mlx5_core.sf.4{on=0000:af:00.0, sfnum=1, ib=[mlx5_9]}");
    let pools = [
        pool("fec", r#""deviceType":"accelerator","selectors":{}"#),
        pool(
            "sf",
            r#""deviceType":"auxNetDevice","selectors":{"auxTypes":["sf"],"isRdma":true}"#,
        ),
    ];
    let world = World::with(fake, &pools.join(","), Answer::Field);
    assert_eq!(
        names(&world.allocate("fec", &["0000:b1:00.0"])),
        ["intel.com/net-accel-fec=0000:b1:00.0"]
    );
    assert_eq!(
        names(&world.allocate("sf", &["mlx5_core.sf.4"])),
        ["intel.com/net-sf-sf=mlx5_core.sf.4"]
    );
}

#[test]
fn g9_without_an_iommu_the_container_sees_another_name() {
    let fake = FakeSysfs::parse(F1);
    fake.add("pci 0000:18:02.2{8086:154c, 0200, drv=vfio-pci, iommu=1!noiommu, pf=0000:18:00.0}");
    let world = World::with(fake, &pool("dpdk", DPDK), Answer::default());
    world.allocate("dpdk", &[VFIO]);
    assert_eq!(
        nodes(&world.read("cdi/sriov-dp-intel.com-dpdk-0000:18:02.2.json")),
        ["/dev/vfio/vfio", "/dev/vfio/1</dev/vfio/noiommu-1"]
    );
}

#[test]
fn a_pool_may_keep_to_paths_or_be_the_only_one_with_names() {
    let world = World::new(&pool("dpdk", &format!(r#"{DPDK},"cdi":false"#)));
    let response = world.allocate("dpdk", &[VFIO]);
    assert_eq!(response.devices.len(), 2);
    assert!(response.cdi_devices.is_empty() && world.specifications().is_empty());
    let mut world = World::new(&pool("dpdk", &format!(r#"{DPDK},"cdi":true"#)));
    world.handover.cdi = Cdi::new(Settings {
        directory: world.directory.path().join("cdi"),
        ..Settings::default()
    });
    assert_eq!(names(&world.allocate("dpdk", &[VFIO])).len(), 1);
}

#[test]
fn correction_d9_the_directory_is_made_and_files_are_for_their_owner_only() {
    let world = World::new(&pool("dpdk", DPDK));
    world.allocate("dpdk", &[VFIO]);
    assert_eq!(world.mode("cdi"), 0o755);
    assert_eq!(
        world.mode("cdi/sriov-dp-intel.com-dpdk-0000:18:02.2.json"),
        0o600
    );
    assert!(world.directory.path().join("devinfo/dp").is_dir());
}

#[test]
fn g8_specifications_stay_for_running_pods_across_restarts_and_go_with_them() {
    let mut world = World::new(&pool("dpdk", DPDK));
    world.allocate("dpdk", &[VFIO]);
    world.restart();
    world.held(&[("dpdk", VFIO)]);
    assert_eq!(world.specifications().len(), 1);
    world.held(&[]);
    assert!(world.specifications().is_empty());
}

#[test]
fn g8_specifications_of_others_are_never_touched() {
    let world = World::new(&pool("dpdk", DPDK));
    let foreign = ["nvidia.yaml", "sriov-dp-intel.com-net-pci-dpdk.yaml"];
    world.allocate("dpdk", &[VFIO]);
    for name in foreign {
        std::fs::write(world.directory.path().join("cdi").join(name), "").unwrap();
    }
    world.held(&[("dpdk", VFIO)]);
    world.held(&[]);
    assert_eq!(world.specifications(), foreign);
}

#[test]
fn a_specification_that_a_reboot_took_is_written_again_for_the_pod_that_still_holds_the_device() {
    let mut world = World::new(&pool("dpdk", DPDK));
    world.allocate("dpdk", &[VFIO]);
    host::file::remove_tree(&world.directory.path().join("cdi")).unwrap();
    world.restart();
    let held = world.held(&[("dpdk", VFIO)]);
    world
        .handover
        .restore(&world.roots(), &world.listings, &held);
    assert_eq!(
        nodes(&world.read("cdi/sriov-dp-intel.com-dpdk-0000:18:02.2.json")),
        ["/dev/vfio/vfio", "/dev/vfio/17"]
    );
}

#[test]
fn a_device_that_came_back_to_the_kernel_loses_its_specification() {
    let mut world = World::new(&pool("net", r#""selectors":{}"#));
    world.allocate("net", &[VFIO]);
    world.fake.set_driver(VFIO, Some("iavf"));
    world.configure(&pool("net", r#""selectors":{}"#));
    assert!(world.allocate("net", &[VFIO]).cdi_devices.is_empty());
    assert!(world.specifications().is_empty());
}

#[test]
fn names_that_cdi_and_kubernetes_cannot_take_are_made_fit() {
    let long = "n".repeat(60);
    let pools = [format!(
        r#"{{"resourceName":"{long}",{DPDK},"resourcePrefix":"3com.com"}}"#
    )];
    let world = World::new(&pools.join(","));
    let (resource, listing) = world.listings.first_key_value().unwrap();
    let devices = allocate::devices(resource, listing, &[VFIO.to_owned()]).unwrap();
    let access = access::access(&world.roots(), devices[0]).unwrap();
    let names = world.handover.cdi.names(resource, &[(devices[0], access)]);
    assert_eq!(
        names.devices[0].name,
        format!("sriov.3com.com/net-pci-{long}={VFIO}")
    );
    let key = names.annotations.keys().next().unwrap();
    let name = key.strip_prefix("cdi.k8s.io/").unwrap();
    assert_eq!(name.len(), 63);
    assert!(name.starts_with("nnn") && name.ends_with(|last: char| last.is_ascii_hexdigit()));
}
