//! The plugin behind a software slot: what it is given, and how it is called (design §5).

use std::path::PathBuf;
use std::time::Duration;

use cni::error::code;
use cni::exec::{self, Call};
use cni::plugin::{Command, Env};
use cni::raw::Object;
use cni::result::{self, AddResult};
use cni::version::Version;

use crate::config::Fallback;
use crate::error::{Error, Result};
use crate::record::SlotRecord;

/// The oldest version whose results tell interfaces.
const OLDEST: Version = Version::V0_3_1;
/// The newest version that every release of the reference plugins speaks; it says all that ADD, CHECK and DEL need.
const NEWEST: Version = Version::V1_0_0;

/// Keys that go to the plugin as they are. The first are the network's own, the others count for a VF and for a
/// software link alike.
const HANDED_ON: [&str; 7] = ["name", "ipam", "runtimeConfig", "args", "dns", "mac", "mtu"];

/// The configuration of the plugin behind a slot: its own, with what the network gives.
pub fn config(fallback: &Fallback, network: &Object, version: Version) -> Object {
    let mut config = fallback.config.clone();
    config.set_str("cniVersion", spoken(version).as_str());
    for key in HANDED_ON {
        let given = network
            .get_folded(key)
            .filter(|value| value.get() != "null" && config.get_folded(key).is_none());
        if let Some(value) = given.map(ToOwned::to_owned) {
            config.set(key, value);
        }
    }
    config
}

/// The version in which the plugin is spoken to.
pub fn spoken(version: Version) -> Version {
    version.clamp(OLDEST, NEWEST)
}

/// The configuration with `prevResult`, if there is one, in the version that the configuration has.
pub fn with_previous(
    config: &[u8],
    previous: Option<&AddResult>,
    version: Version,
) -> Result<Vec<u8>> {
    let Some(previous) = previous else {
        return Ok(config.to_vec());
    };
    let unusable = |error: &dyn std::error::Error| cni::Error::from_chain(code::DECODE, error);
    let mut object = Object::parse(config).map_err(|error| unusable(&error))?;
    let previous = previous
        .to_raw(spoken(version))
        .map_err(|error| unusable(&error))?;
    object.set("prevResult", previous);
    Ok(object.to_bytes())
}

/// One plugin with one configuration.
#[derive(Debug)]
pub struct Delegate<'a> {
    /// What is recorded of the attachment.
    pub record: &'a SlotRecord,
    /// The environment of this call.
    pub env: &'a Env,
    /// Namespace of the pod; empty if it is gone.
    pub netns: &'a str,
    /// Where plugins are: of this call, before those of the record.
    pub path: &'a [PathBuf],
    /// How long it may take.
    pub deadline: Duration,
}

impl Delegate<'_> {
    /// ADD. Failing, the plugin's DEL is up to the caller.
    pub fn add(&self, config: &[u8], version: Version) -> Result<AddResult> {
        let stdout = self.run(Command::Add, config)?;
        result::parse(&stdout, spoken(version)).map_err(|error| Error::Delegate {
            plugin: self.record.plugin.clone(),
            failure: cni::Error::from_chain(code::DECODE, &error),
        })
    }

    /// DEL, with the configuration of ADD.
    pub fn del(&self) -> Result<()> {
        self.run(Command::Del, self.record.config.as_bytes())
            .map(drop)
    }

    /// CHECK.
    pub fn check(&self, config: &[u8]) -> Result<()> {
        self.run(Command::Check, config).map(drop)
    }

    fn run(&self, command: Command, config: &[u8]) -> Result<Vec<u8>> {
        let failed = |failure| Error::Delegate {
            plugin: self.record.plugin.clone(),
            failure,
        };
        let path: Vec<_> = self.path.iter().chain(&self.record.path).cloned().collect();
        let program =
            exec::find(&self.record.plugin, &path).map_err(|error| failed(error.into()))?;
        let mut env = self.env.clone();
        let attachment = &self.record.attachment;
        for (name, value) in [
            ("CNI_COMMAND", command.as_str()),
            ("CNI_CONTAINERID", &attachment.container_id),
            ("CNI_IFNAME", &attachment.ifname),
            ("CNI_NETNS", self.netns),
            ("CNI_ARGS", &self.record.args),
        ] {
            env.set(name, value);
        }
        // Its IPAM plugin is looked for there.
        let joined = std::env::join_paths(&path).map_err(|error| {
            failed(cni::Error::new(
                code::INVALID_ENVIRONMENT,
                error.to_string(),
            ))
        })?;
        env.set("CNI_PATH", joined);
        let output = exec::call(&Call {
            program: &program,
            command: command.as_str(),
            env: &env,
            stdin: config,
            deadline: Some(self.deadline),
            busy_pause: exec::BUSY_PAUSE,
        });
        Ok(output.map_err(|error| failed(error.into()))?.stdout)
    }
}

/// The plugin's result as the VF's would be: behind what earlier plugins made, with the link's MTU.
pub fn merged(previous: AddResult, mut own: AddResult) -> AddResult {
    let before = previous.interfaces.len();
    // Without IPAM, ipvlan applies the addresses of the earlier plugins and returns them.
    if own.ips == previous.ips && !own.ips.is_empty() {
        return own;
    }
    for ip in &mut own.ips {
        ip.interface = ip.interface.map(|interface| interface + before);
    }
    let mut merged = previous;
    merged.interfaces.append(&mut own.interfaces);
    merged.ips.append(&mut own.ips);
    merged.routes.append(&mut own.routes);
    if !own.dns.is_empty() {
        merged.dns = own.dns;
    }
    merged
}
