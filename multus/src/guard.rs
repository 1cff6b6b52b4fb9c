//! Watches the node's CNI configuration and keeps ours true, for as long as the intent is to serve; drains when our
//! DaemonSet is deleted.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use multus_plugin::lifecycle::HostView;
use multus_plugin::lifecycle::generated::Settings;
use multus_plugin::lifecycle::heal::{self, Healed};
use multus_plugin::lifecycle::intent::{Intent, Store};
use multus_plugin::lifecycle::leave::{Left, leave};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use serde_json::{Map, Value};
use tracing::{error, info, warn};

use host::file;

pub use watcher::Watcher;

mod backlog;
mod contest;
mod watcher;

/// How long changes are collected before the folder is looked at: a primary's installer writes several files.
const SETTLE: Duration = Duration::from_millis(100);

/// A folder that never is quiet is looked at this often.
const LONGEST: Duration = Duration::from_secs(1);

/// The safety net under the watch.
const RECONCILE: Duration = Duration::from_secs(30);

/// How long the state lock and commands at work are waited for.
const LOCK: Duration = Duration::from_secs(2);

/// What Cilium with `cni.exclusive` makes of a configuration that is not its own (spec/ecosystem.md §7).
fn renamed(ours: &Path) -> PathBuf {
    let mut name = ours.as_os_str().to_owned();
    name.push(".cilium_bak");
    name.into()
}

/// What the guard needs to know.
#[derive(Debug, Clone)]
pub struct Guard {
    /// State folder.
    pub cni_dir: PathBuf,
    /// The runtime's configuration folder as it is reached from here.
    pub conf_dir: PathBuf,
    /// The daemon's configuration file.
    pub daemon: Map<String, Value>,
    /// Where the runtime keeps its networks' state.
    pub runtime_cache: PathBuf,
}

/// Watches in a thread of its own, because files block, for as long as the process lives.
///
/// # Errors
/// When there can be no thread.
pub fn start(guard: &Arc<Guard>, mut watcher: Watcher) -> io::Result<()> {
    let guard = Arc::clone(guard);
    let thread = std::thread::Builder::new().name("guard".to_owned());
    thread.spawn(move || guard.watch(&mut watcher)).map(drop)
}

impl Guard {
    /// Heals now and after every change.
    fn watch(&self, watcher: &mut Watcher) {
        let mut folder = self.inotify();
        loop {
            let pause = watcher.look(self, Instant::now());
            // The folder may have been replaced.
            if folder.as_ref().is_none_or(|events| !quiet(events, pause)) {
                folder = self.inotify();
            }
        }
    }

    /// Our configuration where it is to be and is not, although it was there before.
    fn missing(&self) -> Option<PathBuf> {
        let store = Store::new(&self.cni_dir);
        let installed = store.read().ok()??;
        let ours = self.conf_dir.join(&installed.conf_file);
        // The copy of the primary is made before our file is.
        let written = heal::read_kept(&self.cni_dir).is_ok_and(|kept| kept.is_some());
        (installed.intent == Intent::Serve && written && !ours.exists()).then_some(ours)
    }

    /// Whether our configuration is to be there.
    fn serves(&self) -> bool {
        let installed = Store::new(&self.cni_dir).read();
        installed.is_ok_and(|found| found.is_some_and(|found| found.intent == Intent::Serve))
    }

    /// Removes what Cilium made of our file, once ours is there again, or is to be there no more.
    fn remove_renamed(&self) {
        let store = Store::new(&self.cni_dir);
        let Ok(Some(installed)) = store.read() else {
            return;
        };
        let ours = self.conf_dir.join(&installed.conf_file);
        if (ours.exists() || installed.intent == Intent::Drain)
            && let Err(error) = file::remove(&renamed(&ours))
        {
            warn!(
                error = cni::error::chain(&error),
                "renamed CNI configuration"
            );
        }
    }

