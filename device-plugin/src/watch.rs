//! Eyes: one thread that waits for what the kernel announces, and says so to whoever listens.
//!
//! It tells that something changed, not what; the listener looks again, so coalesced and lost events
//! do no harm. What is missed all the same is found by the slow reconcile.

mod directories;

use std::{io, os::fd::AsFd, path::PathBuf, time::Duration};

use host::netlink::{
    uevent::{Notice, Uevent, Uevents},
    watch::{Group, Watch},
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

pub use directories::Directories;

use crate::failure;

/// Something that changes now and then.
#[derive(Debug, Clone)]
pub struct Topic(watch::Sender<u64>);

impl Topic {
    /// A topic nobody listens to yet.
    pub fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    /// It changed.
    pub fn announce(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Learns of changes from now on.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

impl Default for Topic {
    fn default() -> Self {
        Self::new()
    }
}

/// All that is watched.
#[derive(Debug, Clone, Default)]
pub struct Topics {
    /// PCI functions and their interfaces.
    pub devices: Topic,
    /// Links and routes of the host.
    pub routes: Topic,
    /// The configuration's directory.
    pub config: Topic,
    /// The kubelet's directories.
    pub kubelet: Topic,
}

/// How often the thread looks whether it is to stop.
const PAUSE: Duration = Duration::from_secs(5);
/// First pause before something that failed is tried again; it doubles each time, up to [`PAUSE`].
const SOON: Duration = Duration::from_millis(50);

/// Starts the thread, which ends some time after `stop`. What happens after this returns is told, as far as the kernel
/// gives the means; what it refuses is told in the log and asked for again.
pub fn start(
    topics: Topics,
    config: &[PathBuf],
    kubelet: &[PathBuf],
    stop: CancellationToken,
) -> io::Result<()> {
    let directories = |paths: &[PathBuf]| {
        let paths = paths.to_vec();
        Box::new(move || Directories::new(&paths).map_err(|error| error.to_string()))
    };
    let mut eyes = Eyes {
        config: Source::new("the configuration's directory", directories(config)),
        kubelet: Source::new("the kubelet's directories", directories(kubelet)),
        uevents: Source::new(
            "uevents",
            Box::new(|| Uevents::open().map_err(|error| failure::chain(&error))),
        ),
        network: Source::new(
            "links and routes",
            Box::new(|| {
                let groups = [Group::Links, Group::Routes];
                Watch::open(&groups).map_err(|error| failure::chain(&error))
            }),
        ),
        topics,
        pause: SOON,
    };
    // Whoever listens has not looked yet, so this is no news.
    let _opened = eyes.renew();
    let thread = std::thread::Builder::new().name("eyes".to_owned());
    thread.spawn(move || eyes.run(&stop))?;
    Ok(())
}

/// Something to watch, opened again until the kernel allows it.
struct Source<T> {
    name: &'static str,
    open: Box<dyn Fn() -> Result<T, String> + Send>,
    opened: Option<T>,
    /// The last refusal, told once.
    refusal: Option<String>,
}

impl<T> Source<T> {
    fn new(name: &'static str, open: Box<dyn Fn() -> Result<T, String> + Send>) -> Self {
        Self {
            name,
            open,
            opened: None,
            refusal: None,
        }
    }

    /// Opens it if it is not open. True if it is now and was not before: something may have been missed.
    fn renew(&mut self) -> bool {
        if self.opened.is_some() {
            return false;
        }
        match (self.open)() {
            Ok(opened) => {
                self.opened = Some(opened);
                self.refusal = None;
                true
            }
            Err(error) => {
                self.refused(error);
                false
            }
        }
    }

    fn refused(&mut self, error: String) {
        if self.refusal.as_ref() != Some(&error) {
            warn!(error, "{} cannot be watched, trying again", self.name);
        }
        self.refusal = Some(error);
    }

    /// Reading failed: begin anew.
    fn broken(&mut self, error: &str) {
        warn!(error, "watching {} failed", self.name);
        self.opened = None;
    }
}

impl Source<Directories> {
    /// True if something changed.
    fn changed(&mut self) -> bool {
        let Some(directories) = &mut self.opened else {
            return false;
        };
        match directories.drain() {
            Err(error) => {
                self.broken(&error.to_string());
                true
            }
            Ok(changed) => {
                let refused = directories.refused();
                match refused.map(|(path, errno)| format!("{}: {errno}", path.display())) {
                    Some(error) => self.refused(error),
                    None => self.refusal = None,
                }
                changed
            }
        }
    }
}

struct Eyes {
    config: Source<Directories>,
    kubelet: Source<Directories>,
    uevents: Source<Uevents>,
    network: Source<Watch>,
    topics: Topics,
    /// How long to wait at most, while something is not watched.
    pause: Duration,
}

impl Eyes {
    fn run(&mut self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.wait() {
                warn!(error = %failure::chain(&error), "waiting for changes failed");
                std::thread::sleep(PAUSE);
            }
            self.look();
        }
    }

    /// Opens what is not open. True for each that is new.
    fn renew(&mut self) -> [bool; 4] {
        [
            self.config.renew(),
            self.kubelet.renew(),
            self.uevents.renew(),
            self.network.renew(),
        ]
    }

    fn look(&mut self) {
        // What is watched only from now on may have changed before.
        let [config, kubelet, devices, network] = self.renew();
        let Topics {
            devices: of_devices,
            routes,
            config: of_config,
            kubelet: of_kubelet,
        } = self.topics.clone();
        let changed = [
            (self.config.changed() || config, of_config),
            (self.kubelet.changed() || kubelet, of_kubelet),
            (self.devices_changed() || devices, of_devices),
            (self.network_changed() || network, routes),
        ];
        for (changed, topic) in changed {
            if changed {
                topic.announce();
            }
        }
        let blind = self.config.refusal.is_some()
            || self.kubelet.refusal.is_some()
            || self.uevents.refusal.is_some()
            || self.network.refusal.is_some();
        self.pause = if blind {
            (self.pause * 2).min(PAUSE)
        } else {
            SOON
        };
    }

    fn wait(&self) -> io::Result<()> {
        let blind = self.config.opened.is_none()
            || self.kubelet.opened.is_none()
            || self.uevents.opened.is_none()
            || self.network.opened.is_none()
            || self.config.refusal.is_some()
            || self.kubelet.refusal.is_some();
        let sources = [
            self.config.opened.as_ref().map(AsFd::as_fd),
            self.kubelet.opened.as_ref().map(AsFd::as_fd),
            self.uevents.opened.as_ref().map(AsFd::as_fd),
            self.network.opened.as_ref().map(AsFd::as_fd),
        ];
        let mut sources: Vec<PollFd<'_>> = sources
            .into_iter()
            .flatten()
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        let limit = if blind { self.pause } else { PAUSE };
        let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
        poll(&mut sources, limit)
            .map(|_| ())
            .map_err(io::Error::from)
    }

    /// Takes all messages about links and routes. True if there was one, or if some are lost.
    fn network_changed(&mut self) -> bool {
        let Some(watch) = &mut self.network.opened else {
            return false;
        };
        match watch.changed(Duration::ZERO) {
            Ok(changed) => changed,
            Err(error) => {
                self.network.broken(&failure::chain(&error));
                true
            }
        }
    }

    /// Takes all uevents that are there. True if one of them matters, or if some are lost.
    fn devices_changed(&mut self) -> bool {
        let Some(uevents) = &mut self.uevents.opened else {
            return false;
        };
        let mut changed = false;
        loop {
            match uevents.next(Duration::ZERO) {
                Ok(None) => return changed,
                Ok(Some(Notice::Lost)) => changed = true,
                Ok(Some(Notice::Event(event))) => changed |= matters(&event),
                Err(error) => {
                    self.uevents.broken(&failure::chain(&error));
                    return true;
                }
            }
        }
    }
}

/// Whether an event is about a PCI function or what belongs to one. Pods make and remove virtual
/// interfaces all the time; those do not matter.
fn matters(event: &Uevent) -> bool {
    match event.subsystem.as_str() {
        "pci" | "vfio-dev" | "uio" | "infiniband" | "auxiliary" | "vdpa" => true,
        "net" => !event.device_path.starts_with("/devices/virtual/"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(subsystem: &str, path: &str) -> Uevent {
        Uevent {
            action: "add".to_owned(),
            device_path: path.to_owned(),
            subsystem: subsystem.to_owned(),
            properties: std::collections::BTreeMap::new(),
        }
    }

    #[test]
    fn what_the_kernel_refuses_is_opened_again_and_a_success_counts_as_a_change() {
        let refusals = std::sync::Mutex::new(2);
        let mut source = Source::new(
            "something",
            Box::new(move || {
                let mut refusals = refusals.lock().unwrap();
                if *refusals == 0 {
                    return Ok(());
                }
                *refusals -= 1;
                Err("too many open files".to_owned())
            }),
        );
        assert!(!source.renew() && source.refusal.is_some());
        assert!(!source.renew());
        assert!(source.renew() && source.refusal.is_none());
        assert!(!source.renew());
        source.broken("no buffer space");
        assert!(source.renew());
    }

    #[test]
    fn pci_functions_and_their_interfaces_matter_and_virtual_ones_do_not() {
        assert!(matters(&event("pci", "/devices/pci0000:00/0000:01:10.0")));
        let part = "/devices/pci0000:00/0000:01:00.0/mlx5_core.sf.4";
        assert!(matters(&event("auxiliary", part)));
        assert!(matters(&event("vdpa", &format!("{part}/vdpa0"))));
        assert!(matters(&event(
            "net",
            "/devices/pci0000:00/0000:01:10.0/net/eth1"
        )));
        assert!(!matters(&event("net", "/devices/virtual/net/veth0")));
        assert!(!matters(&event("block", "/devices/virtual/block/loop0")));
    }
}
