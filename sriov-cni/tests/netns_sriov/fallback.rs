//! Software slots with the reference plugins, where they are installed (Debian: containernetworking-plugins; where not,
//! `make unit` counts these tests as skipped). The cases are those of spec/sriov-cni.md §7.3 that apply to a fallback;
//! this kernel may lack ipvlan, the lab has it.

mod masters;

use std::path::PathBuf;

use host::netlink::Netlink;
use host::netlink::create::NewLink;
use host::netlink::link::{Link, LinkChange};
use host::testing::netns::fresh;

use super::*;

/// Where distributions put the plugins.
const FOLDERS: [&str; 3] = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];

/// Where the plugins are; `CNI_PLUGINS` names another folder.
fn plugins() -> Option<PathBuf> {
    let named = std::env::var_os("CNI_PLUGINS").map(PathBuf::from);
    let mut folders = named.into_iter().chain(FOLDERS.map(PathBuf::from));
    folders.find(|folder| folder.join("macvlan").exists())
}

/// A node with a master `eth1` and the plugins; `None` where there are none.
fn node() -> Option<World> {
    let Some(folder) = plugins() else {
        eprintln!("skipped: the reference plugins are not installed");
        return None;
    };
    let mut world = World::new();
    for plugin in ["macvlan", "host-local"] {
        std::os::unix::fs::symlink(folder.join(plugin), world.directory.path().join(plugin))
            .unwrap();
    }
    master(&mut world.lab.host, "eth1");
    Some(world)
}

/// A link that can be a master; returns its index.
fn master(netlink: &mut Netlink, name: &str) -> u32 {
    let wire = format!("{name}-wire");
    netlink
        .create_link(name, NewLink::Veth { peer: &wire })
        .unwrap();
    for name in [&wire, name] {
        let index = netlink.link_by_name(name).unwrap().unwrap().index;
        let up = LinkChange {
            up: Some(true),
            ..LinkChange::default()
        };
        netlink.change_link(index, &up).unwrap();
    }
    netlink.link_by_name(name).unwrap().unwrap().index
}

fn net1(pod: &NetNs) -> Option<Link> {
    pod.netlink().unwrap().link_by_name("net1").unwrap()
}

fn asked(world: &World, extra: &Value) -> Value {
    let leases = world.directory.path().join("leases");
    let mut asked = json!({
        "deviceID": "software-3",
        "fallback": { "type": "macvlan", "master": "eth1", "mode": "bridge" },
        "ipam": { "type": "host-local", "dataDir": leases, "ranges": [[{ "subnet": "10.1.2.0/24" }]],
            "routes": [{ "dst": "198.51.100.0/24", "gw": "10.1.2.1" }] },
    });
    for (key, value) in extra.as_object().unwrap() {
        asked[key] = value.clone();
    }
    asked
}

impl World {
    fn leases(&self) -> Vec<String> {
        let names = host::file::list(&self.directory.path().join("leases/net")).unwrap();
        names
            .into_iter()
            .filter(|name| name.starts_with("10."))
            .collect()
    }

    fn with_version(
        &self,
        command: Command,
        pod: &NetNs,
        extra: &Value,
        version: Version,
    ) -> Invocation {
        let mut extra = extra.clone();
        extra["cniVersion"] = json!(version.as_str());
        let mut call = self.call(command, pod, &extra);
        call.version = version;
        call
    }
}

#[test]
fn a_slot_is_a_macvlan_with_address_in_every_version_and_gone_after_del() {
    // `false` is what the key means where it is absent.
    let in_container = [json!({}), json!({ "linkInContainer": false })];
    for (version, extra) in Version::ALL
        .into_iter()
        .flat_map(|version| in_container.clone().map(|extra| (version, extra)))
    {
        let Some(mut world) = node() else { return };
        let pod = fresh();
        let mut asked = asked(&world, &json!({}));
        for (key, value) in extra.as_object().unwrap() {
            asked["fallback"][key] = value.clone();
        }
        let call = world.with_version(Command::Add, &pod.netns, &asked, version);
        let result = add::add(&world.site, &mut (&mut world.lab), &call).unwrap();
        let link = net1(&pod.netns).unwrap();
        assert_eq!(link.kind.as_deref(), Some("macvlan"), "{version}");
        let interface = &result.interfaces[0];
        assert_eq!(interface.mac, link.address.unwrap().to_string());
        assert_eq!((interface.name.as_str(), interface.mtu), ("net1", link.mtu));
        assert_eq!((result.ips.len(), result.ips[0].interface), (1, Some(0)));
        assert_eq!(world.leases(), ["10.1.2.2"]);

        if version.has_check() {
            let mut checked = asked.clone();
            checked["prevResult"] =
                serde_json::from_str(&result.to_json(version).unwrap()).unwrap();
            let call = world.with_version(Command::Check, &pod.netns, &checked, version);
            check::check(&world.site, &mut (&mut world.lab), &call).unwrap();
        }
        // The network's own text does not matter any more.
        for _ in 0..2 {
            world.del(&pod.netns).unwrap();
        }
        assert!(net1(&pod.netns).is_none());
        assert_eq!(world.leases(), [""; 0]);
        assert!(world.site.ledger().attachments().unwrap().is_empty());
        for name in ["eth1", "pf0", "vf0"] {
            let index = world.lab.host.link_by_name(name).unwrap().unwrap().index;
            world.lab.host.delete_link(index).unwrap();
        }
    }
}

