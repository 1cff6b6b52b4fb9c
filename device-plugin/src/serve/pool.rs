//! One pool's life: listen, be registered, serve, and begin again whenever any of it breaks.
//!
//! A session ends when the socket's file is gone (a kubelet wipes its directory when it starts), the
//! kubelet has a new socket, it refused the pool, or it stopped following the list. A new session has
//! a new socket, which is what a kubelet in watcher mode notices. If another process serves the pool at
//! its path, this one stands by until that one ends: of two generations the later serves.

use std::{path::Path, sync::Arc, time::Duration};

use proto::{
    deviceplugin::device_plugin_server::DevicePluginServer,
    pluginregistration::registration_server::RegistrationServer,
    uds::{self, Pair, Socket, SocketFile},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    Offer, Shared,
    kubelet::{Identity, Mode},
    service::{Event, OPTIONS, Service},
};
use crate::{config::ResourceName, failure, status::Phase};

/// Longest pause between two tries: a kubelet that is well again has the pool within a second.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long a kubelet that has the pool may take to follow its list, at first, as a multiple of the first pause:
/// ten seconds. It doubles with each try.
const PATIENCE: u32 = 40;
/// The longest that gets.
const LONGEST_PATIENCE: Duration = Duration::from_mins(5);
/// Within this time a process that lives takes a connection.
const ANSWER: Duration = Duration::from_secs(1);
/// Far more than passes between the removal of a socket's file and the next one at its path.
const REPLACING: Duration = Duration::from_millis(20);
/// How often a process that took the pool over is looked at.
const STAND_BY: Duration = Duration::from_millis(500);

/// What a pool's tasks know.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) shared: Arc<Shared>,
    pub(super) name: ResourceName,
    pub(super) offer: watch::Receiver<Arc<Offer>>,
    pub(super) stop: CancellationToken,
}

