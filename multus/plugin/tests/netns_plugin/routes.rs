//! default-route on the real kernel: replaced per family, read back, told truly.

use std::net::IpAddr;

use host::netlink::Netlink;
use host::netlink::address::{Detection, NewAddress};
use host::netlink::create::NewLink;
use host::netlink::link::LinkChange;
use host::netlink::route::{Family, Route};
use host::testing::netns::{TestNetNs, fresh};
use multus_plugin::sandbox::Sandbox;
use multus_plugin::wire::Families;
use serde_json::json;

use crate::add::planned;
use crate::daemon::{primary, secondary};

/// eth0 and net1, each up with an IPv4 and an IPv6 network, default routes of both families on eth0.
fn dual_stack() -> (TestNetNs, Netlink) {
    let sandbox = fresh();
    let mut netlink = sandbox.netns.netlink().unwrap();
    for (number, name) in [(1, "eth0"), (2, "net1")] {
        add_link(&mut netlink, name, number);
    }
    let eth0 = index(&mut netlink, "eth0");
    for (all, gateway) in [("0.0.0.0/0", "10.1.0.1"), ("::/0", "fd00:1::1")] {
        let route = Route::new(all.parse().unwrap(), eth0, gateway.parse().ok());
        netlink.add_route(&route).unwrap();
    }
    (sandbox, netlink)
}

fn add_link(netlink: &mut Netlink, name: &str, number: u8) {
    let peer = format!("peer{number}");
    netlink
        .create_link(name, NewLink::Veth { peer: &peer })
        .unwrap();
    for end in [name, &peer] {
        let index = index(netlink, end);
        let up = LinkChange {
            up: Some(true),
            ..LinkChange::default()
        };
        netlink.change_link(index, &up).unwrap();
    }
    let index = index(netlink, name);
    for net in [
        format!("10.{number}.0.5/24"),
        format!("fd00:{number}::5/64"),
    ] {
        let address = NewAddress {
            net: net.parse().unwrap(),
            detection: Detection::Skip,
        };
        netlink.add_address(index, address).unwrap();
    }
}

fn index(netlink: &mut Netlink, name: &str) -> u32 {
    netlink.link_by_name(name).unwrap().unwrap().index
}

/// Default routes as `gateway on name`, IPv4 first.
pub(crate) fn defaults(netlink: &mut Netlink) -> Vec<String> {
    let links = netlink.links().unwrap();
    let mut found = Vec::new();
    for family in [Family::V4, Family::V6] {
        for route in netlink
            .routes(Some(family))
            .unwrap()
            .iter()
            .filter(|route| route.is_default())
        {
            for hop in &route.hops {
                let name = links
                    .iter()
                    .find(|link| Some(link.index) == hop.index)
                    .unwrap();
                found.push(format!("{} on {}", hop.gateway.unwrap(), name.name));
            }
        }
    }
    found
}

fn set(
    sandbox: &TestNetNs,
    ifname: &str,
    gateways: &[&str],
    v4: bool,
    v6: bool,
) -> Result<(), String> {
    let path = sandbox.netns.path().display().to_string();
    let gateways: Vec<IpAddr> = gateways
        .iter()
        .map(|gateway| gateway.parse().unwrap())
        .collect();
    let done =
        Sandbox::open(&path)
            .unwrap()
            .set_default_routes(ifname, &gateways, Families { v4, v6 });
    done.map_err(|error| cni::error::chain(&error))
}

#[test]
fn an_ipv4_gateway_moves_the_ipv4_default_route_and_leaves_ipv6_alone() {
    let (sandbox, mut netlink) = dual_stack();
    set(&sandbox, "eth0", &[], false, true).unwrap();
    set(&sandbox, "net1", &["10.2.0.1"], true, true).unwrap();
    assert_eq!(
        defaults(&mut netlink),
        ["10.2.0.1 on net1", "fd00:1::1 on eth0"]
    );
}

#[test]
fn both_families_move_when_both_have_a_gateway() {
    let (sandbox, mut netlink) = dual_stack();
    set(&sandbox, "eth0", &[], false, false).unwrap();
    set(&sandbox, "net1", &["10.2.0.1", "fd00:2::1"], false, false).unwrap();
    assert_eq!(
        defaults(&mut netlink),
        ["10.2.0.1 on net1", "fd00:2::1 on net1"]
    );
}

