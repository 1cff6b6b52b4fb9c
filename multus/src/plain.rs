//! network-status of plain pods, whose ADD asks nobody and reports to nobody.
//!
//! Source is the container runtime's own record of the ADD (libcni's result cache): the result that
//! the plugin returned, with the pod's name in its arguments. It counts only if it has the addresses
//! that the kubelet published in `status.podIPs`, so neither a left-over nor a half-done sandbox can
//! lend its result. Where the runtime keeps no such record, the published addresses alone are told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cni::conf_dir;
use cni::config::NetworkList;
use cni::net_attach::status::{self, Attached, NetworkStatus};
use cni::net_attach::{DEFAULT_NETWORK_ANNOTATION, NETWORKS_ANNOTATION, STATUS_ANNOTATION};
use cni::result::{self, AddResult};
use cni::runtime::cache::{Cache, Cached};
use cni::version::Version;
use kube::runtime::reflector::{ObjectRef, Store};
use multus_plugin::config::{NetConf, OWN_TYPES};
use multus_plugin::wire::PodRef;
use tokio::sync::mpsc::UnboundedReceiver;
use tracing::{debug, warn};

use crate::api::pod::Pod;
use crate::outbox::{Entry, Outbox};
use crate::plan::{self, PodFacts};
use crate::service::Service;

/// Name of a pod whose watch told a change.
pub type Changed = (String, String);

/// Follows the pods of the node.
#[derive(Debug)]
pub struct PlainPods {
    /// Plans, here only to learn the default network's name.
    pub service: Arc<Service>,
    /// Where status goes.
    pub outbox: Arc<Outbox>,
    /// This node's pods.
    pub pods: Store<Pod>,
    /// The runtime's result cache.
    pub cache: Cache,
}

impl PlainPods {
    /// Works for ever. Changes that arrive together are handled with one look at the cache.
    pub async fn follow(self, mut changed: UnboundedReceiver<Changed>) {
        while let Some(first) = changed.recv().await {
            let mut batch = BTreeSet::from([first]);
            while let Ok(next) = changed.try_recv() {
                batch.insert(next);
            }
            let pods: Vec<Arc<Pod>> = batch
                .iter()
                .filter_map(|(ns, name)| self.pods.get(&ObjectRef::new(name).within(ns)))
                .filter(|pod| lacks_status(pod))
                .collect();
            if !pods.is_empty() {
                self.derive(&pods).await;
            }
        }
    }

    async fn derive(&self, pods: &[Arc<Pod>]) {
        let cache = self.cache.clone();
        let listed = tokio::task::spawn_blocking(move || cache.list()).await;
        let cached = match listed {
            Ok(Ok(cached)) => cached,
            Ok(Err(error)) => {
                warn!(
                    error = cni::error::chain(&error),
                    "read the runtime's result cache"
                );
                Vec::new()
            }
            Err(_) => return,
        };
        let mut networks = BTreeMap::new();
        for pod in pods {
            let record = cached.iter().find_map(|cached| matching(pod, cached));
            let bytes = match &record {
                Some(record) => Some(record.conf.clone()),
                None => self.installed().await,
            };
            let Some(bytes) = bytes else { continue };
            let Ok(conf) = self.service.config.overlaid(&bytes) else {
                continue;
            };
            let facts = facts(pod);
            if !plan::is_plain(&conf, &facts) {
                continue;
            }
            if !networks.contains_key(&bytes) {
                let found = self.service.networks_of(&bytes).await;
                networks.insert(bytes.clone(), found);
            }
            let Some(Some(named)) = networks.get(&bytes) else {
                continue;
            };
            let value = match record {
                Some(record) => from_results(named, &record, &further(&conf, named, &record)),
                None => from_addresses(named, pod),
            };
            if pod.annotation(STATUS_ANNOTATION) != Some(value.as_str()) {
                debug!(pod = %facts.pod, "network-status of a plain pod");
                let pod = facts.pod;
                self.outbox.offer(Entry { pod, value });
            }
        }
    }

    /// The plugin's configuration in the runtime's folder.
    async fn installed(&self) -> Option<Vec<u8>> {
        let dir = self.service.config.cni_config_dir.clone();
        let list = tokio::task::spawn_blocking(move || conf_dir::first(&dir)).await;
        own_configuration(&list.ok()?.ok()?)
    }
}

