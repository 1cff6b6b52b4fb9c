//! Tables for the planner: spec/multus.md §1.3, §2, §3, §8.2 "k8s", worked examples C2 and C3.

use std::collections::BTreeMap;
use std::path::Path;

use cni::config::NetworkList;
use multus_plugin::config::NetConf;
use multus_plugin::wire::{Attachment, Plan, PlanRequest, PodRef, Reason};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Answer, PodFacts, Question, Refusal, Warning, plan};
use crate::dra::Claims;
use crate::known::{Allocation, Found, Known, Nad, NadKey, Naming, Need};
use crate::namespaces::NamespaceFacts;

mod claims;
mod devices;
mod namespaces;
mod networks;
mod policy;
mod selections;

/// A cluster on paper: the planner's needs are answered from it until there is a plan.
struct World {
    conf: String,
    ifname: String,
    networks: Option<String>,
    default_network: Option<String>,
    primary_only: bool,
    primary: Option<multus_plugin::wire::ResolvedNetwork>,
    nads: BTreeMap<NadKey, Nad>,
    api_down: bool,
    files: BTreeMap<String, String>,
    devices: Found<Allocation>,
    interfaces: BTreeMap<Naming, String>,
    asked_kubelet: std::cell::Cell<Option<bool>>,
    claims: Found<Claims>,
    asked_claims: std::cell::Cell<Option<bool>>,
    namespace: Found<NamespaceFacts>,
    asked_namespace: std::cell::Cell<bool>,
}

const CBR0: &str = r#"{"cniVersion":"1.0.0","name":"cbr0","plugins":[{"type":"bridge"},{"type":"portmap","capabilities":{"portMappings":true}}]}"#;

