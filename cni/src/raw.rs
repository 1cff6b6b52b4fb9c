//! Lossless JSON objects: order, keys and values are kept as they were written, so that what this
//! crate does not know passes through byte for byte. Only whitespace between members is normalised
//! away.

use std::fmt;

use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

mod fold;

/// An ordered JSON object with raw values. If a key occurs twice in the text, the last one counts,
/// as in Go.
#[derive(Clone, Default)]
pub struct Object {
    members: Vec<Member>,
}

#[derive(Clone)]
struct Member {
    key: String,
    /// The key as written, quotes and escapes included.
    written: Box<str>,
    value: Box<RawValue>,
}

/// Text that is not a JSON object.
#[derive(Debug, thiserror::Error)]
#[error("not a JSON object: {0}")]
pub struct ParseError(serde_json::Error);

/// A key whose value has another type than wanted.
#[derive(Debug, thiserror::Error)]
#[error("key {key:?} has value {value}: {message}")]
pub struct KeyError {
    /// The key.
    pub key: String,
    /// The value, shortened.
    pub value: String,
    /// What was wanted instead.
    pub message: String,
}

impl Object {
    /// An object without members.
    pub const fn new() -> Self {
        Self {
            members: Vec::new(),
        }
    }

    /// Parses a text that must be exactly one JSON object.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        serde_json::from_slice(bytes).map_err(ParseError)
    }

    /// The value of exactly this key.
    pub fn get(&self, key: &str) -> Option<&RawValue> {
        self.members
            .iter()
            .find(|member| member.key == key)
            .map(|member| &*member.value)
    }

    /// The value that a Go program reads for this key: letter case does not count, the last one
    /// wins.
    pub fn get_folded(&self, key: &str) -> Option<&RawValue> {
        self.members
            .iter()
            .rev()
            .find(|member| fold::equal(&member.key, key))
            .map(|member| &*member.value)
    }

    /// The value of exactly this key as `T`; absent and `null` are None.
    pub fn typed<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, KeyError> {
        self.get(key).map_or(Ok(None), |value| typed(key, value))
    }

    /// [`Self::get_folded`] as `T`; absent and `null` are None.
    pub fn typed_folded<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, KeyError> {
        self.get_folded(key)
            .map_or(Ok(None), |value| typed(key, value))
    }

    /// Sets exactly this key: in place if it exists, else at the end.
    pub fn set(&mut self, key: &str, value: Box<RawValue>) {
        if let Some(member) = self.members.iter_mut().find(|member| member.key == key) {
            member.value = value;
            return;
        }
        self.members.push(Member {
            key: key.to_owned(),
            written: raw(key).get().into(),
            value,
        });
    }

    /// Sets this key and removes every other spelling of it, so that no plugin reads another value.
    pub fn set_folded(&mut self, key: &str, value: Box<RawValue>) {
        self.members
            .retain(|member| member.key == key || !fold::equal(&member.key, key));
        self.set(key, value);
    }

    /// [`Self::set`] with a string.
    pub fn set_str(&mut self, key: &str, value: &str) {
        self.set(key, raw(value));
    }

    /// [`Self::set`] with anything that serialises.
    pub fn set_typed<T: Serialize + ?Sized>(
        &mut self,
        key: &str,
        value: &T,
    ) -> Result<(), KeyError> {
        let value = serde_json::value::to_raw_value(value).map_err(|error| KeyError {
            key: key.to_owned(),
            value: "of this program".to_owned(),
            message: error.to_string(),
        })?;
        self.set(key, value);
        Ok(())
    }

    /// Removes exactly this key.
    pub fn remove(&mut self, key: &str) -> Option<Box<RawValue>> {
        let at = self.members.iter().position(|member| member.key == key)?;
        Some(self.members.remove(at).value)
    }

    /// Removes every spelling of this key; true if there was one.
    pub fn remove_folded(&mut self, key: &str) -> bool {
        let before = self.members.len();
        self.members.retain(|member| !fold::equal(&member.key, key));
        self.members.len() != before
    }

    /// The members in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.members
            .iter()
            .map(|member| (member.key.as_str(), &*member.value))
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// True if there is no member.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The object as one JSON value.
    pub fn to_raw(&self) -> Box<RawValue> {
        #[expect(
            clippy::expect_used,
            reason = "every part was a JSON text when it came in"
        )]
        RawValue::from_string(self.to_string()).expect("an object of raw values is JSON")
    }

    /// The object as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }
}

/// A value as one JSON text. Only for types whose serialisation cannot fail: strings, numbers,
/// lists and structs of them.
pub fn raw<T: Serialize + ?Sized>(value: &T) -> Box<RawValue> {
    #[expect(clippy::expect_used, reason = "see the contract above")]
    serde_json::value::to_raw_value(value).expect("plain values serialise")
}

/// A value as JSON with 4-space indentation, as Go programs of this protocol print it.
pub(crate) fn pretty<T: Serialize + ?Sized>(value: &T) -> String {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    #[expect(clippy::expect_used, reason = "plain values into memory")]
    value
        .serialize(&mut serializer)
        .expect("plain values serialise");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn typed<T: DeserializeOwned>(key: &str, value: &RawValue) -> Result<Option<T>, KeyError> {
    serde_json::from_str(value.get()).map_err(|error| KeyError {
        key: key.to_owned(),
        value: shorten(value.get()),
        message: error.to_string(),
    })
}

/// At most 60 characters of a text, for error messages.
pub(crate) fn shorten(text: &str) -> String {
    if text.chars().count() <= 60 {
        return text.to_owned();
    }
    text.chars().take(57).chain("...".chars()).collect()
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, member) in self.members.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}:{}", member.written, member.value.get())?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self
                .iter()
                .zip(other.iter())
                .all(|(a, b)| a.0 == b.0 && a.1.get() == b.1.get())
    }
}

impl Eq for Object {}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_raw().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut object = Object::new();
        while let Some((written, value)) = map.next_entry::<Box<RawValue>, Box<RawValue>>()? {
            let key: String = serde_json::from_str(written.get()).map_err(A::Error::custom)?;
            object.members.retain(|member| member.key != key);
            object.members.push(Member {
                key,
                written: written.get().into(),
                value,
            });
        }
        Ok(object)
    }
}

#[cfg(test)]
mod tests;
