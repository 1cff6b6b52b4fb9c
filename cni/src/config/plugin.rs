//! One plugin's object in a configuration.

use serde_json::value::RawValue;

use super::ConfigError;
use crate::name;
use crate::raw::{Object, shorten};
use crate::version::Version;

/// One plugin object with a valid `type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    object: Object,
    plugin_type: String,
}

impl Plugin {
    /// Takes an object that must have a usable `type`.
    pub fn new(object: Object) -> Result<Self, ConfigError> {
        let plugin_type: Option<String> = object.typed_folded("type").map_err(ConfigError::Key)?;
        let plugin_type = plugin_type
            .filter(|t| !t.is_empty())
            .ok_or(ConfigError::NoType)?;
        name::check_plugin_type(&plugin_type)?;
        Ok(Self {
            object,
            plugin_type,
        })
    }

    /// The plugin's `type`: the file name of its program.
    pub fn plugin_type(&self) -> &str {
        &self.plugin_type
    }

    /// The object as it stands.
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// `ipam.type`, if there is one.
    pub fn ipam_type(&self) -> Option<String> {
        let ipam: Option<Object> = self.object.typed_folded("ipam").ok()?;
        ipam?.typed_folded("type").ok()?
    }

    /// The plugin declares this capability with `true`.
    pub fn has_capability(&self, _capability: &str) -> Result<bool, ConfigError> {
        unimplemented!()
    }

    /// The plugin's `deviceID`, in whatever spelling a Go plugin would read it; else its `pciBusID`.
    pub fn device_id(&self) -> Result<Option<String>, ConfigError> {
        unimplemented!()
    }

    /// Sets `deviceID` and `pciBusID`, and removes every other spelling of them.
    pub fn set_device_id(&mut self, _device_id: &str) {
        unimplemented!()
    }

    /// Merges pairs key by key into `args.cni`, which must be an object if it exists.
    pub fn merge_cni_args(&mut self, _args: &Object) -> Result<(), ConfigError> {
        unimplemented!()
    }

    /// What the plugin gets on stdin: its object with `name`, `cniVersion`, and, where given, `prevResult`
    /// and the part of `capability_args` that it declares as `runtimeConfig`.
    pub fn stdin(
        &self,
        _network: &str,
        _version: &str,
        _prev_result: Option<&RawValue>,
        _capability_args: &Object,
    ) -> Result<Object, ConfigError> {
        unimplemented!()
    }
}

#[expect(dead_code, reason = "first commit")]
fn unused(_: Version) -> String {
    shorten("")
}
