//! One pod from admission to its end: what should run is compared with what the runtime has, again and again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use proto::cri::{PodSandbox, PodSandboxState};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use super::admission;
use super::agent::Agent;
use super::backoff::Backoff;
use super::identity::Identity;
use super::probe::Probes;
use super::runtime::Refused;
use super::status::{self, Doing};
use super::{removal, sandbox, starting};
use crate::standin::api::object;

/// Pause before a step that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Pause between looks at a pod that runs.
const LOOK: Duration = Duration::from_secs(2);

/// The pod as the API has it; `None` once it is gone from there.
pub(crate) type Wanted = watch::Receiver<Option<Arc<Value>>>;

pub(crate) struct Worker {
    agent: Arc<Agent>,
    wanted: Wanted,
    identity: Identity,
    attempt: u32,
    /// A container was started; a pod that is never restarted gets no second sandbox then.
    started: bool,
    backoff: Backoff,
    probes: Probes,
}

/// How a look at the pod ended.
enum Progress {
    Runs,
    Retry,
    Over,
}

impl Worker {
    pub(crate) fn new(agent: Arc<Agent>, wanted: Wanted, identity: Identity) -> Worker {
        Worker {
            agent,
            wanted,
            identity,
            attempt: 0,
            started: false,
            backoff: Backoff::default(),
            probes: Probes::default(),
        }
    }

    /// Runs the pod until it is over or gone.
    pub(crate) async fn run(mut self) {
        tracing::info!(pod = %self.identity, uid = self.identity.uid, "pod worker");
        if let Some(pod) = self.pod()
            && let Err(rejection) = admission::admit(&self.agent, &pod).await
        {
            self.agent
                .recorder
                .warning(&self.identity, rejection.reason, &rejection.message);
            status::write(&self.agent, &self.identity, |previous| {
                status::rejected(previous, &rejection)
            });
            return;
        }
        while let Some(pod) = self.pod() {
            let pause = match self.look(&pod).await {
                Progress::Runs => self.until_next(&pod),
                Progress::Retry => RETRY,
                Progress::Over => break,
            };
            if !self.rest(pause).await {
                return;
            }
        }
        removal::run(&self.agent, &self.identity, &self.wanted).await;
    }

    /// The pause before the next look, or the next probe.
    fn until_next(&self, pod: &Pod) -> Duration {
        let due = self.probes.next(pod);
        let left = due.map(|due| due.saturating_duration_since(Instant::now()));
        left.map_or(LOOK, |left| left.min(LOOK))
    }

    /// Waits; an order to stop cuts it short, other changes (mostly our own reports) do not. False when the kubelet ends.
    async fn rest(&mut self, pause: Duration) -> bool {
        let to_stop =
            |wanted: &Option<Arc<Value>>| wanted.as_deref().is_none_or(object::is_terminating);
        match tokio::time::timeout(pause, self.wanted.wait_for(to_stop)).await {
            Ok(stopped) => stopped.is_ok(),
            Err(_) => true,
        }
    }

    /// The pod, while it shall run.
    fn pod(&mut self) -> Option<Pod> {
        let wanted = self.wanted.borrow_and_update().clone()?;
        if object::is_terminating(&wanted) {
            return None;
        }
        match serde_json::from_value((*wanted).clone()) {
            Ok(pod) => Some(pod),
            Err(error) => {
                self.agent.recorder.warning(
                    &self.identity,
                    "FailedSync",
                    &format!("pod is not understood: {error}"),
                );
                None
            }
        }
    }

    async fn look(&mut self, pod: &Pod) -> Progress {
        match self.sandbox(pod).await {
            Ok(Some(sandbox)) => self.containers(pod, &sandbox).await,
            Ok(None) => Progress::Over,
            Err(()) => {
                self.report(pod, &starting::unmade(pod), &[]);
                Progress::Retry
            }
        }
    }

