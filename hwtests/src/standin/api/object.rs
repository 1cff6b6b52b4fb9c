//! Reading and marking the metadata every object has; objects are plain JSON.
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: an API server stamps time and identity"
)]

use std::time::SystemTime;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value};

/// Text at a JSON pointer, "" when absent or no text.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// `metadata.name`.
pub fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// `metadata.namespace`, "" when the kind has none.
pub fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

/// `metadata.uid`.
pub fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// `metadata.resourceVersion`, 0 when absent.
pub fn version(object: &Value) -> u64 {
    text(object, "/metadata/resourceVersion")
        .parse()
        .unwrap_or_default()
}

/// Whether deletion was asked for.
pub fn is_terminating(object: &Value) -> bool {
    object
        .pointer("/metadata/deletionTimestamp")
        .is_some_and(|stamp| !stamp.is_null())
}

/// The object below a key, made empty when absent or of another type.
pub(crate) fn section<'a>(object: &'a mut Value, key: &str) -> &'a mut Map<String, Value> {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let slot = &mut object[key];
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    match slot {
        Value::Object(map) => map,
        _ => unreachable!("made an object just above"),
    }
}

pub(crate) fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    section(object, "metadata")
}

/// Sets the key, or removes it for null.
pub(crate) fn put(map: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    match value {
        Some(value) if !value.is_null() => {
            map.insert(key.to_owned(), value);
        }
        _ => {
            map.remove(key);
        }
    }
}

/// Now, RFC 3339 with whole seconds (metav1.Time).
pub(crate) fn now() -> String {
    seconds_from_now(0)
}

/// A time ahead, RFC 3339 with whole seconds.
pub(crate) fn seconds_from_now(seconds: i64) -> String {
    let at = timestamp().as_second().saturating_add(seconds);
    Timestamp::from_second(at)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_string()
}

/// Seconds since a time in RFC 3339; 0 for what is none.
pub(crate) fn age(stamp: &str) -> i64 {
    let then = stamp.parse::<Timestamp>().ok();
    then.map_or(0, |then| timestamp().as_second() - then.as_second())
}

/// Now in nanoseconds since the epoch.
pub(crate) fn nanoseconds() -> i128 {
    timestamp().as_nanosecond()
}

fn timestamp() -> Timestamp {
    Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A random UUID, made by the kernel.
pub(crate) fn new_uid() -> std::io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/uuid")?
        .trim()
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_shape_of_metav1() {
        assert_eq!(now().len(), "2026-11-22T19:50:04Z".len());
    }

    #[test]
    fn identities_differ() {
        assert_ne!(new_uid().unwrap(), new_uid().unwrap());
    }
}
