//! IPAM: a delegate that gets the plugin's own stdin and environment (spec/sriov-cni.md §6.1).

use std::time::Duration;

use crate::error::Error;
use crate::plugin::Invocation;
use crate::result::AddResult;

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
        let _ = (self.call, self.deadline);
        unimplemented!()
    }

    /// Releases what [`Self::add`] allocated.
    pub fn del(&self) -> Result<(), Error> {
        unimplemented!()
    }

    /// Checks the allocation.
    pub fn check(&self) -> Result<(), Error> {
        unimplemented!()
    }

    /// Asks whether ADD could be served.
    pub fn status(&self) -> Result<(), Error> {
        unimplemented!()
    }

    /// Hands GC on.
    pub fn gc(&self) -> Result<(), Error> {
        unimplemented!()
    }
}
