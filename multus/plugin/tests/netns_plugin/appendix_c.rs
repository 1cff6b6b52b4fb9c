//! The worked example of GC and the ideas for tests that Go multus would fail (spec/multus.md, appendix C4 and C5),
//! as far as other files of these tests do not have them.

use serde_json::{Value, json};

use crate::add::planned;
use crate::daemon::{Daemon, accepted, plan, primary, secondary};

/// Network `name` of delegate `kind`, new enough for GC.
fn network(kind: &str, name: &str, ifname: &str) -> Value {
    let mut network = secondary(kind, ifname);
    network["name"] = json!(format!("d/{name}"));
    network["config"] = json!({"cniVersion": "1.1.0", "name": name, "type": kind});
    network
}

fn cbr0() -> Value {
    let mut default = primary();
    default["config"]["cniVersion"] = json!("1.1.0");
    default
}

/// c1 has cbr0, sriov-a on dpdk0 and macvlan-b on net2; c9, whose namespace is gone, cbr0 and macvlan-b on net1.
#[test]
fn c4_gc_collects_the_stale_sandbox_and_tells_each_network_its_own_valid_attachments() {
    let mut device = network("one", "sriov-a", "dpdk0");
    let elsewhere = tempfile::tempdir().unwrap();
    let kept = elsewhere.path().join("d-sriov-a-c1_dpdk0");
    std::fs::write(&kept, "{}").unwrap();
    device["device_info"] = json!({"target": kept});
    let (mut node, _sandbox, _daemon) =
        planned(&[cbr0(), device, network("two", "macvlan-b", "net2")]);
    node.call_for("c1", "ADD", &node.asking()).ok();

    std::fs::create_dir(node.path("run9")).unwrap();
    let info = node.path("devinfo/cni/d-macvlan-b-c9_net1");
    let mut stale = network("two", "macvlan-b", "net1");
    stale["device_info"] = json!({"target": info});
    let _nine = Daemon::start(
        &node.path("run9/multus.sock"),
        plan(&[cbr0(), stale]),
        accepted(),
    );
    let mut conf = node.asking();
    conf["daemonSocketDir"] = json!(node.path("run9"));
    let gone = host::testing::netns::fresh();
    let alive = std::mem::replace(&mut node.netns, gone.netns.path().display().to_string());
    node.call_for("c9", "ADD", &conf).ok();
    node.write("devinfo/cni/d-macvlan-b-c9_net1", "{}");
    node.netns = alive;
    drop(gone);
    crate::gc::age(&node, "c9");
    node.forget_order();

    node.call("GC", &crate::gc::gc_conf(&node, &["c1"])).ok();
    assert_eq!(
        node.order(),
        [
            "DEL two net1",
            "DEL primary eth0",
            "GC primary ",
            "GC one ",
            "GC two "
        ]
    );
    let container = node.env_of("DEL", "two", "net1", "CNI_CONTAINERID");
    assert_eq!(container.as_deref(), Some("c9"));
    for (delegate, ifname) in [("primary", "eth0"), ("one", "dpdk0"), ("two", "net2")] {
        assert_eq!(
            crate::gc::valid_of(&node, delegate),
            json!([{"containerID": "c1", "ifname": ifname}]),
            "{delegate}"
        );
    }
    assert!(!info.exists() && !node.path("state/journal/c9").exists());
    assert!(node.path("state/journal/c1").exists() && kept.exists());
}

/// The other one's addresses would be collected if each were told of its own attachments only.
#[test]
fn c4_two_nads_with_one_network_name_are_told_of_both_ones_attachments() {
    let (node, _sandbox, _daemon) = planned(&[
        cbr0(),
        network("one", "shared", "net1"),
        network("two", "shared", "net2"),
    ]);
    node.call("ADD", &node.asking()).ok();
    node.forget_order();
    node.call("GC", &crate::gc::gc_conf(&node, &["c1"])).ok();
    let told: Vec<_> = node
        .order()
        .into_iter()
        .filter(|call| !call.contains("primary"))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        crate::gc::valid_of(&node, "one"),
        json!([{"containerID": "c1", "ifname": "net1"}, {"containerID": "c1", "ifname": "net2"}])
    );
}

/// A GC that begins while a delegate of an ADD is at work must not take the half made sandbox for a stale one.
#[test]
fn c4_a_sandbox_in_the_middle_of_add_is_not_collected() {
    let (node, _sandbox, _daemon) = planned(&[cbr0(), network("one", "n", "net1")]);
    let conf = crate::gc::gc_conf(&node, &[]);
    node.write("gc.json", &conf.to_string());
    let gc = format!(
        "CNI_COMMAND=GC {} < {} > {} 2>&1\n",
        node.program.display(),
        node.path("gc.json").display(),
        node.path("gc.answer").display()
    );
    // The delegate itself calls GC, as a runtime could at that very moment.
    node.behave("one", "ADD", &gc);
    node.call("ADD", &node.asking()).ok();
    assert_eq!(node.order(), ["ADD primary eth0", "ADD one net1"]);
    let answer = std::fs::read_to_string(node.path("gc.answer")).unwrap();
    assert!(answer.contains("GC does nothing"), "{answer}");
    assert!(node.path("state/journal/c1").exists());
}

/// Go multus takes every default route away, that of eth0 included (Q16).
#[test]
fn c5_an_empty_default_route_keeps_the_networks_own_and_takes_the_default_networks() {
    let mut default = cbr0();
    default["keep_default_route"] = json!({"v4": false, "v6": true});
    let mut one = network("one", "n", "net1");
    one["gateways"] = json!([]);
    one["keep_default_route"] = json!({"v4": true, "v6": true});
    let (node, sandbox, daemon) = planned(&[default, one]);
    for (delegate, name, number, metric) in [("primary", "eth0", 1, 0), ("one", "net1", 2, 5)] {
        let shell = format!(
            "nsenter --net={path} sh -c 'ip link add {name} type veth peer name peer{number} && \
             ip link set {name} up && ip link set peer{number} up && \
             ip addr add 10.{number}.0.5/24 dev {name} && ip addr add fd00:{number}::5/64 nodad dev {name} && \
             ip route add default via 10.{number}.0.1 dev {name} metric {metric} && \
             ip -6 route add default via fd00:{number}::1 dev {name} metric {number}' || exit 9\n",
            path = sandbox.netns.path().display()
        );
        node.behave(delegate, "ADD", &shell);
    }
    node.call("ADD", &node.asking()).ok();
    let mut netlink = sandbox.netns.netlink().unwrap();
    let seen = crate::routes::defaults(&mut netlink);
    assert_eq!(
        seen,
        ["10.2.0.1 on net1", "fd00:1::1 on eth0", "fd00:2::1 on net1"]
    );
    let told = &daemon.asked("/report")[0]["attachments"];
    let routes = told[0]["result"].get("routes");
    assert!(routes.is_none_or(|routes| routes == &json!([])), "{told}");
}
