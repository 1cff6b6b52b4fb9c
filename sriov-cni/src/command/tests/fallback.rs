//! Software slots, served by a plugin that notes how it is called.

mod crash;
mod refusals;

use std::os::unix::fs::PermissionsExt;

use super::*;

const SLOT: &str = "software-3";

/// Gives an interface and an address, as macvlan with host-local does, and nothing for the other verbs.
pub(super) const WORKS: &str = r#"[ "$CNI_COMMAND" = ADD ] && echo '{"cniVersion":"1.0.0","interfaces":[{"name":"net1","mac":"02:00:00:00:00:55","sandbox":"/run/netns/a"}],"ips":[{"interface":0,"address":"192.0.2.5/24","gateway":"192.0.2.1"}],"dns":{}}'
exit 0"#;

fn asked(extra: &Value) -> Value {
    let mut asked = json!({
        "deviceID": SLOT, "name": "net", "ipam": { "type": "test-ipam" },
        "fallback": { "type": "macvlan", "master": "eth1", "mode": "bridge" },
    });
    for (key, value) in extra.as_object().unwrap() {
        asked[key] = value.clone();
    }
    asked
}

impl World {
    /// A program `macvlan` that notes verb, container, interface, namespace and arguments, and its last stdin.
    pub(super) fn delegate(&self, body: &str) {
        let directory = self.directory.path();
        let script = format!(
            "#!/bin/sh\ncat >{0}/stdin.$CNI_COMMAND\necho \"$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME netns=$CNI_NETNS args=$CNI_ARGS\" >>{0}/macvlan.log\n{body}\n",
            directory.display()
        );
        let program = directory.join("macvlan");
        write(&program, script.as_bytes());
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn delegate_calls(&self) -> Vec<String> {
        let text = host::file::read_text(&self.directory.path().join("macvlan.log")).unwrap();
        text.iter()
            .flat_map(|text| text.lines())
            .map(ToOwned::to_owned)
            .collect()
    }

    fn stdin(&self, verb: &str) -> Value {
        let path = self.directory.path().join(format!("stdin.{verb}"));
        serde_json::from_slice(&host::file::read(&path).unwrap().unwrap()).unwrap()
    }

    fn check(&mut self, netns: &str, extra: &Value) -> Result<(), Error> {
        let call = self.call(Command::Check, "c1", netns, extra);
        super::super::check::check(&self.site, &mut (&mut self.machine), &call)
    }
}

fn world() -> World {
    let world = World::igb();
    world.ipam("exit 0");
    world.delegate(WORKS);
    world
}

#[test]
fn a_software_slot_is_served_by_the_plugin_with_the_networks_name_ipam_and_runtime_config() {
    let mut world = world();
    let mut call = world.call(Command::Add, "c1", NETNS, &asked(&json!({
        "runtimeConfig": { "mac": "02:00:00:00:00:55" }, "mac": "02:00:00:00:00:44", "mtu": 1400, "vlan": 100,
        "cniVersion": "0.4.0",
    })));
    call.args_text = "IgnoreUnknown=true;K8S_POD_NAME=p".to_owned();
    let result = super::super::add::add(&world.site, &mut (&mut world.machine), &call).unwrap();
    assert_eq!(
        world.delegate_calls(),
        ["ADD c1 net1 netns=/run/netns/a args=IgnoreUnknown=true;K8S_POD_NAME=p"]
    );
    assert_eq!(
        world.stdin("ADD"),
        json!({ "type": "macvlan", "master": "eth1", "mode": "bridge", "cniVersion": "0.4.0", "name": "net",
            "ipam": { "type": "test-ipam" }, "runtimeConfig": { "mac": "02:00:00:00:00:55" },
            "mac": "02:00:00:00:00:44", "mtu": 1400 })
    );
    let interface = &result.interfaces[0];
    assert_eq!(
        (
            interface.name.as_str(),
            interface.sandbox.as_str(),
            interface.mac.as_str()
        ),
        ("net1", NETNS, "02:00:00:00:00:55")
    );
    assert_eq!(result.ips[0].interface, Some(0));
    assert!(world.leftovers().contains(&"ledger/c1@net1".to_owned()));
    assert_eq!(world.machine.changes, [""; 0], "no VF is touched");
}

#[test]
fn the_plugin_is_spoken_to_in_a_version_that_every_release_of_it_knows() {
    let mut world = world();
    world.add("c1", NETNS, &asked(&json!({ "cniVersion": "1.1.0", "prevResult": { "cniVersion": "1.1.0",
        "interfaces": [{ "name": "eth0", "sandbox": NETNS }], "ips": [{ "interface": 0, "address": "10.0.0.9/24" }] } }))).unwrap();
    let stdin = world.stdin("ADD");
    assert_eq!(
        (&stdin["cniVersion"], &stdin["prevResult"]["cniVersion"]),
        (&json!("1.0.0"), &json!("1.0.0"))
    );
}

#[test]
fn what_earlier_plugins_made_stays_in_front_of_the_result() {
    let mut world = world();
    let previous = json!({ "cniVersion": "1.1.0", "interfaces": [{ "name": "eth0", "sandbox": NETNS }],
        "ips": [{ "interface": 0, "address": "10.0.0.9/24" }] });
    let result = world
        .add("c1", NETNS, &asked(&json!({ "prevResult": previous })))
        .unwrap();
    let names: Vec<_> = result
        .interfaces
        .iter()
        .map(|interface| interface.name.as_str())
        .collect();
    assert_eq!(names, ["eth0", "net1"]);
    let indexes: Vec<_> = result.ips.iter().map(|ip| ip.interface).collect();
    assert_eq!(indexes, [Some(0), Some(1)]);
}

#[test]
fn del_of_a_slot_calls_the_plugin_with_what_its_add_was_given() {
    let mut world = world();
    world.add("c1", NETNS, &asked(&json!({}))).unwrap();
    // The network has changed since, the device as well: the ledger decides.
    world
        .del_with("c1", NETNS, &json!({ "deviceID": VF, "ipam": {} }))
        .unwrap();
    assert_eq!(
        world.delegate_calls()[1],
        "DEL c1 net1 netns=/run/netns/a args="
    );
    assert_eq!(world.stdin("DEL"), world.stdin("ADD"));
    assert_eq!(world.leftovers(), [""; 0]);
    world.del_with("c1", NETNS, &asked(&json!({}))).unwrap();
    assert_eq!(
        world.delegate_calls().len(),
        2,
        "nothing is recorded any more"
    );
}

#[test]
fn del_of_a_slot_gives_the_plugin_no_namespace_that_is_another_ones() {
    let mut world = world();
    world.add("c1", NETNS, &asked(&json!({}))).unwrap();
    world.machine.kill_pod(NETNS);
    world.machine.start_pod(NETNS);
    world.del("c1", NETNS).unwrap();
    assert_eq!(world.delegate_calls()[1], "DEL c1 net1 netns= args=");
    assert_eq!(world.leftovers(), [""; 0]);
}

#[test]
fn a_plugin_that_fails_in_add_is_told_to_delete_and_its_code_and_text_are_kept() {
    let mut world = world();
    world.delegate(r#"[ "$CNI_COMMAND" = ADD ] && echo '{"code":77,"msg":"no such master"}' && exit 1; exit 0"#);
    let error = world.add("c1", NETNS, &asked(&json!({}))).unwrap_err();
    assert_eq!((error.code(), error.reason()), (77, Some("DelegateFailed")));
    assert_eq!(text(&error), "fallback macvlan: no such master");
    let verbs: Vec<_> = world
        .delegate_calls()
        .iter()
        .map(|call| call[..3].to_owned())
        .collect();
    assert_eq!(verbs, ["ADD", "DEL"]);
    assert_eq!(world.leftovers(), [""; 0]);
}

#[test]
fn a_slot_that_neither_plugin_gives_back_keeps_its_record_until_one_does() {
    let mut world = world();
    world.add("c1", NETNS, &asked(&json!({}))).unwrap();
    world.delegate(r#"echo '{"code":11,"msg":"busy"}'; exit 1"#);
    world.ipam("exit 1");
    assert_eq!(world.del("c1", NETNS).unwrap_err().code(), 11);
    assert!(world.leftovers().contains(&"ledger/c1@net1".to_owned()));
    world.delegate(WORKS);
    world.del("c1", NETNS).unwrap();
    assert_eq!(world.leftovers(), [""; 0]);
}

#[test]
fn a_plugin_that_refuses_its_own_configuration_in_del_is_done_without() {
    let mut world = world();
    world.add("c1", NETNS, &asked(&json!({}))).unwrap();
    let pod = world.machine.pods.get_mut(&PathBuf::from(NETNS)).unwrap();
    let link = |index, name: &str, kind: &str| host::netlink::link::Link {
        index,
        name: name.to_owned(),
        kind: Some(kind.to_owned()),
        ..Default::default()
    };
    pod.links = vec![link(4, "net1", "macvlan"), link(5, "net2", "macvlan")];
    world.delegate(r#"echo '{"code":999,"msg":"Link not found"}'; exit 1"#);
    world.del("c1", NETNS).unwrap();
    let links = &world.machine.pods[&PathBuf::from(NETNS)].links;
    assert_eq!(links.as_slice(), [link(5, "net2", "macvlan")]);
    assert_eq!(world.ipam_calls(), ["DEL c1 net1"]);
    assert_eq!(world.leftovers(), [""; 0]);
}

#[test]
fn a_slot_of_a_living_pod_is_refused_and_that_of_a_dead_one_is_taken_back() {
    let mut world = world();
    world.add("c1", NETNS, &asked(&json!({}))).unwrap();
    world.machine.start_pod("/run/netns/b");
    let error = world
        .add("c2", "/run/netns/b", &asked(&json!({})))
        .unwrap_err();
    assert_eq!(
        (text(&error).as_str(), error.code()),
        (
            "pci address software-3 is already allocated: container c1 has it as net1",
            11
        )
    );
    world.machine.kill_pod(NETNS);
    world.add("c2", "/run/netns/b", &asked(&json!({}))).unwrap();
    assert_eq!(world.delegate_calls()[1], "DEL c1 net1 netns= args=");
    // The late DEL of the first one.
    world.del("c1", NETNS).unwrap();
    assert_eq!(
        world.delegate_calls().len(),
        3,
        "the new owner's plugin is not called"
    );
    assert!(world.leftovers().contains(&"ledger/c2@net1".to_owned()));
}

#[test]
fn an_interface_of_the_pod_with_the_slots_name_is_refused_before_anything_is_done() {
    let mut world = world();
    let pod = world.machine.pods.get_mut(&PathBuf::from(NETNS)).unwrap();
    pod.links.push(host::netlink::link::Link {
        index: 3,
        name: "net1".to_owned(),
        ..Default::default()
    });
    let error = world.add("c1", NETNS, &asked(&json!({}))).unwrap_err();
    assert_eq!(error.reason(), Some("InterfaceExists"));
    assert_eq!(
        (world.delegate_calls(), world.leftovers()),
        (vec![], vec![])
    );
}

#[test]
fn check_of_a_slot_is_forwarded_with_the_recorded_configuration() {
    let mut world = world();
    let result = world.add("c1", NETNS, &asked(&json!({}))).unwrap();
    let previous: Value = serde_json::from_str(&result.to_json(Version::V1_1_0).unwrap()).unwrap();
    world
        .check(NETNS, &json!({ "deviceID": VF, "prevResult": previous }))
        .unwrap();
    assert_eq!(
        world.delegate_calls()[1],
        "CHECK c1 net1 netns=/run/netns/a args="
    );
    assert_eq!(world.stdin("CHECK")["master"], "eth1");
    assert_eq!(
        world.stdin("CHECK")["prevResult"]["interfaces"][0]["name"],
        "net1"
    );
    world.delegate(r#"echo '{"code":999,"msg":"no address"}'; exit 1"#);
    assert_eq!(
        world
            .check(NETNS, &json!({ "deviceID": VF, "prevResult": previous }))
            .unwrap_err()
            .code(),
        999
    );
    world.delegate(WORKS);
    world.del("c1", NETNS).unwrap();
    let error = world
        .check(NETNS, &asked(&json!({ "prevResult": previous })))
        .unwrap_err();
    assert_eq!(
        text(&error),
        "owner of software-3 is nobody, expected this container"
    );
}

#[test]
fn gc_deletes_slots_of_its_own_network_only() {
    let mut world = world();
    world.add("c1", NETNS, &asked(&json!({}))).unwrap();
    super::gc::gc(&mut world, "other", &json!([])).unwrap();
    super::gc::gc(
        &mut world,
        "net",
        &json!([{ "containerID": "c1", "ifname": "net1" }]),
    )
    .unwrap();
    assert_eq!(world.delegate_calls().len(), 1);
    super::gc::gc(&mut world, "net", &json!([])).unwrap();
    assert_eq!(
        world.delegate_calls()[1],
        "DEL c1 net1 netns=/run/netns/a args="
    );
    assert_eq!(world.leftovers(), [""; 0]);
}

#[test]
fn recover_deletes_slots_of_dead_pods_only() {
    let mut world = world();
    world.add("c1", NETNS, &asked(&json!({}))).unwrap();
    assert!(
        world
            .recover(false)
            .iter()
            .all(|line| line.told == "in use")
    );
    world.machine.kill_pod(NETNS);
    assert_eq!(
        world.recover(true)[0].told,
        "would call DEL of macvlan, remove the record"
    );
    assert_eq!(world.delegate_calls().len(), 1);
    let lines = world.recover(false);
    assert_eq!(
        lines[0].to_string(),
        "software-3 of container c1 as net1: taken back"
    );
    assert_eq!(world.delegate_calls()[1], "DEL c1 net1 netns= args=");
    assert_eq!(world.leftovers(), [""; 0]);
}

#[test]
fn a_device_that_changed_from_vf_to_slot_between_two_adds_leaves_the_vf() {
    let mut world = world();
    world.ipam(GIVES_AN_ADDRESS);
    let before = world.machine.baseline();
    world.add("c1", NETNS, &json!({ "vlan": 100 })).unwrap();
    world.add("c1", NETNS, &asked(&json!({}))).unwrap();
    assert_eq!(world.machine.baseline(), before);
    world.add("c1", NETNS, &json!({ "vlan": 100 })).unwrap();
    assert_eq!(
        world.delegate_calls()[1],
        "DEL c1 net1 netns=/run/netns/a args="
    );
    world.del("c1", NETNS).unwrap();
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
}

#[test]
fn status_of_a_slot_whose_plugin_is_missing_is_50() {
    let mut world = world();
    world.ipam("exit 0");
    let status = |world: &mut World| {
        let call = world.call(Command::Status, "", "", &asked(&json!({})));
        super::super::status::status(&world.site, &mut (&mut world.machine), &call)
    };
    status(&mut world).unwrap();
    host::file::remove(&world.directory.path().join("macvlan")).unwrap();
    let error = status(&mut world).unwrap_err();
    assert_eq!(error.code(), 50);
    assert!(text(&error).contains("macvlan"), "{}", text(&error));
}

#[test]
fn del_again_releases_addresses_in_the_version_that_add_spoke() {
    let mut world = world();
    // Debian's host-local knows no 1.1.0.
    world.ipam(r#"grep -q '"cniVersion":"1.1.0"' <"$0.stdin" && { echo '{"code":1,"msg":"incompatible CNI versions"}'; exit 1; }
exit 0"#);
    let program = world.directory.path().join("test-ipam");
    let script = host::file::read_text(&program).unwrap().unwrap();
    write(
        &program,
        script
            .replace("cat >/dev/null", "cat >\"$0.stdin\"")
            .as_bytes(),
    );
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    world.add("c1", NETNS, &asked(&json!({}))).unwrap();
    for _ in 0..3 {
        world.del_with("c1", NETNS, &asked(&json!({}))).unwrap();
    }
    assert_eq!(
        world.ipam_calls(),
        ["DEL c1 net1", "DEL c1 net1"],
        "the plugin behind the slot has done the first"
    );
}
