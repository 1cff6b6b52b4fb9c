//! One call to the kubelet for everybody who asked before it began.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use proto::podresources::pod_resources_lister_client::PodResourcesListerClient;
use proto::podresources::{AllocatableResourcesRequest, ListPodResourcesRequest, PodResources};
use tokio::sync::oneshot;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::{BACK_OFF, Failure, call_failed, dial};

/// A call whose answer is the same for everybody.
pub(super) trait Call: std::fmt::Debug + 'static {
    /// What is kept of the answer.
    type Answer: std::fmt::Debug + Send + Sync + 'static;
    /// Its name, for messages.
    const NAME: &'static str;

    /// Makes the call.
    fn ask(
        client: PodResourcesListerClient<Channel>,
    ) -> impl Future<Output = Result<Self::Answer, Status>> + Send;
}

/// Pods with devices.
#[derive(Debug)]
pub(super) struct List;

impl Call for List {
    type Answer = Vec<PodResources>;
    const NAME: &'static str = "List";

    async fn ask(
        mut client: PodResourcesListerClient<Channel>,
    ) -> Result<Vec<PodResources>, Status> {
        let answer = client.list(ListPodResourcesRequest {}).await?;
        let mut pods = answer.into_inner().pod_resources;
        pods.retain(|p| p.containers.iter().any(|c| !c.devices.is_empty()));
        Ok(pods)
    }
}

/// Ids of all devices that the kubelet could give.
#[derive(Debug)]
pub(super) struct Allocatable;

impl Call for Allocatable {
    type Answer = Vec<String>;
    const NAME: &'static str = "GetAllocatableResources";

    async fn ask(mut client: PodResourcesListerClient<Channel>) -> Result<Vec<String>, Status> {
        let answer = client
            .get_allocatable_resources(AllocatableResourcesRequest {})
            .await?;
        let devices = answer.into_inner().devices;
        Ok(devices.into_iter().flat_map(|d| d.device_ids).collect())
    }
}

type Answer<C> = Result<Arc<<C as Call>::Answer>, Failure>;

/// Merges concurrent calls. An answer is never older than the question it is given to: the call
/// begins after the question was put. So nothing that is decided by it is decided by what was.
#[derive(Debug)]
pub(super) struct Shared<C: Call> {
    socket: PathBuf,
    state: Mutex<State<C>>,
}

#[derive(Debug)]
struct State<C: Call> {
    waiting: Vec<oneshot::Sender<Answer<C>>>,
    running: bool,
}

impl<C: Call> Shared<C> {
    pub(super) fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_path_buf(),
            state: Mutex::new(State {
                waiting: Vec::new(),
                running: false,
            }),
        }
    }

    /// The answer to a call that begins now or later.
    pub(super) async fn now(self: &Arc<Self>) -> Answer<C> {
        let (send, receive) = oneshot::channel();
        let start = {
            let mut state = self.lock();
            state.waiting.push(send);
            !std::mem::replace(&mut state.running, true)
        };
        if start {
            tokio::spawn(Arc::clone(self).serve());
        }
        receive.await.unwrap_or_else(|_| {
            Err(Failure::Call {
                call: C::NAME,
                code: Code::Cancelled,
                text: "the daemon is stopping".into(),
            })
        })
    }

    async fn serve(self: Arc<Self>) {
        loop {
            let mut asking = Vec::new();
            let answer = self.call(&mut asking).await;
            for receiver in asking {
                // A receiver that is gone has run out of time.
                let _gone = receiver.send(answer.clone());
            }
            let mut state = self.lock();
            if state.waiting.is_empty() {
                state.running = false;
                return;
            }
        }
    }

    /// Every attempt takes along those who came to wait before it.
    async fn call(&self, asking: &mut Vec<oneshot::Sender<Answer<C>>>) -> Answer<C> {
        let mut pauses = BACK_OFF.iter();
        loop {
            let client = match dial(&self.socket).await {
                Ok(client) => client,
                Err(failure) => {
                    asking.append(&mut self.lock().waiting);
                    return Err(failure);
                }
            };
            asking.append(&mut self.lock().waiting);
            let refused = match C::ask(client).await {
                Ok(answer) => return Ok(Arc::new(answer)),
                Err(status) => status,
            };
            match pauses.next() {
                Some(pause) if refused.code() == Code::ResourceExhausted => {
                    tokio::time::sleep(*pause).await;
                }
                _ => return Err(call_failed(C::NAME, &refused)),
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<C>> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
