//! The connected plugins by resource, and the registration service of the legacy way in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use proto::deviceplugin::registration_server::Registration;
use proto::deviceplugin::{Empty, RegisterRequest, VERSION};
use tonic::{Request, Response, Status, async_trait};

use super::endpoint::Endpoint;
use super::table::Table;

/// The plugins that are connected.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    endpoints: Arc<Mutex<BTreeMap<String, Endpoint>>>,
    table: Table,
}

impl Registry {
    pub(crate) fn new(table: Table) -> Registry {
        Registry {
            endpoints: Arc::default(),
            table,
        }
    }

    /// Connects to a plugin; an earlier one for the resource is dropped.
    pub(crate) async fn connect(&self, resource: &str, socket: &Path) -> Result<(), Status> {
        if !is_extended(resource) {
            return Err(Status::invalid_argument(format!(
                "the ResourceName \"{resource}\" is invalid"
            )));
        }
        let endpoint = Endpoint::connect(resource, socket, &self.table).await?;
        tracing::info!(resource, socket = %socket.display(), "device plugin connected");
        // The earlier endpoint ends outside the lock.
        let earlier = self.lock().insert(resource.to_owned(), endpoint);
        drop(earlier);
        Ok(())
    }

    /// Drops a plugin; its devices become unhealthy.
    pub(crate) fn disconnect(&self, resource: &str) {
        let gone = self.lock().remove(resource);
        drop(gone);
    }

    /// Drops all plugins, as the end of the kubelet does.
    pub(crate) fn clear(&self) {
        let all = std::mem::take(&mut *self.lock());
        drop(all);
    }

    pub(crate) fn get(&self, resource: &str) -> Option<Endpoint> {
        self.lock().get(resource).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Endpoint>> {
        self.endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fully qualified and not of Kubernetes itself.
pub(crate) fn is_extended(resource: &str) -> bool {
    let qualified = resource
        .split_once('/')
        .filter(|(prefix, name)| !prefix.is_empty() && !name.is_empty());
    qualified.is_some_and(|(prefix, _)| {
        !prefix.ends_with("kubernetes.io") && !resource.starts_with("requests.")
    })
}

/// Serves `v1beta1.Registration`.
#[derive(Debug, Clone)]
pub(crate) struct RegistrationService {
    pub(crate) registry: Registry,
    /// Folder of the plugins' sockets.
    pub(crate) folder: PathBuf,
}

#[async_trait]
impl Registration for RegistrationService {
    async fn register(&self, request: Request<RegisterRequest>) -> Result<Response<Empty>, Status> {
        let request = request.into_inner();
        tracing::info!(
            resource = request.resource_name,
            endpoint = request.endpoint,
            "register"
        );
        if request.version != VERSION {
            let why = format!(
                "requested API version \"{}\" is not supported by kubelet. Supported version is [{VERSION}]",
                request.version
            );
            return Err(Status::unknown(why));
        }
        self.registry
            .connect(&request.resource_name, &self.folder.join(&request.endpoint))
            .await?;
        Ok(Response::new(Empty {}))
    }
}

#[cfg(test)]
mod tests {
    use super::is_extended;

    #[test]
    fn names_of_extended_resources() {
        assert!(is_extended("intel.com/sriov_net"));
        for name in [
            "cpu",
            "kubernetes.io/x",
            "a.kubernetes.io/x",
            "/x",
            "x/",
            "requests.a/b",
        ] {
            assert!(!is_extended(name), "{name}");
        }
    }
}