impl World {
    /// clusterNetwork is the file of `cbr0`.
    fn new() -> Self {
        Self::with_conf(r#""clusterNetwork":"/etc/cni/net.d/10-cbr0.conflist""#)
    }

    fn with_conf(keys: &str) -> Self {
        let files = BTreeMap::from([("/etc/cni/net.d/10-cbr0.conflist".into(), CBR0.into())]);
        Self {
            conf: format!(
                r#"{{"cniVersion":"1.0.0","name":"multus-cni-network","type":"multus",{keys}}}"#
            ),
            ifname: "eth0".into(),
            networks: None,
            default_network: None,
            primary_only: false,
            primary: None,
            nads: BTreeMap::new(),
            api_down: false,
            files,
            devices: Found::Missing,
            interfaces: BTreeMap::new(),
            asked_kubelet: std::cell::Cell::new(None),
            claims: Found::Missing,
            asked_claims: std::cell::Cell::new(None),
            namespace: Found::Missing,
            asked_namespace: std::cell::Cell::new(false),
        }
    }

    fn networks(mut self, annotation: &str) -> Self {
        self.networks = Some(annotation.into());
        self
    }

    fn default_network(mut self, annotation: &str) -> Self {
        self.default_network = Some(annotation.into());
        self
    }

    fn nad(self, name: &str, config: &str) -> Self {
        self.nad_with(name, config, None)
    }

    fn nad_with(mut self, name: &str, config: &str, resource: Option<&str>) -> Self {
        let (namespace, name) = name.split_once('/').unwrap();
        let key = NadKey {
            namespace: namespace.into(),
            name: name.into(),
        };
        let nad = Nad {
            config: config.into(),
            resource_name: resource.map(Into::into),
        };
        self.nads.insert(key, nad);
        self
    }

    /// Annotations of the pod's namespace; an empty text is none.
    fn namespace(mut self, networks: &str, default_network: &str) -> Self {
        let of = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        self.namespace = Found::Here(NamespaceFacts {
            networks: of(networks),
            default_network: of(default_network),
        });
        self
    }

    /// A network by name in confDir, or by path.
    fn file(mut self, place: &str, config: &str) -> Self {
        self.files.insert(place.into(), config.into());
        self
    }

    /// Devices of `r` per container.
    fn devices(mut self, containers: &[&[&str]]) -> Self {
        let mut allocation = Allocation::default();
        for ids in containers {
            allocation.add_container("intel.com/r", ids.iter().map(|id| (*id).to_owned()));
        }
        self.devices = Found::Here(allocation);
        self
    }

    /// Devices that the kubelet gave to others.
    fn of_others(mut self, ids: &[&str]) -> Self {
        if let Found::Here(allocation) = &mut self.devices {
            allocation.managed = Some(ids.iter().map(|id| (*id).to_owned()).collect());
        }
        self
    }

    /// An interface of the host and the function behind it.
    fn interface(mut self, naming: Naming, address: &str) -> Self {
        self.interfaces.insert(naming, address.into());
        self
    }

    fn try_plan(&self) -> Result<(Plan, Vec<Warning>), Refusal> {
        let pod = PodRef {
            namespace: "d".into(),
            name: "p".into(),
            uid: Some("u".into()),
        };
        let request = PlanRequest {
            version: 1,
            container_id: "c1".into(),
            netns: "/run/netns/x".into(),
            ifname: self.ifname.clone(),
            pod: pod.clone(),
            config: RawValue::from_string(self.conf.clone()).unwrap(),
            annotations: None,
            primary: self.primary.clone(),
            primary_only: self.primary_only,
        };
        let conf = NetConf::parse(self.conf.as_bytes()).unwrap();
        let pod = PodFacts {
            pod,
            networks: self.networks.clone(),
            default_network: self.default_network.clone(),
        };
        let question = Question {
            request: &request,
            conf: &conf,
            pod: &pod,
            devinfo_dir: Path::new("/var/run/k8s.cni.cncf.io/devinfo"),
        };
        let mut known = Known::default();
        for _ in 0..8 {
            match plan(&question, &known)? {
                Answer::Plan(plan, warnings) => return Ok((plan, warnings)),
                Answer::Needs(needs) => needs.into_iter().for_each(|n| self.answer(n, &mut known)),
            }
        }
        panic!("the planner never stops asking");
    }

    fn answer(&self, need: Need, known: &mut Known) {
        let on_disk = |place: &str| match self.files.get(place) {
            None => Found::Missing,
            Some(text) => match NetworkList::parse(text.as_bytes()) {
                Ok(list) => Found::Here(list),
                Err(error) => Found::Unknown(cni::error::chain(&error)),
            },
        };
        match need {
            Need::Nad(key) => {
                let found = match self.nads.get(&key) {
                    _ if self.api_down => Found::Unknown("connection refused".into()),
                    None => Found::Missing,
                    Some(nad) => Found::Here(nad.clone()),
                };
                known.nads.insert(key, found);
            }
            Need::Namespace(name) => {
                assert_eq!(name, "d");
                self.asked_namespace.set(true);
                known.namespace = Some(self.namespace.clone());
            }
            Need::Named(name) => {
                let found = on_disk(&name);
                known.named.insert(name, found);
            }
            Need::At(path) => {
                let found = on_disk(&path);
                known.at.insert(path, found);
            }
            Need::Function(naming) => {
                let found = self.interfaces.get(&naming).cloned();
                known.functions.insert(naming, found);
            }
            Need::Claims { others } => {
                self.asked_claims.set(Some(others));
                known.claims = Some(self.claims.clone());
            }
            Need::Devices { others } => {
                self.asked_kubelet.set(Some(others));
                known.devices = Some(self.devices.clone());
            }
        }
    }

    fn plan(&self) -> Plan {
        let planned = self.try_plan();
        planned
            .unwrap_or_else(|refusal| panic!("{}", cni::error::chain(&refusal)))
            .0
    }

    fn warnings(&self) -> Vec<String> {
        let (_, warnings) = self.try_plan().unwrap();
        warnings.into_iter().map(|warning| warning.text).collect()
    }

    /// The refusal's reason and whole text.
    fn refused(&self) -> (Reason, String) {
        let refusal = self.try_plan().unwrap_err();
        (refusal.reason(), cni::error::chain(&refusal))
    }

    /// `name ifname` of each attachment.
    fn layout(&self) -> Vec<String> {
        let plan = self.plan();
        plan.attachments
            .iter()
            .map(|a| {
                format!(
                    "{}{} {}",
                    if a.default { "*" } else { "" },
                    a.name,
                    a.ifname
                )
            })
            .collect()
    }
}

fn config(attachment: &Attachment) -> Value {
    serde_json::from_str(attachment.config.get()).unwrap()
}

fn capability(attachment: &Attachment, key: &str) -> Option<Value> {
    let raw = attachment.capabilities.get(key)?;
    Some(serde_json::from_str(raw.get()).unwrap())
}

#[track_caller]
fn has_all(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in: {text}");
    }
}
