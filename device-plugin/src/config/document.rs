//! Configuration documents as values that know where they stand, so that each error can say line, column
//! and path.
//!
//! JSON with comments and trailing commas, or YAML. Keys match without regard to case, a later duplicate
//! wins and `null` counts as absent, as in Go's decoder (spec/device-plugin.md §1.3).

mod json;
#[cfg(test)]
mod tests;
mod yaml;

use std::{borrow::Cow, fmt};

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
    offset: usize,
    path: String,
    value: Value<'a>,
}

#[derive(Debug, Clone)]
enum Value<'a> {
    Null,
    Flag(bool),
    Number,
    Text(Cow<'a, str>),
    /// YAML without quotes: it may be meant as a string, as `8086` and `0x1` are.
    Plain(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Object(Vec<(String, Node<'a>)>),
}

/// The members of an object.
#[derive(Debug)]
pub(crate) struct Members<'a>(&'a [(String, Node<'a>)]);

impl<'a> Node<'a> {
    /// The value that a whole document holds.
    pub(crate) fn document(bytes: &'a [u8]) -> Result<Self, Problem> {
        let document = std::str::from_utf8(bytes).map_err(|error| {
            let readable = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            problem(&readable, readable.len(), "not UTF-8 text")
        })?;
        // Editors of Windows put a mark in front.
        let document = document.strip_prefix('\u{feff}').unwrap_or(document);
        let start = document.trim_start();
        if start.is_empty() {
            return Err(problem(document, 0, "the document is empty"));
        }
        if !start.starts_with(['{', '[', '/']) {
            return yaml::read(document);
        }
        // YAML knows braces, too, but says less about a missing one.
        json::read(document).or_else(|wrong| yaml::read(document).map_err(|_| wrong))
    }

    /// Where the value stands.
    pub(crate) fn place(&self) -> Place {
        place(self.document, self.offset, self.path.clone())
    }

    /// A problem with this value.
    pub(crate) fn problem(&self, text: impl Into<String>) -> Problem {
        Problem {
            place: self.place(),
            text: text.into(),
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    pub(crate) fn is_list(&self) -> bool {
        matches!(self.value, Value::List(_))
    }

    /// The members of an object.
    pub(crate) fn members(&self) -> Result<Members<'_>, Problem> {
        match &self.value {
            Value::Object(members) => Ok(Members(members)),
            _ => Err(self.expected("an object")),
        }
    }

    /// The items of a list.
    pub(crate) fn items(&self) -> Result<&[Node<'a>], Problem> {
        match &self.value {
            Value::List(items) => Ok(items),
            _ => Err(self.expected("a list")),
        }
    }

    pub(crate) fn string(&self) -> Result<String, Problem> {
        match &self.value {
            Value::Text(text) | Value::Plain(text) => Ok(text.as_ref().to_owned()),
            _ => Err(self.expected("a string")),
        }
    }

    pub(crate) fn boolean(&self) -> Result<bool, Problem> {
        match &self.value {
            Value::Flag(flag) => Ok(*flag),
            Value::Plain(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Value::Plain(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(self.expected("true or false")),
        }
    }

    /// A whole number that is not negative.
    pub(crate) fn number(&self) -> Result<u32, Problem> {
        let text = match &self.value {
            Value::Number => self.digits(),
            Value::Plain(text) => text.as_ref(),
            _ => "",
        };
        text.parse()
            .map_err(|_| self.expected("a whole number that is not negative"))
    }

    /// What stands in the document from the value's first character on, up to the end of a number.
    fn digits(&self) -> &'a str {
        let rest = &self.document[self.offset..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)));
        &rest[..end.unwrap_or(rest.len())]
    }

    fn expected(&self, expected: &str) -> Problem {
        self.problem(format!("expected {expected}, found {}", self.kind()))
    }

    fn kind(&self) -> String {
        let name = match &self.value {
            Value::Null => "null",
            Value::Flag(_) => "true or false",
            Value::Number => "a number",
            Value::Text(_) => "a string",
            Value::Plain(text) => return format!("{text:?}"),
            Value::List(_) => "a list",
            Value::Object(_) => "an object",
        };
        name.to_owned()
    }

    /// Path of a member.
    fn below(path: &str, key: &str) -> String {
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    }
}

impl<'a> Members<'a> {
    /// The member called `key` in any case, if it is there and not null.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Node<'a>> {
        self.last(key).filter(|node| !node.is_null())
    }

    /// Whether there is such a member, null or not.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.last(key).is_some()
    }

    fn last(&self, key: &str) -> Option<&'a Node<'a>> {
        let last = self
            .0
            .iter()
            .rev()
            .find(|(name, _)| name.eq_ignore_ascii_case(key));
        last.map(|(_, node)| node)
    }

    /// All members, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'a str, &'a Node<'a>)> {
        self.0.iter().map(|(name, node)| (name.as_str(), node))
    }
}

fn problem(document: &str, offset: usize, text: impl Into<String>) -> Problem {
    Problem {
        place: place(document, offset, String::new()),
        text: text.into(),
    }
}

/// Line and column of the character at `offset`.
fn place(document: &str, offset: usize, path: String) -> Place {
    let before = &document[..document.floor_char_boundary(offset)];
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let last = before.rsplit('\n').next().unwrap_or_default();
    Place {
        line,
        column: last.chars().count() + 1,
        path,
    }
}
