//! One List for everybody who asked before it began.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use proto::podresources::{ListPodResourcesRequest, PodResources};
use tokio::sync::oneshot;
use tonic::Code;

use super::{BACK_OFF, Failure, call_failed, dial};

type Answer = Result<Arc<[PodResources]>, Failure>;

/// Merges concurrent Lists. An answer is never older than the question it is given to: the call
/// begins after the question was put.
#[derive(Debug)]
pub(super) struct SharedList {
    socket: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<oneshot::Sender<Answer>>,
    running: bool,
}

impl SharedList {
    pub(super) fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_path_buf(),
            state: Mutex::default(),
        }
    }

    /// Pods with devices, from a List that begins now or later.
    pub(super) async fn now(self: &Arc<Self>) -> Answer {
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
                call: "List",
                code: Code::Cancelled,
                text: "the daemon is stopping".into(),
            })
        })
    }

    async fn serve(self: Arc<Self>) {
        loop {
            let mut asking = Vec::new();
            let answer = self.list(&mut asking).await;
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
    async fn list(&self, asking: &mut Vec<oneshot::Sender<Answer>>) -> Answer {
        let mut pauses = BACK_OFF.iter();
        loop {
            let mut client = match dial(&self.socket).await {
                Ok(client) => client,
                Err(failure) => {
                    asking.append(&mut self.lock().waiting);
                    return Err(failure);
                }
            };
            asking.append(&mut self.lock().waiting);
            let refused = match client.list(ListPodResourcesRequest {}).await {
                Ok(answer) => {
                    let mut pods = answer.into_inner().pod_resources;
                    pods.retain(|p| p.containers.iter().any(|c| !c.devices.is_empty()));
                    return Ok(pods.into());
                }
                Err(status) => status,
            };
            match pauses.next() {
                Some(pause) if refused.code() == Code::ResourceExhausted => {
                    tokio::time::sleep(*pause).await;
                }
                _ => return Err(call_failed("List", &refused)),
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
