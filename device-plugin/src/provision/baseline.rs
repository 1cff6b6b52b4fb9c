//! What a VF was when nobody used it: a file per VF in the state directory of `sriov`
//! (spec/ecosystem.md §1.4 rule f).
//!
//! `original` has the shape of the member of that name in the ledger's records. A file counts for one
//! boot, as VFs do.

use std::path::{Path, PathBuf};

use host::{
    error::Result,
    file::{self, Durability},
    mac::MacAddress,
    netlink::{link::Link, vf::VfState},
    pci::PciAddress,
};
use serde::{Deserialize, Serialize};

/// Version of the format.
const FORMAT: u32 = 1;

/// A VF that nobody used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// Version of the format: 1.
    pub format: u32,
    /// The VF.
    pub vf: PciAddress,
    /// Its PF.
    pub pf: PciAddress,
    /// Boot in which it was seen.
    pub boot: String,
    /// Its driver.
    pub driver: Option<String>,
    /// What it was.
    pub original: Original,
}

/// What it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Original {
    /// MAC, VLAN, rates, link state, spoof check and trust as the PF's driver tells them; `None` if it does not.
    pub attributes: Option<VfState>,
    /// Its interface; `None` under a driver for user space.
    pub netdev: Option<Netdev>,
}

/// The interface of a VF.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Netdev {
    /// Name.
    pub name: String,
    /// Alternative names.
    pub alt_names: Vec<String>,
    /// Hardware address.
    pub address: Option<MacAddress>,
    /// Address burnt into the device.
    pub permanent_address: Option<MacAddress>,
    /// MTU in bytes.
    pub mtu: u32,
    /// Length of the transmit queue in packets.
    pub tx_queue_len: u32,
    /// Administratively up.
    pub up: bool,
    /// Promiscuous mode.
    pub promiscuous: bool,
    /// All-multicast mode.
    pub all_multicast: bool,
}

impl From<&Link> for Netdev {
    fn from(link: &Link) -> Self {
        Self {
            name: link.name.clone(),
            alt_names: link.alt_names.clone(),
            address: link.address,
            permanent_address: link.permanent_address,
            mtu: link.mtu,
            tx_queue_len: link.tx_queue_len,
            up: link.up,
            promiscuous: link.promiscuous,
            all_multicast: link.all_multicast,
        }
    }
}

impl Baseline {
    /// A VF as it is now.
    pub fn new(vf: PciAddress, pf: PciAddress, boot: &str) -> Self {
        Self {
            format: FORMAT,
            vf,
            pf,
            boot: boot.to_owned(),
            driver: None,
            original: Original {
                attributes: None,
                netdev: None,
            },
        }
    }

    /// The file of a VF in the state directory.
    pub fn path(state: &Path, vf: PciAddress) -> PathBuf {
        state.join("baseline").join(vf.to_string())
    }

    /// The baseline of a VF that was taken in this boot with this driver; `None` if there is none.
    pub fn read(state: &Path, vf: PciAddress, boot: &str, driver: Option<&String>) -> Option<Self> {
        let read = file::read_record::<Self>(&Self::path(state, vf));
        // A torn file is replaced.
        let found = read.ok().flatten()?;
        let counts =
            found.format == FORMAT && found.boot == boot && found.driver.as_ref() == driver;
        counts.then_some(found)
    }

    /// Writes the file. Not synced: a power cut ends what it tells about.
    pub fn write(&self, state: &Path) -> Result<()> {
        let path = Self::path(state, self.vf);
        if let Some(directory) = path.parent() {
            file::create_dir(directory, file::PRIVATE_DIR)?;
        }
        file::write_record(&path, self, Durability::Process)
    }
}
