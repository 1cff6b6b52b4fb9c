use std::sync::{Arc, LazyLock};

use host::testing::sysfs::FakeSysfs;
use proptest::prelude::*;

use super::*;
use crate::{
    config::{Defaults, load},
    node::{Function, Network, Parent, PhysicalFunction, scan},
    plan::{Device, plan},
};

/// Some device, whose place is changed for each test.
static SOME: LazyLock<Arc<Device>> = LazyLock::new(|| {
    let fake = FakeSysfs::parse("pci 0000:80:00.0{8086:154c, 0200, drv=iavf}");
    let node = scan(&fake.sysfs(), &Network::default()).unwrap();
    let defaults = Defaults {
        prefix: "x.org".to_owned(),
        socket_directory: "/".into(),
    };
    let text = br#"{"resourceList":[{"resourceName":"net","selectors":{}}]}"#;
    let config = load(text, &defaults).unwrap().config;
    Arc::clone(&plan(&config, &node).pools[0].devices[0])
});

/// Devices by index: (memory node, PF).
fn listing(devices: &[(Option<u32>, u8)]) -> Listing {
    let one = |(index, (numa, pf)): (usize, &(Option<u32>, u8))| {
        let parent = Parent {
            pf: Arc::new(PhysicalFunction {
                address: format!("0000:{pf:02x}:00.0").parse().unwrap(),
                names: Vec::new(),
                link_type: None,
                vf_device: None,
            }),
            index: None,
        };
        let function = Function {
            id: id(index).parse().unwrap(),
            parent: Some(parent),
            ..(*SOME.function).clone()
        };
        let device = Device {
            numa: *numa,
            function: Arc::new(function),
            ..(**SOME).clone()
        };
        let listed = Listed {
            device: Some(Arc::new(device)),
            unwell: None,
        };
        (id(index).parse().unwrap(), listed)
    };
    devices.iter().enumerate().map(one).collect()
}

fn id(index: usize) -> String {
    format!("0000:80:{:02x}.{}", index / 8, index % 8)
}

fn ids(indexes: &[usize]) -> Vec<String> {
    indexes.iter().map(|index| id(*index)).collect()
}

fn ask(
    policy: Preference,
    devices: &[(Option<u32>, u8)],
    must: &[usize],
    size: usize,
) -> Vec<String> {
    let all: Vec<usize> = (0..devices.len()).collect();
    let request = Request {
        available: ids(&all),
        must_include: ids(must),
        size,
    };
    prefer(policy, &listing(devices), &request)
}

/// Two nodes with two PFs each; node 0 has 2 + 1 free devices, node 1 has 2 + 3.
const NODE: [(Option<u32>, u8); 8] = [
    (Some(0), 1),
    (Some(0), 1),
    (Some(0), 2),
    (Some(1), 3),
    (Some(1), 3),
    (Some(1), 4),
    (Some(1), 4),
    (Some(1), 4),
];

#[test]
fn by_default_devices_are_close_to_one_memory_node_and_spread_over_its_pfs() {
    assert_eq!(ask(Preference::Numa, &NODE, &[], 1), ids(&[5]));
    assert_eq!(ask(Preference::Numa, &NODE, &[], 2), ids(&[3, 5]));
    assert_eq!(ask(Preference::Numa, &NODE, &[], 5), ids(&[3, 4, 5, 6, 7]));
    assert_eq!(Preference::default(), Preference::Numa);
}

#[test]
fn packed_takes_the_node_and_pf_where_it_just_fits() {
    assert_eq!(ask(Preference::Packed, &NODE, &[], 1), ids(&[2]));
    assert_eq!(ask(Preference::Packed, &NODE, &[], 2), ids(&[0, 1]));
    assert_eq!(ask(Preference::Packed, &NODE, &[], 3), ids(&[0, 1, 2]));
    assert_eq!(ask(Preference::Packed, &NODE, &[], 4), ids(&[3, 5, 6, 7]));
}

#[test]
fn balanced_gives_the_legs_of_a_bond_to_different_pfs() {
    let two = [(Some(0), 1), (Some(0), 1), (Some(1), 2), (Some(1), 2)];
    assert_eq!(ask(Preference::Balanced, &two, &[], 2), ids(&[0, 2]));
    assert_eq!(ask(Preference::Balanced, &two, &[3], 2), ids(&[0, 3]));
}

#[test]
fn what_must_be_included_decides_the_node_of_the_rest() {
    assert_eq!(ask(Preference::Numa, &NODE, &[2], 2), ids(&[0, 2]));
    assert_eq!(ask(Preference::Packed, &NODE, &[4], 2), ids(&[3, 4]));
}

