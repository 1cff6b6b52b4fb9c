//! A network: a list of plugins, or one plugin that stands for a list of one.

use super::{ConfigError, Plugin};
use crate::raw::Object;
use crate::version::{UnknownVersion, Version};

/// A parsed conf or conflist. A text with both `type` and `plugins` is a single conf (spec/multus.md §4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkList {
    object: Object,
    plugins: Vec<Plugin>,
    single: bool,
    bytes: Vec<u8>,
}

impl NetworkList {
    /// Parses a conf or conflist. `name` and `cniVersion` may be missing.
    pub fn parse(_bytes: &[u8]) -> Result<Self, ConfigError> {
        unimplemented!()
    }

    /// As [`Self::parse`], but an empty or absent `plugins` is allowed for a list: its plugins are
    /// added from a folder with [`Self::push_plugin`].
    pub fn parse_open(_bytes: &[u8]) -> Result<Self, ConfigError> {
        unimplemented!()
    }

    /// Appends a plugin to a list.
    pub fn push_plugin(&mut self, _plugin: Plugin) {
        unimplemented!()
    }

    /// The configuration's bytes: those that were parsed, or, once changed, the new text.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// `name`, empty if there is none.
    pub fn name(&self) -> &str {
        unimplemented!()
    }

    /// Sets `name`.
    pub fn set_name(&mut self, _name: &str) {
        unimplemented!()
    }

    /// `cniVersion` as written, or the highest known entry of `cniVersions`; empty if there is neither.
    pub fn cni_version(&self) -> &str {
        unimplemented!()
    }

    /// The version to speak; 0.1.0 if the text names none.
    pub fn version(&self) -> Result<Version, UnknownVersion> {
        Version::of_config(self.cni_version())
    }

    /// Sets `cniVersion`.
    pub fn set_cni_version(&mut self, _version: &str) {
        unimplemented!()
    }

    /// True for a conf, false for a conflist.
    pub fn is_single(&self) -> bool {
        self.single
    }

    /// The plugins in their order; never empty after [`Self::parse`].
    pub fn plugins(&self) -> &[Plugin] {
        &self.plugins
    }

    /// The top-level object.
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// CHECK is switched off by `disableCheck`.
    pub fn disable_check(&self) -> bool {
        unimplemented!()
    }

    /// GC is switched off by `disableGC`.
    pub fn disable_gc(&self) -> bool {
        unimplemented!()
    }

    /// Plugins of the list's folder are not to be loaded.
    pub fn load_only_inlined_plugins(&self) -> bool {
        unimplemented!()
    }

    /// Some plugin of the list declares this capability.
    pub fn has_capability(&self, _capability: &str) -> Result<bool, ConfigError> {
        unimplemented!()
    }

    /// Sets `deviceID` and `pciBusID` in every plugin object.
    pub fn set_device_id(&mut self, _device_id: &str) {
        unimplemented!()
    }

    /// Merges pairs into `args.cni` of every plugin object.
    pub fn merge_cni_args(&mut self, _args: &Object) -> Result<(), ConfigError> {
        unimplemented!()
    }
}
