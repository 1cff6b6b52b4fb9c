//! One plugin's object in a configuration.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::ConfigError;
use crate::name;
use crate::raw::{Object, raw, shorten};

/// One plugin object with a valid `type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    object: Object,
    kind: String,
    capabilities: BTreeMap<String, bool>,
}

impl Plugin {
    /// Takes an object that must have a usable `type`.
    pub fn new(object: Object) -> Result<Self, ConfigError> {
        let kind: Option<String> = object.typed_folded("type").map_err(ConfigError::Key)?;
        let kind = kind
            .filter(|text| !text.is_empty())
            .ok_or(ConfigError::NoType)?;
        name::check_plugin_type(&kind)?;
        let capabilities = object
            .typed_folded("capabilities")
            .map_err(ConfigError::Key)?;
        Ok(Self {
            object,
            kind,
            capabilities: capabilities.unwrap_or_default(),
        })
    }

    /// The plugin's `type`: the file name of its program.
    pub fn plugin_type(&self) -> &str {
        &self.kind
    }

    /// The object as it stands.
    pub fn object(&self) -> &Object {
        &self.object
    }

    pub(super) fn object_mut(&mut self) -> &mut Object {
        &mut self.object
    }

    /// `ipam.type`, if there is one.
    pub fn ipam_type(&self) -> Option<String> {
        let ipam: Option<Object> = self.object.typed_folded("ipam").ok()?;
        ipam?.typed_folded("type").ok()?
    }

    /// The plugin declares this capability with `true`.
    pub fn has_capability(&self, capability: &str) -> bool {
        self.capabilities
            .get(capability)
            .copied()
            .unwrap_or_default()
    }

    /// The plugin's `deviceID`, in whatever spelling a Go plugin would read it; else its
    /// `pciBusID`.
    pub fn device_id(&self) -> Result<Option<String>, ConfigError> {
        for key in ["deviceID", "pciBusID"] {
            let value: Option<String> = self.object.typed_folded(key).map_err(ConfigError::Key)?;
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// Sets `deviceID` and `pciBusID`, and removes every other spelling of them.
    pub fn set_device_id(&mut self, device_id: &str) {
        for key in ["deviceID", "pciBusID"] {
            self.object.set_folded(key, raw(device_id));
        }
    }

    /// Merges pairs key by key into `args.cni`, which must be an object if it exists.
    pub fn merge_cni_args(&mut self, args: &Object) -> Result<(), ConfigError> {
        let mut outer = nested(&self.object, "args", "args")?;
        let mut inner = nested(&outer, "cni", "args.cni")?;
        for (key, value) in args.iter() {
            inner.set(key, value.to_owned());
        }
        outer.set_folded("cni", inner.to_raw());
        self.object.set_folded("args", outer.to_raw());
        Ok(())
    }

    /// What the plugin gets on stdin: its object with `name`, `cniVersion`, and, where given,
    /// `prevResult` and the part of `capability_args` that it declares as `runtimeConfig`.
    pub fn stdin(
        &self,
        network: &str,
        version: &str,
        prev_result: Option<&RawValue>,
        capability_args: &Object,
    ) -> Object {
        let mut object = self.object.clone();
        object.set_folded("name", raw(network));
        object.set_folded("cniVersion", raw(version));
        if let Some(result) = prev_result {
            object.set_folded("prevResult", result.to_owned());
        }
        let mut runtime_config = Object::new();
        for (key, value) in capability_args
            .iter()
            .filter(|(key, _)| self.has_capability(key))
        {
            runtime_config.set(key, value.to_owned());
        }
        if !runtime_config.is_empty() {
            object.set_folded("runtimeConfig", runtime_config.to_raw());
        }
        object
    }
}

fn nested(object: &Object, key: &str, path: &'static str) -> Result<Object, ConfigError> {
    match object.get_folded(key) {
        None => Ok(Object::new()),
        Some(value) if value.get() == "null" => Ok(Object::new()),
        Some(value) => {
            Object::parse(value.get().as_bytes()).map_err(|_| ConfigError::NotMergeable {
                key: path,
                found: shorten(value.get()),
            })
        }
    }
}
