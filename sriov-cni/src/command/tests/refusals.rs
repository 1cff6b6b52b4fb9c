//! What the driver of the emulated NIC refuses: the message names attribute, value, VF, PF, errno's words and driver,
//! and what was applied before is undone.

use host::netlink::vf::VfControl;

use super::*;

#[test]
fn whatever_igb_refuses_is_named_and_everything_before_it_is_undone() {
    let refused = [
        (
            json!({ "link_state": "enable" }),
            "set link state on vf 1 of ens1f0 (0000:3b:00.0) to enable: operation not supported by driver igb",
            "attribute link state enable, errno 95",
        ),
        (
            json!({ "vlan": 200, "vlanProto": "802.1ad" }),
            "set VLAN on vf 1 of ens1f0 (0000:3b:00.0) to 200 QoS 0 802.1ad: protocol not supported by driver igb",
            "attribute VLAN 200 QoS 0 802.1ad, errno 93",
        ),
        (
            json!({ "min_tx_rate": 10 }),
            "set rate on vf 1 of ens1f0 (0000:3b:00.0) to 10..0 Mbit/s: invalid argument by driver igb",
            "attribute rate 10..0 Mbit/s, errno 22",
        ),
        (
            json!({ "max_tx_rate": 100_000 }),
            "set rate on vf 1 of ens1f0 (0000:3b:00.0) to 0..100000 Mbit/s: invalid argument by driver igb",
            "attribute rate 0..100000 Mbit/s, errno 22",
        ),
    ];
    for (extra, message, details) in refused {
        let mut world = World::igb();
        let before = world.machine.baseline();
        let mut config =
            json!({ "vlan": 100, "mac": "02:00:00:00:00:77", "spoofchk": "off", "trust": "on" });
        for (key, value) in extra.as_object().unwrap() {
            config[key] = value.clone();
        }
        let error = world.add("c1", NETNS, &config).unwrap_err();
        let told = error.to_cni();
        assert_eq!(
            (told.code, told.msg.as_str(), told.details.as_str()),
            (
                103,
                message,
                format!("reason VFConfigUnsupported; {details}").as_str()
            )
        );
        assert_eq!(
            (world.machine.baseline(), world.leftovers()),
            (before, vec![]),
            "{extra}"
        );
    }
}

#[test]
fn an_index_that_the_pfs_driver_does_not_know_is_refused_before_anything_is_touched() {
    let mut world = World::igb();
    let before = world.machine.baseline();
    if let crate::node::Found::Vf(function) = &mut world.machine.function {
        function.index = 7;
    }
    let error = world.add("c1", NETNS, &json!({ "vlan": 100 })).unwrap_err();
    assert_eq!(
        (error.code(), text(&error)),
        (
            101,
            format!("VF {VF}: driver igb of its PF ens1f0 (0000:3b:00.0) tells nothing about vf 7")
        )
    );
    assert!(world.machine.changes.is_empty());
    assert_eq!(world.leftovers(), [""; 0]);
    assert_eq!(world.machine.baseline(), before);
}

#[test]
fn an_address_that_another_vf_of_the_pf_has_is_told_in_the_log() {
    let mut world = World::igb();
    let directory = world.directory.path().join("log");
    std::fs::create_dir(&directory).unwrap();
    world.site.log_directories = vec![directory.clone()];
    let file = directory.join("sriov.log");
    let pf = world.machine.pf();
    let twin = world.machine.control.vf(&pf, 2).unwrap().unwrap().mac;
    let config = json!({ "mac": twin.to_string(), "logFile": file });
    world.add("c1", NETNS, &config).unwrap();
    let log = host::file::read_text(&file).unwrap().unwrap();
    let warning = format!("vf 2 of ens1f0 (0000:3b:00.0) has address {twin} too");
    assert!(
        log.lines()
            .any(|line| line.contains("level=\"warning\"") && line.contains(&warning)),
        "{log}"
    );
}
