//! Observation on fake trees: the readers of spec/device-plugin.md §8.3 as far as they show in a scan
//! (the readers themselves are tested in `host`), and what makes a function the node's own (D7, D8).

use host::{
    netlink::{link::Link, route::Hop, route::Route},
    testing::sysfs::{F1, FakeSysfs},
};

use super::*;

mod devlink;
mod parts;
mod readers;

/// A link as netlink tells it.
pub(crate) fn link(index: u32, name: &str) -> Link {
    Link {
        index,
        name: name.to_owned(),
        link_type: 1,
        ..Link::default()
    }
}

/// A default route of one family through an interface.
pub(crate) fn default_route(destination: &str, index: u32) -> Route {
    Route::new(destination.parse().unwrap(), index, None)
}

/// The network of F1: every interface, an IPv4 default route through mgmt0.
pub(crate) fn f1_network() -> Network {
    let names = ["mgmt0", "pf0", "pf1", "pf0v0", "pf0v1"];
    let links: Vec<Link> = (1..)
        .zip(names)
        .map(|(index, name)| link(index, name))
        .collect();
    Network::new(&links, &[default_route("0.0.0.0/0", 1)])
}

/// F1 as observed.
pub(crate) fn f1() -> Node {
    scan(&FakeSysfs::parse(F1).sysfs(), &f1_network()).unwrap()
}

/// Removes a function from the bus. Its directory lives on elsewhere, so that the file system does not
/// give its number to the next one, which sysfs never does.
pub(crate) fn set_aside(fake: &FakeSysfs, address: &str) {
    let (from, to) = (
        format!("bus/pci/devices/{address}"),
        format!("gone-{}", address.replace('/', "-")),
    );
    fake.remove(&to);
    host::file::rename(&fake.root().join(from), &fake.root().join(to)).unwrap();
}

pub(crate) fn addresses(node: &Node) -> Vec<String> {
    node.functions
        .iter()
        .map(|function| function.address.to_string())
        .collect()
}

pub(crate) fn function(node: &Node, address: &str) -> Arc<Function> {
    Arc::clone(node.function(&address.parse().unwrap()).unwrap())
}

fn observe(notation: &str) -> Node {
    scan(&FakeSysfs::parse(notation).sysfs(), &f1_network()).unwrap()
}

#[test]
fn d1_an_empty_bus_has_no_functions_and_is_no_error() {
    assert_eq!(observe(""), Node::default());
}

#[test]
fn only_network_controllers_and_accelerators_are_seen() {
    assert_eq!(
        addresses(&f1()),
        [
            "0000:04:00.0",
            "0000:18:00.0",
            "0000:18:02.0",
            "0000:18:02.1",
            "0000:18:02.2",
            "0000:af:00.0",
            "0000:af:00.2",
            "0000:af:00.3",
            "0000:b1:00.0"
        ]
    );
}

#[test]
fn a_vf_knows_its_pf_by_address_index_and_interface() {
    let vf = function(&f1(), "0000:18:02.1");
    let parent = vf.parent.as_ref().unwrap();
    assert_eq!(parent.pf.address.to_string(), "0000:18:00.0");
    assert_eq!(parent.pf.names, ["pf0"]);
    assert_eq!(parent.index, Some(1));
    assert_eq!((vf.vendor, vf.device, vf.numa), (0x8086, 0x154c, Some(0)));
}

#[test]
fn s1_a_physfn_that_is_a_file_drops_that_function_only() {
    let fake = FakeSysfs::parse(F1);
    fake.remove("bus/pci/devices/0000:18:02.0/physfn");
    fake.file("bus/pci/devices/0000:18:02.0/physfn", "");
    let node = scan(&fake.sysfs(), &f1_network()).unwrap();
    assert_eq!(node.functions.len(), 8);
    assert_eq!(node.skipped.len(), 1);
    assert!(
        node.skipped[0].contains("0000:18:02.0/physfn"),
        "{:?}",
        node.skipped
    );
}

#[test]
fn s3_a_missing_or_unreadable_vf_count_is_zero() {
    let node = observe(
        "pci 0000:01:00.0{8086:1572, 0200, drv=i40e, vfs=64/junk}
         pci 0000:02:00.0{8086:1572, 0200, drv=i40e, vfs=64/32}
         pci 0000:03:00.0{8086:1572, 0200, drv=i40e}",
    );
    let counts: Vec<u32> = node.functions.iter().map(|function| function.vfs).collect();
    assert_eq!(counts, [0, 32, 0]);
}

