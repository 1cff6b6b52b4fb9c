//! A kubelet that counts, limits and answers like the real one.

use std::sync::Mutex;

use proto::podresources::pod_resources_lister_server::{
    PodResourcesLister, PodResourcesListerServer,
};
use proto::podresources::{
    AllocatableResourcesRequest, AllocatableResourcesResponse, ContainerDevices,
    GetPodResourcesResponse, ListPodResourcesRequest, ListPodResourcesResponse,
};
use tokio::sync::{Notify, watch};
use tonic::{Request, Response, Status};

use super::*;

#[derive(Debug, Default)]
struct Fake {
    pods: Vec<PodResources>,
    allocatable: Vec<String>,
    serves_get: bool,
    /// The next so many calls are refused.
    refusals: AtomicUsize,
    calls: Mutex<Vec<&'static str>>,
    /// While true, List does not answer.
    hold: Option<watch::Receiver<bool>>,
    listing: Notify,
}

impl Fake {
    fn count(&self, call: &'static str) -> Result<(), Status> {
        self.calls.lock().unwrap().push(call);
        let refuse = |n: usize| n.checked_sub(1);
        match self
            .refusals
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, refuse)
        {
            Ok(_) => Err(Status::resource_exhausted("rejected by rate limit")),
            Err(_) => Ok(()),
        }
    }

    fn calls(&self, call: &str) -> usize {
        self.calls
            .lock()
            .unwrap()
            .iter()
            .filter(|c| **c == call)
            .count()
    }
}

#[derive(Debug, Clone)]
struct Served(Arc<Fake>);

#[tonic::async_trait]
impl PodResourcesLister for Served {
    async fn list(
        &self,
        _: Request<ListPodResourcesRequest>,
    ) -> Result<Response<ListPodResourcesResponse>, Status> {
        self.0.count("List")?;
        self.0.listing.notify_one();
        if let Some(hold) = &self.0.hold {
            let mut hold = hold.clone();
            hold.wait_for(|hold| !hold).await.unwrap();
        }
        let pod_resources = self.0.pods.clone();
        Ok(Response::new(ListPodResourcesResponse { pod_resources }))
    }

    async fn get_allocatable_resources(
        &self,
        _: Request<AllocatableResourcesRequest>,
    ) -> Result<Response<AllocatableResourcesResponse>, Status> {
        self.0.count("GetAllocatableResources")?;
        Ok(Response::new(AllocatableResourcesResponse {
            devices: vec![devices("r", &self.0.allocatable)],
            ..Default::default()
        }))
    }

    async fn get(
        &self,
        request: Request<GetPodResourcesRequest>,
    ) -> Result<Response<GetPodResourcesResponse>, Status> {
        self.0.count("Get")?;
        let asked = request.into_inner();
        let found = self.0.pods.iter().find(|p| p.name == asked.pod_name);
        match found.filter(|_| self.0.serves_get) {
            Some(pod) => Ok(Response::new(GetPodResourcesResponse {
                pod_resources: Some(pod.clone()),
            })),
            None => Err(Status::unknown("PodResources API Get method disabled")),
        }
    }
}

fn devices(resource: &str, ids: &[impl AsRef<str>]) -> ContainerDevices {
    ContainerDevices {
        resource_name: resource.into(),
        device_ids: ids.iter().map(|id| id.as_ref().to_owned()).collect(),
        ..Default::default()
    }
}

fn pod_with(name: &str, containers: Vec<Vec<ContainerDevices>>) -> PodResources {
    let containers = containers
        .into_iter()
        .enumerate()
        .map(|(i, devices)| ContainerResources {
            name: format!("c{i}"),
            devices,
            ..Default::default()
        });
    PodResources {
        name: name.into(),
        namespace: "d".into(),
        containers: containers.collect(),
        ..Default::default()
    }
}

fn two_pods() -> Vec<PodResources> {
    vec![
        pod_with(
            "p",
            vec![
                vec![
                    devices("r", &["02.3"]),
                    devices("s", &["x"]),
                    devices("r", &["02.1"]),
                ],
                vec![devices("r", &["02.7", "02.0"])],
            ],
        ),
        pod_with("q", vec![vec![devices("r", &["03.0"])]]),
    ]
}