/// A pod with addresses, a network of its own, no wishes, and no status that fits the addresses.
pub fn lacks_status(pod: &Pod) -> bool {
    let ips: BTreeSet<&str> = pod.ips().collect();
    let asks = !pod
        .annotation(NETWORKS_ANNOTATION)
        .unwrap_or_default()
        .is_empty()
        || pod.annotation(DEFAULT_NETWORK_ANNOTATION).is_some();
    if ips.is_empty() || asks || pod.on_host_network() {
        return false;
    }
    let Some(text) = pod.annotation(STATUS_ANNOTATION) else {
        return true;
    };
    // Text that is no status is not ours to replace.
    status::parse(text).is_ok_and(|elements| {
        let default = elements.iter().find(|e| e.default).or(elements.first());
        let told = default.map_or(&[][..], |element| &element.ips);
        !ips.iter().all(|ip| told.iter().any(|told| told == ip))
    })
}

fn facts(pod: &Pod) -> PodFacts {
    let meta = &pod.metadata;
    PodFacts {
        pod: PodRef {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone(),
        },
        networks: None,
        default_network: None,
    }
}

/// What the runtime recorded of a pod's ADD.
#[derive(Debug)]
struct Record {
    /// Object of our plugin.
    conf: Vec<u8>,
    container_id: String,
    ifname: String,
    result: AddResult,
}

/// The pod's record, if this is it.
fn matching(pod: &Pod, cached: &Cached) -> Option<Record> {
    let arg = |key: &str| cached.args.get(key).unwrap_or_default();
    let meta = &pod.metadata;
    let same = |value: &Option<String>, key| value.as_deref().unwrap_or_default() == arg(key);
    let uid = same(&meta.uid, "K8S_POD_UID") || arg("K8S_POD_UID").is_empty() || pod.is_static();
    if !uid || !same(&meta.namespace, "K8S_POD_NAMESPACE") || !same(&meta.name, "K8S_POD_NAME") {
        return None;
    }
    let text = cached.result.as_ref()?;
    let result = result::parse(text.0.get().as_bytes(), Version::V0_1_0).ok()?;
    let has: BTreeSet<String> = result
        .ips
        .iter()
        .map(|ip| ip.address.addr().to_string())
        .collect();
    if !pod.ips().all(|ip| has.contains(ip)) {
        return None;
    }
    let list = NetworkList::parse(&cached.config).ok()?;
    Some(Record {
        conf: own_configuration(&list)?,
        container_id: cached.container_id.clone(),
        ifname: cached.ifname.clone(),
        result,
    })
}

/// Results of the further `delegates`, by interface, from the plugin's own result cache.
fn further(
    conf: &NetConf,
    networks: &[(String, String)],
    record: &Record,
) -> BTreeMap<String, AddResult> {
    if networks.len() < 2 {
        return BTreeMap::new();
    }
    let own = Cache::new(&conf.cni_dir).list().unwrap_or_default();
    own.into_iter()
        .filter(|cached| cached.container_id == record.container_id)
        .filter_map(|cached| {
            let text = cached.result?;
            let result = result::parse(text.0.get().as_bytes(), Version::V0_1_0).ok()?;
            Some((cached.ifname, result))
        })
        .collect()
}

/// The object of our plugin in a configuration of the runtime.
pub fn own_configuration(list: &NetworkList) -> Option<Vec<u8>> {
    let own = list
        .plugins()
        .iter()
        .find(|plugin| OWN_TYPES.contains(&plugin.plugin_type()))?;
    let bytes = own.object().to_bytes();
    NetConf::parse(&bytes).ok()?.primary().ok()?;
    Some(bytes)
}

fn from_results(
    networks: &[(String, String)],
    record: &Record,
    further: &BTreeMap<String, AddResult>,
) -> String {
    let mut elements = Vec::new();
    for (index, (name, ifname)) in networks.iter().enumerate() {
        let (ifname, result) = if index == 0 {
            (&record.ifname, Some(&record.result))
        } else {
            (ifname, further.get(ifname))
        };
        if let Some(result) = result {
            elements.extend(status::of_attachment(&Attached {
                name,
                default: index == 0,
                ifname,
                result,
                device_info: None,
                gateways: &[],
            }));
        }
    }
    status::print(&elements)
}

fn from_addresses(networks: &[(String, String)], pod: &Pod) -> String {
    let elements: Vec<NetworkStatus> = networks
        .iter()
        .take(1)
        .map(|(name, ifname)| NetworkStatus {
            name: name.clone(),
            interface: ifname.clone(),
            ips: pod.ips().map(str::to_owned).collect(),
            default: true,
            ..NetworkStatus::default()
        })
        .collect();
    status::print(&elements)
}

#[cfg(test)]
mod tests;