#[test]
fn s7_the_index_of_a_vf_is_numeric_and_absent_if_its_pf_does_not_list_it() {
    let node = observe(
        "pci 0000:01:00.0{8086:1572, 0200, drv=i40e, vfs=64/12, virtfn 0..10=0000:01:02.0, virtfn 11=0000:01:04.0}
         pci 0000:01:02.2{8086:154c, 0200, drv=iavf, pf=0000:01:00.0}
         pci 0000:01:03.2{8086:154c, 0200, drv=iavf, pf=0000:01:00.0}
         pci 0000:01:05.0{8086:154c, 0200, drv=iavf, pf=0000:01:00.0}",
    );
    let index = |address| function(&node, address).parent.as_ref().unwrap().index;
    assert_eq!(index("0000:01:02.2"), Some(2));
    assert_eq!(index("0000:01:03.2"), Some(10));
    assert_eq!(index("0000:01:05.0"), None);
}

#[test]
fn s6_and_a13_a_numa_node_that_is_negative_or_missing_is_unknown() {
    let node = observe(
        "pci 0000:01:00.0{8086:154c, 0200, drv=iavf, numa=-1}
         pci 0000:02:00.0{8086:154c, 0200, drv=iavf}
         pci 0000:03:00.0{8086:154c, 0200, drv=iavf, numa=1}",
    );
    let nodes: Vec<Option<u32>> = node
        .functions
        .iter()
        .map(|function| function.numa)
        .collect();
    assert_eq!(nodes, [None, None, Some(1)]);
}

#[test]
fn s12_a_vf_whose_pf_shows_no_interface_is_kept_without_a_name() {
    for net in ["", ", net=[]"] {
        let node = observe(&format!(
            "pci 0000:01:00.0{{8086:1572, 0200, drv=i40e, vfs=8/1, virtfn 0=0000:01:02.0{net}}}
             pci 0000:01:02.0{{8086:154c, 0200, drv=vfio-pci, pf=0000:01:00.0}}"
        ));
        let parent = function(&node, "0000:01:02.0").parent.clone().unwrap();
        assert!(parent.pf.names.is_empty());
        assert_eq!(parent.index, Some(0));
    }
}

#[test]
fn s12_a_net_of_the_pf_that_is_a_file_costs_the_name_only() {
    let fake = FakeSysfs::parse("pci 0000:01:02.0{8086:154c, 0200, drv=vfio-pci, pf=0000:01:00.0}");
    fake.file("bus/pci/devices/0000:01:00.0/net", "");
    let node = scan(&fake.sysfs(), &Network::default()).unwrap();
    let vf = function(&node, "0000:01:02.0");
    assert!(vf.parent.as_ref().unwrap().pf.names.is_empty());
}

#[test]
fn s14_and_s13_the_name_of_a_pf_is_its_physical_port() {
    let node = observe(
        "pci 0000:01:00.0{15b3:1017, 0200, drv=mlx5_core, net=[en7f0pf0sf0, p0, pf0vf0], vfs=8/1, virtfn 0=0000:01:00.2, port p0=p0, switch p0=1a, port pf0vf0=pf0vf0, port en7f0pf0sf0=pf0sf0}
         pci 0000:01:00.2{15b3:1018, 0200, drv=mlx5_core, pf=0000:01:00.0}
         pci 0000:02:00.0{15b3:1017, 0200, drv=mlx5_core, net=[en7f0pf0sf0, ens3f0], vfs=8/1, virtfn 0=0000:02:00.2, port en7f0pf0sf0=pf0sf0}
         pci 0000:02:00.2{15b3:1018, 0200, drv=mlx5_core, pf=0000:02:00.0}",
    );
    let names = |address| {
        function(&node, address)
            .parent
            .as_ref()
            .unwrap()
            .pf
            .names
            .clone()
    };
    assert_eq!(names("0000:01:00.2"), ["p0"]);
    assert_eq!(names("0000:02:00.2"), ["ens3f0"]);
}

#[test]
fn alternative_names_of_a_pf_are_names_of_it() {
    let mut pf0 = link(1, "pf0");
    pf0.alt_names = vec!["enp24s0f0".to_owned()];
    let node = scan(&FakeSysfs::parse(F1).sysfs(), &Network::new(&[pf0], &[])).unwrap();
    let vf = function(&node, "0000:18:02.0");
    assert_eq!(vf.parent.as_ref().unwrap().pf.names, ["pf0", "enp24s0f0"]);
}

#[test]
fn l9_a_vf_without_an_interface_has_the_link_type_of_its_pf() {
    let node = f1();
    assert_eq!(
        function(&node, "0000:18:02.0").link_type.as_deref(),
        Some("ether")
    );
    assert_eq!(
        function(&node, "0000:18:02.2").link_type.as_deref(),
        Some("ether")
    );
}

