//! The plugin as the protocol's skeleton calls it.

use cni::plugin::{Invocation, Plugin};
use cni::result::AddResult;

use crate::command::{add, check, del, gc, status};
use crate::error::{Error, without_success_words};
use crate::node::Node;
use crate::site::Site;

/// The SR-IOV plugin on a site. The node is opened anew for each call, by `open`.
pub struct Sriov<F> {
    site: Site,
    open: F,
}

impl<F, N> Sriov<F>
where
    F: Fn() -> host::error::Result<N>,
    N: Node,
{
    /// A plugin.
    pub fn new(site: Site, open: F) -> Self {
        Self { site, open }
    }

    fn node(&self) -> Result<N, cni::Error> {
        (self.open)().map_err(|error| Error::Node(error).to_cni())
    }
}

impl<F, N> Plugin for Sriov<F>
where
    F: Fn() -> host::error::Result<N>,
    N: Node,
{
    fn add(&self, call: &Invocation) -> Result<AddResult, cni::Error> {
        add::add(&self.site, &mut self.node()?, call).map_err(|error| error.to_cni())
    }

    fn del(&self, call: &Invocation) -> Result<(), cni::Error> {
        del::del(&self.site, &mut self.node()?, call).map_err(|error| {
            let error = error.to_cni();
            cni::Error {
                msg: without_success_words(&error.msg),
                details: without_success_words(&error.details),
                ..error
            }
        })
    }

    fn check(&self, call: &Invocation) -> Result<(), cni::Error> {
        check::check(&self.site, &mut self.node()?, call).map_err(|error| error.to_cni())
    }

    fn status(&self, call: &Invocation) -> Result<(), cni::Error> {
        status::status(&self.site, &mut self.node()?, call).map_err(|error| error.to_cni())
    }

    fn gc(&self, call: &Invocation) -> Result<(), cni::Error> {
        gc::gc(&self.site, &mut self.node()?, call).map_err(|error| error.to_cni())
    }
}

impl<F> std::fmt::Debug for Sriov<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sriov")
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}
