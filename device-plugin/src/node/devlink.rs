//! What only devlink tells, asked no more than the pools need: each question may cost a round trip to firmware.

use host::{
    netlink::devlink::{self, Handle},
    pci::PciAddress,
};

use super::DeviceId;
use crate::failure;

/// Answers of devlink; a value in tests. `false` and `None` also where nobody can tell.
pub trait Devlink {
    /// Whether the device can do RDMA (parameter `enable_rdma`).
    fn can_rdma(&mut self, device: &DeviceId) -> bool;
    /// Name of the DDP profile that a PF runs (version `fw.app.name`).
    fn ddp_profile(&mut self, pf: PciAddress) -> Option<String>;
}

/// Nobody is asked.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Devlink for Silent {
    fn can_rdma(&mut self, _: &DeviceId) -> bool {
        false
    }

    fn ddp_profile(&mut self, _: PciAddress) -> Option<String> {
        None
    }
}

/// The kernel is asked, for one scan.
#[derive(Debug)]
pub struct Kernel {
    rdma: bool,
    ddp: bool,
    connection: Option<devlink::Devlink>,
}

impl Kernel {
    /// Asks what the pools need: `rdma` if one selects by RDMA, `ddp` if one selects by profile.
    pub fn new(rdma: bool, ddp: bool) -> Self {
        let connection = if rdma || ddp {
            devlink::Devlink::open()
                .inspect_err(|error| tracing::debug!(error = %failure::chain(error), "no devlink"))
                .ok()
        } else {
            None
        };
        Self {
            rdma,
            ddp,
            connection,
        }
    }
}

impl Devlink for Kernel {
    fn can_rdma(&mut self, device: &DeviceId) -> bool {
        let bus = match device {
            DeviceId::Pci(_) => "pci",
            DeviceId::Auxiliary { .. } => "auxiliary",
            DeviceId::Software(_) => return false,
        };
        let Some(devlink) = self.connection.as_mut().filter(|_| self.rdma) else {
            return false;
        };
        let name = device.to_string();
        let answer = devlink.switch(Handle { bus, name: &name }, "enable_rdma");
        answer.unwrap_or_else(told) == Some(true)
    }

    fn ddp_profile(&mut self, pf: PciAddress) -> Option<String> {
        let devlink = self.connection.as_mut().filter(|_| self.ddp)?;
        let name = pf.to_string();
        let versions = devlink.running_versions(Handle {
            bus: "pci",
            name: &name,
        });
        versions.unwrap_or_else(told)?.remove("fw.app.name")
    }
}

/// A question without an answer is no fact about the device.
#[expect(
    clippy::needless_pass_by_value,
    reason = "takes what unwrap_or_else hands over"
)]
fn told<T>(error: host::error::Error) -> Option<T> {
    tracing::debug!(error = %failure::chain(&error), "devlink does not tell");
    None
}