#[test]
fn a_gateway_replaces_a_default_route_that_another_interface_still_has() {
    let (sandbox, mut netlink) = dual_stack();
    set(&sandbox, "net1", &["10.2.0.1"], true, true).unwrap();
    assert_eq!(
        defaults(&mut netlink),
        ["10.2.0.1 on net1", "fd00:1::1 on eth0"]
    );
}

#[test]
fn keeping_everything_changes_nothing() {
    let (sandbox, mut netlink) = dual_stack();
    let before = defaults(&mut netlink);
    set(&sandbox, "eth0", &[], true, true).unwrap();
    assert_eq!(defaults(&mut netlink), before);
    assert_eq!(before, ["10.1.0.1 on eth0", "fd00:1::1 on eth0"]);
}

#[test]
fn setting_the_same_gateway_twice_is_harmless() {
    let (sandbox, mut netlink) = dual_stack();
    for _ in 0..2 {
        set(&sandbox, "net1", &["10.2.0.1"], false, true).unwrap();
    }
    assert_eq!(
        defaults(&mut netlink),
        ["10.2.0.1 on net1", "fd00:1::1 on eth0"]
    );
}

#[test]
fn a_gateway_that_cannot_be_reached_is_an_error_that_names_it() {
    let (sandbox, _netlink) = dual_stack();
    let error = set(&sandbox, "net1", &["10.99.0.1"], true, true).unwrap_err();
    assert!(
        error.contains("10.99.0.1") && error.contains("net1"),
        "{error}"
    );
}

#[test]
fn a_gateway_on_an_interface_that_is_not_there_is_an_error_and_removing_routes_is_none() {
    let (sandbox, _netlink) = dual_stack();
    assert!(
        set(&sandbox, "dpdk0", &["10.2.0.1"], true, true)
            .unwrap_err()
            .contains("dpdk0")
    );
    set(&sandbox, "dpdk0", &[], false, false).unwrap();
}

#[test]
fn an_add_with_default_route_moves_the_route_and_tells_daemon_and_cache_the_truth() {
    let mut default = primary();
    default["keep_default_route"] = json!({"v4": false, "v6": true});
    let mut one = secondary("one", "net1");
    one["gateways"] = json!(["10.2.0.1"]);
    let (node, sandbox, daemon) = planned(&[default, one]);
    let mut netlink = sandbox.netns.netlink().unwrap();
    let path = sandbox.netns.path().display().to_string();
    for (delegate, name, number) in [("primary", "eth0", 1), ("one", "net1", 2)] {
        let script = format!(
            "nsenter --net={path} sh -c 'ip link add {name} type veth peer name peer{number} && \
             ip link set {name} up && ip link set peer{number} up && \
             ip addr add 10.{number}.0.5/24 dev {name}' || exit 9\n"
        );
        node.behave(delegate, "ADD", &script);
    }
    let shell = std::fs::read_to_string(node.path("behave/primary-ADD")).unwrap();
    let route =
        format!("nsenter --net={path} ip route add default via 10.1.0.1 dev eth0 || exit 9\n");
    node.behave("primary", "ADD", &(shell + &route));
    node.call("ADD", &node.asking()).ok();
    assert_eq!(defaults(&mut netlink), ["10.2.0.1 on net1"]);
    let report = &daemon.asked("/report")[0]["attachments"];
    assert!(
        report[0]["result"]
            .get("routes")
            .is_none_or(|routes| routes == &json!([])),
        "{report}"
    );
    assert_eq!(
        report[1]["result"]["routes"],
        json!([{"dst": "0.0.0.0/0", "gw": "10.2.0.1"}])
    );
    assert_eq!(report[1]["gateways"], json!(["10.2.0.1"]));
    node.call("DEL", &node.asking()).ok();
    let prev = &node.stdin_of("DEL", "one", "net1")["prevResult"];
    assert_eq!(
        prev["routes"],
        json!([{"dst": "0.0.0.0/0", "gw": "10.2.0.1"}])
    );
}
