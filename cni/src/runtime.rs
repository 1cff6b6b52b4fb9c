//! The runtime side: running a network's list of plugins, as libcni does (spec/multus.md appendix
//! A).

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use crate::args::Args;
use crate::config::{ConfigError, NetworkList};
use crate::name;
use crate::plugin::{ATTACHMENTS, Attachment, Command, Env, VALID_ATTACHMENTS};
use crate::raw::{Object, raw};
use crate::result::{self, AddResult};
use crate::version::Version;

pub mod cache;
mod call;
mod error;

use cache::{Cache, Cached, ResultText};
use call::PluginCall;
pub use error::RuntimeError;

/// Where plugins and cached results are, and what every plugin inherits.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// Folders to find plugins in; also their `CNI_PATH`.
    pub path: Vec<PathBuf>,
    /// Results are kept in `<cache_dir>/results`; None keeps none: nothing is read or written.
    pub cache_dir: Option<PathBuf>,
    /// Environment of every plugin, before the variables of the call are set.
    pub env: Env,
    /// Time for each plugin; None waits forever.
    pub deadline: Option<Duration>,
    /// When all plugins together have to be done: what runs then is killed, what comes later is not started.
    pub until: Option<Instant>,
}

/// One attachment of a container to a network.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// `CNI_CONTAINERID`.
    pub container_id: String,
    /// `CNI_NETNS`; may be empty at DEL.
    pub netns: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// `CNI_ARGS`.
    pub args: Args,
    /// Offered capabilities; a plugin gets those that it declares.
    pub capability_args: Object,
    /// `prevResult` for DEL and CHECK where nothing is cached: what the runtime above kept.
    pub prev_result: Option<Box<RawValue>>,
}

impl Runtime {
    /// ADD: the plugins in order, each with its predecessor's result. Stops at the first failure
    /// and undoes nothing: the caller must DEL. The result is cached, if a cache is kept.
    pub fn add(&self, network: &NetworkList, target: &Target) -> Result<AddResult, RuntimeError> {
        check_names(network, target)?;
        let version = known_version(network)?;
        let mut last = None;
        for plugin in network.plugins() {
            let call = PluginCall {
                runtime: self,
                network,
                plugin,
                command: Command::Add,
            };
            let prev = last
                .as_ref()
                .map(|prev| call.told(prev, version))
                .transpose()?;
            let stdout = call.run(Some(target), &call.stdin(prev.as_deref(), target))?;
            last = Some(result::parse(&stdout, version).map_err(|error| call.result(error))?);
        }
        let result = last.unwrap_or_default();
        if let Some(cache) = self.cache() {
            cache.write(&cached(network, target, &result, version))?;
        }
        Ok(result)
    }

    /// DEL: the plugins in reverse order. Stops at the first failure and keeps the cached result,
    /// so that it can be repeated. A damaged or unreadable cached result is left out, and DEL goes
    /// on.
    pub fn del(&self, network: &NetworkList, target: &Target) -> Result<(), RuntimeError> {
        check_names(network, target)?;
        let version = network.version().ok().filter(|version| version.has_check());
        let prev = version.and_then(|version| {
            let kept = self
                .kept_result(network, target, version)
                .unwrap_or_default();
            kept.and_then(|result| result.to_raw(version).ok())
        });
        for plugin in network.plugins().iter().rev() {
            let call = PluginCall {
                runtime: self,
                network,
                plugin,
                command: Command::Del,
            };
            call.run(Some(target), &call.stdin(prev.as_deref(), target))?;
        }
        if let Some(cache) = self.cache() {
            cache.remove(network.name(), &target.container_id, &target.ifname)?;
        }
        Ok(())
    }

    /// CHECK: the plugins in order, with the cached result. A success if the network says
    /// `disableCheck`.
    pub fn check(&self, network: &NetworkList, target: &Target) -> Result<(), RuntimeError> {
        check_names(network, target)?;
        let version = known_version(network)?;
        if !version.has_check() {
            return Err(unsupported(network, Command::Check));
        }
        if network.disable_check() {
            return Ok(());
        }
        let kept = self.kept_result(network, target, version)?;
        let prev = kept.and_then(|result| result.to_raw(version).ok());
        for plugin in network.plugins() {
            let call = PluginCall {
                runtime: self,
                network,
                plugin,
                command: Command::Check,
            };
            call.run(Some(target), &call.stdin(prev.as_deref(), target))?;
        }
        Ok(())
    }

