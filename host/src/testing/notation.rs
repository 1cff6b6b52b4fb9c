//! The notation of spec/device-plugin.md §8.1: one device per line,
//! `pci 0000:18:00.0{8086:1572, 0200, drv=i40e, numa=0, net=[pf0], vfs=64/3, virtfn 0..2=0000:18:02.0}`.
//!
//! `aux mlx5_core.sf.4{on=0000:af:00.0, sfnum=7, net=[en7], ib=[mlx5_5]}` is a device of the auxiliary bus below a PCI
//! function, `vdpa vdpa0{on=0000:af:00.2, drv=vhost_vdpa, node=vhost-vdpa-1}` one of the vdpa bus below a PCI function or
//! an auxiliary device (`on=0000:af:00.0/mlx5_core.sf.4`).
//!
//! A range of VFs counts device and function numbers up from the address given. Beyond the specification,
//! `port NAME=p0`, `switch NAME=ID` and `state NAME=up` give an interface `phys_port_name`, `phys_switch_id` and
//! `operstate`. Empty lines and lines starting with `#` are skipped. A mistake in a fixture panics with its words.

use crate::pci::PciAddress;

/// One `pci` line.
#[derive(Debug, Default)]
pub(super) struct Device {
    pub(super) address: String,
    pub(super) id: Option<(String, String)>,
    pub(super) class: Option<String>,
    pub(super) driver: Option<String>,
    pub(super) numa: Option<String>,
    pub(super) net: Option<Vec<String>>,
    pub(super) vfs: Option<(String, String)>,
    pub(super) pf: Option<String>,
    pub(super) virtfn: Vec<(u32, String)>,
    pub(super) iommu: Option<(String, bool)>,
    pub(super) uio: Option<Vec<String>>,
    pub(super) ib: Option<Vec<String>>,
    pub(super) acpi: Option<String>,
    /// Devices of VFIO itself.
    pub(super) vfio: Option<Vec<String>>,
    /// Interface, file, content.
    pub(super) interface_files: Vec<(String, &'static str, String)>,
}

/// A device on a bus that sits below PCI functions.
#[derive(Debug, Default)]
pub(super) struct Child {
    /// `auxiliary` or `vdpa`.
    pub(super) bus: &'static str,
    pub(super) name: String,
    /// PCI address, or address and auxiliary device.
    pub(super) on: String,
    pub(super) sfnum: Option<String>,
    pub(super) driver: Option<String>,
    /// Directory of the device node's class device.
    pub(super) node: Option<String>,
    pub(super) net: Vec<String>,
    pub(super) ib: Vec<String>,
}

fn lines(notation: &str) -> impl Iterator<Item = &str> {
    let lines = notation.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn bus(line: &str) -> Option<(&'static str, &str)> {
    let auxiliary = line.strip_prefix("aux ").map(|rest| ("auxiliary", rest));
    auxiliary.or_else(|| Some(("vdpa", line.strip_prefix("vdpa ")?)))
}

pub(super) fn devices(notation: &str) -> Vec<Device> {
    let functions = lines(notation).filter(|line| bus(line).is_none());
    functions.map(device).collect()
}

pub(super) fn children(notation: &str) -> Vec<Child> {
    lines(notation).filter_map(bus).map(child).collect()
}

fn child((bus, line): (&'static str, &str)) -> Child {
    let (name, body) = line
        .strip_suffix('}')
        .and_then(|rest| rest.split_once('{'))
        .unwrap_or_else(|| wrong(line, "expected `aux NAME{...}`"));
    let mut child = Child {
        bus,
        name: name.trim().to_owned(),
        ..Child::default()
    };
    for item in items(body) {
        match item.split_once('=') {
            Some(("on", on)) => on.clone_into(&mut child.on),
            Some(("sfnum", number)) => child.sfnum = Some(number.to_owned()),
            Some(("drv", driver)) => child.driver = Some(driver.to_owned()),
            Some(("node", node)) => child.node = Some(node.to_owned()),
            Some(("net", names)) => child.net = list(names),
            Some(("ib", names)) => child.ib = list(names),
            _ => wrong(&item, "unknown key"),
        }
    }
    child
}

fn device(line: &str) -> Device {
    let (address, body) = line
        .strip_prefix("pci ")
        .and_then(|rest| rest.strip_suffix('}'))
        .and_then(|rest| rest.split_once('{'))
        .unwrap_or_else(|| wrong(line, "expected `pci ADDRESS{...}`"));
    let mut device = Device {
        address: address.trim().to_owned(),
        ..Device::default()
    };
    for item in items(body) {
        read(&mut device, &item);
    }
    device
}

/// Splits at commas outside of brackets.
fn items(body: &str) -> Vec<String> {
    let mut depth = 0;
    let split = body.split(|letter| {
        match letter {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        letter == ',' && depth == 0
    });
    split
        .map(|item| item.trim().to_owned())
        .filter(|item| !item.is_empty())
        .collect()
}

fn read(device: &mut Device, item: &str) {
    let Some((key, value)) = item.split_once('=') else {
        match item.split_once(':') {
            Some(_) => device.id = Some(pair(item, ':')),
            None => device.class = Some(item.to_owned()),
        }
        return;
    };
    let value = value.trim();
    match key.trim().split_once(' ') {
        Some(("virtfn", indexes)) => virtfn(device, item, indexes, value),
        Some(("port", name)) => file(device, name, "phys_port_name", value),
        Some(("switch", name)) => file(device, name, "phys_switch_id", value),
        Some(("state", name)) => file(device, name, "operstate", value),
        Some(_) => wrong(item, "unknown key"),
        None => match key.trim() {
            "id" => device.id = Some(pair(value, ':')),
            "cls" => device.class = Some(value.to_owned()),
            "drv" => device.driver = Some(value.to_owned()),
            "numa" => device.numa = Some(value.to_owned()),
            "net" => device.net = Some(list(value)),
            "vfs" => device.vfs = Some(pair(value, '/')),
            "pf" => device.pf = Some(value.to_owned()),
            "iommu" => {
                let (group, noiommu) = match value.strip_suffix("!noiommu") {
                    Some(group) => (group, true),
                    None => (value, false),
                };
                device.iommu = Some((group.to_owned(), noiommu));
            }
            "uio" => device.uio = Some(list(value)),
            "ib" => device.ib = Some(list(value)),
            "vfio" => device.vfio = Some(list(value)),
            "acpi" => device.acpi = Some(value.to_owned()),
            _ => wrong(item, "unknown key"),
        },
    }
}

fn file(device: &mut Device, interface: &str, file: &'static str, content: &str) {
    device
        .interface_files
        .push((interface.to_owned(), file, content.to_owned()));
}

fn virtfn(device: &mut Device, item: &str, indexes: &str, first: &str) {
    let number = |text: &str| {
        text.parse::<u32>()
            .unwrap_or_else(|_| wrong(item, "an index is a number"))
    };
    let Some((low, high)) = indexes.split_once("..") else {
        device.virtfn.push((number(indexes), first.to_owned()));
        return;
    };
    let address: PciAddress = first
        .parse()
        .unwrap_or_else(|_| wrong(item, "a range needs a PCI address"));
    for (step, index) in (0u8..).zip(number(low)..=number(high)) {
        device
            .virtfn
            .push((index, after(address, step).to_string()));
    }
}

/// The function `steps` later on the bus.
pub(super) fn after(mut address: PciAddress, steps: u8) -> PciAddress {
    let number = address.device * 8 + address.function + steps;
    (address.device, address.function) = (number / 8, number % 8);
    address
}

fn list(value: &str) -> Vec<String> {
    let inner = value
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let inner = inner.unwrap_or_else(|| wrong(value, "expected [a,b]"));
    inner
        .split(',')
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

fn pair(value: &str, separator: char) -> (String, String) {
    let (one, two) = value
        .split_once(separator)
        .unwrap_or_else(|| wrong(value, "expected two parts"));
    (one.to_owned(), two.to_owned())
}

#[expect(clippy::panic, reason = "a mistake in a fixture must stop the test")]
fn wrong<T>(text: &str, problem: &str) -> T {
    panic!("fake sysfs: {problem}: {text}")
}
