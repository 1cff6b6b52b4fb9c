//! Carrying out steps: each looks first and skips what is already right, acts, and reads back.

use std::path::Path;
use std::time::Duration;

use host::error::Kind;
use host::mac::MacAddress;
use host::netlink::address::Detection;
use host::netlink::link::{Link, LinkChange};
use host::netlink::vf::VfAttribute;
use host::pci::PciAddress;

use crate::crash;
use crate::error::{Error, Result};
use crate::node::{Function, Node, Place, Setting};
use crate::step::{Properties, Step};

pub(crate) mod attributes;

/// A VF in the middle of a plan.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// The VF.
    pub vf: PciAddress,
    /// Its PF and index.
    pub function: &'a Function,
    /// The pod's namespace; `None` if it is gone.
    pub pod: Option<&'a Path>,
}

/// What a step taught, beyond having been carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lesson {
    /// Nothing.
    None,
    /// The VF may (not) choose its own address.
    Pinned(bool),
    /// The driver takes no all-zero address through the PF.
    ClearRefused,
}

/// Pauses between attempts, and between readings of a driver that works asynchronously: 5 ms doubling to 200 ms, two
/// seconds in all. Drivers like i40e answer EAGAIN while a VF resets.
const PAUSES: [u64; 13] = [5, 10, 20, 40, 80, 160, 200, 200, 200, 200, 200, 200, 200];

/// Carries out a step on the VF or its interface. The steps of the protocol (allocate, addresses, commit, announce) are
/// the command's own.
pub fn apply(node: &mut dyn Node, subject: &Subject<'_>, step: &Step) -> Result<Lesson> {
    crash::around(step, || carry_out(node, subject, step))
}

fn carry_out(node: &mut dyn Node, subject: &Subject<'_>, step: &Step) -> Result<Lesson> {
    match step {
        Step::TryOwnAddress(mac) => return try_own_address(node, subject, *mac),
        Step::OwnAddress(mac) => own_address(node, subject, step, *mac)?,
        Step::ClearPfAddress => {
            let zero = [VfAttribute::Mac(MacAddress::ZERO)];
            let cleared = node.set_attributes(&subject.function.pf, subject.function.index, &zero);
            return Ok(if cleared.is_ok() {
                Lesson::None
            } else {
                Lesson::ClearRefused
            });
        }
        Step::Attributes(wanted) => attributes::set(node, subject, wanted)?,
        Step::ToPod(properties) => to_pod(node, subject, step, properties)?,
        Step::ResetFunction => {
            let reset = patiently(node, |node| node.reset_function(subject.vf));
            reset.map_err(|source| Error::Reset {
                vf: subject.vf,
                source,
            })?;
        }
        Step::ToHost(properties) => {
            let pod = pod(subject)?;
            let index = known(node, subject, Place::Pod(pod), step)?;
            let moved = node.to_host(pod, index, &properties.link_change());
            moved.map_err(|source| netdev_error(subject, step, source))?;
            present(node, subject, Place::Host, step)?;
        }
        Step::Restore(properties) => {
            change(node, subject, Place::Host, step, properties)?;
        }
        Step::HostUp => change(node, subject, Place::Host, step, &up())?,
        Step::Up => change(node, subject, Place::Pod(pod(subject)?), step, &up())?,
        Step::DropAltNames(names) => drop_alt_names(node, subject, Place::Host, step, names)?,
        Step::DropAltNamesInPod(names) => {
            drop_alt_names(node, subject, Place::Pod(pod(subject)?), step, names)?;
        }
        Step::AddAltNames(names) => {
            let index = known(node, subject, Place::Host, step)?;
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            let added = node.add_alt_names(Place::Host, index, &names);
            added.map_err(|source| netdev_error(subject, step, source))?;
        }
        Step::Sysctls {
            name,
            announce,
            detection,
        } => sysctls(node, pod(subject)?, name, *announce, *detection)?,
        Step::Allocate | Step::Advertise | Step::Addresses | Step::Commit | Step::Announce => {}
    }
    Ok(Lesson::None)
}

/// Index of the VF's interface where it was seen last; what is done with it is read back.
fn known(node: &mut dyn Node, subject: &Subject<'_>, place: Place<'_>, step: &Step) -> Result<u32> {
    match node.last_index(place, subject.vf) {
        Some(index) => Ok(index),
        None => present(node, subject, place, step).map(|link| link.index),
    }
}

/// The VF's interface where it must be.
pub fn present(
    node: &mut dyn Node,
    subject: &Subject<'_>,
    place: Place<'_>,
    step: &Step,
) -> Result<Link> {
    let wanted = match place {
        Place::Host => "on the host",
        Place::Pod(_) => "in the pod",
    };
    node.netdev(place, subject.vf)?
        .ok_or_else(|| Error::NetdevDiffers {
            step: step.to_string(),
            vf: subject.vf,
            told: format!("no place {wanted}"),
        })
}

/// Tries again while the node is busy.
fn patiently<T>(
    node: &mut dyn Node,
    mut work: impl FnMut(&mut dyn Node) -> host::error::Result<T>,
) -> host::error::Result<T> {
    for pause in PAUSES {
        match work(node) {
            Err(error) if error.kind() == Kind::Busy => node.pause(Duration::from_millis(pause)),
            other => return other,
        }
    }
    work(node)
}

