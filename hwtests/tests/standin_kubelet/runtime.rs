//! A container runtime that keeps books, and fails when told to.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use proto::cri::image_service_server::{ImageService, ImageServiceServer};
use proto::cri::runtime_service_server::{RuntimeService, RuntimeServiceServer};
use proto::cri::*;
use proto::uds::{self, Pair, Socket};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Response, Status, async_trait};

/// Handle on the served runtime.
pub(crate) struct FakeRuntime {
    books: Books,
    _serving: DropGuard,
}

#[derive(Clone, Default)]
struct Books(Arc<Mutex<State>>);

#[derive(Default)]
pub(crate) struct State {
    /// Names of the calls that change something, in order.
    pub(crate) calls: Vec<String>,
    /// Refusals still to give, by call.
    pub(crate) refusals: BTreeMap<&'static str, VecDeque<String>>,
    /// Exit codes of the commands that containers have.
    pub(crate) commands: BTreeMap<String, i32>,
    pub(crate) sandboxes: BTreeMap<String, (PodSandboxConfig, PodSandboxState)>,
    pub(crate) containers: BTreeMap<String, (String, ContainerConfig, ContainerState, i32)>,
    made: i64,
}

impl State {
    fn call(&mut self, name: &'static str) -> Result<i64, Status> {
        self.calls.push(name.to_owned());
        self.made += 1;
        match self.refusals.get_mut(name).and_then(VecDeque::pop_front) {
            Some(words) => Err(Status::unknown(words)),
            None => Ok(self.made),
        }
    }
}

impl FakeRuntime {
    pub(crate) fn start(socket: &Path) -> FakeRuntime {
        let (books, stop) = (Books::default(), CancellationToken::new());
        let services = Pair::new(
            RuntimeServiceServer::new(books.clone()),
            ImageServiceServer::new(books.clone()),
        );
        tokio::spawn(uds::serve(
            Socket::bind(socket).unwrap(),
            services,
            stop.clone(),
        ));
        FakeRuntime {
            books,
            _serving: stop.drop_guard(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.books.0.lock().unwrap()
    }

    /// Lets the next call of this name fail.
    pub(crate) fn refuse(&self, call: &'static str, words: &str) {
        self.state()
            .refusals
            .entry(call)
            .or_default()
            .push_back(words.to_owned());
    }

    pub(crate) fn calls(&self, name: &str) -> usize {
        self.state()
            .calls
            .iter()
            .filter(|call| *call == name)
            .count()
    }

    /// The configuration of the only container.
    pub(crate) fn container(&self) -> ContainerConfig {
        let state = self.state();
        assert_eq!(state.containers.len(), 1);
        state.containers.values().next().unwrap().1.clone()
    }

    /// Lets a command in any container end with this code from now on.
    pub(crate) fn command(&self, words: &str, code: i32) {
        self.state().commands.insert(words.to_owned(), code);
    }

    /// Ends the only container.
    pub(crate) fn exit(&self, code: i32) {
        for (_, _, state, exit_code) in self.state().containers.values_mut() {
            (*state, *exit_code) = (ContainerState::ContainerExited, code);
        }
    }

    /// Breaks the only sandbox, as the death of its process does.
    pub(crate) fn break_sandbox(&self) {
        for (_, state) in self.state().sandboxes.values_mut() {
            *state = PodSandboxState::SandboxNotready;
        }
    }
}

impl Books {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "what a method of the service returns"
)]
fn ok<T>(answer: T) -> Result<Response<T>, Status> {
    Ok(Response::new(answer))
}

#[async_trait]
impl RuntimeService for Books {
    async fn version(
        &self,
        _: Request<VersionRequest>,
    ) -> Result<Response<VersionResponse>, Status> {
        let (runtime_name, runtime_version) = ("fake".to_owned(), "1".to_owned());
        ok(VersionResponse {
            runtime_name,
            runtime_version,
            ..VersionResponse::default()
        })
    }

    async fn run_pod_sandbox(
        &self,
        request: Request<RunPodSandboxRequest>,
    ) -> Result<Response<RunPodSandboxResponse>, Status> {
        let mut state = self.state();
        let id = format!("sandbox-{}", state.call("RunPodSandbox")?);
        let config = request.into_inner().config.unwrap();
        state
            .sandboxes
            .insert(id.clone(), (config, PodSandboxState::SandboxReady));
        ok(RunPodSandboxResponse { pod_sandbox_id: id })
    }

    async fn stop_pod_sandbox(
        &self,
        request: Request<StopPodSandboxRequest>,
    ) -> Result<Response<StopPodSandboxResponse>, Status> {
        let mut state = self.state();
        state.call("StopPodSandbox")?;
        let id = request.into_inner().pod_sandbox_id;
        if let Some((_, state)) = state.sandboxes.get_mut(&id) {
            *state = PodSandboxState::SandboxNotready;
        }
        ok(StopPodSandboxResponse {})
    }

    async fn remove_pod_sandbox(
        &self,
        request: Request<RemovePodSandboxRequest>,
    ) -> Result<Response<RemovePodSandboxResponse>, Status> {
        let mut state = self.state();
        state.call("RemovePodSandbox")?;
        let id = request.into_inner().pod_sandbox_id;
        state.sandboxes.remove(&id);
        state.containers.retain(|_, (sandbox, ..)| *sandbox != id);
        ok(RemovePodSandboxResponse {})
    }

