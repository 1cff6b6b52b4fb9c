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
        let mut names = BTreeMap::new();
        for pod in pods {
            let record = cached.iter().find_map(|cached| matching(pod, cached));
            let bytes = match &record {
                Some((conf, _, _)) => Some(conf.clone()),
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
            if !names.contains_key(&bytes) {
                let name = self.service.primary_name(&bytes).await;
                names.insert(bytes.clone(), name);
            }
            let Some(Some(name)) = names.get(&bytes) else {
                continue;
            };
            let value = match &record {
                Some((_, ifname, result)) => from_result(name, ifname, result),
                None => from_addresses(name, pod),
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
    // Several elements come from a report; text that is no status is not ours to replace.
    match status::parse(text).as_deref() {
        Ok([only]) => {
            let told: BTreeSet<&str> = only.ips.iter().map(String::as_str).collect();
            !ips.is_subset(&told)
        }
        Ok([]) => true,
        _ => false,
    }
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

/// Configuration, interface and result of the pod's ADD, if this is its record.
fn matching(pod: &Pod, cached: &Cached) -> Option<(Vec<u8>, String, AddResult)> {
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
    Some((own_configuration(&list)?, cached.ifname.clone(), result))
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

fn from_result(name: &str, ifname: &str, result: &AddResult) -> String {
    status::print(&status::of_attachment(&Attached {
        name,
        default: true,
        ifname,
        result,
        device_info: None,
        gateways: &[],
    }))
}

fn from_addresses(name: &str, pod: &Pod) -> String {
    status::print(&[NetworkStatus {
        name: name.to_owned(),
        interface: "eth0".to_owned(),
        ips: pod.ips().map(str::to_owned).collect(),
        default: true,
        ..NetworkStatus::default()
    }])
}

#[cfg(test)]
mod tests;
