//! The Kubernetes API: the only modules that know `kube`.
//!
//! Watches keep a trimmed copy of this node's pods and of all NADs; what a watch has not delivered
//! yet is asked for directly. Nothing here decides anything.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use k8s_openapi::jiff::Timestamp;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::certificate::pair::{self, Pair, PairError};

pub mod claim;
pub mod daemonset;
pub mod event;
pub mod nad;
pub mod pod;
pub mod rotating;
pub mod status;
pub mod watch;

/// Why there is no API client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig is missing or wrong.
    #[error("read the kubeconfig {path}", path = path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What kube says about it.
        #[source]
        source: Box<kube::config::KubeconfigError>,
    },
    /// The service account of the pod cannot be used.
    #[error("read the service account of this pod")]
    InCluster(#[source] Box<kube::config::InClusterError>),
    /// This node's own certificate.
    #[error("read the certificate of this node")]
    Certificate(#[source] PairError),
    /// TLS or authentication settings cannot be used.
    #[error("prepare the API client")]
    Client(#[source] Box<kube::Error>),
}

/// Where the API server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A kubeconfig file.
    Kubeconfig(PathBuf),
    /// The service account mounted into this pod.
    InCluster,
    /// The API server of a kubeconfig, with this node's own certificate once there is one.
    Certificate {
        /// The kubeconfig, whose credentials are for the first certificate.
        bootstrap: PathBuf,
        /// File of key and certificate.
        pair: PathBuf,
    },
}

impl Location {
    /// A kubeconfig if one is named, else the service account if this is a pod, else none
    /// (spec/multus.md §1.1, key `kubeconfig`).
    pub fn choose(kubeconfig: Option<&Path>, in_cluster: bool) -> Option<Self> {
        match kubeconfig {
            Some(path) if !path.as_os_str().is_empty() => {
                Some(Self::Kubeconfig(path.to_path_buf()))
            }
            _ => in_cluster.then_some(Self::InCluster),
        }
    }

    /// A client for it. Nothing is sent yet; `http` and `https` servers both work.
    pub async fn connect(&self) -> Result<Client, ConnectError> {
        let mut config = match self {
            Self::Kubeconfig(path) => of_kubeconfig(path, None).await?,
            Self::Certificate { bootstrap, pair } => {
                let pair =
                    pair::read(pair, Timestamp::now().into()).map_err(ConnectError::Certificate)?;
                of_kubeconfig(bootstrap, pair).await?
            }
            Self::InCluster => {
                Config::incluster().map_err(|source| ConnectError::InCluster(Box::new(source)))?
            }
        };
        // Whoever asks tries again, with pauses that grow; dozens of repetitions at once help no server that is overloaded.
        config.default_retry = false;
        // Without a CA the client loads the system's trust store, and fails where there is none, as in an image
        // from scratch. Where nothing is to be verified it must not need one.
        if config.root_cert.is_none()
            && (config.accept_invalid_certs || config.cluster_url.scheme_str() == Some("http"))
        {
            config.root_cert = Some(Vec::new());
        }
        Client::try_from(config).map_err(|source| ConnectError::Client(Box::new(source)))
    }
}

/// The token in a kubeconfig, of whichever user has one.
pub fn token(path: &Path) -> Option<String> {
    let users = Kubeconfig::read_from(path).ok()?.auth_infos;
    users.into_iter().find_map(|user| {
        let user = serde_json::to_value(user.auth_info?).ok()?;
        Some(user.get("token")?.as_str()?.to_owned())
    })
}

/// With `pair`, it takes the place of all credentials.
async fn of_kubeconfig(path: &Path, pair: Option<Pair>) -> Result<Config, ConnectError> {
    let fail = |source| ConnectError::Kubeconfig {
        path: path.to_owned(),
        source: Box::new(source),
    };
    let mut kubeconfig = Kubeconfig::read_from(path).map_err(fail)?;
    if let Some(pair) = pair {
        for user in &mut kubeconfig.auth_infos {
            let encoded = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
            user.auth_info = Some(AuthInfo {
                client_certificate_data: Some(encoded(&pair.certificate)),
                client_key_data: Some(encoded(&pair.key).into()),
                ..AuthInfo::default()
            });
        }
    }
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(fail)
}

/// What went wrong, said once: the server's own words, or the chain of causes.
pub fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => cni::error::chain(other),
    }
}

/// HTTP status of an answer that is an API error; 0 when there was no answer.
pub fn code(error: &kube::Error) -> u16 {
    match error {
        kube::Error::Api(status) => status.code,
        _ => 0,
    }
}