    async fn pod_sandbox_status(
        &self,
        request: Request<PodSandboxStatusRequest>,
    ) -> Result<Response<PodSandboxStatusResponse>, Status> {
        let id = request.into_inner().pod_sandbox_id;
        let additional_ips = vec![PodIp {
            ip: "fd00::2".into(),
        }];
        let network = Some(PodSandboxNetworkStatus {
            ip: "10.0.0.2".into(),
            additional_ips,
        });
        let status = Some(PodSandboxStatus {
            id,
            network,
            ..PodSandboxStatus::default()
        });
        ok(PodSandboxStatusResponse {
            status,
            ..PodSandboxStatusResponse::default()
        })
    }

    async fn list_pod_sandbox(
        &self,
        request: Request<ListPodSandboxRequest>,
    ) -> Result<Response<ListPodSandboxResponse>, Status> {
        let wanted = request.into_inner().filter.unwrap().label_selector;
        let state = self.state();
        let fits = |config: &PodSandboxConfig| {
            wanted
                .iter()
                .all(|(key, value)| config.labels.get(key) == Some(value))
        };
        let found = state
            .sandboxes
            .iter()
            .filter(|(_, (config, _))| fits(config));
        let items = found.map(|(id, (config, state))| PodSandbox {
            id: id.clone(),
            metadata: config.metadata.clone(),
            state: (*state).into(),
            ..PodSandbox::default()
        });
        ok(ListPodSandboxResponse {
            items: items.collect(),
        })
    }

    async fn create_container(
        &self,
        request: Request<CreateContainerRequest>,
    ) -> Result<Response<CreateContainerResponse>, Status> {
        let mut state = self.state();
        let id = format!("container-{}", state.call("CreateContainer")?);
        let request = request.into_inner();
        let container = (
            request.pod_sandbox_id,
            request.config.unwrap(),
            ContainerState::ContainerCreated,
            0,
        );
        state.containers.insert(id.clone(), container);
        ok(CreateContainerResponse { container_id: id })
    }

    async fn start_container(
        &self,
        request: Request<StartContainerRequest>,
    ) -> Result<Response<StartContainerResponse>, Status> {
        let mut state = self.state();
        state.call("StartContainer")?;
        state
            .containers
            .get_mut(&request.into_inner().container_id)
            .unwrap()
            .2 = ContainerState::ContainerRunning;
        ok(StartContainerResponse {})
    }

    async fn stop_container(
        &self,
        request: Request<StopContainerRequest>,
    ) -> Result<Response<StopContainerResponse>, Status> {
        let mut state = self.state();
        state.call("StopContainer")?;
        state
            .containers
            .get_mut(&request.into_inner().container_id)
            .unwrap()
            .2 = ContainerState::ContainerExited;
        ok(StopContainerResponse {})
    }

    async fn remove_container(
        &self,
        request: Request<RemoveContainerRequest>,
    ) -> Result<Response<RemoveContainerResponse>, Status> {
        let mut state = self.state();
        state.call("RemoveContainer")?;
        state.containers.remove(&request.into_inner().container_id);
        ok(RemoveContainerResponse {})
    }

    async fn list_containers(
        &self,
        request: Request<ListContainersRequest>,
    ) -> Result<Response<ListContainersResponse>, Status> {
        let wanted = request.into_inner().filter.unwrap().pod_sandbox_id;
        let state = self.state();
        let found = state
            .containers
            .iter()
            .filter(|(_, (sandbox, ..))| *sandbox == wanted);
        let containers = found.map(|(id, (_, config, state, _))| Container {
            id: id.clone(),
            metadata: config.metadata.clone(),
            state: (*state).into(),
            ..Container::default()
        });
        ok(ListContainersResponse {
            containers: containers.collect(),
        })
    }

    async fn container_status(
        &self,
        request: Request<ContainerStatusRequest>,
    ) -> Result<Response<ContainerStatusResponse>, Status> {
        let id = request.into_inner().container_id;
        let books = self.state();
        let (_, config, state, exit_code) = &books.containers[&id];
        let status = ContainerStatus {
            metadata: config.metadata.clone(),
            state: (*state).into(),
            started_at: 1_000_000_000,
            exit_code: *exit_code,
            id,
            ..ContainerStatus::default()
        };
        ok(ContainerStatusResponse {
            status: Some(status),
            ..ContainerStatusResponse::default()
        })
    }

    async fn exec_sync(
        &self,
        request: Request<ExecSyncRequest>,
    ) -> Result<Response<ExecSyncResponse>, Status> {
        let words = request.into_inner().cmd.join(" ");
        let exit_code = self.state().commands.get(&words).copied().unwrap_or(127);
        ok(ExecSyncResponse {
            stdout: Vec::new(),
            stderr: format!("{words} ended with {exit_code}").into_bytes(),
            exit_code,
        })
    }

    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let condition = |kind: &str| RuntimeCondition {
            r#type: kind.into(),
            status: true,
            ..RuntimeCondition::default()
        };
        let conditions = vec![condition("RuntimeReady"), condition("NetworkReady")];
        ok(StatusResponse {
            status: Some(RuntimeStatus { conditions }),
            ..StatusResponse::default()
        })
    }
}

#[async_trait]
impl ImageService for Books {
    async fn list_images(
        &self,
        _: Request<ListImagesRequest>,
    ) -> Result<Response<ListImagesResponse>, Status> {
        ok(ListImagesResponse::default())
    }

    async fn image_status(
        &self,
        request: Request<ImageStatusRequest>,
    ) -> Result<Response<ImageStatusResponse>, Status> {
        let name = request.into_inner().image.unwrap().image;
        let uid = Some(Int64Value { value: 0 });
        let image = (name == "busybox").then(|| Image {
            id: "sha256:busybox".into(),
            uid,
            ..Image::default()
        });
        ok(ImageStatusResponse {
            image,
            ..ImageStatusResponse::default()
        })
    }
}