fn pod(name: &str) -> PodRef {
    PodRef {
        namespace: "d".into(),
        name: name.into(),
        uid: None,
    }
}

struct Running {
    kubelet: Arc<Kubelet>,
    fake: Arc<Fake>,
    _dir: tempfile::TempDir,
}

fn start(fake: Fake) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kubelet.sock");
    let fake = Arc::new(fake);
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let incoming = tokio_stream::wrappers::UnixListenerStream::new(listener);
    let service = PodResourcesListerServer::new(Served(Arc::clone(&fake)));
    tokio::spawn(async move {
        tonic::transport::Server::builder()
            .serve_with_incoming_shutdown(service, incoming, std::future::pending())
            .await
            .unwrap();
    });
    let kubelet = Arc::new(Kubelet::new(&path, Path::new("/nonexistent/checkpoint")));
    Running {
        kubelet,
        fake,
        _dir: dir,
    }
}

fn here(found: Found<Allocation>) -> Allocation {
    match found {
        Found::Here(allocation) => allocation,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_kubelet_without_get_is_asked_by_list_and_get_is_tried_once() {
    let running = start(Fake {
        pods: two_pods(),
        ..Fake::default()
    });
    for _ in 0..3 {
        let found = here(running.kubelet.devices(&pod("p"), false).await);
        assert_eq!(found.pod["r"], ["02.1", "02.3", "02.0", "02.7"]);
        assert_eq!(found.pod["s"], ["x"]);
        assert_eq!(found.managed, None);
    }
    assert_eq!(running.fake.calls("Get"), 1);
    assert_eq!(running.fake.calls("List"), 3);
}

#[tokio::test]
async fn a_kubelet_with_get_is_asked_for_the_one_pod() {
    let running = start(Fake {
        pods: two_pods(),
        serves_get: true,
        ..Fake::default()
    });
    for _ in 0..3 {
        let found = here(running.kubelet.devices(&pod("q"), false).await);
        assert_eq!(found.pod["r"], ["03.0"]);
    }
    assert_eq!(running.fake.calls("Get"), 3);
    assert_eq!(running.fake.calls("List"), 0);
}

#[tokio::test]
async fn a_pod_unknown_to_the_kubelet_has_no_devices_and_does_not_switch_get_off() {
    let running = start(Fake {
        pods: two_pods(),
        serves_get: true,
        ..Fake::default()
    });
    let found = here(running.kubelet.devices(&pod("other"), false).await);
    assert!(found.pod.is_empty());
    running.kubelet.devices(&pod("p"), false).await;
    assert_eq!(running.fake.calls("Get"), 2);
}

#[tokio::test]
async fn refused_calls_are_repeated() {
    let running = start(Fake {
        pods: two_pods(),
        allocatable: vec!["04.0".into()],
        refusals: AtomicUsize::new(3),
        ..Fake::default()
    });
    let found = here(running.kubelet.devices(&pod("p"), true).await);
    assert_eq!(found.pod["r"].len(), 4);
    assert_eq!(running.fake.calls("List"), 4);
}

#[tokio::test]
async fn a_kubelet_that_refuses_for_ever_is_named_before_the_plugins_patience_ends() {
    let running = start(Fake {
        refusals: AtomicUsize::new(usize::MAX),
        ..Fake::default()
    });
    for others in [false, true] {
        let Found::Unknown(cause) = running.kubelet.devices(&pod("p"), others).await else {
            panic!("an answer");
        };
        assert!(
            cause.contains("List") && cause.contains("ResourceExhausted"),
            "{cause}"
        );
    }
    let all: Duration = BACK_OFF.iter().sum();
    // A plan has 900 ms.
    assert!(all < Duration::from_millis(800), "{all:?}");
}

#[tokio::test]
async fn other_pods_devices_and_free_ones_are_managed_too() {
    let running = start(Fake {
        pods: two_pods(),
        allocatable: vec!["04.0".into()],
        ..Fake::default()
    });
    let found = here(running.kubelet.devices(&pod("p"), true).await);
    let managed = found.managed.unwrap();
    for id in ["02.0", "03.0", "04.0", "x"] {
        assert!(managed.contains(id), "{id}");
    }
}

#[tokio::test]
async fn one_list_serves_all_who_asked_before_it_began() {
    let (release, hold) = watch::channel(true);
    let running = start(Fake {
        pods: two_pods(),
        hold: Some(hold),
        ..Fake::default()
    });
    running.kubelet.get_refused.store(true, Ordering::Relaxed);
    let ask = |name: &'static str| {
        let kubelet = Arc::clone(&running.kubelet);
        tokio::spawn(async move { here(kubelet.devices(&pod(name), false).await) })
    };
    let first = ask("p");
    running.fake.listing.notified().await;
    // These came too late for the List that runs, so they share the next one.
    let later: Vec<_> = (0..50)
        .map(|i| ask(if i % 2 == 0 { "p" } else { "q" }))
        .collect();
    tokio::task::yield_now().await;
    release.send_replace(false);
    assert_eq!(first.await.unwrap().pod["r"].len(), 4);
    for (i, task) in later.into_iter().enumerate() {
        let expected = if i % 2 == 0 { 4 } else { 1 };
        assert_eq!(task.await.unwrap().pod["r"].len(), expected);
    }
    assert_eq!(running.fake.calls("List"), 2);
}

#[tokio::test]
async fn many_pods_that_name_devices_by_text_share_the_question_for_what_the_kubelet_manages() {
    let (release, hold) = watch::channel(true);
    let running = start(Fake {
        pods: two_pods(),
        allocatable: vec!["04.0".into()],
        hold: Some(hold),
        ..Fake::default()
    });
    let ask = || {
        let kubelet = Arc::clone(&running.kubelet);
        tokio::spawn(async move { here(kubelet.devices(&pod("p"), true).await) })
    };
    let first = ask();
    running.fake.listing.notified().await;
    let later: Vec<_> = (0..50).map(|_| ask()).collect();
    tokio::task::yield_now().await;
    release.send_replace(false);
    for task in [first].into_iter().chain(later) {
        assert!(task.await.unwrap().managed.unwrap().contains("04.0"));
    }
    let calls = running.fake.calls("GetAllocatableResources");
    assert!(calls <= 3, "{calls} calls for 51 pods");
    // What was asked before is not what is known now.
    here(running.kubelet.devices(&pod("p"), true).await);
    assert_eq!(running.fake.calls("GetAllocatableResources"), calls + 1);
}

#[tokio::test]
async fn row_34_two_hundred_at_once_get_through_a_rate_limit() {
    let running = start(Fake {
        pods: two_pods(),
        serves_get: true,
        refusals: AtomicUsize::new(4),
        ..Fake::default()
    });
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let kubelet = Arc::clone(&running.kubelet);
            tokio::spawn(async move { here(kubelet.devices(&pod("p"), false).await) })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().pod["r"].len(), 4);
    }
    let calls = running.fake.calls.lock().unwrap().len();
    assert!(calls <= 20, "{calls} calls");
}

