//! CHECK: every recorded attachment that has a CHECK.

use cni::config::NetworkList;
use cni::error::code;

use crate::attach::failure_of;
use crate::detach::target;
use crate::failure::Failure;
use crate::journal::{Entry, Shelf, go};
use crate::primary;
use crate::session::Session;
use crate::wire::Reason;

type Pairs = Vec<(String, String)>;

/// Serves CHECK.
pub(super) fn check(session: &Session<'_>) -> Result<(), Failure> {
    let (entries, args) = attachments(session)?;
    let place = session.place(args);
    let runtime = session.runtime();
    for entry in &entries {
        let network = NetworkList::parse(entry.config.get().as_bytes()).map_err(|error| {
            let msg = format!("network {}: {}", entry.name, cni::error::chain(&error));
            Failure::new(code::INVALID_CONFIG, Reason::NetworkInvalid, msg)
        })?;
        // Networks of older versions have no CHECK to call; that they lack it is no fault of the pod.
        if network.version().is_ok_and(cni::Version::has_check) {
            runtime
                .check(&network, &target(entry, &place))
                .map_err(|error| failure_of("check", &entry.name, &entry.ifname, &error))?;
        }
    }
    Ok(())
}

/// The sandbox's attachments and their CNI_ARGS.
fn attachments(session: &Session<'_>) -> Result<(Vec<Entry>, Pairs), Failure> {
    let step = "read the record of the sandbox";
    let id = &session.call.container_id;
    let record = session
        .journal
        .read(Shelf::Live, id)
        .map_err(|error| Failure::io(step, &error))?;
    if let Some(record) = record {
        return Ok((record.attachments, record.cni_args));
    }
    let args = session.delegate_args(session.pod.as_ref());
    let left = go::read(
        session.journal.root(),
        id,
        &session.call.ifname,
        &session.node.devinfo,
    )
    .map_err(|error| Failure::io(step, &error))?;
    if let Some(left) = left {
        return Ok((left.entries, args));
    }
    let configured = primary::attachments(&session.conf, &session.call.ifname)?;
    Ok((configured.iter().map(Entry::from).collect(), args))
}
