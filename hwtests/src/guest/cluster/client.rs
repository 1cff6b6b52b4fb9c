//! The API as scenarios use it.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use kube::{
    Api, Config,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::GroupVersionKind,
};
use serde_json::Value;

/// A sandbox refused this often will not come to be.
const REFUSALS: usize = 8;

/// Group, version, kind and plural of the kinds that scenarios touch.
const POD: (&str, &str, &str, &str) = ("", "v1", "Pod", "pods");
const NODE: (&str, &str, &str, &str) = ("", "v1", "Node", "nodes");
const EVENT: (&str, &str, &str, &str) = ("", "v1", "Event", "events");

/// Kind and name, for messages.
pub(super) fn named(object: &DynamicObject) -> String {
    format!(
        "{} {}",
        object.types.as_ref().map_or("?", |types| &types.kind),
        object.metadata.name.as_deref().unwrap_or_default()
    )
}

/// Speaks to the API server.
#[derive(Clone)]
pub struct Client {
    inner: kube::Client,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// A client for the server and user that a kubeconfig names.
    ///
    /// # Errors
    /// When the file cannot be read or used.
    pub async fn from_kubeconfig(path: &Path) -> Result<Self> {
        let file = Kubeconfig::read_from(path).context("read the kubeconfig")?;
        let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
            .await
            .context("use the kubeconfig")?;
        // The guest has no trust store, and the lab's servers have no certificate to check.
        config.root_cert.get_or_insert_default();
        Ok(Self {
            inner: kube::Client::try_from(config).context("make an API client")?,
        })
    }

    /// Whether the server says that it is ready.
    pub async fn ready(&self) -> bool {
        let Ok(request) = hyper::Request::get("/readyz").body(Vec::new()) else {
            return false;
        };
        self.inner
            .request_text(request)
            .await
            .is_ok_and(|text| text == "ok")
    }

    /// Waits until a kind of `k8s.cni.cncf.io/v1` is served, by its plural.
    ///
    /// # Errors
    /// After a minute.
    pub async fn wait_served(&self, plural: &str) -> Result<()> {
        let deadline = Instant::now() + Duration::from_mins(1);
        let api = self.api(("k8s.cni.cncf.io", "v1", "", plural), None);
        while let Err(error) = api.list(&ListParams::default()).await {
            if Instant::now() > deadline {
                return Err(error).with_context(|| format!("waited 60 s for {plural}"));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// Creates an object; its kind and namespace are read from it.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn create(&self, object: &Value) -> Result<()> {
        let (api, object) = self.place(object)?;
        api.create(&PostParams::default(), &object)
            .await
            .with_context(|| format!("create {}", named(&object)))?;
        Ok(())
    }

    /// Where a manifest's object is served, and the object.
    pub(super) fn place(&self, manifest: &Value) -> Result<(Api<DynamicObject>, DynamicObject)> {
        let object: DynamicObject =
            serde_json::from_value(manifest.clone()).context("read a manifest")?;
        let types = object.types.clone().context("a manifest without kind")?;
        let gvk = GroupVersionKind::try_from(&types).context("a manifest's apiVersion")?;
        let resource = match gvk.kind.as_str() {
            // Its plural has dashes, which cannot be guessed from the kind.
            "NetworkAttachmentDefinition" => {
                ApiResource::from_gvk_with_plural(&gvk, "network-attachment-definitions")
            }
            _ => ApiResource::from_gvk(&gvk),
        };
        let api = match &object.metadata.namespace {
            Some(namespace) => Api::namespaced_with(self.inner.clone(), namespace, &resource),
            None => Api::all_with(self.inner.clone(), &resource),
        };
        Ok((api, object))
    }

    /// A pod of namespace `default`, as JSON; `None` if there is none.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn pod(&self, name: &str) -> Result<Option<Value>> {
        let pod = self.api(POD, Some("default")).get_opt(name).await;
        pod.context("get a pod")?
            .map(|pod| serde_json::to_value(pod).context("encode a pod"))
            .transpose()
    }

    /// Names of the pods of namespace `default`.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn pods(&self) -> Result<Vec<String>> {
        let api = self.api(POD, Some("default"));
        let list = api
            .list(&ListParams::default())
            .await
            .context("list pods")?;
        Ok(list
            .iter()
            .filter_map(|pod| pod.metadata.name.clone())
            .collect())
    }

