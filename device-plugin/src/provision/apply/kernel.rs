//! The real hands: sysfs, netlink, VFIO.

use std::{path::Path, sync::mpsc, thread, time::Duration};

use host::{
    error::{Error, Kind, Result},
    netdev,
    netlink::{
        Netlink,
        link::{self, Link},
        vf::{Pf, VfControl, VfState},
    },
    pci::PciAddress,
    sysfs::Sysfs,
    vfio,
};

use super::{Hands, LinkChange};

/// How long an interface may take to appear after its driver was bound.
const APPEARS: Duration = Duration::from_secs(10);
/// How long a link may take to come up: copper negotiates for some seconds.
const CARRIER: Duration = Duration::from_secs(15);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// The kernel of this node.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// `/sys`, writable.
    pub sysfs: Sysfs,
    /// How long one change may take.
    pub deadline: Duration,
}

impl Hands for Kernel {
    fn write(&self, path: &str, value: &str) -> Result<()> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let (entry, name) = (self.sysfs.entry(directory), name.to_owned());
        let value = value.to_owned();
        self.within(format!("write to {path}"), move || {
            entry.write(&name, &value)
        })
    }

    fn change_link(&self, function: PciAddress, change: LinkChange) -> Result<()> {
        let sysfs = self.sysfs.clone();
        let step = format!("change the interface of {function}");
        self.within(step, move || {
            let found = until(APPEARS, || link(&sysfs, function))?;
            let found = found.ok_or_else(|| missing(function))?;
            if holds(&found, change) {
                return Ok(());
            }
            let mut message = link::LinkChange::default();
            match change {
                LinkChange::Mtu(mtu) => message.mtu = Some(mtu),
                LinkChange::Up => message.up = Some(true),
            }
            let mut netlink = Netlink::open()?;
            netlink.change_link(found.index, &message)?;
            let now = netlink.link(found.index)?;
            if now.is_some_and(|now| holds(&now, change)) {
                return Ok(());
            }
            Err(Error::State {
                object: function.to_string(),
                problem: format!("its interface {} did not keep the change", found.name),
                kind: Kind::Other,
            })
        })
    }

    fn wait_for_carrier(&self, function: PciAddress) -> Result<bool> {
        let found = until(CARRIER, || {
            Ok(link(&self.sysfs, function)?.filter(|link| link.running))
        })?;
        Ok(found.is_some())
    }

    fn is_free(&self, group: &Path) -> Result<bool> {
        vfio::is_free(group)
    }

    fn attributes(&self, pf: PciAddress) -> Result<Vec<VfState>> {
        let link = link(&self.sysfs, pf)?.ok_or_else(|| missing(pf))?;
        Netlink::open()?.vfs(&Pf {
            index: link.index,
            name: link.name,
            address: pf,
        })
    }

    fn interface(&self, function: PciAddress) -> Result<Option<Link>> {
        link(&self.sysfs, function)
    }
}

impl Kernel {
    /// Runs `work` on a thread of its own and gives up on it after the deadline; the thread stays behind.
    pub(in crate::provision) fn within<T: Send + 'static>(
        &self,
        step: String,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, done) = mpsc::channel();
        thread::spawn(move || {
            // Nobody listens any more after the deadline.
            let _late = sender.send(work());
        });
        match done.recv_timeout(self.deadline) {
            Ok(result) => result,
            Err(_) => Err(Error::Deadline {
                step,
                seconds: self.deadline.as_secs_f64(),
            }),
        }
    }
}

/// The function's own interface, as netlink describes it.
fn link(sysfs: &Sysfs, function: PciAddress) -> Result<Option<Link>> {
    let Some(name) = netdev::uplink(sysfs, function)? else {
        return Ok(None);
    };
    // udev may rename it between the two looks.
    Netlink::open()?.link_by_name(&name)
}

fn until<T>(limit: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    let start = std::time::Instant::now();
    loop {
        match look() {
            Ok(Some(found)) => return Ok(Some(found)),
            // A look may meet a function that is just being renamed or bound.
            Err(error) if error.kind() != Kind::NotFound => return Err(error),
            Ok(None) | Err(_) if start.elapsed() >= limit => return Ok(None),
            Ok(None) | Err(_) => thread::sleep(PAUSE),
        }
    }
}

fn holds(link: &Link, change: LinkChange) -> bool {
    match change {
        LinkChange::Mtu(mtu) => link.mtu == mtu,
        LinkChange::Up => link.up,
    }
}

fn missing(function: PciAddress) -> Error {
    Error::State {
        object: function.to_string(),
        problem: "it has no interface on the host".to_owned(),
        kind: Kind::NotFound,
    }
}