    /// STATUS: the plugins in order; the first error counts. Below 1.1.0 always a success.
    pub fn status(&self, network: &NetworkList) -> Result<(), RuntimeError> {
        if !known_version(network)?.has_gc_and_status() {
            return Ok(());
        }
        for plugin in network.plugins() {
            let call = PluginCall {
                runtime: self,
                network,
                plugin,
                command: Command::Status,
            };
            call.run(None, &call.stdin(None, &Target::default()))?;
        }
        Ok(())
    }

    /// GC: DEL for cached attachments of this network that are not in `valid`, then, from 1.1.0 on,
    /// GC of each plugin. Goes on after errors. Does nothing if the network says `disableGC`.
    pub fn gc(&self, network: &NetworkList, valid: &[Attachment]) -> Result<(), RuntimeError> {
        if network.disable_gc() {
            return Ok(());
        }
        let mut errors = Vec::new();
        let own = |cached: &Cached| cached.network == network.name();
        let listed = self
            .cache()
            .map_or_else(|| Ok(Vec::new()), |cache| cache.list())?;
        for stale in listed.into_iter().filter(own) {
            if !valid.contains(&stale.attachment()) {
                errors.extend(self.del(network, &stale.target()).err());
            }
        }
        if network.version().is_ok_and(Version::has_gc_and_status) {
            for plugin in network.plugins() {
                let call = PluginCall {
                    runtime: self,
                    network,
                    plugin,
                    command: Command::Gc,
                };
                let mut stdin = call.stdin(None, &Target::default());
                for key in [VALID_ATTACHMENTS, ATTACHMENTS] {
                    stdin.set_folded(key, raw(valid));
                }
                errors.extend(call.run(None, &stdin).err());
            }
        }
        match errors.pop() {
            None => Ok(()),
            Some(only) if errors.is_empty() => Err(only),
            Some(last) => {
                errors.push(last);
                Err(RuntimeError::Several(errors))
            }
        }
    }

    /// The result cache, if one is kept.
    pub fn cache(&self) -> Option<Cache> {
        self.cache_dir.as_deref().map(Cache::new)
    }

    /// The result of this attachment's ADD: as cached, else as the caller kept it.
    fn kept_result(
        &self,
        network: &NetworkList,
        target: &Target,
        version: Version,
    ) -> Result<Option<AddResult>, RuntimeError> {
        let cached = match self.cache() {
            Some(cache) => cache.read(network.name(), target),
            None => Ok(None),
        };
        let cached = cached.map(|cached| cached.and_then(|cached| cached.result(version)));
        let given = || {
            let text = target.prev_result.as_deref()?;
            result::parse(text.get().as_bytes(), version).ok()
        };
        match cached {
            Ok(None) => Ok(given()),
            // What the caller kept is as good, and a damaged cache must not stand in its way.
            Err(error) => given().map_or(Err(error.into()), |result| Ok(Some(result))),
            Ok(result) => Ok(result),
        }
    }
}

fn check_names(network: &NetworkList, target: &Target) -> Result<(), RuntimeError> {
    name::check_container_id(&target.container_id)?;
    name::check_interface(&target.ifname)?;
    network
        .check_name()
        .map_err(|source| config(network, source))
}

fn known_version(network: &NetworkList) -> Result<Version, RuntimeError> {
    network
        .version()
        .map_err(|source| config(network, source.into()))
}

fn config(network: &NetworkList, source: ConfigError) -> RuntimeError {
    RuntimeError::Config {
        network: network.name().to_owned(),
        source,
    }
}

fn unsupported(network: &NetworkList, command: Command) -> RuntimeError {
    RuntimeError::Unsupported {
        network: network.name().to_owned(),
        version: network.cni_version().to_owned(),
        command,
    }
}

fn cached(network: &NetworkList, target: &Target, result: &AddResult, version: Version) -> Cached {
    // A result without addresses has no form below 0.3.0, where nobody will ask for it either.
    let text = result
        .to_raw(version)
        .or_else(|_| result.to_raw(Version::CURRENT))
        .ok();
    Cached {
        network: network.name().to_owned(),
        container_id: target.container_id.clone(),
        ifname: target.ifname.clone(),
        netns: target.netns.clone(),
        args: target.args.clone(),
        capability_args: target.capability_args.clone(),
        config: network.bytes().to_vec(),
        result: text.map(ResultText),
    }
}

#[cfg(test)]
mod tests;
