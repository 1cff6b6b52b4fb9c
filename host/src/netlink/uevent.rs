//! Kernel uevents: devices that come, go, or change their driver.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rtnetlink::sys::Socket;

use crate::error::Result;
use crate::netlink::multicast;

const NETLINK_KOBJECT_UEVENT: isize = 15;
/// The kernel's own messages; udev's go to group 2.
const KERNEL_GROUP: u32 = 1;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uevent {
    /// `add`, `remove`, `change`, `move`, `bind`, `unbind`, ...
    pub action: String,
    /// Path of the device below `/sys`.
    pub device_path: String,
    /// `SUBSYSTEM`: `pci`, `net`, `vfio`, ...
    pub subsystem: String,
    /// All properties, such as `PCI_SLOT_NAME`, `DRIVER`, `INTERFACE`.
    pub properties: BTreeMap<String, String>,
}

/// What a listener gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// An event.
    Event(Uevent),
    /// The queue was full and events are lost: look at everything again.
    Lost,
}

/// A socket that receives the kernel's uevents. The kernel sends them only to namespaces that belong to the first user
/// namespace, so a container without host network sees network devices of its own at most.
pub struct Uevents {
    socket: Socket,
}

impl Uevents {
    /// Opens in the calling thread's network namespace.
    pub fn open() -> Result<Self> {
        Ok(Self {
            socket: multicast::open(NETLINK_KOBJECT_UEVENT, &[KERNEL_GROUP])?,
        })
    }

    /// The next event, waiting at most `within`; `None` if none came.
    pub fn next(&mut self, within: Duration) -> Result<Option<Notice>> {
        let start = Instant::now();
        loop {
            match multicast::receive(&self.socket) {
                Ok(datagram) => {
                    if let Some(event) = parse(&datagram) {
                        return Ok(Some(Notice::Event(event)));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !multicast::readable(&self.socket, within.saturating_sub(start.elapsed()))? {
                        return Ok(None);
                    }
                }
                Err(error) if error.raw_os_error() == Some(nix::libc::ENOBUFS) => {
                    return Ok(Some(Notice::Lost));
                }
                Err(error) => return Err(multicast::failed(error)),
            }
        }
    }
}

/// `action@path`, then properties, each ended by a zero byte.
fn parse(datagram: &[u8]) -> Option<Uevent> {
    let text = std::str::from_utf8(datagram).ok()?;
    let mut parts = text.split('\0');
    let (action, device_path) = parts.next()?.split_once('@')?;
    let properties: BTreeMap<String, String> = parts
        .filter_map(|part| part.split_once('='))
        .map(|(key, value)| (key.into(), value.into()))
        .collect();
    Some(Uevent {
        action: action.to_owned(),
        device_path: device_path.to_owned(),
        subsystem: properties.get("SUBSYSTEM").cloned().unwrap_or_default(),
        properties,
    })
}

impl AsFd for Uevents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl fmt::Debug for Uevents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uevents")
            .field("socket", &self.socket)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_the_kernel_is_parsed() {
        let datagram =
            b"bind@/devices/pci0000:00/0000:01:10.0\0ACTION=bind\0SUBSYSTEM=pci\0DRIVER=vfio-pci\0\
            PCI_SLOT_NAME=0000:01:10.0\0SEQNUM=4711\0";
        let event = parse(datagram).unwrap();
        assert_eq!(
            (event.action.as_str(), event.subsystem.as_str()),
            ("bind", "pci")
        );
        assert_eq!(event.device_path, "/devices/pci0000:00/0000:01:10.0");
        assert_eq!(event.properties["DRIVER"], "vfio-pci");
    }

    #[test]
    fn messages_of_udev_and_junk_are_no_events() {
        assert_eq!(parse(b"libudev\0\xfe\xed\xca\xfe"), None);
        assert_eq!(parse(b"hello\0"), None);
        assert_eq!(parse(b""), None);
    }
}
