//! Looking up what the planner needs: API, disk, kubelet.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cni::conf_dir::{self, ConfDirError};
use cni::config::NetworkList;
use cni::net_attach::{DEFAULT_NETWORK_ANNOTATION, NETWORKS_ANNOTATION};
use futures::future::join_all;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Client};
use multus_plugin::wire::{PlanRequest, PodRef};
use tracing::debug;

use crate::api;
use crate::api::nad::NetworkAttachmentDefinition;
use crate::api::pod::{self, Pod};
use crate::dra::{self, Claims};
use crate::function;
use crate::known::{Found, Known, Nad, NadKey, Need};
use crate::kubelet::Kubelet;
use crate::nads::NadFiles;
use crate::namespaces::Namespaces;
use crate::plan::PodFacts;

/// Longest wait for one answer of the API server; the plugin waits one second for everything.
pub const API_WAIT: Duration = Duration::from_millis(400);

/// Everything there is to ask.
pub struct Sources {
    /// API client; none: no API server is configured.
    pub client: Option<Client>,
    /// This node's pods, when they are watched.
    pub pods: Option<Store<Pod>>,
    /// All NADs, when they are watched.
    pub nads: Option<Store<NetworkAttachmentDefinition>>,
    /// NADs of earlier times.
    pub nad_files: NadFiles,
    /// Namespaces, where they are asked.
    pub namespaces: Namespaces,
    /// The kubelet.
    pub kubelet: Kubelet,
    /// Name of this node; none: each pod says.
    pub node: Option<String>,
    /// Where sysfs is mounted.
    pub sysfs: PathBuf,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources")
            .field("has_api", &self.client.is_some())
            .field("nad_files", &self.nad_files)
            .field("kubelet", &self.kubelet)
            .finish_non_exhaustive()
    }
}

/// Why nothing is known about a pod.
#[derive(Debug, thiserror::Error)]
pub enum PodUnknown {
    /// No API server, and no annotations from the runtime.
    #[error(
        "pod {pod}: its annotations are unknown, because the runtime did not hand them over and no API server is configured"
    )]
    NoApi {
        /// The pod.
        pod: PodRef,
    },
    /// The API server did not say.
    #[error(
        "pod {pod}: ask the API server for its annotations, the pod will be tried again: {cause}"
    )]
    Api {
        /// The pod.
        pod: PodRef,
        /// Its answer.
        cause: String,
    },
    /// The API server was too slow.
    #[error("pod {pod}: the API server did not answer in {ms} ms, the pod will be tried again", ms = API_WAIT.as_millis())]
    Slow {
        /// The pod.
        pod: PodRef,
    },
    /// It was deleted meanwhile.
    #[error("pod {pod} does not exist any more")]
    Gone {
        /// The pod.
        pod: PodRef,
    },
    /// A static pod, which the kubelet has not shown to the API server yet.
    #[error("static pod {pod} is not known to the API server yet, it will be tried again")]
    NotShown {
        /// The pod.
        pod: PodRef,
    },
    /// Another pod has its name by now.
    #[error(
        "pod {pod}: the sandbox is for UID {asked}, and the API server has UID {present}: it was replaced"
    )]
    Replaced {
        /// The pod.
        pod: PodRef,
        /// UID the runtime named.
        asked: String,
        /// UID in the API.
        present: String,
    },
}

impl Sources {
    /// What planning reads of the request's pod. Annotations that the runtime handed over are those
    /// that the kubelet acts upon; only without them is the API asked.
    pub async fn pod(&self, request: &PlanRequest) -> Result<PodFacts, PodUnknown> {
        if let Some(annotations) = &request.annotations {
            return Ok(PodFacts {
                pod: request.pod.clone(),
                networks: annotations.get(NETWORKS_ANNOTATION).cloned(),
                default_network: annotations.get(DEFAULT_NETWORK_ANNOTATION).cloned(),
            });
        }
        if request.primary_only {
            return Ok(PodFacts {
                pod: request.pod.clone(),
                networks: None,
                default_network: None,
            });
        }
        if let Some(pod) = self.watched(&request.pod)
            && let Ok(facts) = facts(&request.pod, &pod)
        {
            return Ok(facts);
        }
        facts(&request.pod, &self.live(&request.pod).await?)
    }

    fn watched(&self, pod: &PodRef) -> Option<Pod> {
        let key = ObjectRef::new(&pod.name).within(&pod.namespace);
        self.pods.as_ref()?.get(&key).map(|pod| Pod::clone(&pod))
    }

    async fn live(&self, pod: &PodRef) -> Result<Pod, PodUnknown> {
        let Some(client) = &self.client else {
            return Err(PodUnknown::NoApi { pod: pod.clone() });
        };
        let find = pod::find(client, &pod.namespace, &pod.name);
        match tokio::time::timeout(API_WAIT, find).await {
            Ok(Ok(Some(found))) => Ok(found),
            Ok(Ok(None)) if of_static_pod(pod.uid.as_deref()) => {
                Err(PodUnknown::NotShown { pod: pod.clone() })
            }
            Ok(Ok(None)) => Err(PodUnknown::Gone { pod: pod.clone() }),
            Ok(Err(error)) => Err(PodUnknown::Api {
                pod: pod.clone(),
                cause: api::words(&error),
            }),
            Err(_) => Err(PodUnknown::Slow { pod: pod.clone() }),
        }
    }