/// Why a session ended.
#[derive(Debug)]
enum End {
    /// The pool is to stop.
    Stop,
    /// Begin again at once: the kubelet started anew.
    Restarted(&'static str),
    /// Begin again after a pause.
    Failed(String),
    /// Another process serves the pool at the same path: begin again when it does not any more.
    Replaced,
}

/// A running session.
struct Session {
    file: SocketFile,
    mode: Mode,
    kubelet: Option<Identity>,
    events: mpsc::UnboundedReceiver<Event>,
    server: JoinHandle<Result<(), uds::Error>>,
    stop: CancellationToken,
    /// Whether the kubelet ever followed the list.
    was_followed: bool,
    /// When it is too late to follow it.
    late: Instant,
}

impl Context {
    fn phase(&self, phase: Phase) {
        self.shared.status.phase(&self.name, phase);
    }
}

/// Serves the pool until it is told to stop.
pub(super) async fn run(context: Arc<Context>) {
    let (mut pause, mut patience) = (context.shared.pause, context.shared.pause * PATIENCE);
    loop {
        let (end, was_followed) = session(&context, patience).await;
        if was_followed {
            pause = context.shared.pause;
            patience = pause * PATIENCE;
        }
        patience = (patience * 2).min(LONGEST_PATIENCE);
        match end {
            End::Stop => return,
            End::Restarted(reason) => {
                info!(resource = %context.name, reason, "registering again");
            }
            End::Replaced => {
                info!(resource = %context.name, "another process serves the pool now");
            }
            End::Failed(reason) => {
                warn!(resource = %context.name, reason, "registering again after a pause");
                context.phase(Phase::Broken(reason));
                if rest(&context, pause).await.is_some() {
                    return;
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        // The first session of a process takes the pool over, a later one does not: the end of the stream may
        // be all that this process heard of its successor.
        if stand_by(&context).await.is_some() {
            return;
        }
    }
}

async fn session(context: &Arc<Context>, patience: Duration) -> (End, bool) {
    // Before the first look, so that no change in between is missed.
    let mut changes = context.shared.kubelet_changes.subscribe();
    let mut session = match open(context, patience) {
        Ok(session) => session,
        Err(error) => return (End::Failed(failure::chain(&error)), false),
    };
    let end = match register(context, &mut session, patience).await {
        None => follow(context, &mut session, &mut changes).await,
        Some(end) => end,
    };
    session.stop.cancel();
    // Streams end with the token, so the server ends, too.
    if !session.server.is_finished() {
        let _ended = (&mut session.server).await;
    }
    (end, session.was_followed)
}

fn open(context: &Arc<Context>, patience: Duration) -> Result<Session, uds::Error> {
    let kubelet = &context.shared.kubelet;
    let mode = kubelet.mode();
    let path = kubelet.socket(mode, &context.name);
    let socket = Socket::bind(&path)?;
    let file = socket.file().clone();
    let stop = context.stop.child_token();
    let (sender, events) = mpsc::unbounded_channel();
    let service = Service {
        context: Arc::clone(context),
        endpoint: path.display().to_string(),
        stop: stop.clone(),
        events: sender,
    };
    let plugin = DevicePluginServer::new(service.clone());
    let server = match mode {
        Mode::Watcher => {
            let both = Pair::new(plugin, RegistrationServer::new(service));
            tokio::spawn(uds::serve(socket, both, stop.clone()))
        }
        Mode::Legacy => tokio::spawn(uds::serve(socket, plugin, stop.clone())),
    };
    info!(resource = %context.name, socket = %path.display(), "listening");
    context.phase(Phase::Listening);
    let identity = kubelet.identity();
    Ok(Session {
        file,
        mode,
        kubelet: identity,
        events,
        server,
        stop,
        was_followed: false,
        late: Instant::now() + patience,
    })
}

/// Tells the kubelet of the socket, in legacy mode. `None` when it knows; in watcher mode it comes by
/// itself.
async fn register(context: &Context, session: &mut Session, patience: Duration) -> Option<End> {
    if session.mode == Mode::Watcher {
        return None;
    }
    let mut pause = context.shared.pause;
    loop {
        let kubelet = &context.shared.kubelet;
        session.kubelet = kubelet.identity();
        let answer = tokio::select! {
            () = context.stop.cancelled() => return Some(End::Stop),
            answer = kubelet.register(&context.name, OPTIONS) => answer,
        };
        let Err(error) = answer else {
            info!(resource = %context.name, "registered with the kubelet");
            context.phase(Phase::Registered);
            session.late = Instant::now() + patience;
            return None;
        };
        warn!(resource = %context.name, error = %failure::chain(&error), "not registered yet");
        if let Some(end) = rest(context, pause).await {
            return Some(end);
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
        if !session.file.is_present() {
            return Some(lost(session.file.path()).await);
        }
    }
}

/// Our socket's file is not there: it was removed, or another process put its own there. The later one
/// serves, as in a rollout; if both insisted, they would replace each other for ever.
async fn lost(path: &Path) -> End {
    if !path.exists() {
        // Whoever replaces it removes it first.
        tokio::time::sleep(REPLACING).await;
    }
    if is_served(path).await {
        End::Replaced
    } else {
        End::Restarted("the socket's file is gone")
    }
}

/// Whether somebody listens there. A process that is killed leaves a file to which nobody answers.
async fn is_served(path: &Path) -> bool {
    let answer = tokio::time::timeout(ANSWER, tokio::net::UnixStream::connect(path)).await;
    // One that does not answer in time is busy, not gone.
    answer.is_err() || matches!(answer, Ok(Ok(_)))
}

/// Waits until nobody serves the pool. `Stop` if it is to stop.
async fn stand_by(context: &Context) -> Option<End> {
    let kubelet = &context.shared.kubelet;
    let mut changes = context.shared.kubelet_changes.subscribe();
    while is_served(&kubelet.socket(kubelet.mode(), &context.name)).await {
        context.phase(Phase::StandingBy);
        tokio::select! {
            () = context.stop.cancelled() => return Some(End::Stop),
            _ = changes.changed() => {}
            // A process that is killed changes no directory.
            () = tokio::time::sleep(STAND_BY) => {}
        }
    }
    None
}

/// Waits for `pause`, or until the kubelet has a new socket or a new way of registration. Other changes
/// in its directories do not count: they come from the other pools.
async fn rest(context: &Context, pause: Duration) -> Option<End> {
    let kubelet = &context.shared.kubelet;
    let mut changes = context.shared.kubelet_changes.subscribe();
    let before = (kubelet.mode(), kubelet.identity());
    let over = tokio::time::sleep(pause);
    tokio::pin!(over);
    loop {
        tokio::select! {
            () = context.stop.cancelled() => return Some(End::Stop),
            () = &mut over => return None,
            _ = changes.changed() => {
                let now = (kubelet.mode(), kubelet.identity());
                if now != before && now.1.is_some() {
                    return None;
                }
            }
        }
    }
}

/// Serves until something breaks.
async fn follow(
    context: &Context,
    session: &mut Session,
    changes: &mut watch::Receiver<u64>,
) -> End {
    let mut followers = 0_u32;
    loop {
        if !session.file.is_present() {
            return lost(session.file.path()).await;
        }
        if let Some(end) = look(context, session) {
            return end;
        }
        tokio::select! {
            () = context.stop.cancelled() => return End::Stop,
            ended = &mut session.server => {
                return End::Failed(match ended {
                    Ok(Ok(())) => "the server ended".to_owned(),
                    Ok(Err(error)) => failure::chain(&error),
                    Err(defect) => defect.to_string(),
                });
            }
            // The topic lives as long as the pool, so this is no error and no busy loop.
            _ = changes.changed() => {}
            () = tokio::time::sleep_until(session.late), if followers == 0 => {
                // Without a kubelet there is nothing to wait for, and nothing to repair.
                if session.kubelet.is_some() || context.shared.kubelet.identity().is_some() {
                    return End::Failed("the kubelet does not follow the list".to_owned());
                }
                session.late = Instant::now() + context.shared.pause * PATIENCE;
            }
            event = session.events.recv() => match event {
                Some(Event::StreamOpened) => {
                    followers += 1;
                    session.was_followed = true;
                    context.phase(Phase::Streaming);
                    info!(resource = %context.name, "the kubelet follows the list");
                }
                Some(Event::StreamEnded) => {
                    followers = followers.saturating_sub(1);
                    if followers == 0 {
                        return End::Failed("the kubelet stopped following the list".to_owned());
                    }
                }
                Some(Event::Registered) => {
                    info!(resource = %context.name, "registered");
                    if followers == 0 {
                        context.phase(Phase::Registered);
                    }
                }
                Some(Event::Refused(error)) => {
                    return End::Failed(format!("the kubelet refused the pool: {error}"));
                }
                None => {}
            }
        }
    }
}

/// What the kubelet's directories tell.
fn look(context: &Context, session: &Session) -> Option<End> {
    let kubelet = &context.shared.kubelet;
    if kubelet.mode() != session.mode {
        return Some(End::Restarted(
            "the kubelet changed its way of registration",
        ));
    }
    let now = kubelet.identity();
    let restarted = session.mode == Mode::Legacy && now.is_some() && now != session.kubelet;
    restarted.then_some(End::Restarted("the kubelet has a new socket"))
}
