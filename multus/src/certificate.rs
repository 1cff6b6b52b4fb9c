//! This node's own client certificate (spec/multus.md §6.7): asked for with a bootstrap kubeconfig, kept in `certDir`,
//! renewed with itself before it ends.
//!
//! [`settings`] is what the configuration says, [`pair`] what is on disk, [`request`] the way to the API server, and
//! [`approve`] the other side, a controller of the cluster.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tracing::{info, warn};

use crate::api::Location;
use crate::api::rotating::Rotating;
use crate::metrics::Metrics;
use pair::Pair;
use settings::CertificateSettings;

pub mod approve;
pub mod pair;
pub mod request;
pub mod settings;

/// First part of the common name; the node's name follows.
pub const COMMON_NAME: &str = "system:multus:";
/// The organisation, which is the group of all nodes' daemons.
pub const ORGANIZATION: &str = "system:multus";
/// Who signs.
pub const SIGNER: &str = "kubernetes.io/kube-apiserver-client";
/// What the certificate is for; these and no others.
pub const USAGES: [&str; 2] = ["digital signature", "client auth"];

/// First and longest pause after a certificate that was not issued.
const PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(5));

/// Keeps this node's certificate valid.
#[derive(Debug)]
pub struct Keeper {
    /// What the configuration says.
    pub settings: CertificateSettings,
    /// Name of this node.
    pub node: String,
    /// Replaced whenever there is a new certificate.
    pub client: Rotating,
    /// Where the end of the certificate is told.
    pub metrics: Arc<Metrics>,
}

/// Where the API server is for a node with a certificate of its own.
pub fn location(settings: &CertificateSettings) -> Location {
    Location::Certificate {
        bootstrap: settings.bootstrap_kubeconfig.clone(),
        pair: pair::path(&settings.cert_dir),
    }
}

impl Keeper {
    /// Asks for a certificate when there is none or when it ends soon, for ever. Until there is one, the bootstrap
    /// kubeconfig's own rights are what the daemon has.
    pub async fn keep(self, now: fn() -> SystemTime) {
        let mut pause = PAUSES.0;
        loop {
            let path = pair::path(&self.settings.cert_dir);
            let wait = match self.next(&path, now()) {
                Some(wait) => wait,
                None => match self.replace(&path, now).await {
                    Ok(()) => {
                        pause = PAUSES.0;
                        continue;
                    }
                    Err(error) => {
                        warn!(
                            error = cni::error::chain(&error),
                            "certificate of this node; it will be asked for again"
                        );
                        let wait = pause;
                        pause = (pause * 2).min(PAUSES.1);
                        wait
                    }
                },
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// How long the certificate need not be renewed; `None`: now.
    fn next(&self, path: &Path, now: SystemTime) -> Option<Duration> {
        let pair = pair::read(path, now)
            .inspect_err(|error| warn!(error = cni::error::chain(error), "stored certificate"))
            .ok()??;
        self.metrics.certificate(pair.ends());
        pair.renew_in(&self.node, now)
    }

    async fn replace(
        &self,
        path: &Path,
        now: fn() -> SystemTime,
    ) -> Result<(), request::RequestError> {
        let lifetime = self.settings.lifetime().unwrap_or(PAUSES.1);
        let client = self.client.client();
        let pair: Pair = request::ask(&client, &self.node, lifetime, now).await?;
        pair::write(path, &pair).map_err(request::RequestError::Store)?;
        info!(file = %path.display(), ends = pair.ends(), "certificate of this node");
        self.client.renew().await;
        Ok(())
    }
}
