//! What Go multus and libcni left for a sandbox, read as entries of ours (spec/multus.md §5.2), so that
//! pods made by it can be deleted by us.
//!
//! libcni's cache is also the way back to the attachments of a sandbox whose own record is damaged.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cni::net_attach::device_info;
use host::file;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Entry, JournalError};

/// One delegate in the file `<cniDir>/<container id>`. Keys not named here are Go multus' own parsed
/// copies of `Bytes` (spec/corrections.md M2).
#[derive(Debug, Deserialize)]
struct Delegate {
    #[serde(rename = "Name", default)]
    name: String,
    #[serde(rename = "ifnameRequest", default)]
    ifname: String,
    #[serde(rename = "macRequest", default)]
    mac: String,
    #[serde(rename = "infinibandGUIDRequest", default)]
    guid: String,
    #[serde(rename = "ipRequest", default)]
    ips: Option<Vec<String>>,
    #[serde(rename = "deviceID", default)]
    device: String,
    #[serde(rename = "Bytes", default)]
    bytes: String,
}

/// libcni's cache entry, `results/<network>-<container id>-<ifname>`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cached {
    #[serde(default)]
    container_id: String,
    #[serde(default)]
    config: String,
    #[serde(default)]
    if_name: String,
    #[serde(default)]
    network_name: String,
    #[serde(default)]
    capability_args: Option<BTreeMap<String, Box<RawValue>>>,
}

/// What is left of a sandbox.
#[derive(Debug, Default)]
pub struct Left {
    /// The attachments, default network first.
    pub entries: Vec<Entry>,
    /// Things that could not be read, for the log.
    pub warnings: Vec<String>,
}

/// Whether there is a file of Go multus for this sandbox.
pub fn has_file(cni_dir: &Path, container_id: &str) -> bool {
    cni_dir.join(container_id).is_file()
}

/// Reads the file of Go multus. `None` if there is none. `ifname` is CNI_IFNAME, `devinfo` the folder
/// of the attachments' DeviceInfo files.
pub fn read(
    cni_dir: &Path,
    container_id: &str,
    ifname: &str,
    devinfo: &Path,
) -> Result<Option<Left>, JournalError> {
    let path = cni_dir.join(container_id);
    if path.is_dir() {
        return Ok(None);
    }
    let Some(bytes) = file::read(&path)? else {
        return Ok(None);
    };
    let delegates: Vec<Delegate> = match serde_json::from_slice(&bytes) {
        Ok(delegates) => delegates,
        Err(error) => {
            // Unreadable: libcni's cache is all there is.
            let mut left = cached(cni_dir, container_id, ifname)?;
            left.warnings
                .push(format!("{} is damaged: {error}", path.display()));
            return Ok(Some(left));
        }
    };
    let cache = caches(cni_dir, container_id)?;
    let mut left = Left::default();
    for (index, delegate) in delegates.iter().enumerate() {
        let wanted = match (index, delegate.ifname.as_str()) {
            (_, name) if !name.is_empty() => name.to_owned(),
            (0, _) => ifname.to_owned(),
            (index, _) => format!("net{index}"),
        };
        let cached = cache.iter().find(|cached| cached.if_name == wanted);
        let config = cached
            .and_then(|c| decode(&c.config))
            .or_else(|| decode(&delegate.bytes));
        let Some(config) = config else {
            left.warnings.push(format!(
                "{}: delegate {index} ({wanted}) has no readable configuration",
                path.display()
            ));
            continue;
        };
        let name = if delegate.name.is_empty() {
            name_of(&config)
        } else {
            delegate.name.clone()
        };
        let device_info = (index > 0 && !delegate.device.is_empty())
            .then(|| device_info::cni_path(devinfo, &name, container_id, &wanted));
        left.entries.push(Entry {
            default: index == 0,
            capabilities: cached
                .and_then(|c| c.capability_args.clone())
                .unwrap_or_else(|| requested(delegate)),
            name,
            ifname: wanted,
            config,
            device_info,
        });
    }
    Ok(Some(left))
}

/// Container ids of which Go multus left a file.
pub fn sandboxes(cni_dir: &Path) -> Result<Vec<String>, JournalError> {
    let mut names = file::list(cni_dir)?;
    names.retain(|name| !cni_dir.join(name).is_dir());
    Ok(names)
}

/// The attachments of a sandbox that libcni's cache knows, default network (`ifname`) first.
pub fn cached(cni_dir: &Path, container_id: &str, ifname: &str) -> Result<Left, JournalError> {
    let mut left = Left::default();
    for cached in caches(cni_dir, container_id)? {
        let Some(config) = decode(&cached.config) else {
            left.warnings.push(format!(
                "libcni's cache of {} on {} has no readable configuration",
                cached.network_name, cached.if_name
            ));
            continue;
        };
        left.entries.push(Entry {
            default: cached.if_name == ifname,
            name: cached.network_name,
            ifname: cached.if_name,
            config,
            capabilities: cached.capability_args.unwrap_or_default(),
            device_info: None,
        });
    }
    if let Some(at) = left.entries.iter().position(|entry| entry.default) {
        left.entries[..=at].rotate_right(1);
    }
    Ok(left)
}

fn caches(cni_dir: &Path, container_id: &str) -> Result<Vec<Cached>, JournalError> {
    let folder = cni_dir.join("results");
    let infix = format!("-{container_id}-");
    let mut found = Vec::new();
    for name in file::list(&folder)? {
        if !name.contains(&infix) {
            continue;
        }
        let Some(bytes) = file::read(&folder.join(&name))? else {
            continue;
        };
        // Another container's id may end in ours; the entry itself says whose it is.
        let cached = serde_json::from_slice::<Cached>(&bytes).ok();
        found.extend(cached.filter(|cached| cached.container_id == container_id));
    }
    Ok(found)
}

/// Base64 of a JSON object.
fn decode(base64: &str) -> Option<Box<RawValue>> {
    let text = String::from_utf8(STANDARD.decode(base64).ok()?).ok()?;
    let raw = RawValue::from_string(text.trim().to_owned()).ok()?;
    raw.get().starts_with('{').then_some(raw)
}

fn name_of(config: &RawValue) -> String {
    #[derive(Deserialize)]
    struct Named {
        #[serde(default)]
        name: String,
    }
    serde_json::from_slice::<Named>(config.get().as_bytes())
        .map_or_else(|_| String::new(), |named| named.name)
}

/// Capability arguments that Go multus computes again at DEL.
fn requested(delegate: &Delegate) -> BTreeMap<String, Box<RawValue>> {
    let texts = [
        ("mac", &delegate.mac),
        ("infinibandGUID", &delegate.guid),
        ("deviceID", &delegate.device),
    ];
    let mut found = BTreeMap::new();
    for (key, value) in texts {
        if !value.is_empty()
            && let Ok(raw) = serde_json::value::to_raw_value(value)
        {
            found.insert(key.to_owned(), raw);
        }
    }
    if let Some(ips) = &delegate.ips
        && !ips.is_empty()
        && let Ok(raw) = serde_json::value::to_raw_value(ips)
    {
        found.insert("ips".to_owned(), raw);
    }
    found
}

#[cfg(test)]
mod tests;
