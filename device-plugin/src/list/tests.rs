//! Which pod holds what, on fixture F1.

use super::*;
use crate::{
    config::{self, Defaults},
    node::tests::f1,
    plan::plan,
};

fn listed(holdings: &Result<Vec<Holding>, String>) -> Listed {
    let defaults = Defaults {
        prefix: "intel.com".to_owned(),
        socket_directory: "/s".into(),
    };
    let text = r#"{"resourceList":[{"resourceName":"mlx","selectors":{"vendors":["15b3"]}}]}"#;
    let loaded = config::load(text.as_bytes(), &defaults).unwrap();
    let node = f1();
    list(&node, &plan(&loaded.config, &node), holdings)
}

fn holding(id: &str, pod: &str) -> Holding {
    Holding {
        resource: "intel.com/mlx".to_owned(),
        id: id.parse().unwrap(),
        holder: Holder {
            namespace: "default".to_owned(),
            pod: pod.to_owned(),
            container: "main".to_owned(),
        },
    }
}

#[test]
fn every_device_of_a_pool_is_listed_with_the_pod_that_holds_it() {
    let listed = listed(&Ok(vec![holding("0000:af:00.3", "app-1")]));
    assert_eq!(
        listed.table(),
        "POOL           DEVICE        PF     DRIVER     NUMA  HELD BY\n\
         intel.com/mlx  0000:af:00.2  pf1#0  mlx5_core  1     -\n\
         intel.com/mlx  0000:af:00.3  pf1#1  mlx5_core  1     pod default/app-1 (container main)\n"
    );
    let value = serde_json::to_value(&listed).unwrap();
    assert_eq!(value["devices"][1]["holders"][0]["pod"], "app-1");
    assert_eq!(value["devices"][0]["holders"], serde_json::json!([]));
}

#[test]
fn a_device_that_is_gone_and_one_that_two_pods_hold_stand_out() {
    let table = listed(&Ok(vec![
        holding("0000:af:00.2", "app-1"),
        holding("0000:af:00.2", "app-2"),
        holding("0000:af:00.7", "app-3"),
    ]))
    .table();
    assert!(
        table.contains("FAULT, given twice: pod default/app-1 (container main) pod default/app-2"),
        "{table}"
    );
    assert!(
        table.contains("0000:af:00.7  -      -          -     pod default/app-3 (container main) (the pool no longer offers it)"),
        "{table}"
    );
}

#[test]
fn a_kubelet_that_does_not_answer_leaves_it_unknown_and_not_free() {
    let table = listed(&Err("reach the kubelet: no such file".to_owned())).table();
    assert_eq!(table.matches("unknown").count(), 3, "{table}");
    assert!(table.ends_with("what pods hold is unknown: reach the kubelet: no such file\n"));
}
