//! From configuration and observation to the steps of ADD. Pure: the same input gives the same plan.

use host::mac::MacAddress;
use host::netlink::vf::{Rate, VfAttribute, VfState};

use crate::config::{Config, Interface, ResetPolicy};
use crate::error::{Error, Result, own_code};
use crate::node::Function;
use crate::record::{Mode, Netdev};
use crate::step::{Properties, Step};

mod defaults;

/// Drivers for programs in user space besides those of VFIO; a VF bound to one of them has no interface.
const USERSPACE_DRIVERS: [&str; 2] = ["uio_pci_generic", "igb_uio"];

/// The VF before ADD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The VF and its PF.
    pub function: Function,
    /// Its attributes.
    pub attributes: VfState,
    /// Attributes of the PF's other VFs.
    pub others: Vec<VfState>,
    /// Its interface on the host.
    pub netdev: Option<Netdev>,
    /// Those of the interface's alternative names that the pod has already.
    pub names_in_pod: Vec<String>,
}

impl Observed {
    /// Another VF of the PF that has the address that is asked. The NIC's switch delivers to one of them.
    pub fn twin(&self, config: &Config) -> Option<&VfState> {
        let wanted = config.mac?;
        self.others.iter().find(|vf| vf.mac == wanted)
    }
}

/// What ADD will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// How the VF is handed out.
    pub mode: Mode,
    /// Attributes to set through the PF: those that are not as asked.
    pub attributes: Vec<VfAttribute>,
    /// Attributes that the VF is to have again afterwards.
    pub original: VfState,
    /// The VF's PCI function is reset first, and observed and planned anew after that.
    pub reset_first: bool,
    /// Address to set on the VF's own interface, if it has another.
    pub address: Option<MacAddress>,
    /// The steps.
    pub steps: Vec<Step>,
}

/// Plans ADD. `ifname` is the interface's name in the pod. Fails if the VF cannot be handed out as it is.
pub fn plan(config: &Config, observed: &Observed, ifname: &str) -> Result<Plan> {
    let mode = mode(config, observed)?;
    let mut attributes = asked(config, &observed.attributes);
    let defaults = config.reset_policy == ResetPolicy::Defaults;
    if defaults {
        attributes.extend(defaults::missing(&attributes, &observed.attributes));
    }
    attributes.retain(|attribute| attribute.holds(&observed.attributes) != Some(true));
    let netdev = observed.netdev.as_ref().filter(|_| mode == Mode::Kernel);
    let address = config
        .mac
        .filter(|mac| netdev.is_some_and(|netdev| netdev.address != Some(*mac)));

    let mut steps = Vec::new();
    // The VF's own address first, the PF's after it: igb refuses the VF's own once the PF's is set (K1).
    steps.extend(address.map(Step::TryOwnAddress));
    if !attributes.is_empty() {
        steps.push(Step::Attributes(attributes.clone()));
    }
    steps.extend(
        config
            .mac
            .filter(|_| netdev.is_some())
            .map(Step::OwnAddress),
    );
    if let Some(netdev) = netdev {
        let in_the_way = |name: &&String| *name == ifname || observed.names_in_pod.contains(name);
        let dropped: Vec<_> = netdev
            .alt_names
            .iter()
            .flatten()
            .filter(in_the_way)
            .cloned()
            .collect();
        if !dropped.is_empty() {
            steps.push(Step::DropAltNames(dropped));
        }
        let sysctls = Step::Sysctls {
            name: ifname.to_owned(),
            announce: config.announce,
            detection: config.ipv6_dad,
        };
        steps.extend([
            Step::ToPod(properties(&config.interface, ifname)),
            sysctls,
            Step::Up,
        ]);
    }
    if config.network.ipam.is_some() {
        steps.push(Step::Allocate);
        if netdev.is_some() {
            steps.extend(config.announce.then_some(Step::Advertise));
            steps.push(Step::Addresses);
        }
    }
    steps.push(Step::Commit);
    if config.network.ipam.is_some() && netdev.is_some() && config.announce {
        steps.push(Step::Announce);
    }
    Ok(Plan {
        mode,
        attributes,
        original: if defaults {
            defaults::of(&observed.attributes)
        } else {
            observed.attributes
        },
        reset_first: mode == Mode::Userspace && resets(config, &observed.attributes),
        address,
        steps,
    })
}

