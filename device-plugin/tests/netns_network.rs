//! The node's own interfaces on the real kernel, in a network namespace of the test's own.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use host::{
    netlink::{Netlink, create::NewLink, link::LinkChange, route::Route},
    testing::{netns::own_netlink, sysfs::FakeSysfs},
};
use sriovdp::{
    node::{Network, scan},
    watch::{self, Topics},
};
use tokio_util::sync::CancellationToken;

/// Two functions whose interfaces are eth0 and eth1.
const NICS: &str = "pci 0000:04:00.0{8086:1521, 0200, drv=igb, net=[eth0]}
    pci 0000:04:00.1{8086:1521, 0200, drv=igb, net=[eth1]}";

fn index(netlink: &mut Netlink, name: &str) -> u32 {
    netlink.link_by_name(name).unwrap().unwrap().index
}

fn create(netlink: &mut Netlink, name: &str, link: NewLink<'_>) -> u32 {
    netlink.create_link(name, link).unwrap();
    let index = index(netlink, name);
    let up = LinkChange {
        up: Some(true),
        ..LinkChange::default()
    };
    netlink.change_link(index, &up).unwrap();
    index
}

fn default_route(netlink: &mut Netlink, destination: &str, index: u32) {
    netlink
        .add_route(&Route::new(destination.parse().unwrap(), index, None))
        .unwrap();
}

fn host_nics() -> Vec<String> {
    let fake = FakeSysfs::parse(NICS);
    let node = scan(&fake.sysfs(), &Network::observe().unwrap()).unwrap();
    node.functions
        .iter()
        .filter_map(|function| function.host_nic.clone())
        .collect()
}

#[test]
fn d7_an_ipv4_default_route_over_a_bridge_protects_the_interface_below() {
    let mut netlink = own_netlink();
    let eth0 = create(&mut netlink, "eth0", NewLink::Veth { peer: "peer0" });
    create(&mut netlink, "eth1", NewLink::Veth { peer: "peer1" });
    let bridge = create(&mut netlink, "br0", NewLink::Bridge);
    netlink.set_controller(eth0, bridge).unwrap();
    assert!(host_nics().is_empty());
    default_route(&mut netlink, "0.0.0.0/0", bridge);
    assert_eq!(host_nics(), ["eth0"]);
}

#[test]
fn d7_an_ipv6_default_route_over_a_macvlan_protects_the_interface_below() {
    let mut netlink = own_netlink();
    create(&mut netlink, "eth0", NewLink::Veth { peer: "peer0" });
    let eth1 = create(&mut netlink, "eth1", NewLink::Veth { peer: "peer1" });
    let above = create(&mut netlink, "macvlan0", NewLink::MacVlan { lower: eth1 });
    default_route(&mut netlink, "::/0", above);
    assert_eq!(host_nics(), ["eth1"]);
}

#[test]
fn d7_an_ipv4_default_route_on_the_interface_itself_protects_it() {
    let mut netlink = own_netlink();
    let eth0 = create(&mut netlink, "eth0", NewLink::Veth { peer: "peer0" });
    default_route(&mut netlink, "0.0.0.0/0", eth0);
    assert_eq!(host_nics(), ["eth0"]);
}

#[test]
fn a_route_that_comes_later_is_announced() {
    let mut netlink = own_netlink();
    let eth0 = create(&mut netlink, "eth0", NewLink::Veth { peer: "peer0" });
    let topics = Topics::default();
    let stop = CancellationToken::new();
    watch::start(topics.clone(), &[], &[], stop.clone()).unwrap();
    let mut routes = topics.routes.subscribe();
    default_route(&mut netlink, "0.0.0.0/0", eth0);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let limit = Duration::from_secs(20);
        tokio::time::timeout(limit, routes.changed())
            .await
            .unwrap()
            .unwrap();
    });
    stop.cancel();
}

/// What a daemon sees of its pool `net`, whose PF is the veth pf0.
fn health(listing: &sriovdp::inventory::Listing) -> Vec<String> {
    let show = |listed: &sriovdp::inventory::Listed| match &listed.unwell {
        None => "Healthy".to_owned(),
        Some(reason) => reason.to_string(),
    };
    listing.values().map(show).collect()
}

#[test]
fn g11_a_carrier_that_goes_and_comes_is_announced_and_seen() {
    let mut netlink = own_netlink();
    create(&mut netlink, "pf0", NewLink::Veth { peer: "cable" });
    let cable = index(&mut netlink, "cable");
    let fake = FakeSysfs::parse(
        "pci 0000:18:00.0{8086:1572, 0200, drv=i40e, net=[pf0], vfs=1/1, virtfn 0=0000:18:02.0}
         pci 0000:18:02.0{8086:154c, 0200, drv=iavf, pf=0000:18:00.0}",
    );
    let text = br#"{"resourceList":[{"resourceName":"net","selectors":{"pfNames":["pf0"]},"health":{"carrier":true}}]}"#;
    let defaults = sriovdp::config::Defaults {
        prefix: "x.org".to_owned(),
        socket_directory: "/".into(),
    };
    let config = sriovdp::config::load(text, &defaults).unwrap().config;
    let look = || {
        let network = Network::observe().unwrap();
        let node = scan(&fake.sysfs(), &network).unwrap();
        let plan = sriovdp::plan::plan(&config, &node);
        let signs = sriovdp::health::observe(&fake.sysfs(), &network, &node);
        let seen = sriovdp::inventory::Seen {
            config: &config,
            plan: &plan,
            node: &node,
            signs: &signs,
        };
        let mut inventory = sriovdp::inventory::Inventory::default();
        health(&inventory.apply(&seen, &std::collections::BTreeMap::new())[&config.pools[0].name])
    };
    let topics = Topics::default();
    let stop = CancellationToken::new();
    watch::start(topics.clone(), &[], &[], stop.clone()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for (up, expected) in [
        (true, "Healthy"),
        (false, "pf0 has no carrier"),
        (true, "Healthy"),
    ] {
        let mut network = topics.routes.subscribe();
        let change = LinkChange {
            up: Some(up),
            ..LinkChange::default()
        };
        netlink.change_link(cable, &change).unwrap();
        runtime.block_on(async {
            let seen = async {
                while look() != [expected] {
                    network.changed().await.unwrap();
                }
            };
            tokio::time::timeout(Duration::from_secs(20), seen)
                .await
                .unwrap();
        });
    }
    stop.cancel();
}
