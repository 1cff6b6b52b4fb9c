//! The keys for the VF's own interface, on a real one.

use host::netlink::address::Address;
use host::sysctl;
use host::testing::netns::fresh;

use super::*;
use crate::lab::vf_in;
use crate::life::comparable;

#[test]
fn mtu_promisc_allmulti_and_txqlen_are_on_the_interface_in_the_pod_and_gone_afterwards() {
    let mut world = World::new();
    let pod = fresh();
    let before = comparable(world.lab.vf());
    let asked = json!({ "mtu": 1280, "promisc": true, "allmulti": true, "txQLen": 77 });
    let result = world.add(&pod.netns, &asked).unwrap();
    assert_eq!(result.interfaces[0].mtu, 1280);
    let link = vf_in(&pod.netns).unwrap();
    assert_eq!(
        (
            link.mtu,
            link.promiscuous,
            link.all_multicast,
            link.tx_queue_len,
            link.up
        ),
        (1280, true, true, 77, true)
    );
    world.del(&pod.netns).unwrap();
    assert_eq!(comparable(world.lab.vf()), before);
    assert!(world.is_clean());
}

fn ipv6(pod: &NetNs) -> Address {
    let index = vf_in(pod).unwrap().index;
    let addresses = pod.netlink().unwrap().addresses(Some(index)).unwrap();
    let wanted = |address: &&Address| address.net.to_string() == "2001:db8::5/64";
    *addresses.iter().find(wanted).unwrap()
}

#[test]
fn an_ipv6_address_is_usable_when_add_ends_whatever_ipv6dad_says() {
    let mut world = World::new();
    // All at once: a path that leads to another namespace later would still stand for the first.
    let pods = [fresh(), fresh(), fresh()];
    let words = [("optimistic", true), ("off", false), ("on", false)];
    for ((word, optimistic), pod) in words.into_iter().zip(&pods) {
        let mut config = with_ipam();
        config["ipv6Dad"] = json!(word);
        world.add(&pod.netns, &config).unwrap();
        let address = ipv6(&pod.netns);
        assert!(!address.duplicate, "{word}: {address:?}");
        if !optimistic {
            assert!(!address.tentative, "{word}: {address:?}");
        } else if address.tentative {
            assert!(address.optimistic, "{word}: {address:?}");
        }
        world.del(&pod.netns).unwrap();
    }
}

#[test]
fn ipv6dad_off_keeps_the_kernel_from_detecting_duplicates_of_its_own_address_too() {
    let mut world = World::new();
    let pod = fresh();
    world
        .add(&pod.netns, &json!({ "ipv6Dad": "off", "announce": false }))
        .unwrap();
    let read = |family: &'static str, key: &'static str| {
        let path = ["net", family, "conf", "net1", key];
        pod.netns
            .run(|| sysctl::read("/proc".as_ref(), &path).unwrap())
            .unwrap()
    };
    assert_eq!(read("ipv6", "accept_dad"), "0");
    assert_eq!(read("ipv4", "arp_notify"), "0");
    assert_eq!(read("ipv6", "ndisc_notify"), "0");
}
