//! The table and the value behind it, on fixture F1.

use super::*;
use crate::{
    config::{self, Defaults},
    fallback::Fallback,
    inventory::Allocated,
    node::tests::f1,
    plan::plan,
};

fn explained(text: &str) -> Explained {
    let names = |function: &Function| (function.vendor == 0x15b3).then(|| "a ConnectX".to_owned());
    let defaults = Defaults {
        prefix: "intel.com".to_owned(),
        socket_directory: "/s".into(),
    };
    let loaded = config::load(text.as_bytes(), &defaults).unwrap();
    let node = f1();
    let mut plan = plan(&loaded.config, &node);
    let mut fallback = Fallback::default();
    let now = tokio::time::Instant::now();
    fallback.apply(
        &loaded.config,
        &node,
        &mut plan,
        Some(&Allocated::new()),
        now,
    );
    let pending = BTreeMap::from([(
        "0000:18:02.1".parse().unwrap(),
        "its driver is iavf, vfio-pci is asked".to_owned(),
    )]);
    let facts = Facts {
        loaded: &loaded,
        node: &node,
        pending: &pending,
        sides: &fallback.sides,
    };
    explain(facts, &plan, &names)
}

const TWO: &str = r#"{"resourceList":[
    {"resourceName":"mlx","selectors":{"vendors":["15b3"]}},
    {"resourceName":"vf","selectors":[{"drivers":["vfio-pci"]},{"pfNames":["pf0#1"]}]},
    {"resourceName":"none","selectors":{"vendors":["dead"]}},
    {"resourceName":"bad.name","selectors":{}}]}"#;

#[test]
fn every_device_has_its_pool_or_the_first_selector_of_each_pool_that_refused_it() {
    let explained = explained(TWO);
    let line = |id: &str| {
        let line = explained.devices.iter().find(|line| line.id == id);
        line.unwrap().clone()
    };
    let taken = line("0000:18:02.1");
    assert_eq!(taken.pool.as_deref(), Some("intel.com/vf"));
    assert_eq!(taken.pf.as_deref(), Some("pf0#1"));
    let reasons: Vec<_> = taken
        .refused
        .iter()
        .map(|refused| format!("{} {} {}", refused.pool, refused.object, refused.reason))
        .collect();
    assert_eq!(
        reasons,
        [
            "intel.com/mlx 1 vendors does not match 8086",
            "intel.com/vf 1 drivers does not match iavf",
        ]
    );
    let free = line("0000:18:02.0");
    assert_eq!((free.pool, free.refused.len()), (None, 4));
}

#[test]
fn the_table_has_a_line_for_every_device_and_names_empty_pools_and_what_is_withheld() {
    let table = explained(TWO).table();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(
        lines[..8],
        [
            "POOL            DEVICE        IDS        DRIVER     PF     WHY",
            "intel.com/mlx   0000:af:00.2  15b3:1018  mlx5_core  pf1#0  a ConnectX",
            "intel.com/mlx   0000:af:00.3  15b3:1018  mlx5_core  pf1#1  a ConnectX",
            "intel.com/vf    0000:18:02.1  8086:154c  iavf       pf0#1  withheld: its driver is iavf, vfio-pci is asked; not intel.com/mlx: vendors does not match 8086; not intel.com/vf: drivers does not match iavf",
            "intel.com/vf    0000:18:02.2  8086:154c  vfio-pci   pf0#2  not intel.com/mlx: vendors does not match 8086",
            "intel.com/none  none          -          -          -      no device of the node matches",
            "no pool         0000:04:00.0  8086:1521  igb        -      not intel.com/mlx, intel.com/vf, intel.com/vf[2], intel.com/none: the node's default route goes through its interface mgmt0 (allowHostNics overrides)",
            "no pool         0000:18:00.0  8086:1572  i40e       -      not intel.com/mlx, intel.com/vf, intel.com/vf[2], intel.com/none: it is a PF with 3 VFs",
        ]
    );
    assert!(
        lines[lines.len() - 1].starts_with("pool 4 rejected: "),
        "{table}"
    );
}

#[test]
fn one_device_can_be_asked_for_alone() {
    let only = explained(TWO)
        .only(&"0000:af:00.3".parse().unwrap())
        .unwrap();
    assert_eq!(only.devices.len(), 1);
    assert_eq!(only.pools[0].resource, "intel.com/mlx");
    assert_eq!(explained(TWO).only(&"0000:99:00.0".parse().unwrap()), None);
}

#[test]
fn json_says_the_same() {
    let value = serde_json::to_value(explained(TWO)).unwrap();
    assert_eq!(value["pools"][0]["devices"][1], "0000:af:00.3");
    let devices = value["devices"].as_array().unwrap();
    let line = devices.iter().find(|line| line["id"] == "0000:18:02.1");
    assert_eq!(
        line.unwrap()["refused"][1]["reason"],
        "drivers does not match iavf"
    );
    assert_eq!(
        line.unwrap()["withheld"],
        "its driver is iavf, vfio-pci is asked"
    );
}

#[test]
fn a_pool_with_software_slots_says_why_it_has_them_or_not() {
    let pool = |name: &str, vendor: &str| {
        format!(
            r#"{{"resourceName":"{name}","selectors":{{"vendors":["{vendor}"]}},"fallback":{{"slots":2}}}}"#
        )
    };
    let text = format!(
        r#"{{"resourceList":[{},{}]}}"#,
        pool("mlx", "15b3"),
        pool("other", "dead")
    );
    let explained = explained(&text);
    let table = explained.table();
    assert!(
        table.ends_with("intel.com/mlx: no software slots: VFs of PF pf1 (0000:af:00.0) are the pool's\nintel.com/other: no PF of this node is the pool's; software slots are offered if that stays so for 30 s\n"),
        "{table}"
    );
    assert!(explained.pools[1].fallback.is_some());
}
