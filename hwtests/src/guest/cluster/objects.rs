//! Objects of any kind: applied, looked at and deleted as an admin does it with manifests.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::Value;

use super::{Client, client::named};

impl Client {
    /// Creates an object, or changes the one that is there to what the manifest says: keys that it does not name stay,
    /// lists are the manifest's own.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn apply(&self, manifest: &Value) -> Result<()> {
        let (api, object) = self.place(manifest)?;
        match api.create(&PostParams::default(), &object).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => {
                let name = object.metadata.name.clone().unwrap_or_default();
                api.patch(&name, &PatchParams::default(), &Patch::Merge(manifest))
                    .await
                    .with_context(|| format!("change {}", named(&object)))?;
                Ok(())
            }
            Err(error) => Err(error).with_context(|| format!("create {}", named(&object))),
        }
    }

    /// The object that a manifest names, as it is; `None` if there is none.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn look(&self, manifest: &Value) -> Result<Option<Value>> {
        let (api, object) = self.place(manifest)?;
        let name = object.metadata.name.clone().unwrap_or_default();
        let found = api
            .get_opt(&name)
            .await
            .with_context(|| format!("get {}", named(&object)))?;
        found
            .map(|found| serde_json::to_value(found).context("encode an object"))
            .transpose()
    }

    /// Asks for the deletion of the object that a manifest names; one that is not there is no error.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn remove(&self, manifest: &Value) -> Result<()> {
        let (api, object) = self.place(manifest)?;
        let name = object.metadata.name.clone().unwrap_or_default();
        match api.delete(&name, &DeleteParams::background()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error).with_context(|| format!("delete {}", named(&object))),
        }
    }

    /// Objects of the kind and namespace of a manifest that have these labels (a selector as kubectl takes it).
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn siblings(&self, manifest: &Value, labels: &str) -> Result<Vec<Value>> {
        let (api, object) = self.place(manifest)?;
        let list = api
            .list(&ListParams::default().labels(labels))
            .await
            .with_context(|| format!("list what is like {}", named(&object)))?;
        list.iter()
            .map(|one| serde_json::to_value(one).context("encode an object"))
            .collect()
    }

    /// Waits until an object is as wanted; `None` is one that is not there. Returns it.
    ///
    /// # Errors
    /// After `limit`, with the object's status.
    pub async fn wait_object(
        &self,
        manifest: &Value,
        what: &str,
        limit: Duration,
        mut wanted: impl FnMut(Option<&Value>) -> bool,
    ) -> Result<Option<Value>> {
        let deadline = Instant::now() + limit;
        loop {
            let found = self.look(manifest).await?;
            if wanted(found.as_ref()) {
                return Ok(found);
            }
            if Instant::now() > deadline {
                bail!(
                    "{} {}: waited {} s until {what}; its status: {}",
                    manifest["kind"].as_str().unwrap_or("?"),
                    manifest["metadata"]["name"].as_str().unwrap_or("?"),
                    limit.as_secs(),
                    found.map_or_else(
                        || "it is not there".to_owned(),
                        |found| found["status"].to_string()
                    )
                );
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}
