//! A kubelet in this process: registers plugins, follows their lists, tells what pods hold.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use host::file;
use proto::{
    deviceplugin::{
        AllocateRequest, AllocateResponse, ContainerAllocateRequest, Empty, ListAndWatchResponse,
        RegisterRequest,
        device_plugin_client::DevicePluginClient,
        registration_server::{Registration, RegistrationServer},
    },
    podresources::{
        AllocatableResourcesRequest, AllocatableResourcesResponse, ContainerDevices,
        ContainerResources, GetPodResourcesRequest, GetPodResourcesResponse,
        ListPodResourcesRequest, ListPodResourcesResponse, PodResources,
        pod_resources_lister_server::{PodResourcesLister, PodResourcesListerServer},
    },
    uds::{Socket, dial, serve},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming, transport::Channel};

/// How long a test waits for something that must happen.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Waits until `condition` gives something.
pub(crate) async fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(value) = condition() {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, waiting)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"))
}

/// The kubelet's root directory, and the kubelet while it runs.
pub(crate) struct FakeKubelet {
    root: PathBuf,
    running: Option<Running>,
    /// What pods hold: resource and device.
    held: Arc<Mutex<Vec<(String, String)>>>,
    /// Questions about pods that are turned away first.
    busy: Arc<Mutex<u32>>,
}

struct Running {
    registered: mpsc::UnboundedReceiver<RegisterRequest>,
    stop: CancellationToken,
}

#[derive(Clone)]
struct Accepts {
    registered: mpsc::UnboundedSender<RegisterRequest>,
    refusals: Arc<Mutex<u32>>,
    held: Arc<Mutex<Vec<(String, String)>>>,
    /// Questions about pods that are turned away first.
    busy: Arc<Mutex<u32>>,
}

#[tonic::async_trait]
impl Registration for Accepts {
    async fn register(&self, request: Request<RegisterRequest>) -> Result<Response<Empty>, Status> {
        let mut refusals = self.refusals.lock().unwrap();
        if *refusals > 0 {
            *refusals -= 1;
            return Err(Status::unavailable("not now"));
        }
        self.registered.send(request.into_inner()).unwrap();
        Ok(Response::new(Empty {}))
    }
}

#[tonic::async_trait]
impl PodResourcesLister for Accepts {
    async fn list(
        &self,
        _: Request<ListPodResourcesRequest>,
    ) -> Result<Response<ListPodResourcesResponse>, Status> {
        {
            let mut busy = self.busy.lock().unwrap();
            if *busy > 0 {
                *busy -= 1;
                return Err(Status::resource_exhausted("rejected by rate limit"));
            }
        }
        let held = self.held.lock().unwrap().clone();
        let devices = |(resource, id): (String, String)| ContainerDevices {
            resource_name: resource,
            device_ids: vec![id],
            topology: None,
        };
        let container = ContainerResources {
            name: "c".to_owned(),
            devices: held.into_iter().map(devices).collect(),
            ..ContainerResources::default()
        };
        let pod = PodResources {
            containers: vec![container],
            ..PodResources::default()
        };
        Ok(Response::new(ListPodResourcesResponse {
            pod_resources: vec![pod],
        }))
    }

    async fn get_allocatable_resources(
        &self,
        _: Request<AllocatableResourcesRequest>,
    ) -> Result<Response<AllocatableResourcesResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn get(
        &self,
        _: Request<GetPodResourcesRequest>,
    ) -> Result<Response<GetPodResourcesResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }
}

impl FakeKubelet {
    /// Directories of a kubelet that is not running.
    pub(crate) fn stopped(root: &Path, watcher: bool) -> Self {
        for directory in ["device-plugins", "pod-resources"] {
            file::create_dir(&root.join(directory), 0o700).unwrap();
        }
        if watcher {
            file::create_dir(&root.join("plugins_registry"), 0o700).unwrap();
        }
        Self {
            root: root.to_owned(),
            running: None,
            held: Arc::default(),
            busy: Arc::default(),
        }
    }

