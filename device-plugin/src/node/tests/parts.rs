//! What sits below PCI functions: sub-functions and vDPA devices.

use super::*;

const PF: &str = "pci 0000:af:00.0{15b3:1017, 0200, drv=mlx5_core, numa=1, net=[pf1, rep], vfs=8/0, port rep=pf1sf88}
    aux mlx5_core.sf.10{on=0000:af:00.0, sfnum=88, net=[sfnet], ib=[mlx5_9]}
    aux mlx5_core.sf.2{on=0000:af:00.0, sfnum=7}
    aux mlx5_core.eth.0{on=0000:af:00.0}
    aux mlx5_core.rdma.0{on=0000:af:00.0}";

#[test]
fn d10_sub_functions_have_the_facts_of_their_function_and_a_name_and_number_of_their_own() {
    let node = observe(&format!(
        "{PF}
         pci 0000:b0:00.0{{15b3:1017, 0200, drv=mlx5_core, net=[pf2]}}
         pci 0000:b1:00.0{{15b3:1017, 0700, drv=serial}}
         aux serial.sf.1{{on=0000:b1:00.0, sfnum=1}}"
    ));
    assert_eq!(
        addresses_of(&node, DeviceType::AuxNetDevice),
        ["mlx5_core.sf.2", "mlx5_core.sf.10"]
    );
    assert!(node.skipped.is_empty(), "{:?}", node.skipped);
    let sf = function(&node, "mlx5_core.sf.10");
    assert_eq!((sf.vendor, sf.device, sf.numa), (0x15b3, 0x1017, Some(1)));
    assert_eq!(sf.driver.as_deref(), Some("mlx5_core"));
    assert_eq!(
        (&sf.interfaces[..], &sf.rdma[..]),
        (&["sfnet".to_owned()][..], &["mlx5_9".to_owned()][..])
    );
    let parent = sf.parent.as_ref().unwrap();
    assert_eq!(
        (parent.index, &parent.pf.names[..]),
        (Some(88), &["pf1".to_owned()][..])
    );
    assert_eq!(sf.address.to_string(), "0000:af:00.0");
}

fn addresses_of(node: &Node, kind: DeviceType) -> Vec<String> {
    node.functions
        .iter()
        .filter(|function| function.kind == kind)
        .map(|function| function.id.to_string())
        .collect()
}

#[test]
fn s16_the_pf_of_a_sub_function_is_its_uplink_else_its_interface_else_nameless() {
    let names = |net: &str| {
        let node = observe(&format!(
            "pci 0000:af:00.0{{15b3:1017, 0200, drv=mlx5_core{net}}}
             aux mlx5_core.sf.2{{on=0000:af:00.0, sfnum=7}}"
        ));
        let sf = function(&node, "mlx5_core.sf.2");
        sf.parent.as_ref().unwrap().pf.names.clone()
    };
    assert_eq!(names(", net=[en0, p0], port p0=p0, switch p0=1a"), ["p0"]);
    assert_eq!(names(", net=[pf1]"), ["pf1"]);
    // The Go plugin drops such a sub-function; a selector by name does not match it here, others do.
    assert!(names("").is_empty());
    let fake = FakeSysfs::new();
    fake.file("devices/virtual/x.sf.1/sfnum", "1\n");
    let stray = fake.root().join("devices/virtual/x.sf.1");
    fake.link("bus/auxiliary/devices/x.sf.1", stray);
    let node = scan(&fake.sysfs(), &Network::default()).unwrap();
    assert!(node.functions.is_empty());
    assert_eq!(
        node.skipped,
        ["x.sf.1: an auxiliary device below no PCI function"]
    );
}

#[test]
fn a_sub_function_that_is_made_again_is_another_incarnation() {
    let fake = FakeSysfs::parse(PF);
    let before = scan(&fake.sysfs(), &Network::default()).unwrap();
    set_aside(&fake, "0000:af:00.0/mlx5_core.sf.2");
    fake.add("aux mlx5_core.sf.2{on=0000:af:00.0, sfnum=7}");
    let after = scan(&fake.sysfs(), &Network::default()).unwrap();
    let of = |node| function(node, "mlx5_core.sf.2").incarnation;
    assert_ne!(of(&before), of(&after));
}

#[test]
fn l12_a_function_knows_the_first_vdpa_device_of_its_own() {
    let node = observe(
        "pci 0000:65:00.0{15b3:101d, 0200, drv=mlx5_core}
         pci 0000:65:00.3{15b3:101e, 0200, drv=mlx5_core}
         aux mlx5_core.sf.4{on=0000:65:00.0, sfnum=1}
         vdpa vdpa3{on=0000:65:00.3, drv=vhost_vdpa, node=vhost-vdpa-2}
         vdpa vdpa4{on=0000:65:00.3}
         vdpa vdpa5{on=0000:65:00.0/mlx5_core.sf.4, drv=virtio_vdpa}",
    );
    assert_eq!(function(&node, "0000:65:00.0").vdpa, None);
    let vdpa = Vdpa {
        name: "vdpa3".to_owned(),
        driver: Some("vhost_vdpa".to_owned()),
    };
    assert_eq!(function(&node, "0000:65:00.3").vdpa, Some(vdpa));
}