    /// The pod's working sandbox, made when there is none; `None` when there shall be none any more.
    async fn sandbox(&mut self, pod: &Pod) -> Result<Option<PodSandbox>, ()> {
        let found = self.agent.runtime.sandboxes(&self.identity.uid).await;
        let mut found = found.map_err(|refused| self.warn("FailedSync", &refused.to_string()))?;
        let works = found
            .first()
            .is_some_and(|newest| newest.state() == PodSandboxState::SandboxReady);
        let working = works.then(|| found.remove(0));
        for stale in &found {
            self.attempt = self
                .attempt
                .max(stale.metadata.as_ref().map_or(0, |meta| meta.attempt + 1));
        }
        if working.is_none() && self.started {
            if !status::restarts(pod, 1) {
                status::write(&self.agent, &self.identity, status::lost);
                return Ok(None);
            }
            self.agent.recorder.normal(
                &self.identity,
                "SandboxChanged",
                "Pod sandbox changed, it will be killed and re-created.",
            );
        }
        for stale in &found {
            self.discard(stale).await.map_err(|refused| {
                self.warn(
                    "FailedKillPod",
                    &format!("error killing pod: failed to \"KillPodSandbox\": {refused}"),
                );
            })?;
        }
        if working.is_some() {
            return Ok(working);
        }
        starting::prepare(&self.agent, pod).map_err(|error| self.warn("FailedMount", &error))?;
        let config = sandbox::config(pod, self.attempt, &self.logs());
        self.attempt += 1;
        let made = self.agent.runtime.run_sandbox(config).await;
        let id = made.map_err(|refused| {
            self.warn(
                "FailedCreatePodSandBox",
                &format!("Failed to create pod sandbox: {refused}"),
            );
        })?;
        let found = self.agent.runtime.sandboxes(&self.identity.uid).await;
        let found = found.map_err(|refused| self.warn("FailedSync", &refused.to_string()))?;
        found
            .into_iter()
            .find(|sandbox| sandbox.id == id)
            .map(Some)
            .ok_or(())
    }

    async fn discard(&self, sandbox: &PodSandbox) -> Result<(), Refused> {
        self.agent.runtime.stop_sandbox(&sandbox.id).await?;
        self.agent.runtime.remove_sandbox(&sandbox.id).await
    }

    async fn containers(&mut self, pod: &Pod, sandbox: &PodSandbox) -> Progress {
        let ips = match self.addresses(pod, &sandbox.id).await {
            Ok(ips) => ips,
            Err(refused) => {
                self.warn("FailedSync", &refused.to_string());
                return Progress::Retry;
            }
        };
        let place = starting::Place {
            agent: &self.agent,
            pod,
            sandbox,
            ips: &ips,
            logs: &self.logs(),
        };
        if let Err(error) = place.refresh() {
            self.warn("FailedMount", &error);
        }
        let mut doing = match place.bring_up(&mut self.backoff).await {
            Ok(doing) => doing,
            Err(refused) => {
                self.warn("FailedSync", &refused.to_string());
                return Progress::Retry;
            }
        };
        self.started |= doing.main.iter().any(|one| {
            one.status
                .as_ref()
                .is_some_and(|status| status.started_at > 0)
        });
        self.probes.ask(&self.agent, pod, &mut doing).await;
        self.report(pod, &doing, &ips);
        if status::is_over(pod, &doing) {
            Progress::Over
        } else if status::is_initialized(&doing) {
            Progress::Runs
        } else {
            // The next container waits for this one's end.
            Progress::Retry
        }
    }

    async fn addresses(&self, pod: &Pod, sandbox: &str) -> Result<Vec<String>, Refused> {
        if pod
            .spec
            .as_ref()
            .is_some_and(|spec| spec.host_network == Some(true))
        {
            return Ok(vec![self.agent.config.node_ip.to_string()]);
        }
        let network = self
            .agent
            .runtime
            .sandbox_status(sandbox)
            .await?
            .network
            .unwrap_or_default();
        let further = network.additional_ips.into_iter().map(|further| further.ip);
        Ok(std::iter::once(network.ip)
            .chain(further)
            .filter(|ip| !ip.is_empty())
            .collect())
    }

    fn report(&self, pod: &Pod, doing: &Doing<'_>, ips: &[String]) {
        let node_ip = self.agent.config.node_ip.to_string();
        status::write(&self.agent, &self.identity, |previous| {
            status::compose(previous, pod, doing, ips, &node_ip)
        });
    }

    fn logs(&self) -> PathBuf {
        let Identity {
            namespace,
            name,
            uid,
        } = &self.identity;
        self.agent.config.log_folder(namespace, name, uid)
    }

    fn warn(&self, reason: &str, message: &str) {
        self.agent.recorder.warning(&self.identity, reason, message);
    }
}
