//! The container runtime, behind CRI.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use proto::cri::image_service_client::ImageServiceClient;
use proto::cri::runtime_service_client::RuntimeServiceClient;
use proto::cri::{
    Container, ContainerConfig, ContainerFilter, ContainerStatus, ContainerStatusRequest,
    CreateContainerRequest, ExecSyncRequest, ExecSyncResponse, Image, ImageSpec,
    ImageStatusRequest, ListContainersRequest, ListPodSandboxRequest, PodSandbox, PodSandboxConfig,
    PodSandboxFilter, PodSandboxStatus, PodSandboxStatusRequest, RemoveContainerRequest,
    RemovePodSandboxRequest, RunPodSandboxRequest, RuntimeCondition, StartContainerRequest,
    StatusRequest, StopContainerRequest, StopPodSandboxRequest, VersionRequest,
};
use tonic::Status;
use tonic::transport::Channel;

use super::endpoint::within;

/// Time for a call; sandboxes get twice that, as from the kubelet.
const CALL: Duration = Duration::from_mins(2);
/// Time for the runtime's socket to answer at the start.
const DIAL: Duration = Duration::from_secs(10);

/// Label that holds the pod's uid.
pub(crate) const POD_UID: &str = "io.kubernetes.pod.uid";

/// A handle on the runtime.
#[derive(Debug, Clone)]
pub(crate) struct Runtime {
    runtime: RuntimeServiceClient<Channel>,
    images: ImageServiceClient<Channel>,
}

/// A refused call, in the words in which the kubelet reports it.
#[derive(Debug, Clone)]
pub(crate) struct Refused(pub(crate) Status);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "rpc error: code = {:?} desc = {}",
            self.0.code(),
            self.0.message()
        )
    }
}

impl std::error::Error for Refused {}

impl From<Status> for Refused {
    fn from(status: Status) -> Refused {
        Refused(status)
    }
}

impl Runtime {
    pub(crate) async fn dial(socket: &Path) -> Result<Runtime, proto::uds::Error> {
        let channel = proto::uds::dial(socket, DIAL).await?;
        Ok(Runtime {
            runtime: RuntimeServiceClient::new(channel.clone()),
            images: ImageServiceClient::new(channel),
        })
    }

    fn service(&self) -> RuntimeServiceClient<Channel> {
        self.runtime.clone()
    }

    /// Name and version, as `nodeInfo.containerRuntimeVersion` has them.
    pub(crate) async fn version(&self) -> Result<String, Refused> {
        let request = VersionRequest {
            version: "0.1.0".to_owned(),
        };
        let version = within(CALL, self.service().version(request)).await?;
        Ok(format!(
            "{}://{}",
            version.runtime_name, version.runtime_version
        ))
    }

    pub(crate) async fn conditions(&self) -> Result<Vec<RuntimeCondition>, Refused> {
        let answer = within(
            CALL,
            self.service().status(StatusRequest { verbose: false }),
        )
        .await?;
        Ok(answer
            .status
            .map(|status| status.conditions)
            .unwrap_or_default())
    }

    pub(crate) async fn run_sandbox(&self, config: PodSandboxConfig) -> Result<String, Refused> {
        let request = RunPodSandboxRequest {
            config: Some(config),
            runtime_handler: String::new(),
        };
        Ok(within(2 * CALL, self.service().run_pod_sandbox(request))
            .await?
            .pod_sandbox_id)
    }

    pub(crate) async fn stop_sandbox(&self, id: &str) -> Result<(), Refused> {
        let request = StopPodSandboxRequest {
            pod_sandbox_id: id.to_owned(),
        };
        within(2 * CALL, self.service().stop_pod_sandbox(request)).await?;
        Ok(())
    }

    pub(crate) async fn remove_sandbox(&self, id: &str) -> Result<(), Refused> {
        let request = RemovePodSandboxRequest {
            pod_sandbox_id: id.to_owned(),
        };
        within(CALL, self.service().remove_pod_sandbox(request)).await?;
        Ok(())
    }

    pub(crate) async fn sandbox_status(&self, id: &str) -> Result<PodSandboxStatus, Refused> {
        let request = PodSandboxStatusRequest {
            pod_sandbox_id: id.to_owned(),
            verbose: false,
        };
        let answer = within(CALL, self.service().pod_sandbox_status(request)).await?;
        answer
            .status
            .ok_or_else(|| Refused(Status::internal("the runtime sent no sandbox status")))
    }

