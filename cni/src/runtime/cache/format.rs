//! The text of a cached attachment, as libcni writes it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Cached, ResultText};
use crate::args::Args;
use crate::raw::{Object, raw};

const KIND: &str = "cniCacheV1";

/// What a file holds.
pub(super) enum Parsed {
    /// Everything.
    Current(Box<Cached>),
    /// Nothing but a result: libcni before 0.8.
    Older(Box<RawValue>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    container_id: String,
    config: Option<String>,
    if_name: String,
    network_name: String,
    netns: Option<String>,
    cni_args: Option<Vec<(String, String)>>,
    capability_args: Option<Object>,
    result: Option<Box<RawValue>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Printed<'a> {
    kind: &'a str,
    container_id: &'a str,
    config: String,
    if_name: &'a str,
    network_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    netns: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    cni_args: &'a [(String, String)],
    #[serde(skip_serializing_if = "Object::is_empty")]
    capability_args: &'a Object,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
}

/// Reads a file; the error says what is wrong with it.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, String> {
    let object = Object::parse(bytes).map_err(|error| error.to_string())?;
    let kind: Option<String> = object.typed("kind").map_err(|error| error.to_string())?;
    let Some(kind) = kind else {
        return older(&object);
    };
    if kind != KIND {
        return Err(format!("kind is {kind:?}, not {KIND:?}"));
    }
    let read: Read = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let config = STANDARD
        .decode(read.config.unwrap_or_default())
        .map_err(|error| format!("config is no base64: {error}"))?;
    Ok(Parsed::Current(Box::new(Cached {
        network: read.network_name,
        container_id: read.container_id,
        ifname: read.if_name,
        netns: read.netns.unwrap_or_default(),
        args: read
            .cni_args
            .unwrap_or_default()
            .into_iter()
            .collect::<Args>(),
        capability_args: read.capability_args.unwrap_or_default(),
        config,
        result: read
            .result
            .filter(|result| result.get() != "null")
            .map(ResultText),
    })))
}

fn older(object: &Object) -> Result<Parsed, String> {
    let known = ["cniVersion", "interfaces", "ips", "ip4", "ip6"];
    if known.iter().any(|key| object.get(key).is_some()) {
        return Ok(Parsed::Older(object.to_raw()));
    }
    Err("it has no kind and is no result".to_owned())
}

/// The text of one attachment.
pub(super) fn print(cached: &Cached) -> String {
    let printed = Printed {
        kind: KIND,
        container_id: &cached.container_id,
        config: STANDARD.encode(&cached.config),
        if_name: &cached.ifname,
        network_name: &cached.network,
        netns: &cached.netns,
        cni_args: cached.args.pairs(),
        capability_args: &cached.capability_args,
        result: cached.result.as_ref().map(|result| &*result.0),
    };
    raw(&printed).get().to_owned()
}
