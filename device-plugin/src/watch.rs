//! Eyes: one thread that waits for what the kernel announces, and says so to whoever listens.
//!
//! It tells that something changed, not what; the listener looks again, so coalesced and lost events
//! do no harm. What is missed all the same is found by the slow reconcile.

mod directories;

use std::{io, os::fd::AsFd, path::PathBuf, time::Duration};

use host::{
    error::Result,
    netlink::{
        uevent::{Notice, Uevent, Uevents},
        watch::{Group, Watch},
    },
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
    /// Routes of the host.
    pub routes: Topic,
    /// The configuration's directory.
    pub config: Topic,
    /// The kubelet's directories.
    pub kubelet: Topic,
}

/// How often the thread looks whether it is to stop.
const PAUSE: Duration = Duration::from_secs(5);

/// Starts the thread, which ends some time after `stop`. What happens after this returns is told. Without uevents or routes (refused by the kernel) the rest works.
pub fn start(
    topics: Topics,
    config: &[PathBuf],
    kubelet: &[PathBuf],
    stop: CancellationToken,
) -> io::Result<()> {
    let mut eyes = Eyes {
        config: Directories::new(config)?,
        kubelet: Directories::new(kubelet)?,
        uevents: available("uevents", Uevents::open()),
        routes: available("route changes", Watch::open(&[Group::Routes])),
        topics,
    };
    let thread = std::thread::Builder::new().name("eyes".to_owned());
    thread.spawn(move || eyes.run(&stop))?;
    Ok(())
}

fn available<T>(what: &str, opened: Result<T>) -> Option<T> {
    opened
        .inspect_err(|error| {
            let error = failure::chain(error);
            warn!(%error, "no {what} from the kernel: changes are found by the slow reconcile only");
        })
        .ok()
}

struct Eyes {
    config: Directories,
    kubelet: Directories,
    uevents: Option<Uevents>,
    routes: Option<Watch>,
    topics: Topics,
}

impl Eyes {
    fn run(&mut self, stop: &CancellationToken) {
        let Topics {
            devices,
            routes,
            config,
            kubelet,
        } = self.topics.clone();
        while !stop.is_cancelled() {
            if let Err(error) = self.wait() {
                warn!(error = %failure::chain(&error), "waiting for changes failed");
                std::thread::sleep(PAUSE);
            }
            let looked = [
                (self.config.drain(), &config),
                (self.kubelet.drain(), &kubelet),
            ];
            for (changed, topic) in looked {
                match changed {
                    Ok(false) => {}
                    Ok(true) => topic.announce(),
                    Err(error) => warn!(%error, "watching directories failed"),
                }
            }
            if self.devices_changed() {
                devices.announce();
            }
            let changed = self
                .routes
                .as_mut()
                .map(|routes| routes.changed(Duration::ZERO));
            if changed.is_some_and(|changed| changed.unwrap_or(true)) {
                routes.announce();
            }
        }
    }

    fn wait(&self) -> io::Result<()> {
        let sources = [
            Some(self.config.as_fd()),
            Some(self.kubelet.as_fd()),
            self.uevents.as_ref().map(AsFd::as_fd),
            self.routes.as_ref().map(AsFd::as_fd),
        ];
        let mut sources: Vec<PollFd<'_>> = sources
            .into_iter()
            .flatten()
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        let limit = PollTimeout::try_from(PAUSE).unwrap_or(PollTimeout::MAX);
        poll(&mut sources, limit)
            .map(|_| ())
            .map_err(io::Error::from)
    }

    /// Takes all uevents that are there. True if one of them matters.
    fn devices_changed(&mut self) -> bool {
        let Some(uevents) = &mut self.uevents else {
            return false;
        };
        let mut changed = false;
        loop {
            match uevents.next(Duration::ZERO) {
                Ok(None) => return changed,
                Ok(Some(Notice::Lost)) => changed = true,
                Ok(Some(Notice::Event(event))) => changed |= matters(&event),
                Err(error) => {
                    warn!(error = %failure::chain(&error), "reading uevents failed");
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
        "pci" | "vfio-dev" | "uio" | "infiniband" => true,
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
    fn pci_functions_and_their_interfaces_matter_and_virtual_ones_do_not() {
        assert!(matters(&event("pci", "/devices/pci0000:00/0000:01:10.0")));
        assert!(matters(&event(
            "net",
            "/devices/pci0000:00/0000:01:10.0/net/eth1"
        )));
        assert!(!matters(&event("net", "/devices/virtual/net/veth0")));
        assert!(!matters(&event("block", "/devices/virtual/block/loop0")));
    }
}