    /// A pod's sandboxes, newest first.
    pub(crate) async fn sandboxes(&self, uid: &str) -> Result<Vec<PodSandbox>, Refused> {
        let label_selector = HashMap::from([(POD_UID.to_owned(), uid.to_owned())]);
        let filter = PodSandboxFilter {
            label_selector,
            ..PodSandboxFilter::default()
        };
        let request = ListPodSandboxRequest {
            filter: Some(filter),
        };
        let mut items = within(CALL, self.service().list_pod_sandbox(request))
            .await?
            .items;
        items.sort_by_key(|sandbox| {
            std::cmp::Reverse((
                sandbox.metadata.as_ref().map(|meta| meta.attempt),
                sandbox.created_at,
            ))
        });
        Ok(items)
    }

    /// A sandbox's containers, newest first.
    pub(crate) async fn containers(&self, sandbox: &str) -> Result<Vec<Container>, Refused> {
        let filter = ContainerFilter {
            pod_sandbox_id: sandbox.to_owned(),
            ..ContainerFilter::default()
        };
        let request = ListContainersRequest {
            filter: Some(filter),
        };
        let mut containers = within(CALL, self.service().list_containers(request))
            .await?
            .containers;
        containers.sort_by_key(|container| {
            std::cmp::Reverse((
                container.metadata.as_ref().map(|meta| meta.attempt),
                container.created_at,
            ))
        });
        Ok(containers)
    }

    pub(crate) async fn container_status(&self, id: &str) -> Result<ContainerStatus, Refused> {
        let request = ContainerStatusRequest {
            container_id: id.to_owned(),
            verbose: false,
        };
        let answer = within(CALL, self.service().container_status(request)).await?;
        answer
            .status
            .ok_or_else(|| Refused(Status::internal("the runtime sent no container status")))
    }

    pub(crate) async fn create_container(
        &self,
        sandbox: &str,
        config: ContainerConfig,
        sandbox_config: PodSandboxConfig,
    ) -> Result<String, Refused> {
        let request = CreateContainerRequest {
            pod_sandbox_id: sandbox.to_owned(),
            config: Some(config),
            sandbox_config: Some(sandbox_config),
        };
        Ok(
            Box::pin(within(CALL, self.service().create_container(request)))
                .await?
                .container_id,
        )
    }

    pub(crate) async fn start_container(&self, id: &str) -> Result<(), Refused> {
        within(
            CALL,
            self.service().start_container(StartContainerRequest {
                container_id: id.to_owned(),
            }),
        )
        .await?;
        Ok(())
    }

    pub(crate) async fn stop_container(&self, id: &str, grace: i64) -> Result<(), Refused> {
        let request = StopContainerRequest {
            container_id: id.to_owned(),
            timeout: grace,
        };
        let limit = CALL + Duration::from_secs(u64::try_from(grace).unwrap_or_default());
        within(limit, self.service().stop_container(request)).await?;
        Ok(())
    }

    /// Runs a command in a container.
    pub(crate) async fn exec(
        &self,
        id: &str,
        words: &[String],
        limit: Duration,
    ) -> Result<ExecSyncResponse, Refused> {
        let request = ExecSyncRequest {
            container_id: id.to_owned(),
            cmd: words.to_vec(),
            timeout: i64::try_from(limit.as_secs()).unwrap_or_default(),
        };
        // The runtime holds the command to the limit; this holds the runtime to its own.
        Ok(within(limit + CALL, self.service().exec_sync(request)).await?)
    }

    pub(crate) async fn remove_container(&self, id: &str) -> Result<(), Refused> {
        within(
            CALL,
            self.service().remove_container(RemoveContainerRequest {
                container_id: id.to_owned(),
            }),
        )
        .await?;
        Ok(())
    }

    /// The local image of a name; `None` when there is none.
    pub(crate) async fn image(&self, name: &str) -> Result<Option<Image>, Refused> {
        let spec = ImageSpec {
            image: name.to_owned(),
            ..ImageSpec::default()
        };
        let request = ImageStatusRequest {
            image: Some(spec),
            verbose: false,
        };
        Ok(within(CALL, self.images.clone().image_status(request))
            .await?
            .image)
    }
}
