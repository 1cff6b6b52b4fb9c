//! The committed manifests, changed as an overlay changes them (deploy/examples/kustomize), applied and taken away.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::guest::cluster::Client;

/// `deploy/kustomize` as it is committed: folder/file, text.
const FILES: [(&str, &str); 4] = [
    (
        "crd/kustomization.yaml",
        include_str!("../../../../deploy/kustomize/crd/kustomization.yaml"),
    ),
    (
        "crd/network-attachment-definitions.yaml",
        include_str!("../../../../deploy/kustomize/crd/network-attachment-definitions.yaml"),
    ),
    (
        "base/kustomization.yaml",
        include_str!("../../../../deploy/kustomize/base/kustomization.yaml"),
    ),
    (
        "base/ferrovia.yaml",
        include_str!("../../../../deploy/kustomize/base/ferrovia.yaml"),
    ),
];

/// The ConfigMap of pools, its key, and the image's name in the manifests.
const POOLS: (&str, &str) = ("sriovdp-config", "config.json");
const IMAGE: &str = "ferrovia";

/// What `kubectl apply -k` would send.
#[derive(Debug, Clone)]
pub struct Installation {
    /// The definition of networks, which is applied first and deleted by nobody.
    definitions: Vec<Value>,
    objects: Vec<Value>,
}

impl Installation {
    /// The image that the committed manifests name.
    ///
    /// # Errors
    /// When they name none.
    pub fn committed_image() -> Result<String> {
        let objects = folder("base")?;
        let set = objects.iter().find(|one| is_set(one));
        let image =
            set.and_then(|set| set["spec"]["template"]["spec"]["containers"][0]["image"].as_str());
        image
            .map(str::to_owned)
            .context("the manifests name no image")
    }

    /// The manifests with an image (`name:tag`) and the pools of this node (the content of `config.json`).
    ///
    /// # Errors
    /// When a kustomization names a file that is not among those built in, or the manifests lack what the overlay
    /// changes.
    pub fn new(image: &str, pools: &Value) -> Result<Self> {
        let mut installation = Self {
            definitions: folder("crd")?,
            objects: folder("base")?,
        };
        installation.set_image(image)?;
        installation.set_config(POOLS.0, POOLS.1, &pools.to_string())?;
        Ok(installation)
    }

    /// Another image in every container.
    ///
    /// # Errors
    /// When no container has ours.
    pub fn set_image(&mut self, image: &str) -> Result<()> {
        let mut changed = 0;
        for set in self.objects.iter_mut().filter(|one| is_set(one)) {
            let spec = &mut set["spec"]["template"]["spec"];
            for list in ["initContainers", "containers"] {
                // An index would put a null where there is no list.
                let containers = spec.get_mut(list).and_then(Value::as_array_mut);
                for container in containers.into_iter().flatten() {
                    let old = container["image"].as_str().unwrap_or_default();
                    if old
                        .rsplit_once(':')
                        .is_some_and(|(name, _)| name.ends_with(IMAGE))
                    {
                        container["image"] = json!(image);
                        changed += 1;
                    }
                }
            }
        }
        ensure!(
            changed > 0,
            "no container of the manifests has image {IMAGE}"
        );
        Ok(())
    }

    /// Another text for a key of a ConfigMap, as a patch of an overlay sets it.
    ///
    /// # Errors
    /// When the manifests have no such key.
    pub fn set_config(&mut self, map: &str, key: &str, text: &str) -> Result<()> {
        let found = self
            .objects
            .iter_mut()
            .find(|one| one["kind"] == "ConfigMap" && one["metadata"]["name"] == map)
            .and_then(|one| one["data"].get_mut(key));
        *found.with_context(|| format!("the manifests have no ConfigMap {map} with {key}"))? =
            json!(text);
        Ok(())
    }