/// The reset is asked, or needed: drivers like igb's show an address that the VF has made up just like one that was set
/// through the PF. The first kind is forgotten by a reset, only the second is to be set again afterwards (K1).
fn resets(config: &Config, state: &VfState) -> bool {
    match config.reset_policy {
        ResetPolicy::Flr => true,
        ResetPolicy::Restore => config.mac.is_some() && !state.mac.is_zero(),
        ResetPolicy::Defaults => false,
    }
}

/// The interface as the pod gets it.
fn properties(wanted: &Interface, ifname: &str) -> Properties {
    Properties {
        name: Some(ifname.to_owned()),
        mtu: wanted.mtu,
        tx_queue_len: wanted.tx_queue_len,
        up: None,
        promiscuous: wanted.promisc,
        all_multicast: wanted.allmulti,
    }
}

/// Defaults of a fresh VF that a VF has not.
pub fn missing_defaults(state: &VfState) -> Vec<VfAttribute> {
    defaults::missing(&[], state)
}

/// Whether a driver serves programs in user space.
pub fn is_userspace_driver(driver: &str) -> bool {
    // vfio-pci and its variants: mlx5_vfio_pci, ice_vfio_pci, hisi_acc_vfio_pci, ...
    driver.contains("vfio") || USERSPACE_DRIVERS.contains(&driver)
}

fn mode(config: &Config, observed: &Observed) -> Result<Mode> {
    let unusable = |code, problem| {
        Err(Error::Vf {
            vf: config.vf,
            problem,
            code,
        })
    };
    let function = &observed.function;
    if function.switchdev {
        return unusable(
            own_code::DRIVER,
            format!(
                "its PF {} is in switchdev mode, which is not supported: set it to legacy mode",
                function.pf
            ),
        );
    }
    match function.driver.as_deref() {
        None => unusable(
            own_code::DRIVER,
            "bound to no driver: bind it to its network driver, or to vfio-pci for user space"
                .to_owned(),
        ),
        Some(driver) if is_userspace_driver(driver) => match config.interface.first_key() {
            None => Ok(Mode::Userspace),
            Some(key) => unusable(
                own_code::DRIVER,
                format!(
                    "{key} needs an interface, and driver {driver} gives it none: remove {key} from the network"
                ),
            ),
        },
        Some(_) if observed.netdev.is_some() => Ok(Mode::Kernel),
        Some(driver) => unusable(
            cni::error::code::TRY_AGAIN_LATER,
            format!(
                "driver {driver} shows no interface on the host: it is in another namespace or on its way back"
            ),
        ),
    }
}

/// Attributes that are asked. The order is upstream's. Rates that are not asked stay as `state` tells them, because the
/// kernel sets both.
pub fn asked(config: &Config, state: &VfState) -> Vec<VfAttribute> {
    let rate = (config.min_tx_rate.is_some() || config.max_tx_rate.is_some()).then(|| {
        VfAttribute::Rate(Rate {
            min: config.min_tx_rate.unwrap_or(state.rate.min),
            max: config.max_tx_rate.unwrap_or(state.rate.max),
        })
    });
    let asked = [
        config.vlan.map(VfAttribute::Vlan),
        config.mac.map(VfAttribute::Mac),
        rate,
        config.spoofchk.map(VfAttribute::SpoofCheck),
        config.trust.map(VfAttribute::Trust),
        config.link_state.map(VfAttribute::LinkState),
    ];
    asked.into_iter().flatten().collect()
}
