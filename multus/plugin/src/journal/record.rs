//! One sandbox's record: everything DEL, CHECK and GC need to know about its attachments.

use std::collections::BTreeMap;
use std::path::PathBuf;

use host::netns::Identity;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::failure::Failure;
use crate::wire::{Attachment, PodRef, Reason};

/// Version written into [`Record::version`].
pub const VERSION: u32 = 1;

/// First word of every record file; the checksum of the JSON text follows on the same line.
const MAGIC: &str = "ferrovia-multus-record";

/// What was attached to one sandbox. Written before the first delegate runs, so it may name
/// attachments that never came to be; DEL of those is harmless (CNI specification, DEL).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// [`VERSION`] of the writer.
    pub version: u32,
    /// CNI_CONTAINERID.
    pub container_id: String,
    /// CNI_NETNS of the ADD.
    pub netns: String,
    /// CNI_IFNAME of the ADD.
    pub ifname: String,
    /// Name of the multus network, for GC.
    pub network: String,
    /// The pod, if one was named.
    pub pod: Option<PodRef>,
    /// Boot in which the ADD ran.
    pub boot_id: String,
    /// Identity of the namespace, if it could be read.
    pub namespace: Option<Identity>,
    /// Seconds since 1970 when the ADD began.
    pub created: u64,
    /// CNI_ARGS of every delegate, without the pairs of the single attachment.
    pub cni_args: Vec<(String, String)>,
    /// In the order of the ADD.
    pub attachments: Vec<Entry>,
    /// Failed DELs of this sandbox so far.
    #[serde(default)]
    pub tries: u32,
    /// Seconds since 1970 of the last failed DEL.
    #[serde(default)]
    pub tried: u64,
    /// Why the last DEL failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<LastFailure>,
}

/// Why an attachment could not be deleted, for those who look at the backlog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFailure {
    /// For machines.
    pub reason: Reason,
    /// For people.
    pub msg: String,
}

impl From<&Failure> for LastFailure {
    fn from(failure: &Failure) -> Self {
        Self {
            reason: failure.reason,
            msg: failure.msg.clone(),
        }
    }
}

/// One attachment with the exact bytes its delegate was given.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// [`Attachment::name`].
    pub name: String,
    /// [`Attachment::default`].
    #[serde(default)]
    pub default: bool,
    /// [`Attachment::ifname`].
    pub ifname: String,
    /// [`Attachment::config`].
    pub config: Box<RawValue>,
    /// [`Attachment::capabilities`].
    #[serde(default)]
    pub capabilities: BTreeMap<String, Box<RawValue>>,
    /// DeviceInfo file to remove at DEL.
    #[serde(default)]
    pub device_info: Option<PathBuf>,
}

impl From<&Attachment> for Entry {
    fn from(attachment: &Attachment) -> Self {
        Self {
            name: attachment.name.clone(),
            default: attachment.default,
            ifname: attachment.ifname.clone(),
            config: attachment.config.clone(),
            capabilities: attachment.capabilities.clone(),
            device_info: attachment
                .device_info
                .as_ref()
                .map(|files| files.target.clone()),
        }
    }
}

/// Why the bytes of a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// The first line is not that of a record.
    #[error("it does not begin as a record does")]
    Magic,
    /// The text is not what was written.
    #[error("its checksum does not match: the file was cut or changed")]
    Checksum,
    /// The checksum matches, the text is not a record.
    #[error("it is no record of a known form")]
    Form(#[source] serde_json::Error),
}

impl Record {
    /// The file's bytes: a line of magic and checksum, then JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let json = serde_json::to_string(self)?;
        Ok(format!("{MAGIC} {:016x}\n{json}\n", checksum(json.as_bytes())).into_bytes())
    }

    /// Reads what [`Record::to_bytes`] wrote.
    pub fn parse(bytes: &[u8]) -> Result<Self, Damage> {
        let text = std::str::from_utf8(bytes).map_err(|_| Damage::Checksum)?;
        let (line, json) = text.split_once('\n').ok_or(Damage::Magic)?;
        let sum = line
            .strip_prefix(MAGIC)
            .map(str::trim)
            .ok_or(Damage::Magic)?;
        let json = json.trim_end_matches('\n');
        if u64::from_str_radix(sum, 16) != Ok(checksum(json.as_bytes())) {
            return Err(Damage::Checksum);
        }
        serde_json::from_slice(json.as_bytes()).map_err(Damage::Form)
    }
}

/// FNV-1a, 64 bit: finds torn writes and flipped bits, which is all it is for.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    pub(crate) fn record(container_id: &str) -> Record {
        let entry = |name: &str, ifname: &str| Entry {
            name: name.into(),
            default: ifname == "eth0",
            ifname: ifname.into(),
            config: raw(r#"{ "type":"x",  "n": 1.0 }"#),
            capabilities: BTreeMap::new(),
            device_info: None,
        };
        Record {
            version: VERSION,
            container_id: container_id.into(),
            netns: "/run/netns/x".into(),
            ifname: "eth0".into(),
            network: "multus-cni-network".into(),
            pod: None,
            boot_id: "b".into(),
            namespace: None,
            created: 1,
            cni_args: Vec::new(),
            attachments: vec![entry("cbr0", "eth0"), entry("d/n", "net1")],
            tries: 0,
            tried: 0,
            failure: None,
        }
    }

    #[test]
    fn a_record_keeps_the_bytes_of_each_configuration() {
        let bytes = record("c1").to_bytes().unwrap();
        let read = Record::parse(&bytes).unwrap();
        assert_eq!(
            read.attachments[1].config.get(),
            r#"{ "type":"x",  "n": 1.0 }"#
        );
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_noticed() {
        let bytes = record("c1").to_bytes().unwrap();
        for end in 0..bytes.len() - 1 {
            assert!(Record::parse(&bytes[..end]).is_err(), "cut at {end}");
        }
        let first_of_json = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
        for at in first_of_json..bytes.len() - 1 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x01;
            assert!(Record::parse(&damaged).is_err(), "byte {at}");
        }
    }

    #[test]
    fn an_empty_file_is_no_record() {
        assert!(matches!(Record::parse(b""), Err(Damage::Magic)));
    }
}
