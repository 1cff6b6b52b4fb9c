//! The grammar of `CNI_ARGS`: `K=V;K=V`.

use std::fmt;

/// The pairs of `CNI_ARGS`, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Args {
    pairs: Vec<(String, String)>,
}

/// A text that is not `CNI_ARGS`, or holds a key nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgsError {
    /// A part that is not `key=value`.
    #[error("CNI_ARGS: invalid pair {0:?}")]
    Pair(String),
    /// Keys that are not known, without `IgnoreUnknown`.
    #[error("CNI_ARGS: unknown args {0:?}")]
    Unknown(Vec<String>),
    /// `IgnoreUnknown` that is no truth value.
    #[error("CNI_ARGS: IgnoreUnknown is {0:?}, not true, false, 1 or 0")]
    NotBool(String),
}

impl Args {
    /// Parses with exactly one `=` per pair, as plugins read it. An empty text has no pairs.
    pub fn parse(text: &str) -> Result<Self, ArgsError> {
        Self::parse_with(text, |value| !value.contains('='))
    }

    /// Parses with everything after the first `=` as the value, as runtimes hand it on.
    pub fn parse_lenient(text: &str) -> Result<Self, ArgsError> {
        Self::parse_with(text, |_| true)
    }

    fn parse_with(text: &str, value_ok: impl Fn(&str) -> bool) -> Result<Self, ArgsError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let pair = |part: &str| match part.split_once('=') {
            Some((key, value)) if value_ok(value) => Ok((key.to_owned(), value.to_owned())),
            _ => Err(ArgsError::Pair(part.to_owned())),
        };
        Ok(Self {
            pairs: text.split(';').map(pair).collect::<Result<_, _>>()?,
        })
    }

    /// The last value of this key, letter case counting.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs
            .iter()
            .rev()
            .find(|(k, _)| k == key)
            .map(|(_, v)| v.as_str())
    }

    /// The last value of this key, whatever its letter case.
    pub fn get_folded(&self, key: &str) -> Option<&str> {
        self.pairs
            .iter()
            .rev()
            .find(|(k, _)| k.eq_ignore_ascii_case(key))
            .map(|(_, v)| v.as_str())
    }

    /// `IgnoreUnknown` is set.
    pub fn ignore_unknown(&self) -> Result<bool, ArgsError> {
        match self
            .get("IgnoreUnknown")
            .map(str::to_ascii_lowercase)
            .as_deref()
        {
            None | Some("0" | "false") => Ok(false),
            Some("1" | "true") => Ok(true),
            Some(other) => Err(ArgsError::NotBool(other.to_owned())),
        }
    }

    /// Fails on keys outside `known`, unless `IgnoreUnknown` is set.
    pub fn check_known(&self, known: &[&str]) -> Result<(), ArgsError> {
        if self.ignore_unknown()? {
            return Ok(());
        }
        let foreign = |key: &str| key != "IgnoreUnknown" && !known.contains(&key);
        let unknown: Vec<_> = self
            .pairs
            .iter()
            .filter(|(key, _)| foreign(key))
            .map(|(key, _)| key.clone())
            .collect();
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(ArgsError::Unknown(unknown))
        }
    }

    /// Sets a key in place, or appends it; other pairs of the same key are removed.
    pub fn set(&mut self, key: &str, value: &str) {
        let Some(at) = self.pairs.iter().position(|(k, _)| k == key) else {
            self.pairs.push((key.to_owned(), value.to_owned()));
            return;
        };
        value.clone_into(&mut self.pairs[at].1);
        let mut index = 0;
        self.pairs.retain(|(k, _)| {
            index += 1;
            index - 1 == at || k != key
        });
    }

    /// The pairs in their order.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }
}

impl FromIterator<(String, String)> for Args {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self {
            pairs: pairs.into_iter().collect(),
        }
    }
}

impl fmt::Display for Args {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, value)) in self.pairs.iter().enumerate() {
            let separator = if index == 0 { "" } else { ";" };
            write!(f, "{separator}{key}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