#[test]
fn a_slot_without_ipam_is_a_link_without_addresses() {
    let Some(mut world) = node() else { return };
    let pod = fresh();
    let asked = asked(&world, &json!({ "ipam": {} }));
    let result = world.add(&pod.netns, &asked).unwrap();
    assert!(result.ips.is_empty());
    assert!(net1(&pod.netns).unwrap().up);
    world.del(&pod.netns).unwrap();
    assert!(net1(&pod.netns).is_none());
}

#[test]
fn the_address_of_a_slot_comes_from_config_args_or_runtime_config() {
    let Some(mut world) = node() else { return };
    let pod = fresh();
    for (extra, args, mac) in [
        (
            json!({ "mac": "02:00:00:00:00:41" }),
            "",
            "02:00:00:00:00:41",
        ),
        (
            json!({}),
            "IgnoreUnknown=true;MAC=02:00:00:00:00:42",
            "02:00:00:00:00:42",
        ),
        (
            json!({ "RuntimeConfig": { "mac": "02:00:00:00:00:43" } }),
            "",
            "02:00:00:00:00:43",
        ),
    ] {
        let asked = asked(&world, &extra);
        let mut call = world.call(Command::Add, &pod.netns, &asked);
        args.clone_into(&mut call.args_text);
        let result = add::add(&world.site, &mut (&mut world.lab), &call).unwrap();
        assert_eq!(result.interfaces[0].mac, mac);
        let link = net1(&pod.netns).unwrap();
        assert_eq!(link.address.unwrap().to_string(), mac);
        world.del(&pod.netns).unwrap();
    }
}

#[test]
fn a_master_that_does_not_exist_is_told_by_name_and_leaves_nothing() {
    let Some(mut world) = node() else { return };
    let pod = fresh();
    let wrong = json!({ "fallback": { "type": "macvlan", "master": "eth9" } });
    let asked = asked(&world, &wrong);
    let said = world.add(&pod.netns, &asked).unwrap_err().to_cni();
    assert_eq!(
        said.msg,
        "fallback macvlan: master eth9: there is no such interface on this node"
    );
    assert_eq!(world.leases(), [""; 0]);
    assert!(world.site.ledger().attachments().unwrap().is_empty());
}

#[test]
fn a_mtu_above_the_masters_is_refused_by_the_plugin() {
    let Some(mut world) = node() else { return };
    let pod = fresh();
    let asked = asked(&world, &json!({ "mtu": 9000 }));
    let said = world.add(&pod.netns, &asked).unwrap_err().to_cni();
    assert!(said.msg.starts_with("fallback macvlan: "), "{}", said.msg);
    let asked = super::fallback::asked(&world, &json!({ "mtu": 1400 }));
    let result = world.add(&pod.netns, &asked).unwrap();
    assert_eq!(result.interfaces[0].mtu, 1400);
}

#[test]
fn check_of_a_slot_finds_what_the_pod_changed() {
    let Some(mut world) = node() else { return };
    let pod = fresh();
    let mut asked = asked(&world, &json!({}));
    let result = world.add(&pod.netns, &asked).unwrap();
    asked["prevResult"] = serde_json::from_str(&result.to_json(Version::V1_1_0).unwrap()).unwrap();
    world.check(&pod.netns, &asked).unwrap();
    let mut netlink = pod.netns.netlink().unwrap();
    let index = netlink.link_by_name("net1").unwrap().unwrap().index;
    netlink
        .delete_address(index, "10.1.2.2/24".parse().unwrap())
        .unwrap();
    let said = world.check(&pod.netns, &asked).unwrap_err().to_cni();
    assert!(said.msg.starts_with("fallback macvlan: "), "{}", said.msg);
}

#[test]
fn a_slot_whose_master_is_gone_is_given_back_without_the_plugin() {
    let Some(mut world) = node() else { return };
    let pod = fresh();
    let asked = asked(&world, &json!({}));
    world.add(&pod.netns, &asked).unwrap();
    let index = world.lab.host.link_by_name("eth1").unwrap().unwrap().index;
    world.lab.host.delete_link(index).unwrap();
    world.del(&pod.netns).unwrap();
    assert_eq!(world.leases(), [""; 0]);
    assert!(world.site.ledger().attachments().unwrap().is_empty());
}