#[test]
fn s18_one_entry_without_ids_does_not_hide_the_others() {
    let fake = FakeSysfs::parse(F1);
    fake.remove("bus/pci/devices/0000:18:02.0/vendor");
    fake.directory("bus/pci/devices/junk");
    let node = scan(&fake.sysfs(), &f1_network()).unwrap();
    assert_eq!(node.functions.len(), 8);
    assert_eq!(node.skipped.len(), 2);
}

#[test]
fn s19_an_address_with_a_domain_of_five_digits_is_like_any_other() {
    let node = observe("pci 10000:e1:00.0{8086:1572, 0200, drv=i40e}");
    assert_eq!(addresses(&node), ["10000:e1:00.0"]);
}

#[test]
fn s20_a_partition_key_is_read_for_infiniband_only() {
    let notation = "pci 0000:01:00.2{15b3:1018, 0207, drv=mlx5_core, net=[ib0], ib=[mlx5_2]}";
    let fake = FakeSysfs::parse(notation);
    let pkeys = "bus/pci/devices/0000:01:00.2/infiniband/mlx5_2/ports/1/pkeys/0";
    fake.file(pkeys, "0x8001\n");
    for (link_type, expected) in [(32, Some(1)), (1, None)] {
        let link = Link {
            link_type,
            ..link(1, "ib0")
        };
        let node = scan(&fake.sysfs(), &Network::new(&[link], &[])).unwrap();
        assert_eq!(function(&node, "0000:01:00.2").p_key, expected);
    }
}

#[test]
fn a_function_that_is_made_again_is_another_incarnation() {
    let line = "pci 0000:01:00.2{8086:154c, 0200, drv=iavf}";
    let fake = FakeSysfs::parse(line);
    let before = scan(&fake.sysfs(), &Network::default()).unwrap();
    set_aside(&fake, "0000:01:00.2");
    fake.add(line);
    let after = scan(&fake.sysfs(), &Network::default()).unwrap();
    assert_ne!(
        before.functions[0].incarnation,
        after.functions[0].incarnation
    );
}

fn host_nics(links: &[Link], routes: &[Route]) -> Vec<String> {
    let notation = "pci 0000:04:00.0{8086:1521, 0200, drv=igb, net=[eth0]}
        pci 0000:04:00.1{8086:1521, 0200, drv=igb, net=[eth1]}";
    let node = scan(
        &FakeSysfs::parse(notation).sysfs(),
        &Network::new(links, routes),
    )
    .unwrap();
    node.functions
        .iter()
        .filter_map(|function| function.host_nic.clone())
        .collect()
}

#[test]
fn d7_an_ipv4_and_an_ipv6_default_route_make_an_interface_the_nodes_own() {
    let links = [link(1, "eth0"), link(2, "eth1")];
    assert_eq!(
        host_nics(&links, &[default_route("0.0.0.0/0", 1)]),
        ["eth0"]
    );
    assert_eq!(host_nics(&links, &[default_route("::/0", 2)]), ["eth1"]);
}

#[test]
fn d7_a_default_route_over_bond_vlan_and_bridge_protects_what_is_below() {
    let member = |index, name, controller| Link {
        controller: Some(controller),
        ..link(index, name)
    };
    let bond = [member(1, "eth0", 3), member(2, "eth1", 3), link(3, "bond0")];
    assert_eq!(
        host_nics(&bond, &[default_route("0.0.0.0/0", 3)]),
        ["eth0", "eth1"]
    );
    let vlan = [
        link(1, "eth0"),
        link(2, "eth1"),
        Link {
            lower: Some(2),
            ..link(3, "eth1.5")
        },
    ];
    assert_eq!(host_nics(&vlan, &[default_route("::/0", 3)]), ["eth1"]);
    let bridge = [member(1, "eth0", 3), link(2, "eth1"), link(3, "br0")];
    assert_eq!(
        host_nics(&bridge, &[default_route("0.0.0.0/0", 3)]),
        ["eth0"]
    );
}

#[test]
fn d7_every_next_hop_of_a_multipath_default_route_counts() {
    let mut route = default_route("0.0.0.0/0", 1);
    route.hops.push(Hop {
        gateway: None,
        index: Some(2),
    });
    assert_eq!(
        host_nics(&[link(1, "eth0"), link(2, "eth1")], &[route]),
        ["eth0", "eth1"]
    );
}

#[test]
fn d8_routes_to_subnets_protect_nothing() {
    let routes = [default_route("10.0.0.0/8", 1), default_route("fd00::/8", 2)];
    assert!(host_nics(&[link(1, "eth0"), link(2, "eth1")], &routes).is_empty());
}
