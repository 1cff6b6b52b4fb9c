//! IPAM: a delegate that gets the plugin's own stdin and environment (spec/sriov-cni.md §6.1).

use std::time::Duration;

use crate::error::{Error, chain, code};
use crate::exec::{self, Call};
use crate::plugin::{Command, Invocation};
use crate::result::{self, AddResult};

/// The IPAM plugin of one call. Its error codes are kept.
#[derive(Debug)]
pub struct Ipam<'a> {
    call: &'a Invocation,
    plugin_type: String,
    deadline: Option<Duration>,
}

impl<'a> Ipam<'a> {
    /// The IPAM plugin named by the configuration's `ipam.type`; None if there is none.
    pub fn of(call: &'a Invocation, deadline: Option<Duration>) -> Result<Option<Self>, Error> {
        Ok(call.ipam_type()?.map(|plugin_type| Self {
            call,
            plugin_type,
            deadline,
        }))
    }

    /// The IPAM plugin's `type`.
    pub fn plugin_type(&self) -> &str {
        &self.plugin_type
    }

    /// Allocates addresses. If that fails, whatever was allocated is released before this returns.
    pub fn add(&self) -> Result<AddResult, Error> {
        let allocated = self.run(Command::Add).and_then(|stdout| {
            result::parse(&stdout, self.call.version).map_err(|error| {
                let message = format!(
                    "ipam plugin {:?} failed (add): {}",
                    self.plugin_type,
                    chain(&error)
                );
                Error::new(code::DECODE, message)
            })
        });
        allocated.inspect_err(|_| {
            // The ADD's error is the one to tell.
            let _released = self.del();
        })
    }

    /// Releases what [`Self::add`] allocated.
    pub fn del(&self) -> Result<(), Error> {
        self.run(Command::Del).map(drop)
    }

    /// Checks the allocation.
    pub fn check(&self) -> Result<(), Error> {
        self.run(Command::Check).map(drop)
    }

    /// Asks whether ADD could be served.
    pub fn status(&self) -> Result<(), Error> {
        self.run(Command::Status).map(drop)
    }

    /// Hands GC on.
    pub fn gc(&self) -> Result<(), Error> {
        self.run(Command::Gc).map(drop)
    }

    fn run(&self, command: Command) -> Result<Vec<u8>, Error> {
        let program = exec::find(&self.plugin_type, &self.call.path)?;
        let mut env = self.call.env.clone();
        env.set("CNI_COMMAND", command.as_str());
        let output = exec::call(&Call {
            program: &program,
            command: command.as_str(),
            env: &env,
            stdin: &self.call.stdin,
            deadline: self.deadline,
            busy_pause: exec::BUSY_PAUSE,
        })?;
        Ok(output.stdout)
    }
}

#[cfg(test)]
mod tests;