    /// The DaemonSets, in the manifests' order.
    pub fn sets(&self) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(|one| is_set(one))
    }

    /// The objects without the definition of networks, in the manifests' order.
    pub fn objects(&self) -> &[Value] {
        &self.objects
    }

    /// Applies the definition of networks.
    ///
    /// # Errors
    /// When the server refuses it, or does not serve networks in time.
    pub async fn define(&self, client: &Client) -> Result<()> {
        for object in &self.definitions {
            client.apply(object).await?;
        }
        client.wait_served("network-attachment-definitions").await
    }

    /// Applies everything, the definition of networks first; also an upgrade.
    ///
    /// # Errors
    /// When the server refuses an object, or does not serve networks in time.
    pub async fn apply(&self, client: &Client) -> Result<()> {
        self.define(client).await?;
        for object in &self.objects {
            client.apply(object).await?;
        }
        Ok(())
    }

    /// Waits until every DaemonSet is rolled out: what `kubectl rollout status` waits for. Returns a line per set.
    ///
    /// # Errors
    /// After `limit`, with the set's status and that of its pods.
    pub async fn wait_rolled_out(&self, client: &Client, limit: Duration) -> Result<Vec<String>> {
        let mut rows = Vec::new();
        for set in self.sets() {
            let waited = client
                .wait_object(set, "it is rolled out", limit, |found| {
                    found.is_some_and(rolled_out)
                })
                .await;
            match waited {
                Ok(found) => rows.push(row(&found.unwrap_or_default())),
                Err(error) => bail!("{error:#}\n{}", self.pods(client, set).await?.join("\n")),
            }
        }
        Ok(rows)
    }

    /// Asks for the deletion of all objects at once; the definition of networks stays, as in every way out.
    ///
    /// # Errors
    /// When the server refuses one.
    pub async fn delete(&self, client: &Client) -> Result<()> {
        futures::future::try_join_all(self.objects.iter().map(|object| client.remove(object)))
            .await?;
        Ok(())
    }

    /// Waits until no object and no pod of it is there.
    ///
    /// # Errors
    /// After `limit`, with what is left.
    pub async fn wait_gone(&self, client: &Client, limit: Duration) -> Result<()> {
        let deadline = std::time::Instant::now() + limit;
        for object in &self.objects {
            client
                .wait_object(object, "it is gone", limit, |found| found.is_none())
                .await?;
        }
        for set in self.sets() {
            loop {
                let left = self.pods(client, set).await?;
                if left.is_empty() {
                    break;
                }
                if std::time::Instant::now() > deadline {
                    bail!(
                        "pods are left after {} s:\n{}",
                        limit.as_secs(),
                        left.join("\n")
                    );
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        Ok(())
    }

    /// A line per pod of a DaemonSet: name, phase, what its containers are at.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn pods(&self, client: &Client, set: &Value) -> Result<Vec<String>> {
        let found = pods_of(client, set).await?;
        Ok(found
            .iter()
            .map(|pod| {
                format!(
                    "{}: {} {} {} {}",
                    pod["metadata"]["name"].as_str().unwrap_or("?"),
                    pod["status"]["phase"].as_str().unwrap_or("?"),
                    pod["status"]["message"].as_str().unwrap_or_default(),
                    pod["status"]["initContainerStatuses"],
                    pod["status"]["containerStatuses"],
                )
            })
            .collect())
    }
}

/// The pods of a DaemonSet.
///
/// # Errors
/// When the server does not answer.
pub async fn pods_of(client: &Client, set: &Value) -> Result<Vec<Value>> {
    let like = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "", "namespace": set["metadata"]["namespace"]},
    });
    let labels = set["spec"]["selector"]["matchLabels"].as_object();
    let selector: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    client.siblings(&like, &selector.join(",")).await
}

fn is_set(object: &Value) -> bool {
    object["kind"] == "DaemonSet"
}

/// The controller has seen this generation, and every node's pod is of it and available.
fn rolled_out(set: &Value) -> bool {
    let number = |key: &str| set["status"][key].as_i64().unwrap_or_default();
    let wanted = number("desiredNumberScheduled");
    set["status"]["observedGeneration"] == set["metadata"]["generation"]
        && wanted > 0
        && number("updatedNumberScheduled") == wanted
        && number("numberAvailable") == wanted
        && number("currentNumberScheduled") == wanted
}

fn row(set: &Value) -> String {
    format!(
        "{}: {} of {} pods ready",
        set["metadata"]["name"].as_str().unwrap_or("?"),
        set["status"]["numberReady"],
        set["status"]["desiredNumberScheduled"]
    )
}

/// Objects of the files that a folder's kustomization lists.
fn folder(name: &str) -> Result<Vec<Value>> {
    let list = documents(text(&format!("{name}/kustomization.yaml"))?)?;
    let resources = list.first().map(|one| one["resources"].clone());
    let files = resources.and_then(|list| list.as_array().cloned());
    let mut objects = Vec::new();
    for file in files.with_context(|| format!("the kustomization of {name} lists no resources"))? {
        let file = file.as_str().context("a resource that is no path")?;
        objects.extend(documents(text(&format!("{name}/{file}"))?)?);
    }
    Ok(objects)
}

fn text(path: &str) -> Result<&'static str> {
    let found = FILES.iter().find(|(name, _)| *name == path);
    found
        .map(|(_, text)| *text)
        .with_context(|| format!("deploy/kustomize/{path} is not built into hwtests"))
}

/// Documents of a YAML text; empty ones are left out.
fn documents(yaml: &str) -> Result<Vec<Value>> {
    let all: Vec<Value> = serde_saphyr::from_multiple(yaml).context("read a manifest")?;
    Ok(all.into_iter().filter(|one| !one.is_null()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overlay_changes_image_and_pools_and_nothing_else() {
        let pools = json!({"resourceList": [{"resourceName": "a"}]});
        let made = Installation::new("elsewhere/ferrovia:2", &pools).unwrap();
        assert_eq!(made.definitions[0]["kind"], "CustomResourceDefinition");
        let text = serde_json::to_string(&made.objects).unwrap();
        assert_eq!(text.matches("elsewhere/ferrovia:2").count(), 3);
        assert!(!text.contains("\"ferrovia:0.1.0\""));
        let map = made
            .objects
            .iter()
            .find(|one| one["metadata"]["name"] == POOLS.0)
            .unwrap();
        assert_eq!(map["data"][POOLS.1], pools.to_string());
        let committed = folder("base").unwrap();
        let different = made.objects.iter().zip(&committed).filter(|(a, b)| a != b);
        assert_eq!(different.count(), 3, "two DaemonSets and a ConfigMap");
    }

    #[test]
    fn a_set_is_rolled_out_when_each_pod_is_new_and_available() {
        let set = |observed: i64, updated: i64, available: i64| {
            rolled_out(&json!({
                "metadata": {"generation": 2},
                "status": {
                    "observedGeneration": observed, "desiredNumberScheduled": 1, "currentNumberScheduled": 1,
                    "updatedNumberScheduled": updated, "numberAvailable": available,
                },
            }))
        };
        assert!(set(2, 1, 1));
        assert!(!set(1, 1, 1) && !set(2, 0, 1) && !set(2, 1, 0));
    }
}