    /// Waits until a pod that others create and delete is there, or is not.
    ///
    /// # Errors
    /// After `limit`.
    pub async fn wait_there(&self, name: &str, there: bool, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        while self.pod(name).await?.is_some() != there {
            if Instant::now() > deadline {
                let still = if there { "not there" } else { "still there" };
                bail!("pod {name} is {still} after {} s", limit.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Waits until a pod is in a phase.
    ///
    /// # Errors
    /// After `limit`, or when the pod failed, is gone, or its sandbox was refused often enough to give up: with its
    /// status and its last events.
    pub async fn wait_phase(&self, name: &str, phase: &str, limit: Duration) -> Result<Value> {
        let deadline = Instant::now() + limit;
        loop {
            let pod = self
                .pod(name)
                .await?
                .with_context(|| format!("pod {name} is gone"))?;
            let now = pod["status"]["phase"].as_str().unwrap_or("");
            if now == phase {
                return Ok(pod);
            }
            let events = self.events(name).await?;
            let refusals = events
                .iter()
                .filter(|event| event.starts_with("FailedCreatePodSandBox"))
                .count();
            if now == "Failed" || refusals >= REFUSALS || Instant::now() > deadline {
                bail!(
                    "pod {name} is {now:?} ({}), wanted {phase}; its last events:\n{}",
                    pod["status"]["message"].as_str().unwrap_or("no message"),
                    events[events.len().saturating_sub(3)..].join("\n")
                );
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Events of a pod as `reason: message`, oldest first.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn events(&self, pod: &str) -> Result<Vec<String>> {
        let list = self
            .api(EVENT, Some("default"))
            .list(&ListParams::default())
            .await
            .context("list events")?;
        Ok(list
            .iter()
            .filter(|event| {
                let about = &event.data["involvedObject"]["name"];
                about == pod || event.data["regarding"]["name"] == pod
            })
            .map(|event| {
                let text = event.data["message"]
                    .as_str()
                    .or(event.data["note"].as_str());
                format!(
                    "{}: {}",
                    event.data["reason"].as_str().unwrap_or("?"),
                    text.unwrap_or("")
                )
            })
            .collect())
    }

    /// Deletes a pod and waits until it is gone.
    ///
    /// # Errors
    /// When it is still there after `limit`, with its events.
    pub async fn delete_pod(&self, name: &str, limit: Duration) -> Result<()> {
        self.api(POD, Some("default"))
            .delete(name, &DeleteParams::default())
            .await
            .with_context(|| format!("delete pod {name}"))?;
        let deadline = Instant::now() + limit;
        while self.pod(name).await?.is_some() {
            if Instant::now() > deadline {
                bail!(
                    "pod {name} is still there {} s after its deletion; its events:\n{}",
                    limit.as_secs(),
                    self.events(name).await?.join("\n")
                );
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// The node.
    ///
    /// # Errors
    /// When there is none.
    pub async fn node(&self, name: &str) -> Result<Value> {
        let node = self
            .api(NODE, None)
            .get(name)
            .await
            .context("get the node")?;
        serde_json::to_value(node).context("encode the node")
    }

    fn api(
        &self,
        (group, version, kind, plural): (&str, &str, &str, &str),
        namespace: Option<&str>,
    ) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        match namespace {
            Some(namespace) => Api::namespaced_with(self.inner.clone(), namespace, &resource),
            None => Api::all_with(self.inner.clone(), &resource),
        }
    }
}