    /// Sets the intent to drain and leaves at once if no sandbox has a record.
    pub fn drain(&self) {
        let store = Store::new(&self.cni_dir);
        let set = || -> Result<bool, host::error::Error> {
            let _lock = store.lock(LOCK)?;
            let Some(mut installed) = store.read()? else {
                return Ok(false);
            };
            installed.intent = Intent::Drain;
            store.write(&installed)?;
            Ok(true)
        };
        match set() {
            Ok(true) => {
                info!(
                    "our DaemonSet is deleted: multus leaves with the last sandbox that has networks"
                );
                self.remove_renamed();
                self.leave();
            }
            Ok(false) => {}
            Err(error) => error!(error = cni::error::chain(&error), "drain"),
        }
    }

    /// Leaves if the node drains and no sandbox has a record.
    pub fn leave(&self) {
        let store = Store::new(&self.cni_dir);
        let view = HostView::of(&self.conf_dir);
        match leave(&store, &view, &self.runtime_cache, LOCK) {
            Ok(Left::Gone { .. }) => info!("multus has left this node"),
            Ok(Left::Sandboxes(ids)) => {
                info!(sandboxes = ids.len(), "multus leaves when they are deleted");
            }
            Ok(Left::NoOtherConfiguration(why)) => {
                warn!(why, "multus stays: the node would be without network");
            }
            Ok(Left::NotAsked | Left::Busy) => {}
            Err(error) => warn!(error = cni::error::chain(&error), "leave"),
        }
    }

    /// Whether multus was installed here, and has not left.
    pub fn is_installed(&self) -> bool {
        let installed = Store::new(&self.cni_dir).read();
        installed.is_ok_and(|found| found.is_some())
    }

    /// For the end of a process while which multus left: until then it may have written copies of NADs.
    pub fn remove_copies(&self) {
        let store = Store::new(&self.cni_dir);
        let Ok(_lock) = store.lock(LOCK) else { return };
        // Somebody may have installed it again.
        if matches!(store.read(), Ok(None))
            && let Err(error) = file::remove_tree(&self.cni_dir)
        {
            warn!(error = cni::error::chain(&error), "remove the last copies");
        }
    }

    /// Brings our configuration to what it must be, now.
    ///
    /// # Errors
    /// As [`heal::heal`].
    pub fn heal(&self) -> Result<Healed, host::error::Error> {
        let store = Store::new(&self.cni_dir);
        let Some(installed) = store.read()? else {
            return Ok(Healed::default());
        };
        let mut keys = installed.settings;
        keys.extend(self.daemon.clone());
        let mut settings = Settings::of(&keys);
        if let Some(folder) = keys.get("socketDir").and_then(Value::as_str) {
            settings.serve_socket_from(Path::new(folder));
        }
        heal::heal(&store, &self.conf_dir, &settings)
    }

    fn inotify(&self) -> Option<Inotify> {
        let flags = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_ONLYDIR;
        let made = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)
            .and_then(|inotify| inotify.add_watch(&self.conf_dir, flags).map(|_| inotify));
        made.inspect_err(|error| {
            warn!(dir = %self.conf_dir.display(), %error, "watch the CNI configuration");
        })
        .ok()
    }
}

/// Returns after a change, when the folder has been quiet for a moment, or after `longest`. False if the watch itself
/// is gone.
fn quiet(events: &Inotify, longest: Duration) -> bool {
    let mut timeout = longest;
    let mut first: Option<Instant> = None;
    loop {
        if first.is_some_and(|first| first.elapsed() > LONGEST) {
            return true;
        }
        let wait = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(events.as_fd(), PollFlags::POLLIN)], wait) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(_) => return false,
        }
        match events.read_events() {
            Ok(seen)
                if seen
                    .iter()
                    .any(|event| event.mask.contains(AddWatchFlags::IN_IGNORED)) =>
            {
                return false;
            }
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => {
                timeout = SETTLE;
                first.get_or_insert_with(Instant::now);
            }
            Err(_) => return false,
        }
    }
}