    /// Starts as the real one does: the directory of device plugins is wiped first. The first
    /// `refusals` registrations are refused.
    pub(crate) fn start(&mut self, refusals: u32) {
        self.stop();
        for name in file::list(&self.plugins()).unwrap() {
            file::remove(&self.plugins().join(name)).unwrap();
        }
        let (sender, registered) = mpsc::unbounded_channel();
        let refusals = Arc::new(Mutex::new(refusals));
        let service = Accepts {
            registered: sender,
            refusals,
            held: Arc::clone(&self.held),
            busy: Arc::clone(&self.busy),
        };
        let stop = CancellationToken::new();
        let socket = Socket::bind(&self.plugins().join("kubelet.sock")).unwrap();
        tokio::spawn(serve(
            socket,
            RegistrationServer::new(service.clone()),
            stop.clone(),
        ));
        let socket = Socket::bind(&self.root.join("pod-resources/kubelet.sock")).unwrap();
        tokio::spawn(serve(
            socket,
            PodResourcesListerServer::new(service),
            stop.clone(),
        ));
        self.running = Some(Running { registered, stop });
    }

    /// Ends; connections break, sockets go.
    pub(crate) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop.cancel();
        }
    }

    pub(crate) fn plugins(&self) -> PathBuf {
        self.root.join("device-plugins")
    }

    pub(crate) fn registry(&self) -> PathBuf {
        self.root.join("plugins_registry")
    }

    /// The next registration.
    pub(crate) async fn registration(&mut self) -> RegisterRequest {
        let registered = &mut self.running.as_mut().unwrap().registered;
        let next = tokio::time::timeout(LIMIT, registered.recv()).await;
        next.expect("a registration").unwrap()
    }

    /// Registrations that came and were not looked at.
    pub(crate) fn pending(&mut self) -> usize {
        self.running.as_ref().unwrap().registered.len()
    }

    /// Makes pods hold these devices.
    pub(crate) fn hold(&self, held: &[(&str, &str)]) {
        let owned = |(resource, id): &(&str, &str)| ((*resource).to_owned(), (*id).to_owned());
        *self.held.lock().unwrap() = held.iter().map(owned).collect();
    }

    /// Turns the next questions about pods away.
    pub(crate) fn turn_away(&self, questions: u32) {
        *self.busy.lock().unwrap() = questions;
    }

    /// Registers nothing, just follows the pool behind a socket of `device-plugins`.
    pub(crate) async fn follow(&self, request: &RegisterRequest) -> Followed {
        Followed::connect(&self.plugins().join(&request.endpoint)).await
    }
}

/// A pool as the kubelet sees it.
pub(crate) struct Followed {
    pub(crate) client: DevicePluginClient<Channel>,
    lists: Streaming<ListAndWatchResponse>,
}

impl Followed {
    pub(crate) async fn connect(socket: &Path) -> Self {
        let mut client = DevicePluginClient::new(dial(socket, LIMIT).await.unwrap());
        let lists = client.list_and_watch(Empty {}).await.unwrap().into_inner();
        Self { client, lists }
    }

    /// The next list; `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<ListAndWatchResponse> {
        let next = tokio::time::timeout(LIMIT, self.lists.message()).await;
        next.expect("a list or the end").ok().flatten()
    }

    /// Waits for a list that shows exactly this: `id` for a healthy device, `id!` for another.
    pub(crate) async fn until_shows(&mut self, expected: &[&str]) {
        let mut last = Vec::new();
        let seen = tokio::time::timeout(LIMIT, async {
            while let Ok(Some(list)) = self.lists.message().await {
                last = shown(&list);
                if last == expected {
                    return;
                }
            }
            panic!("the stream ended, last list {last:?}");
        });
        assert!(seen.await.is_ok(), "never listed: {expected:?}");
    }

    /// Waits for the end of the stream.
    pub(crate) async fn until_ended(&mut self) {
        while self.next().await.is_some() {}
    }

    pub(crate) async fn allocate(&mut self, ids: &[&str]) -> Result<AllocateResponse, Status> {
        let devices_ids = ids.iter().map(|id| (*id).to_owned()).collect();
        let container_requests = vec![ContainerAllocateRequest { devices_ids }];
        let answer = self
            .client
            .allocate(AllocateRequest { container_requests })
            .await;
        answer.map(Response::into_inner)
    }
}

/// A list in short.
pub(crate) fn shown(list: &ListAndWatchResponse) -> Vec<String> {
    let mark = |health: &str| if health == "Healthy" { "" } else { "!" };
    list.devices
        .iter()
        .map(|device| format!("{}{}", device.id, mark(&device.health)))
        .collect()
}
