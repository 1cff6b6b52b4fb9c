//! CHECK against prevResult, the VF's attributes and the IPAM plugin.

use cni::version::Version;
use host::netlink::vf::{VfAttribute, VfControl};

use super::*;
use crate::fake::INDEX;

/// A world with an attachment, and the configuration with which CHECK is called.
fn attached(config: &Value) -> (World, Value) {
    let mut world = World::igb();
    world.ipam(GIVES_AN_ADDRESS);
    let result = world.add("c1", NETNS, config).unwrap();
    let mut config = config.clone();
    config["prevResult"] = serde_json::from_str(&result.to_json(Version::V1_1_0).unwrap()).unwrap();
    (world, config)
}

fn check(world: &mut World, config: &Value) -> Result<(), Error> {
    let call = world.call(Command::Check, "c1", NETNS, config);
    super::super::check::check(&world.site, &mut (&mut world.machine), &call)
}

fn with_ipam() -> Value {
    json!({ "vlan": 100, "ipam": { "type": "test-ipam" } })
}

#[test]
fn an_attachment_that_nobody_touched_is_fine() {
    let (mut world, config) = attached(&with_ipam());
    check(&mut world, &config).unwrap();
    assert_eq!(world.ipam_calls().last().unwrap(), "CHECK c1 net1");
}

#[test]
fn check_needs_the_previous_result() {
    let (mut world, mut config) = attached(&with_ipam());
    config["prevResult"] = Value::Null;
    assert_eq!(check(&mut world, &config).unwrap_err().code(), 7);
}

#[test]
fn every_difference_is_named() {
    type Break = fn(&mut World);
    let cases: [(Break, &str); 7] = [
        (
            |world| world.machine.link.as_mut().unwrap().mtu = 1400,
            "mtu of net1 is 1400, expected 1500",
        ),
        (
            |world| world.machine.link.as_mut().unwrap().up = false,
            "state of net1 is down, expected up",
        ),
        (
            |world| "eth9".clone_into(&mut world.machine.link.as_mut().unwrap().name),
            "name of net1 is eth9, expected net1",
        ),
        (
            |world| {
                world
                    .machine
                    .control
                    .set_own_mac(INDEX, "02:00:00:00:00:99".parse().unwrap())
                    .unwrap();
            },
            "address of net1 is 02:00:00:00:00:99, expected 02:00:00:00:00:01",
        ),
        (
            |world| {
                let pf = world.machine.pf();
                let vlan = VfAttribute::Vlan(host::netlink::vf::Vlan::default());
                world.machine.control.set_vf(&pf, INDEX, &[vlan]).unwrap();
            },
            "vf 1 of ens1f0 (0000:3b:00.0) is VLAN 0 QoS 0 802.1q, expected VLAN 100 QoS 0 802.1q",
        ),
        (
            |world| {
                let pod = world.machine.pods.get_mut(&PathBuf::from(NETNS));
                pod.unwrap().addresses.truncate(0);
            },
            "address 192.0.2.5/24 of net1 is absent, expected there",
        ),
        (
            |world| {
                world
                    .machine
                    .pods
                    .get_mut(&PathBuf::from(NETNS))
                    .unwrap()
                    .routes
                    .clear();
            },
            "route to 198.51.100.0/24 is absent, expected through net1",
        ),
    ];
    for (break_it, expected) in cases {
        let (mut world, config) = attached(&with_ipam());
        break_it(&mut world);
        assert_eq!(text(&check(&mut world, &config).unwrap_err()), expected);
    }
}

#[test]
fn what_was_asked_of_the_interface_is_compared_too() {
    type Break = fn(&mut host::netlink::link::Link);
    let asked = json!({ "promisc": true, "allmulti": false, "txQLen": 500 });
    let cases: [(Break, &str); 3] = [
        (
            |link| link.promiscuous = false,
            "promisc of net1 is off, expected on",
        ),
        (
            |link| link.all_multicast = true,
            "allmulti of net1 is on, expected off",
        ),
        (
            |link| link.tx_queue_len = 1000,
            "txQLen of net1 is 1000, expected 500",
        ),
    ];
    for (break_it, expected) in cases {
        let (mut world, config) = attached(&asked);
        check(&mut world, &config).unwrap();
        break_it(world.machine.link.as_mut().unwrap());
        assert_eq!(text(&check(&mut world, &config).unwrap_err()), expected);
    }
    // What nobody asked for is the pod's business.
    let (mut world, config) = attached(&json!({}));
    world.machine.link.as_mut().unwrap().promiscuous = true;
    check(&mut world, &config).unwrap();
}

#[test]
fn an_interface_that_left_the_pod_is_a_difference() {
    let (mut world, config) = attached(&with_ipam());
    world.machine.at = Some(crate::fake::Spot::Host);
    let error = check(&mut world, &config).unwrap_err();
    assert_eq!(
        (error.code(), text(&error).contains("is absent")),
        (107, true)
    );
}

#[test]
fn the_ipam_plugins_answer_is_passed_on() {
    let (mut world, config) = attached(&with_ipam());
    world.ipam(r#"echo '{"code":102,"msg":"lease is gone"}'; exit 1"#);
    assert_eq!(check(&mut world, &config).unwrap_err().code(), 102);
}
