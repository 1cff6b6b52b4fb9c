//! A network: a list of plugins, or one plugin that stands for a list of one.

use serde_json::value::RawValue;

use super::{ConfigError, Plugin, version};
use crate::name;
use crate::raw::{Object, raw, shorten};
use crate::version::{UnknownVersion, Version};

/// A parsed conf or conflist.
///
/// A text with both `type` and `plugins` is a single conf (spec/multus.md §4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkList {
    shape: Shape,
    plugins: Vec<Plugin>,
    name: String,
    cni_version: String,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    /// The only plugin's object is the whole configuration.
    Single,
    /// The top-level object; its `plugins` is renewed from the plugins when one changes.
    List(Object),
}

impl NetworkList {
    /// Parses a conf or conflist with at least one plugin. `name` and `cniVersion` may be missing.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        let object = Object::parse(bytes).map_err(ConfigError::NotAnObject)?;
        let has_type = has_type(&object)?;
        if !has_type && object.get("plugins").is_none() {
            return Err(ConfigError::NoType);
        }
        let list = Self::from_object(object, has_type, bytes)?;
        if list.plugins.is_empty() {
            Err(ConfigError::NoPlugins)
        } else {
            Ok(list)
        }
    }

    /// As [`Self::parse`], but a list may be empty or absent: its plugins are added from a folder
    /// with [`Self::push_plugin`].
    pub fn parse_open(bytes: &[u8]) -> Result<Self, ConfigError> {
        let object = Object::parse(bytes).map_err(ConfigError::NotAnObject)?;
        let has_type = has_type(&object)?;
        Self::from_object(object, has_type, bytes)
    }

    fn from_object(object: Object, single: bool, bytes: &[u8]) -> Result<Self, ConfigError> {
        let name: Option<String> = if single {
            object.typed_folded("name").map_err(ConfigError::Key)?
        } else {
            object.typed("name").map_err(ConfigError::Key)?
        };
        let cni_version = version::choose(&object, single)?;
        flag(&object, "disableCheck")?;
        flag(&object, "disableGC")?;
        flag(&object, "loadOnlyInlinedPlugins")?;
        let (shape, plugins) = if single {
            (Shape::Single, vec![Plugin::new(object)?])
        } else {
            let plugins = plugins(&object)?;
            (Shape::List(object), plugins)
        };
        let name = name.unwrap_or_default();
        Ok(Self {
            shape,
            plugins,
            name,
            cni_version,
            bytes: bytes.to_vec(),
        })
    }

    /// Appends a plugin. A single conf becomes no list by this: it is left as it is.
    pub fn push_plugin(&mut self, plugin: Plugin) {
        if matches!(self.shape, Shape::List(_)) {
            self.plugins.push(plugin);
            self.render();
        }
    }

    /// The configuration's bytes: those that were parsed, or, once changed, the new text.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// `name`, empty if there is none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets `name`.
    pub fn set_name(&mut self, name: &str) {
        name.clone_into(&mut self.name);
        self.top_mut().set_folded("name", raw(name));
        self.render();
    }

    /// Fails unless there is a name that the protocol allows.
    pub fn check_name(&self) -> Result<(), ConfigError> {
        if self.name.is_empty() {
            return Err(ConfigError::NoName);
        }
        Ok(name::check_network(&self.name)?)
    }

    /// `cniVersion` as written, or the highest known entry of `cniVersions`; empty if there is
    /// neither.
    pub fn cni_version(&self) -> &str {
        &self.cni_version
    }

    /// The version to speak; 0.1.0 if the text names none.
    pub fn version(&self) -> Result<Version, UnknownVersion> {
        Version::of_config(&self.cni_version)
    }

    /// Sets `cniVersion`.
    pub fn set_cni_version(&mut self, version: &str) {
        version.clone_into(&mut self.cni_version);
        self.top_mut().set_folded("cniVersion", raw(version));
        self.render();
    }

    /// True for a conf, false for a conflist.
    pub fn is_single(&self) -> bool {
        self.shape == Shape::Single
    }

    /// The plugins in their order; never empty after [`Self::parse`].
    pub fn plugins(&self) -> &[Plugin] {
        &self.plugins
    }

    /// The top-level object.
    pub fn object(&self) -> &Object {
        match &self.shape {
            Shape::Single => self.plugins[0].object(),
            Shape::List(object) => object,
        }
    }

    fn top_mut(&mut self) -> &mut Object {
        match &mut self.shape {
            Shape::Single => self.plugins[0].object_mut(),
            Shape::List(object) => object,
        }
    }

    /// CHECK is switched off by `disableCheck`.
    pub fn disable_check(&self) -> bool {
        flag(self.object(), "disableCheck").unwrap_or_default()
    }

    /// GC is switched off by `disableGC`.
    pub fn disable_gc(&self) -> bool {
        flag(self.object(), "disableGC").unwrap_or_default()
    }

    /// Plugins of the list's folder are not to be loaded.
    pub fn load_only_inlined_plugins(&self) -> bool {
        flag(self.object(), "loadOnlyInlinedPlugins").unwrap_or_default()
    }

    /// Some plugin of the list declares this capability.
    pub fn has_capability(&self, capability: &str) -> bool {
        self.plugins
            .iter()
            .any(|plugin| plugin.has_capability(capability))
    }

    /// Sets `deviceID` and `pciBusID` in every plugin object.
    pub fn set_device_id(&mut self, device_id: &str) {
        for plugin in &mut self.plugins {
            plugin.set_device_id(device_id);
        }
        self.render();
    }

    /// Merges pairs into `args.cni` of every plugin object. After an error nothing is changed.
    pub fn merge_cni_args(&mut self, args: &Object) -> Result<(), ConfigError> {
        let mut plugins = self.plugins.clone();
        for plugin in &mut plugins {
            plugin.merge_cni_args(args)?;
        }
        self.plugins = plugins;
        self.render();
        Ok(())
    }

    fn render(&mut self) {
        if let Shape::List(object) = &mut self.shape {
            let plugins: Vec<&Object> = self.plugins.iter().map(Plugin::object).collect();
            object.set("plugins", raw(&plugins));
        }
        self.bytes = self.object().to_bytes();
    }
}