#[tokio::test]
async fn a_dead_socket_is_an_error_and_no_socket_at_all_is_no_kubelet() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kubelet.sock");
    let none = Kubelet::new(&path, &dir.path().join("checkpoint"));
    assert_eq!(none.devices(&pod("p"), false).await, Found::Missing);
    // A file that nobody listens on.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let dead = Kubelet::new(&path, &dir.path().join("checkpoint"));
    match dead.devices(&pod("p"), false).await {
        Found::Unknown(cause) => assert!(cause.contains("kubelet.sock"), "{cause}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn row_34_without_a_socket_the_checkpoint_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = dir.path().join("kubelet_internal_checkpoint");
    let text = r#"{"Data":{"PodDeviceEntries":[{"PodUID":"u","ContainerName":"a","ResourceName":"r","DeviceIDs":{"0":["02.1"]}}]}}"#;
    host::file::write(
        &checkpoint,
        text.as_bytes(),
        0o600,
        host::file::Durability::Process,
    )
    .unwrap();
    let kubelet = Kubelet::new(&dir.path().join("none.sock"), &checkpoint);
    let pod = PodRef {
        uid: Some("u".into()),
        ..pod("p")
    };
    assert_eq!(here(kubelet.devices(&pod, false).await).pod["r"], ["02.1"]);
}