fn try_own_address(node: &mut dyn Node, subject: &Subject<'_>, mac: MacAddress) -> Result<Lesson> {
    let step = Step::TryOwnAddress(mac);
    let index = known(node, subject, Place::Host, &step)?;
    let change = LinkChange {
        address: Some(mac),
        ..LinkChange::default()
    };
    match patiently(node, |node| node.change(Place::Host, index, &change)) {
        Ok(()) => Ok(Lesson::Pinned(false)),
        Err(error) if is_refusal(&error) => Ok(Lesson::Pinned(true)),
        Err(error) => Err(netdev_error(subject, &step, error)),
    }
}

/// The driver's answer for an address that the VF may not choose; drivers differ in the errno.
fn is_refusal(error: &host::error::Error) -> bool {
    matches!(
        error.kind(),
        Kind::Invalid | Kind::Denied | Kind::Unsupported
    )
}

fn own_address(
    node: &mut dyn Node,
    subject: &Subject<'_>,
    step: &Step,
    mac: MacAddress,
) -> Result<()> {
    let change = LinkChange {
        address: Some(mac),
        ..LinkChange::default()
    };
    let mut refusal = None;
    let mut link = present(node, subject, Place::Host, step)?;
    for pause in PAUSES {
        if link.address == Some(mac) {
            return Ok(());
        }
        match node.change(Place::Host, link.index, &change) {
            Ok(()) => refusal = None,
            // The PF's address may still be on its way down to the VF.
            Err(error) if error.kind() == Kind::Busy || is_refusal(&error) => refusal = Some(error),
            Err(error) => return Err(netdev_error(subject, step, error)),
        }
        link = present(node, subject, Place::Host, step)?;
        if link.address != Some(mac) {
            node.pause(Duration::from_millis(pause));
            link = present(node, subject, Place::Host, step)?;
        }
    }
    match (link.address, refusal) {
        (Some(address), _) if address == mac => Ok(()),
        (_, Some(error)) => Err(netdev_error(subject, step, error)),
        (address, None) => Err(Error::NetdevDiffers {
            step: step.to_string(),
            vf: subject.vf,
            told: address.map_or_else(
                || "no address".to_owned(),
                |address| format!("address {address}"),
            ),
        }),
    }
}

fn to_pod(
    node: &mut dyn Node,
    subject: &Subject<'_>,
    step: &Step,
    properties: &Properties,
) -> Result<()> {
    let pod = pod(subject)?;
    let index = known(node, subject, Place::Host, step)?;
    match node.to_pod(index, pod, &properties.link_change()) {
        Ok(()) => {}
        Err(error) if error.kind() == Kind::Exists => {
            return Err(Error::NameTaken {
                name: properties.name.clone().unwrap_or_default(),
                netns: pod.to_path_buf(),
            });
        }
        Err(error) => return Err(netdev_error(subject, step, error)),
    }
    let moved = present(node, subject, Place::Pod(pod), step)?;
    verify(subject, step, properties, &moved)
}

fn verify(subject: &Subject<'_>, step: &Step, wanted: &Properties, now: &Link) -> Result<()> {
    if wanted.are_those_of(now) {
        return Ok(());
    }
    Err(Error::NetdevDiffers {
        step: step.to_string(),
        vf: subject.vf,
        told: Properties::from(now).to_string().trim_start().to_owned(),
    })
}

fn drop_alt_names(
    node: &mut dyn Node,
    subject: &Subject<'_>,
    place: Place<'_>,
    step: &Step,
    names: &[String],
) -> Result<()> {
    let index = known(node, subject, place, step)?;
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let dropped = node.delete_alt_names(place, index, &names);
    dropped.map_err(|source| netdev_error(subject, step, source))
}

/// Missing sysctls (no IPv6, an old kernel) are no failure.
fn sysctls(
    node: &mut dyn Node,
    pod: &Path,
    name: &str,
    announce: bool,
    detection: Detection,
) -> Result<()> {
    let key = |family, key| ["net", family, "conf", name, key];
    let arp = (key("ipv4", "arp_notify"), "1");
    let ndisc = (key("ipv6", "ndisc_notify"), "1");
    let detection = match detection {
        Detection::Normal => None,
        Detection::Optimistic => Some((key("ipv6", "optimistic_dad"), "1")),
        Detection::Skip => Some((key("ipv6", "accept_dad"), "0")),
    };
    let wanted: Vec<_> = [
        announce.then_some(arp),
        announce.then_some(ndisc),
        detection,
    ]
    .into_iter()
    .flatten()
    .collect();
    let settings: Vec<_> = wanted
        .iter()
        .map(|(key, value)| Setting {
            key,
            value,
            restarts: false,
        })
        .collect();
    if settings.is_empty() {
        return Ok(());
    }
    let _outcomes = node.set_sysctls(Place::Pod(pod), &settings)?;
    Ok(())
}

fn change(
    node: &mut dyn Node,
    subject: &Subject<'_>,
    place: Place<'_>,
    step: &Step,
    wanted: &Properties,
) -> Result<()> {
    let index = known(node, subject, place, step)?;
    let change = wanted.link_change();
    patiently(node, |node| node.change(place, index, &change))
        .map_err(|source| netdev_error(subject, step, source))?;
    let now = present(node, subject, place, step)?;
    verify(subject, step, wanted, &now)
}

fn up() -> Properties {
    Properties {
        up: Some(true),
        ..Properties::default()
    }
}

fn pod<'a>(subject: &Subject<'a>) -> Result<&'a Path> {
    subject.pod.ok_or_else(|| Error::Vf {
        vf: subject.vf,
        problem: "the pod's namespace is gone".to_owned(),
        code: cni::error::code::INVALID_NETNS,
    })
}

fn netdev_error(subject: &Subject<'_>, step: &Step, source: host::error::Error) -> Error {
    Error::Netdev {
        step: step.to_string(),
        vf: subject.vf,
        source,
    }
}
