//! IPAM: addresses reach the pod and the result, and are given back whatever fails.

use std::net::IpAddr;

use nix::errno::Errno;

use super::*;
use crate::record::Phase;

fn with_ipam() -> Value {
    json!({ "vlan": 100, "ipam": { "type": "test-ipam" } })
}

#[test]
fn addresses_and_routes_are_applied_announced_and_told() {
    let mut world = World::igb();
    world.ipam(GIVES_AN_ADDRESS);
    let result = world.add("c1", NETNS, &with_ipam()).unwrap();
    assert!(result.ips.iter().all(|ip| ip.interface == Some(0)));
    assert_eq!(result.dns.nameservers, ["192.0.2.53"]);
    let pod = &world.machine.pods[&PathBuf::from(NETNS)];
    let addresses: Vec<_> = pod
        .addresses
        .iter()
        .map(|address| address.net.to_string())
        .collect();
    assert_eq!(addresses, ["192.0.2.5/24", "2001:db8::5/64"]);
    let hop = pod.routes[0].hops[0];
    assert_eq!(
        hop.gateway,
        Some("192.0.2.1".parse::<IpAddr>().unwrap()),
        "the gateway of the family"
    );
    for key in [
        "ipv4/conf/net1/arp_notify",
        "ipv6/conf/net1/ndisc_notify",
        "ipv6/conf/net1/optimistic_dad",
    ] {
        assert_eq!(
            pod.sysctls.get(&format!("net/{key}")).map(String::as_str),
            Some("1"),
            "{key}"
        );
    }
    let announced: Vec<_> = world
        .machine
        .announced
        .iter()
        .map(|(_, address)| address.to_string())
        .collect();
    assert_eq!(
        announced,
        ["2001:db8::5", "192.0.2.5"],
        "IPv6 before it is tentative"
    );
    world.del("c1", NETNS).unwrap();
    assert_eq!(world.ipam_calls(), ["ADD c1 net1", "DEL c1 net1"]);
}

#[test]
fn an_advertisement_that_comes_back_from_the_nic_does_not_cost_the_address() {
    let mut world = World::igb();
    world.ipam(GIVES_AN_ADDRESS);
    world.machine.reflects = true;
    world.add("c1", NETNS, &with_ipam()).unwrap();
    let at = |text: &str| {
        world
            .machine
            .changes
            .iter()
            .filter(|change| *change == text)
            .count()
    };
    assert_eq!(
        (
            at("delete address 2001:db8::5/64"),
            at("add address 2001:db8::5/64")
        ),
        (1, 2)
    );
    assert_eq!(at("add address 192.0.2.5/24"), 1);
}

#[test]
fn an_ipam_plugin_that_fails_undoes_everything_and_its_code_is_kept() {
    let mut world = World::igb();
    world.ipam(r#"[ "$CNI_COMMAND" = DEL ] && exit 0; echo '{"code":11,"msg":"pool is empty","details":"try tomorrow"}'; exit 1"#);
    let before = world.machine.baseline();
    let error = world.add("c1", NETNS, &with_ipam()).unwrap_err().to_cni();
    assert_eq!(
        (error.code, error.msg.contains("pool is empty")),
        (11, true),
        "{error}"
    );
    assert!(error.details.contains("IPAMFailed"), "{error}");
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn an_ipam_plugin_that_gives_no_address_is_an_error_and_told_to_release() {
    let mut world = World::igb();
    world.ipam(r#"[ "$CNI_COMMAND" = ADD ] && echo '{"cniVersion":"1.1.0"}'; exit 0"#);
    let before = world.machine.baseline();
    let error = world.add("c1", NETNS, &with_ipam()).unwrap_err();
    assert!(
        text(&error).contains("IPAM plugin returned missing IP config"),
        "{}",
        text(&error)
    );
    assert_eq!(world.ipam_calls(), ["ADD c1 net1", "DEL c1 net1"]);
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn an_address_that_the_kernel_refuses_undoes_everything() {
    let mut world = World::igb();
    world.ipam(GIVES_AN_ADDRESS);
    let before = world.machine.baseline();
    world.machine.refuse = Some(("add address 2001".to_owned(), Errno::EACCES));
    let error = world.add("c1", NETNS, &with_ipam()).unwrap_err();
    assert_eq!(error.code(), 105);
    assert!(
        text(&error).starts_with("add address 2001:db8::5/64 on net1: "),
        "{}",
        text(&error)
    );
    assert_eq!(world.ipam_calls(), ["ADD c1 net1", "DEL c1 net1"]);
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn an_ipam_plugin_that_cannot_release_does_not_keep_the_vf_and_is_told_again() {
    let mut world = World::igb();
    world.ipam(GIVES_AN_ADDRESS);
    let before = world.machine.baseline();
    world.add("c1", NETNS, &with_ipam()).unwrap();
    world.ipam(
        r#"echo '{"code":11,"msg":"lease file not found: no such file or directory"}'; exit 1"#,
    );
    let error = world.del("c1", NETNS).unwrap_err();
    assert_eq!(error.code(), 11);
    assert_eq!(world.machine.baseline(), before);
    assert_eq!(world.leftovers(), ["ledger/c1@net1"]);
    let record = world.site.ledger().all().unwrap().remove(0);
    assert_eq!(record.phase, Phase::Released);
    // The VF serves others meanwhile.
    world.machine.start_pod("/run/netns/b");
    world
        .add("c2", "/run/netns/b", &json!({ "vlan": 200 }))
        .unwrap();
    let owned = world.machine.baseline();
    world.ipam("exit 0");
    world.del("c1", NETNS).unwrap();
    assert_eq!(world.machine.baseline(), owned);
    assert!(!world.leftovers().contains(&"ledger/c1@net1".to_owned()));
}

#[test]
fn a_del_error_never_has_words_that_runtimes_take_for_success() {
    let world = World::igb();
    world.ipam(r#"echo '{"code":11,"msg":"lease Not Found: no such file or directory","details":"not found"}'; exit 1"#);
    let call = world.call(Command::Del, "c1", NETNS, &with_ipam());
    let open = || Ok(Box::leak(Box::new(Machine::new(FakeDriver::igb()))));
    let plugin = crate::plugin::Sriov::new(world.site.clone(), open);
    let error = cni::plugin::Plugin::del(&plugin, &call).unwrap_err();
    let told = format!("{} {}", error.msg, error.details).to_lowercase();
    assert!(told.contains("lease absent"), "{told}");
    assert!(
        !told.contains("not found") && !told.contains("no such file"),
        "{told}"
    );
    assert_eq!(error.code, 11);
}

#[test]
fn a_vfio_vf_gets_addresses_reserved_and_told_but_not_configured() {
    let mut world = World::with_pod(Machine::userspace(FakeDriver::full()));
    world.ipam(GIVES_AN_ADDRESS);
    let result = world
        .add("c1", NETNS, &json!({ "ipam": { "type": "test-ipam" } }))
        .unwrap();
    assert_eq!(result.ips.len(), 2);
    assert!(
        world.machine.pods[&PathBuf::from(NETNS)]
            .addresses
            .is_empty()
    );
    assert!(world.machine.announced.is_empty());
    world.del("c1", NETNS).unwrap();
    assert_eq!(world.ipam_calls(), ["ADD c1 net1", "DEL c1 net1"]);
}