fn has_type(object: &Object) -> Result<bool, ConfigError> {
    let plugin_type: Option<String> = object.typed_folded("type").map_err(ConfigError::Key)?;
    Ok(plugin_type.is_some_and(|text| !text.is_empty()))
}

fn plugins(object: &Object) -> Result<Vec<Plugin>, ConfigError> {
    let elements: Option<Vec<Box<RawValue>>> = object.typed("plugins").map_err(ConfigError::Key)?;
    let plugin = |(index, element): (usize, Box<RawValue>)| {
        let object =
            Object::parse(element.get().as_bytes()).map_err(|_| ConfigError::NotAPlugin {
                index,
                found: shorten(element.get()),
            })?;
        Plugin::new(object).map_err(|error| match error {
            ConfigError::NoType => ConfigError::PluginWithoutType { index },
            other => other,
        })
    };
    elements
        .unwrap_or_default()
        .into_iter()
        .enumerate()
        .map(plugin)
        .collect()
}

/// A switch of a list: a truth value, or its name as a string.
fn flag(object: &Object, key: &str) -> Result<bool, ConfigError> {
    let Some(value) = object.get(key).map(RawValue::get) else {
        return Ok(false);
    };
    let text = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    match (value, text.map(str::to_ascii_lowercase).as_deref()) {
        ("true", _) | (_, Some("true")) => Ok(true),
        ("false" | "null", _) | (_, Some("false")) => Ok(false),
        _ => Err(ConfigError::NotASwitch {
            key: key.to_owned(),
            found: shorten(value),
        }),
    }
}
