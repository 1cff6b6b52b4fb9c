//! A kubelet with everything around it, in a folder of its own.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hwtests::standin::api::{ApiServer, DeleteOptions, Resource, Selection, object};
use hwtests::standin::controllers::Controllers;
use hwtests::standin::kubelet::{Count, Kubelet, KubeletConfig, Rate};
use serde_json::{Value, json};

use crate::runtime::FakeRuntime;

pub(crate) const NET: &str = "intel.com/sriov_net";

pub(crate) struct Bench {
    pub(crate) kubelet: Kubelet,
    pub(crate) api: ApiServer,
    pub(crate) runtime: FakeRuntime,
    folder: tempfile::TempDir,
    _controllers: Option<Controllers>,
}

/// Waits for a condition; only a hang exceeds the time.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited 20 s until {what}");
}

impl Bench {
    pub(crate) async fn start() -> Bench {
        // Tests that are about something else must not meet the limit.
        Bench::with_rate(Rate {
            per_second: 1000,
            burst: 1000,
        })
        .await
    }

    pub(crate) async fn with_rate(rate: Rate) -> Bench {
        Bench::made(rate, false).await
    }

    /// With an API server that takes tokens of pods, and the controllers.
    pub(crate) async fn with_service() -> Bench {
        let rate = Rate {
            per_second: 1000,
            burst: 1000,
        };
        Bench::made(rate, true).await
    }

    async fn made(rate: Rate, service: bool) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let api = ApiServer::start((Ipv4Addr::LOCALHOST, 0).into())
            .await
            .unwrap();
        let runtime = FakeRuntime::start(&folder.path().join("cri.sock"));
        let mut config = KubeletConfig::new("node", api.clone());
        config.root = folder.path().join("kubelet");
        config.runtime = folder.path().join("cri.sock");
        config.logs = folder.path().join("logs");
        config.pod_resources_rate = rate;
        let mut controllers = None;
        if service {
            let service = api.secure((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
            controllers = Some(Controllers::start(api.store().clone(), &service));
            config.service = Some(service);
        }
        std::fs::create_dir_all(config.device_plugins()).unwrap();
        std::fs::write(config.device_plugins().join("stale.sock"), "").unwrap();
        let kubelet = Kubelet::start(config).await.unwrap();
        Bench {
            kubelet,
            api,
            runtime,
            folder,
            _controllers: controllers,
        }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("kubelet")
    }

    pub(crate) async fn counts(&self, capacity: usize, allocatable: usize) {
        let wanted = Count {
            capacity,
            allocatable,
        };
        until("the devices are counted", || {
            self.kubelet.devices().get(NET) == Some(&wanted)
        })
        .await;
    }

    /// A pod of one container that wants `count` devices.
    pub(crate) fn manifest(name: &str, count: usize) -> Value {
        json!({
            "metadata": {"name": name, "namespace": "default", "annotations": {"k8s.v1.cni.cncf.io/networks": "net"}},
            "spec": {"nodeName": "node", "containers": [{
                "name": "main", "image": "busybox", "command": ["sleep"],
                "resources": {"limits": {NET: count.to_string()}},
            }]},
        })
    }

    pub(crate) fn create(&self, manifest: Value) {
        self.api
            .store()
            .create(Resource::Pods, "default", manifest)
            .unwrap();
    }

    pub(crate) fn pod(&self, name: &str) -> Option<Arc<Value>> {
        self.api.store().get(Resource::Pods, "default", name).ok()
    }

    pub(crate) fn delete(&self, name: &str) {
        self.api
            .store()
            .delete(Resource::Pods, "default", name, &DeleteOptions::default())
            .unwrap();
    }

    pub(crate) async fn phase(&self, name: &str, phase: &str) -> Arc<Value> {
        let is = || {
            self.pod(name)
                .is_some_and(|pod| object::text(&pod, "/status/phase") == phase)
        };
        until(&format!("pod {name} is {phase}"), is).await;
        self.pod(name).unwrap()
    }

    pub(crate) async fn gone(&self, name: &str) {
        until(&format!("pod {name} is gone"), || self.pod(name).is_none()).await;
    }

    /// Messages of the pods' events of one reason.
    pub(crate) fn events(&self, reason: &str) -> Vec<String> {
        let selection = Selection::default()
            .with_fields(Resource::Events, &format!("reason={reason}"))
            .unwrap();
        let (events, _) = self.api.store().list(Resource::Events, &selection);
        events
            .iter()
            .map(|event| object::text(event, "/message").to_owned())
            .collect()
    }
}
