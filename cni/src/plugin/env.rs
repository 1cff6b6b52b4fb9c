//! The environment as a value.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// A captured set of environment variables, handed down from `main`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Env {
    vars: BTreeMap<OsString, OsString>,
}

impl Env {
    /// The variable, unless it is absent, empty or not UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.vars
            .get(OsStr::new(name))?
            .to_str()
            .filter(|value| !value.is_empty())
    }

    /// Sets a variable.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.vars.insert(name.into(), value.into());
    }

    /// Removes a variable.
    pub fn remove(&mut self, name: &str) {
        self.vars.remove(OsStr::new(name));
    }

    /// Every variable, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.vars
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Env {
    /// `std::env::vars_os().collect()` captures this process's environment.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(vars: I) -> Self {
        let mut env = Self::default();
        for (name, value) in vars {
            env.set(name, value);
        }
        env
    }
}
