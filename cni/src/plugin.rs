//! The plugin side: from environment and stdin to a checked [`Invocation`], one call, one JSON document.

use std::io::{Read, Write};
use std::process::ExitCode;

use crate::error::Error;
use crate::result::AddResult;
use crate::version::Version;

mod env;
mod invocation;

pub use env::Env;
pub use invocation::{Attachment, Command, Invocation};

/// A CNI plugin. The skeleton has checked everything of spec/sriov-cni.md §6.3 before it calls.
pub trait Plugin {
    /// Attaches the container.
    fn add(&self, call: &Invocation) -> Result<AddResult, Error>;

    /// Detaches the container; must succeed when there is nothing left.
    fn del(&self, call: &Invocation) -> Result<(), Error>;

    /// Compares the container's network with `prevResult`.
    fn check(&self, call: &Invocation) -> Result<(), Error>;

    /// Tells whether ADD could be served.
    fn status(&self, _call: &Invocation) -> Result<(), Error> {
        Ok(())
    }

    /// Removes what belongs to no attachment of [`Invocation::valid_attachments`].
    fn gc(&self, _call: &Invocation) -> Result<(), Error> {
        Ok(())
    }

    /// Versions that the plugin speaks, oldest first.
    fn versions(&self) -> &[Version] {
        &Version::ALL
    }

    /// Printed on stderr, with exit code 0, when there is no `CNI_COMMAND`; None makes that an error.
    fn about(&self) -> Option<&str> {
        None
    }
}

/// Serves one call. Writes exactly one JSON document to `stdout` (nothing after a successful DEL, CHECK, GC or
/// STATUS) and returns the exit code: 0 or 1. A panic of the plugin becomes error 999.
pub fn run(_plugin: &dyn Plugin, _env: &Env, _stdin: &mut dyn Read, _stdout: &mut dyn Write) -> u8 {
    unimplemented!()
}

/// [`run`] with the environment and streams of this process. Panics are not printed on stderr.
pub fn main(_plugin: &dyn Plugin) -> ExitCode {
    unimplemented!()
}