#[test]
fn an_impossible_question_gets_no_advice() {
    assert!(ask(Preference::Numa, &NODE, &[], 9).is_empty());
    assert!(ask(Preference::Numa, &NODE, &[0, 1], 1).is_empty());
    assert!(ask(Preference::None, &NODE, &[], 1).is_empty());
    let unknown = Request {
        available: ids(&[0, 1]),
        must_include: vec!["0000:ff:00.0".to_owned()],
        size: 1,
    };
    assert!(prefer(Preference::Numa, &listing(&NODE), &unknown).is_empty());
}

#[test]
fn an_unhealthy_device_is_never_preferred() {
    let mut listing = listing(&NODE[..2]);
    let first = listing.get_mut(&id(0).parse().unwrap()).unwrap();
    first.unwell = Some(crate::inventory::Unwell::Gone);
    let request = Request {
        available: ids(&[0, 1]),
        must_include: Vec::new(),
        size: 1,
    };
    assert_eq!(prefer(Preference::Numa, &listing, &request), ids(&[1]));
}

fn policy() -> impl Strategy<Value = Preference> {
    prop_oneof![
        Just(Preference::Numa),
        Just(Preference::Balanced),
        Just(Preference::Packed)
    ]
}

/// Up to 24 devices on up to 3 nodes (or none known) and 4 PFs, a PF on one node.
fn devices() -> impl Strategy<Value = Vec<(Option<u32>, u8)>> {
    let pf = 0_u8..4;
    let node_of = |pf: u8| (pf < 3).then_some(u32::from(pf / 2));
    prop::collection::vec(pf.prop_map(move |pf| (node_of(pf), pf)), 1..24)
}

/// How many of the chosen are in each group.
fn counts<K: Ord>(
    chosen: &[String],
    devices: &[(Option<u32>, u8)],
    key: impl Fn(&(Option<u32>, u8)) -> K,
) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    for (index, device) in devices.iter().enumerate() {
        let is_chosen = usize::from(chosen.contains(&id(index)));
        *counts.entry(key(device)).or_default() += is_chosen;
    }
    counts
}

proptest! {
    #[test]
    fn every_answer_is_a_subset_of_the_right_size_with_what_must_be_included(
        policy in policy(), devices in devices(), size in 0_usize..26, must in 0_usize..4,
    ) {
        let must: Vec<usize> = (0..must.min(devices.len())).map(|index| devices.len() - 1 - index).collect();
        let chosen = ask(policy, &devices, &must, size);
        let possible = size <= devices.len() && must.len() <= size;
        prop_assert_eq!(chosen.len(), if possible { size } else { 0 });
        prop_assert_eq!(unique(&chosen), chosen.len());
        let all: Vec<String> = (0..devices.len()).map(id).collect();
        prop_assert!(chosen.iter().all(|device| all.contains(device)));
        prop_assert!(chosen.is_empty() || ids(&must).iter().all(|device| chosen.contains(device)));
        prop_assert_eq!(&chosen, &ask(policy, &devices, &must, size));
    }

    #[test]
    fn numa_and_packed_use_as_few_memory_nodes_as_possible(
        packed in any::<bool>(), devices in devices(), size in 1_usize..24,
    ) {
        prop_assume!(size <= devices.len());
        let policy = if packed { Preference::Packed } else { Preference::Numa };
        let chosen = ask(policy, &devices, &[], size);
        let used = counts(&chosen, &devices, |device| device.0).values().filter(|count| **count > 0).count();
        let mut sizes: Vec<usize> =
            counts(&(0..devices.len()).map(id).collect::<Vec<_>>(), &devices, |device| device.0).into_values().collect();
        sizes.sort_unstable_by(|one, two| two.cmp(one));
        let mut room = 0;
        let fewest = sizes.iter().take_while(|size_of_node| { let more = room < size; room += **size_of_node; more }).count();
        prop_assert_eq!(used, fewest);
    }

    #[test]
    fn balanced_never_gives_a_pf_two_more_than_another_that_has_free_devices(
        devices in devices(), size in 1_usize..24,
    ) {
        prop_assume!(size <= devices.len());
        let chosen = ask(Preference::Balanced, &devices, &[], size);
        let taken = counts(&chosen, &devices, |device| device.1);
        let all = counts(&(0..devices.len()).map(id).collect::<Vec<_>>(), &devices, |device| device.1);
        for (pf, count) in &taken {
            for (other, less) in &taken {
                prop_assert!(*count <= less + 1 || all[other] == *less, "{} has {}, {} has {}", pf, count, other, less);
            }
        }
    }
}
