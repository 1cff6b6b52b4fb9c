//! Commands inside a pod's container, and the pod's sandbox, through the runtime's own interface.

use std::{collections::HashMap, path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use proto::cri::{
    ContainerFilter, ContainerStateValue, ExecSyncRequest, ListContainersRequest,
    ListPodSandboxRequest, PodSandboxFilter, PodSandboxStatusRequest, StatusRequest,
    runtime_service_client::RuntimeServiceClient,
};
use serde_json::Value;
use tonic::transport::Channel;

use crate::guest::containerd;

/// Label of the kubelet on sandboxes and containers.
const POD_NAME: &str = "io.kubernetes.pod.name";

/// Speaks CRI to the runtime.
#[derive(Debug, Clone)]
pub struct Runtime {
    client: RuntimeServiceClient<Channel>,
}

/// What a command in a container gave.
#[derive(Debug, Clone)]
pub struct Output {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Runtime {
    /// Connects to the runtime.
    ///
    /// # Errors
    /// When its socket does not answer.
    pub async fn connect() -> Result<Self> {
        let channel = proto::uds::dial(Path::new(containerd::SOCKET), Duration::from_secs(10))
            .await
            .context("dial containerd")?;
        Ok(Self {
            client: RuntimeServiceClient::new(channel),
        })
    }

    /// Runs a command in the pod's only container.
    ///
    /// # Errors
    /// When there is no running container, or the command outlives `limit`.
    pub async fn exec(&self, pod: &str, words: &[&str], limit: Duration) -> Result<Output> {
        let container_id = self.container_of(pod).await?;
        let seconds = i64::try_from(limit.as_secs()).unwrap_or(i64::MAX);
        let answer = self
            .client
            .clone()
            .exec_sync(ExecSyncRequest {
                container_id,
                cmd: words.iter().map(|&word| word.to_owned()).collect(),
                timeout: seconds,
            })
            .await
            .with_context(|| format!("run {words:?} in pod {pod}"))?
            .into_inner();
        Ok(Output {
            code: answer.exit_code,
            stdout: String::from_utf8_lossy(&answer.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&answer.stderr).into_owned(),
        })
    }

    /// Runs a command that must end with code 0 and returns what it printed.
    ///
    /// # Errors
    /// As [`Runtime::exec`], and when it ends with another code.
    pub async fn run(&self, pod: &str, words: &[&str], limit: Duration) -> Result<String> {
        let output = self.exec(pod, words, limit).await?;
        if output.code != 0 {
            bail!(
                "{words:?} in pod {pod} ended with {}: {}{}",
                output.code,
                output.stdout,
                output.stderr
            );
        }
        Ok(output.stdout)
    }

    async fn container_of(&self, pod: &str) -> Result<String> {
        let list = self
            .client
            .clone()
            .list_containers(ListContainersRequest {
                filter: Some(ContainerFilter {
                    state: Some(ContainerStateValue {
                        state: proto::cri::ContainerState::ContainerRunning.into(),
                    }),
                    label_selector: labels(pod),
                    ..ContainerFilter::default()
                }),
            })
            .await
            .context("list containers")?
            .into_inner();
        list.containers
            .into_iter()
            .map(|container| container.id)
            .next()
            .with_context(|| format!("pod {pod} has no running container"))
    }

    /// Whether the runtime says that pods can be given a network.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn network_ready(&self) -> Result<bool> {
        let answer = self
            .client
            .clone()
            .status(StatusRequest { verbose: false })
            .await
            .context("ask the runtime for its status")?
            .into_inner();
        let conditions = answer.status.map(|status| status.conditions);
        Ok(conditions
            .unwrap_or_default()
            .iter()
            .any(|condition| condition.r#type == "NetworkReady" && condition.status))
    }

    /// Id of the pod's sandbox and the path of its network namespace.
    ///
    /// # Errors
    /// When there is no sandbox, or the runtime does not tell its namespace.
    pub async fn sandbox(&self, pod: &str) -> Result<(String, String)> {
        let list = self
            .client
            .clone()
            .list_pod_sandbox(ListPodSandboxRequest {
                filter: Some(PodSandboxFilter {
                    label_selector: labels(pod),
                    ..PodSandboxFilter::default()
                }),
            })
            .await
            .context("list sandboxes")?
            .into_inner();
        let id = list
            .items
            .into_iter()
            .map(|sandbox| sandbox.id)
            .next()
            .with_context(|| format!("pod {pod} has no sandbox"))?;
        let status = self
            .client
            .clone()
            .pod_sandbox_status(PodSandboxStatusRequest {
                pod_sandbox_id: id.clone(),
                verbose: true,
            })
            .await
            .context("ask for the sandbox")?
            .into_inner();
        let info: Value = status
            .info
            .get("info")
            .map(|text| serde_json::from_str(text).context("read the sandbox's information"))
            .transpose()?
            .unwrap_or_default();
        let netns = info["runtimeSpec"]["linux"]["namespaces"]
            .as_array()
            .and_then(|list| list.iter().find(|entry| entry["type"] == "network"))
            .and_then(|entry| entry["path"].as_str())
            .context("the runtime names no network namespace of the sandbox")?;
        Ok((id, netns.to_owned()))
    }
}

fn labels(pod: &str) -> HashMap<String, String> {
    HashMap::from([(POD_NAME.to_owned(), pod.to_owned())])
}
