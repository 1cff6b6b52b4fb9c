//! Networks that a namespace gives to its pods, by the annotations of a pod put on the Namespace object
//! (spec/multus.md §9.1 P14, §10 row 67).
//!
//! Asked only where the key `namespaceDefaults` says so, and only for the metadata. Each answer is kept on disk, for
//! an outage of the API server: a pod whose namespace cannot be asked and was never seen is refused.

use std::path::{Path, PathBuf};

use cni::net_attach::{DEFAULT_NETWORK_ANNOTATION, NETWORKS_ANNOTATION};
use host::file::{self, Durability};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use serde::{Deserialize, Serialize};
use tracing::{debug, warn};

use crate::api;
use crate::known::Found;
use crate::sources::API_WAIT;

/// What planning reads of a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceFacts {
    /// Its annotation `k8s.v1.cni.cncf.io/networks`: for all its pods, before those of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub networks: Option<String>,
    /// Its annotation `v1.multus-cni.io/default-network`: for pods that have none of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_network: Option<String>,
}

/// The way to namespaces.
#[derive(Debug, Clone)]
pub struct Namespaces {
    dir: PathBuf,
}

impl Namespaces {
    /// Keeps its copies in `dir`, which need not exist.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The namespace as the API server has it now, else as it was when it was last asked for.
    pub async fn look_up(&self, client: Option<&Client>, name: &str) -> Found<NamespaceFacts> {
        let cause = match live(client, name).await {
            Ok(Some(facts)) => {
                self.keep(name, &facts);
                return Found::Here(facts);
            }
            Ok(None) => return Found::Missing,
            Err(cause) => cause,
        };
        match self.read(name) {
            Some(facts) => {
                debug!(name, cause, "namespace taken from the copy on disk");
                Found::Here(facts)
            }
            None => Found::Unknown(cause),
        }
    }

    fn read(&self, name: &str) -> Option<NamespaceFacts> {
        file::read_record(&self.path(name)?).unwrap_or_else(|error| {
            warn!(error = cni::error::chain(&error), "stored namespace");
            None
        })
    }

    fn keep(&self, name: &str, facts: &NamespaceFacts) {
        let Some(path) = self.path(name) else {
            return;
        };
        if self.read(name).as_ref() == Some(facts) {
            return;
        }
        let written = file::create_dir(&self.dir, file::PRIVATE_DIR)
            .and_then(|()| file::write_record(&path, facts, Durability::Process));
        if let Err(error) = written {
            warn!(error = cni::error::chain(&error), "keep a namespace");
        }
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        let safe = !name.is_empty() && !name.starts_with('.') && !name.contains('/');
        safe.then(|| Path::new(&self.dir).join(format!("{name}.json")))
    }
}

async fn live(client: Option<&Client>, name: &str) -> Result<Option<NamespaceFacts>, String> {
    let Some(client) = client else {
        return Err("no API server is configured".into());
    };
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let found = match tokio::time::timeout(API_WAIT, namespaces.get_metadata_opt(name)).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) if api::code(&error) == 403 => {
            return Err(format!(
                "{}; grant get on namespaces, or take the namespace out of namespaceDefaults",
                api::words(&error)
            ));
        }
        Ok(Err(error)) => return Err(api::words(&error)),
        Err(_) => {
            return Err(format!(
                "the API server did not answer in {} ms",
                API_WAIT.as_millis()
            ));
        }
    };
    Ok(found.map(|namespace| {
        let mut annotations = namespace.metadata.annotations.unwrap_or_default();
        NamespaceFacts {
            networks: annotations.remove(NETWORKS_ANNOTATION),
            default_network: annotations.remove(DEFAULT_NETWORK_ANNOTATION),
        }
    }))
}
