//! Whether a pod is plain: whether its ADD needs nobody but the default network's plugin.
//!
//! A pure function of the configuration and the pod's name. When in doubt a pod is not plain: asking
//! once too often costs a request, asking once too seldom costs a pod its network (design §2).

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::config::{NetConf, Planner};
use crate::wire::{ANNOTATIONS_CAPABILITY, PodRef};

/// Pod annotation that asks for further networks.
pub const NETWORKS_ANNOTATION: &str = "k8s.v1.cni.cncf.io/networks";

/// Pod annotation that asks for another default network.
pub const DEFAULT_NETWORK_ANNOTATION: &str = "v1.multus-cni.io/default-network";

/// What an ADD needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The networks of the configuration file and nothing else.
    Plain,
    /// A plan. The annotations are those the runtime handed over; `None` if it did not.
    Ask(Option<BTreeMap<String, String>>),
}

/// Decides for one sandbox. `pod` is `None` when the runtime names no pod: then there is nothing to
/// look up, and nobody could have asked for anything.
pub fn decide(conf: &NetConf, pod: Option<&PodRef>) -> Decision {
    let (Some(pod), true) = (pod, conf.planner() != Planner::Absent) else {
        return Decision::Plain;
    };
    match handed_over(conf) {
        HandedOver::Nothing => Decision::Ask(None),
        HandedOver::Annotations(annotations) => {
            let quiet = !asks_for_networks(&annotations)
                && conf.default_networks_of(&pod.namespace).is_empty()
                && !conf.asks_namespace(&pod.namespace);
            if quiet {
                Decision::Plain
            } else {
                Decision::Ask(Some(annotations))
            }
        }
    }
}

enum HandedOver {
    /// The key is absent, or its value is not what a runtime writes.
    Nothing,
    /// An object, or `null` for a pod without annotations.
    Annotations(BTreeMap<String, String>),
}

fn handed_over(conf: &NetConf) -> HandedOver {
    let Some(raw) = conf.runtime_config.get(ANNOTATIONS_CAPABILITY) else {
        return HandedOver::Nothing;
    };
    let parse = |raw: &RawValue| {
        serde_json::from_slice::<Option<BTreeMap<String, String>>>(raw.get().as_bytes())
    };
    match parse(raw) {
        Ok(annotations) => HandedOver::Annotations(annotations.unwrap_or_default()),
        Err(_) => HandedOver::Nothing,
    }
}

/// An empty networks annotation asks for nothing; an empty default-network annotation is an error that
/// the planner reports (spec/corrections.md M9).
fn asks_for_networks(annotations: &BTreeMap<String, String>) -> bool {
    annotations
        .get(NETWORKS_ANNOTATION)
        .is_some_and(|value| !value.is_empty())
        || annotations.contains_key(DEFAULT_NETWORK_ANNOTATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(json: &str) -> NetConf {
        NetConf::parse(json.as_bytes()).unwrap()
    }

    fn decide_for(extra: &str, annotations: Option<&str>) -> Decision {
        let runtime = annotations.map_or_else(String::new, |value| {
            format!(r#","runtimeConfig":{{"io.kubernetes.cri.pod-annotations":{value}}}"#)
        });
        let json = format!(
            r#"{{"type":"multus-shim","clusterNetwork":"/etc/cni/x.conflist"{extra}{runtime}}}"#
        );
        decide(&conf(&json), Some(&pod("d")))
    }

    fn pod(namespace: &str) -> PodRef {
        PodRef {
            namespace: namespace.into(),
            name: "p".into(),
            uid: None,
        }
    }

    #[test]
    fn a_pod_whose_annotations_ask_for_nothing_is_plain() {
        for annotations in [
            "null",
            "{}",
            r#"{"a":"b"}"#,
            r#"{"k8s.v1.cni.cncf.io/networks":""}"#,
        ] {
            assert_eq!(
                decide_for("", Some(annotations)),
                Decision::Plain,
                "{annotations}"
            );
        }
    }

    #[test]
    fn an_absent_annotations_key_is_unknown_and_not_plain() {
        assert_eq!(decide_for("", None), Decision::Ask(None));
    }

    #[test]
    fn annotations_that_are_no_map_of_strings_count_as_absent() {
        for annotations in ["7", "[]", r#""x""#, r#"{"a":1}"#] {
            assert_eq!(
                decide_for("", Some(annotations)),
                Decision::Ask(None),
                "{annotations}"
            );
        }
    }

    #[test]
    fn a_pod_that_asks_for_networks_is_not_plain() {
        for annotations in [
            r#"{"k8s.v1.cni.cncf.io/networks":"a"}"#,
            r#"{"k8s.v1.cni.cncf.io/networks":" "}"#,
            r#"{"k8s.v1.cni.cncf.io/networks":"[]"}"#,
            r#"{"v1.multus-cni.io/default-network":"a"}"#,
            r#"{"v1.multus-cni.io/default-network":""}"#,
        ] {
            assert!(
                matches!(decide_for("", Some(annotations)), Decision::Ask(Some(_))),
                "{annotations}"
            );
        }
    }

    #[test]
    fn default_networks_make_every_pod_outside_system_namespaces_ask() {
        let extra = r#","defaultNetworks":["a"]"#;
        assert!(matches!(
            decide_for(extra, Some("null")),
            Decision::Ask(Some(_))
        ));
        let json = r#"{"type":"multus-shim","clusterNetwork":"x","defaultNetworks":["a"],
            "runtimeConfig":{"io.kubernetes.cri.pod-annotations":null}}"#;
        assert_eq!(
            decide(&conf(json), Some(&pod("kube-system"))),
            Decision::Plain
        );
    }

    #[test]
    fn row_67_a_namespace_that_may_have_networks_makes_its_pods_ask_and_no_others() {
        let asks = |extra| matches!(decide_for(extra, Some("null")), Decision::Ask(Some(_)));
        assert!(asks(r#","namespaceDefaults":true"#));
        assert!(asks(r#","namespaceDefaults":["d"]"#));
        assert!(!asks(r#","namespaceDefaults":["other"]"#));
    }

    #[test]
    fn row_60_a_plain_pod_stays_plain_with_an_auxiliary_chain() {
        let extra = r#","auxiliaryCNIChainName":"vendor""#;
        assert_eq!(decide_for(extra, Some("null")), Decision::Plain);
    }

    #[test]
    fn without_a_pod_or_without_a_planner_there_is_nobody_to_ask() {
        let shim = conf(r#"{"type":"multus-shim","clusterNetwork":"x"}"#);
        assert_eq!(decide(&shim, None), Decision::Plain);
        let alone = conf(r#"{"type":"multus","delegates":[{"type":"x"}]}"#);
        assert_eq!(decide(&alone, Some(&pod("d"))), Decision::Plain);
    }
}
