//! What makes a cluster of an API server and a kubelet: the controllers that DaemonSets and service accounts want, a
//! scheduler, and the API server at the address that pods are told.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{API, START};
use crate::guest::{cluster::Client, relay::Relay, service::Service, shell::ip};

/// The further programs of the folder.
pub(super) const PROGRAMS: [&str; 2] = ["kube-controller-manager", "kube-scheduler"];
/// First address of the services' range, which is the API server's.
const SERVICE_IP: [u8; 4] = [10, 96, 0, 1];

/// The running programs.
#[derive(Debug)]
pub(super) struct Controllers {
    _services: [Service; 2],
    _relay: Relay,
}

impl Controllers {
    /// Starts them; `work` has the API server's files. Returns when pods of namespace `default` can be made.
    pub(super) async fn start(work: &Path, assets: &Path, logs: &Path) -> Result<Self> {
        for name in PROGRAMS {
            let path = assets.join(name);
            ensure!(
                path.exists(),
                "KUBEBUILDER_ASSETS has no {name}: wanted {}",
                path.display()
            );
        }
        let [a, b, c, d] = SERVICE_IP;
        ip(&format!("address add {a}.{b}.{c}.{d}/32 dev node0"))?;
        // In place of kube-proxy, whose work needs no more here.
        let api = API.trim_start_matches("https://");
        let relay = Relay::at((SERVICE_IP, 443).into(), api).await?;
        let file = |name: &str| work.join(name).display().to_string();
        let kubeconfig = format!("--kubeconfig={}", file("admin.kubeconfig"));
        let key = format!("--service-account-private-key-file={}", file("sa.key"));
        let authority = format!("--root-ca-file={}", file("certs/apiserver.crt"));
        // All of its controllers: a distribution's admission counts on those that it adds.
        let manager = Service::start(
            logs,
            PROGRAMS[0],
            &assets.join(PROGRAMS[0]),
            &[
                &kubeconfig,
                &key,
                &authority,
                "--leader-elect=false",
                "--bind-address=127.0.0.1",
            ],
        )?;
        let scheduler = Service::start(
            logs,
            PROGRAMS[1],
            &assets.join(PROGRAMS[1]),
            &[
                &kubeconfig,
                "--leader-elect=false",
                "--bind-address=127.0.0.1",
            ],
        )?;
        let client = Client::from_kubeconfig(&work.join("admin.kubeconfig")).await?;
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": "default"},
        });
        client
            .wait_object(&account, "it is made", START, |found| found.is_some())
            .await
            .with_context(|| format!("{}:\n{}", PROGRAMS[0], manager.tail()))?;
        Ok(Self {
            _services: [manager, scheduler],
            _relay: relay,
        })
    }
}