    /// Looks up all of `needs` and adds the answers to `known`.
    pub async fn gather(
        &self,
        needs: BTreeSet<Need>,
        pod: &PodRef,
        conf_dir: &Path,
        known: &mut Known,
    ) {
        let nads = needs.iter().filter_map(|need| match need {
            Need::Nad(key) => Some(key.clone()),
            _ => None,
        });
        let found = join_all(nads.map(async |key| (self.nad(&key).await, key))).await;
        known
            .nads
            .extend(found.into_iter().map(|(f, key)| (key, f)));
        for need in needs {
            match need {
                Need::Nad(_) => {}
                Need::Namespace(name) => {
                    let client = self.client.as_ref();
                    known.namespace = Some(self.namespaces.look_up(client, &name).await);
                }
                Need::Named(name) => {
                    let found = on_disk({
                        let (dir, name) = (conf_dir.to_path_buf(), name.clone());
                        move || conf_dir::find(&dir, &name)
                    });
                    known.named.insert(name, found.await);
                }
                Need::At(path) => {
                    let found = on_disk({
                        let path = PathBuf::from(&path);
                        move || {
                            if path.is_dir() {
                                conf_dir::first(&path)
                            } else {
                                conf_dir::load(&path)
                            }
                        }
                    });
                    known.at.insert(path, found.await);
                }
                Need::Function(naming) => {
                    let sysfs = self.sysfs.clone();
                    let asked = naming.clone();
                    let found =
                        tokio::task::spawn_blocking(move || function::behind(&sysfs, &asked)).await;
                    known.functions.insert(naming, found.ok().flatten());
                }
                Need::Devices { others } => {
                    known.devices = Some(self.kubelet.devices(pod, others).await);
                }
                Need::Claims { others } => {
                    known.claims = Some(self.claims(pod, others).await);
                }
            }
        }
    }

    /// The claims of the pod. A watch that is behind is passed by.
    async fn claims(&self, pod: &PodRef, others: bool) -> Found<Claims> {
        let Some(client) = &self.client else {
            return Found::Missing;
        };
        let usable = |found: &Pod| facts(pod, found).is_ok() && dra::is_complete(found);
        let found = match self.watched(pod).filter(usable) {
            Some(found) => found,
            None => match self.live(pod).await {
                Ok(found) => found,
                Err(error) => return Found::Unknown(cni::error::chain(&error)),
            },
        };
        if let Err(error) = facts(pod, &found) {
            return Found::Unknown(cni::error::chain(&error));
        }
        let of_pod = found.spec.as_ref().and_then(|s| s.node_name.clone());
        let Some(node) = self.node.clone().or(of_pod) else {
            return Found::Unknown("the node has no name: set MULTUS_NODE_NAME".into());
        };
        dra::look_up(client, &found, &node, others).await
    }

    async fn nad(&self, key: &NadKey) -> Found<Nad> {
        let reference = ObjectRef::new(&key.name).within(&key.namespace);
        if let Some(nad) = self.nads.as_ref().and_then(|store| store.get(&reference)) {
            return Found::Here(nad.facts().1);
        }
        let cause = match self.live_nad(key).await {
            Ok(Some(nad)) => return Found::Here(nad),
            Ok(None) => return Found::Missing,
            Err(cause) => cause,
        };
        match self.nad_files.read(key) {
            Some(nad) => {
                debug!(%key, cause, "NAD taken from the copy on disk");
                Found::Here(nad)
            }
            None => Found::Unknown(cause),
        }
    }

    async fn live_nad(&self, key: &NadKey) -> Result<Option<Nad>, String> {
        let Some(client) = &self.client else {
            return Err("no API server is configured".into());
        };
        let api: Api<NetworkAttachmentDefinition> = Api::namespaced(client.clone(), &key.namespace);
        match tokio::time::timeout(API_WAIT, api.get_opt(&key.name)).await {
            Ok(Ok(found)) => Ok(found.map(|nad| nad.facts().1)),
            Ok(Err(error)) => Err(api::words(&error)),
            Err(_) => Err(format!(
                "the API server did not answer in {} ms",
                API_WAIT.as_millis()
            )),
        }
    }
}

/// The kubelet names static pods by a hash; UIDs of the API have dashes.
fn of_static_pod(uid: Option<&str>) -> bool {
    uid.is_some_and(|uid| uid.len() == 32 && uid.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The facts of `present`, if it is the pod that was asked for. A static pod's UID in the API is not
/// the one that the runtime has; the kubelet's device checkpoint knows the latter.
fn facts(asked: &PodRef, present: &Pod) -> Result<PodFacts, PodUnknown> {
    let uid = present.metadata.uid.clone();
    let same = asked.uid.is_none() || asked.uid == uid;
    if !same && !present.is_static() {
        return Err(PodUnknown::Replaced {
            pod: asked.clone(),
            asked: asked.uid.clone().unwrap_or_default(),
            present: uid.unwrap_or_default(),
        });
    }
    Ok(PodFacts {
        pod: PodRef {
            uid: asked.uid.clone().or(uid),
            ..asked.clone()
        },
        networks: present.annotation(NETWORKS_ANNOTATION).map(str::to_owned),
        default_network: present
            .annotation(DEFAULT_NETWORK_ANNOTATION)
            .map(str::to_owned),
    })
}

async fn on_disk(
    look: impl FnOnce() -> Result<NetworkList, ConfDirError> + Send + 'static,
) -> Found<NetworkList> {
    match tokio::task::spawn_blocking(look).await {
        Ok(Ok(list)) => Found::Here(list),
        Ok(Err(ConfDirError::Missing { .. } | ConfDirError::Empty { .. })) => Found::Missing,
        Ok(Err(ConfDirError::Io { source, .. }))
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            Found::Missing
        }
        Ok(Err(error)) => Found::Unknown(cni::error::chain(&error)),
        Err(error) => Found::Unknown(error.to_string()),
    }
}
