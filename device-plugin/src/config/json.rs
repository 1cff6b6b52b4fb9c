//! JSON values that know where they stand, so that each error can say line, column and path.
//!
//! Nothing is built: a value is a piece of the document, taken apart when it is asked for. Keys match
//! without regard to case, a later duplicate wins and `null` counts as absent, as in Go's decoder
//! (spec/device-plugin.md §1.3).

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// Where in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Keys and indexes that lead there; empty for the document itself.
    pub path: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)?;
        if self.path.is_empty() {
            return Ok(());
        }
        write!(f, ", {}", self.path)
    }
}

/// Something wrong at a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {text}")]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, and what to do.
    pub text: String,
}

/// A value of a document.
#[derive(Debug, Clone)]
pub(crate) struct Node<'a> {
    document: &'a str,
    value: &'a RawValue,
    path: String,
}

/// The members of an object.
pub(crate) struct Members<'a>(Vec<(String, Node<'a>)>);

impl<'a> Node<'a> {
    /// The value that a whole document holds.
    pub(crate) fn document(bytes: &'a [u8]) -> Result<Self, Problem> {
        let place = |line, column| Place {
            line,
            column,
            path: String::new(),
        };
        let document = std::str::from_utf8(bytes).map_err(|error| {
            let readable = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let (line, column) = position(&readable);
            Problem {
                place: place(line, column),
                text: "not UTF-8 text".to_owned(),
            }
        })?;
        let value = serde_json::from_str(document).map_err(|error| Problem {
            place: place(error.line().max(1), error.column().max(1)),
            text: format!("not JSON: {}", without_position(&error)),
        })?;
        Ok(Self {
            document,
            value,
            path: String::new(),
        })
    }

    /// Where the value stands.
    pub(crate) fn place(&self) -> Place {
        let offset = self.value.get().as_ptr() as usize - self.document.as_ptr() as usize;
        let (line, column) = position(&self.document[..offset]);
        Place {
            line,
            column,
            path: self.path.clone(),
        }
    }

    /// A problem with this value.
    pub(crate) fn problem(&self, text: impl Into<String>) -> Problem {
        Problem {
            place: self.place(),
            text: text.into(),
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        self.value.get() == "null"
    }

    pub(crate) fn is_list(&self) -> bool {
        self.value.get().starts_with('[')
    }

    /// The members of an object.
    pub(crate) fn members(&self) -> Result<Members<'a>, Problem> {
        let members: Pairs<'a> = self.parse("an object")?;
        let below = |key: String, value| {
            let path = if self.path.is_empty() {
                key.clone()
            } else {
                format!("{}.{key}", self.path)
            };
            (
                key,
                Node {
                    document: self.document,
                    value,
                    path,
                },
            )
        };
        Ok(Members(
            members
                .0
                .into_iter()
                .map(|(key, value)| below(key, value))
                .collect(),
        ))
    }

    /// The items of a list.
    pub(crate) fn items(&self) -> Result<Vec<Node<'a>>, Problem> {
        let items: Vec<&'a RawValue> = self.parse("a list")?;
        let below = |(index, value)| Node {
            document: self.document,
            value,
            path: format!("{}[{index}]", self.path),
        };
        Ok(items.into_iter().enumerate().map(below).collect())
    }

    pub(crate) fn string(&self) -> Result<String, Problem> {
        self.parse("a string")
    }

    pub(crate) fn boolean(&self) -> Result<bool, Problem> {
        self.parse("true or false")
    }

    fn parse<T: Deserialize<'a>>(&self, expected: &str) -> Result<T, Problem> {
        serde_json::from_str(self.value.get())
            .map_err(|_| self.problem(format!("expected {expected}, found {}", self.kind())))
    }

    fn kind(&self) -> &'static str {
        match self.value.get().as_bytes().first() {
            Some(b'{') => "an object",
            Some(b'[') => "a list",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "true or false",
            Some(b'n') => "null",
            _ => "a number",
        }
    }
}

impl<'a> Members<'a> {
    /// The member called `key` in any case, if it is there and not null.
    pub(crate) fn get(&self, key: &str) -> Option<&Node<'a>> {
        let last = self
            .0
            .iter()
            .rev()
            .find(|(name, _)| name.eq_ignore_ascii_case(key));
        last.map(|(_, node)| node).filter(|node| !node.is_null())
    }

    /// All members, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Node<'a>)> {
        self.0.iter().map(|(name, node)| (name.as_str(), node))
    }
}

/// Line and column of the character that follows `before`.
fn position(before: &str) -> (usize, usize) {
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    (line, column)
}

/// The words of a JSON error; its position is told apart.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// An object as pairs in the order of the document, duplicates included.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}
