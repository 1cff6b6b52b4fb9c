//! STATUS: can a plain ADD succeed? Nothing else can make it fail (design §2).

use cni::error::code;

use super::check_readiness;
use crate::attach::failure_of;
use crate::failure::Failure;
use crate::primary;
use crate::session::Session;

/// Serves STATUS.
pub(super) fn status(session: &Session<'_>) -> Result<(), Failure> {
    check_readiness(session, code::NOT_AVAILABLE)?;
    let network = primary::resolve(&session.conf).map_err(|mut failure| {
        failure.code = code::NOT_AVAILABLE;
        failure
    })?;
    let runtime = session.runtime_without_cache();
    runtime.status(&network).map_err(|error| {
        failure_of(
            "ask for the status of",
            network.name(),
            "any interface",
            &error,
        )
    })
}
