//! One plugin of a network, called with one verb.

use std::env::join_paths;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use super::{Runtime, RuntimeError, Target};
use crate::config::{NetworkList, Plugin};
use crate::exec::{self, Call, ExecError};
use crate::plugin::{Command, Env};
use crate::raw::Object;
use crate::result::{AddResult, ResultError};
use crate::version::Version;

pub(super) struct PluginCall<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) network: &'a NetworkList,
    pub(super) plugin: &'a Plugin,
    pub(super) command: Command,
}

impl PluginCall<'_> {
    /// The plugin's configuration for this call.
    pub(super) fn stdin(&self, prev_result: Option<&RawValue>, target: &Target) -> Object {
        let (name, version) = (self.network.name(), self.network.cni_version());
        self.plugin
            .stdin(name, version, prev_result, &target.capability_args)
    }

    /// Runs the plugin and returns what it printed.
    pub(super) fn run(
        &self,
        target: Option<&Target>,
        stdin: &Object,
    ) -> Result<Vec<u8>, RuntimeError> {
        let output =
            exec::find(self.plugin.plugin_type(), &self.runtime.path).and_then(|program| {
                let deadline = self.deadline();
                if deadline == Some(Duration::ZERO) {
                    return Err(ExecError::TooLate {
                        program,
                        command: self.command.as_str().to_owned(),
                    });
                }
                exec::call(&Call {
                    program: &program,
                    command: self.command.as_str(),
                    env: &self.env(target),
                    stdin: &stdin.to_bytes(),
                    deadline,
                    busy_pause: exec::BUSY_PAUSE,
                })
            });
        Ok(output.map_err(|error| self.failed(error))?.stdout)
    }

    /// The plugin's own time, or what is left of the time for all.
    fn deadline(&self) -> Option<Duration> {
        let left = self
            .runtime
            .until
            .map(|until| until.saturating_duration_since(Instant::now()));
        match (self.runtime.deadline, left) {
            (Some(own), Some(left)) => Some(own.min(left)),
            (own, left) => own.or(left),
        }
    }

    /// A result in the network's version.
    pub(super) fn told(
        &self,
        result: &AddResult,
        version: Version,
    ) -> Result<Box<RawValue>, RuntimeError> {
        result.to_raw(version).map_err(|error| self.result(error))
    }

    /// The plugin's result is the trouble.
    pub(super) fn result(&self, source: ResultError) -> RuntimeError {
        RuntimeError::Result {
            plugin: self.plugin.plugin_type().to_owned(),
            network: self.network.name().to_owned(),
            command: self.command,
            source,
        }
    }

    fn failed(&self, source: ExecError) -> RuntimeError {
        RuntimeError::Plugin {
            plugin: self.plugin.plugin_type().to_owned(),
            network: self.network.name().to_owned(),
            command: self.command,
            source: Box::new(source),
        }
    }

    fn env(&self, target: Option<&Target>) -> Env {
        let mut env = self.runtime.env.clone();
        env.set("CNI_COMMAND", self.command.as_str());
        // A folder name with a colon cannot be told to anybody.
        env.set(
            "CNI_PATH",
            join_paths(&self.runtime.path).unwrap_or_default(),
        );
        for name in ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS"] {
            env.remove(name);
        }
        if let Some(target) = target {
            env.set("CNI_CONTAINERID", &target.container_id);
            env.set("CNI_NETNS", &target.netns);
            env.set("CNI_IFNAME", &target.ifname);
            env.set("CNI_ARGS", target.args.to_string());
        }
        env
    }
}
