//! CDI (Container Device Interface 0.5.0): device nodes by name instead of by path (spec/device-plugin.md §3.4).
//!
//! One kind per pool, so that pools never meet under one key. One file per device that a container got,
//! written at Allocate, when the numbers of its nodes are fresh. A device without nodes has no file and no
//! name in the answer: it needs nothing of the runtime.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use host::{
    error::Error,
    file::{self, Durability},
};
use proto::deviceplugin::CdiDevice;
use serde_json::json;

use super::held::HeldFiles;
use crate::{
    access::{Access, DeviceNode},
    config::{DeviceType, ResourceName},
    plan::Device,
};

/// Which part of the answer to Allocate names the devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Answer {
    /// The field `cdi_devices`, which kubelets honour from 1.29 on.
    Field,
    /// Annotations, which runtimes know for longer.
    Annotations,
    /// Both: a plugin cannot ask a kubelet's version, older kubelets ignore the field, and runtimes that get
    /// a name twice use it once.
    #[default]
    Both,
}

/// How containers get their nodes.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Directory that the runtime watches.
    pub directory: PathBuf,
    /// Pools that do not say otherwise use CDI.
    pub by_default: bool,
    /// Where the names go.
    pub answer: Answer,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            directory: "/var/run/cdi".into(),
            by_default: false,
            answer: Answer::default(),
        }
    }
}

/// The specifications of this plugin.
#[derive(Debug)]
pub struct Cdi {
    settings: Settings,
    /// Their lives.
    pub files: HeldFiles,
}

/// Names of a container's devices, as the kubelet hands them to the runtime.
#[derive(Debug, Default, PartialEq)]
pub struct Names {
    /// For the field.
    pub devices: Vec<CdiDevice>,
    /// For the annotations.
    pub annotations: HashMap<String, String>,
}

/// Longest name of an annotation behind its prefix (Kubernetes: qualified names).
const LONGEST_KEY: usize = 63;

impl Cdi {
    /// Specifications as the settings say.
    pub fn new(settings: Settings) -> Self {
        // The Go plugin, if it is put back, removes everything that begins so; it writes .yaml itself.
        let form = ("sriov-dp-", ".json");
        Self {
            files: HeldFiles::new(&settings.directory, form, true),
            settings,
        }
    }

    /// Whether containers get the device's nodes this way.
    pub fn is_for(&self, device: &Device) -> bool {
        device.cdi.unwrap_or(self.settings.by_default)
    }

    /// Writes the specification of a device; one that needs no nodes gets none, and loses a stale one.
    pub fn write(
        &self,
        resource: &ResourceName,
        device: &Device,
        nodes: &[DeviceNode],
    ) -> Result<(), Error> {
        let id = &device.function.id;
        if nodes.is_empty() {
            return file::remove(&self.files.path(resource, id)).map(drop);
        }
        let text = specification(&kind(resource, device), &id.to_string(), nodes);
        let put = |path: &Path| {
            // For other vendors' tools, too, so unlike our own it is not private.
            file::create_dir(&self.settings.directory, 0o755)?;
            file::write(path, text.as_bytes(), 0o600, Durability::Process)
        };
        self.files.write(resource, id, put)
    }

    /// How the answer to Allocate names a container's devices of one pool.
    pub fn names(&self, resource: &ResourceName, devices: &[(&Device, Access)]) -> Names {
        let named: Vec<String> = devices
            .iter()
            .filter(|(_, access)| !access.nodes.is_empty())
            .map(|(device, _)| format!("{}={}", kind(resource, device), device.function.id))
            .collect();
        let mut answer = Names::default();
        if named.is_empty() {
            return answer;
        }
        if self.settings.answer != Answer::Field {
            let key = format!("cdi.k8s.io/{}", annotation(resource));
            answer.annotations.insert(key, named.join(","));
        }
        if self.settings.answer != Answer::Annotations {
            answer.devices = named.into_iter().map(|name| CdiDevice { name }).collect();
        }
        answer
    }
}

/// Vendor and class of a pool's devices.
fn kind(resource: &ResourceName, device: &Device) -> String {
    let class = match device.function.kind {
        DeviceType::NetDevice => "net-pci",
        DeviceType::Accelerator => "net-accel",
        DeviceType::AuxNetDevice => "net-sf",
    };
    let prefix = resource.prefix();
    // A vendor begins with a letter, a domain name may begin with a digit.
    let vendor = if prefix.starts_with(|first: char| first.is_ascii_digit()) {
        format!("sriov.{prefix}")
    } else {
        prefix.to_owned()
    };
    format!("{vendor}/{class}-{}", resource.name())
}

fn specification(kind: &str, name: &str, nodes: &[DeviceNode]) -> String {
    let nodes: Vec<_> = nodes
        .iter()
        .map(|node| json!({"path": node.container, "hostPath": node.host, "permissions": "rw"}))
        .collect();
    let device = json!({"name": name, "containerEdits": {"deviceNodes": nodes}});
    json!({"cdiVersion": "0.5.0", "kind": kind, "devices": [device]}).to_string()
}

/// Name of the pool's annotation: runtimes look at the prefix only, so it need but be its own.
fn annotation(resource: &ResourceName) -> String {
    let plain = format!("{}_{}", resource.prefix(), resource.name());
    if plain.len() <= LONGEST_KEY {
        return plain;
    }
    let hash = format!("_{:016x}", fnv(plain.as_bytes()));
    format!(
        "{}{hash}",
        &resource.name()[..resource.name().len().min(LONGEST_KEY - hash.len())]
    )
}

/// FNV-1a, 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
