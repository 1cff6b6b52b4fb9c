//! The CNI verbs.

use cni::error::code;
use cni::plugin::{Invocation, Plugin};
use cni::result::AddResult;

use crate::failure::Failure;
use crate::session::{Node, Session};
use crate::wire::Reason;

mod add;
mod check;
mod del;
mod gc;
pub(crate) mod repair;
mod replay;
mod stale;
mod status;

/// The plugin.
#[derive(Debug, Clone)]
pub struct Multus {
    /// The node it runs on.
    pub node: Node,
}

impl Multus {
    fn serve<T>(
        &self,
        call: &Invocation,
        command: impl FnOnce(&Session<'_>) -> Result<T, Failure>,
    ) -> Result<T, cni::Error> {
        let served = Session::new(call, &self.node).and_then(|session| {
            let outcome = command(&session);
            let about = || {
                let pod = session.pod.as_ref().map(ToString::to_string);
                format!(
                    "{} {} {}",
                    call.command,
                    call.container_id,
                    pod.unwrap_or_default()
                )
            };
            match &outcome {
                Ok(_) => session.log().verbose(|| format!("{}: done", about())),
                Err(failure) => session
                    .log()
                    .failed(&format!("{}: {}", about(), failure.msg)),
            }
            outcome
        });
        served.map_err(|mut failure| {
            failure.msg = format!("multus: {}", failure.msg);
            failure.into()
        })
    }
}

impl Plugin for Multus {
    fn add(&self, call: &Invocation) -> Result<AddResult, cni::Error> {
        self.serve(call, add::add)
    }

    fn del(&self, call: &Invocation) -> Result<(), cni::Error> {
        self.serve(call, del::del)
            .map_err(del::without_words_of_success)
    }

    fn check(&self, call: &Invocation) -> Result<(), cni::Error> {
        self.serve(call, check::check)
    }

    fn status(&self, call: &Invocation) -> Result<(), cni::Error> {
        self.serve(call, status::status)
    }

    fn gc(&self, call: &Invocation) -> Result<(), cni::Error> {
        self.serve(call, gc::gc)
    }

    fn about(&self) -> Option<&str> {
        Some("multus: a CNI plugin that gives a pod every network it asked for (Ferrovia)")
    }
}

/// ADD and STATUS need the file that `readinessindicatorfile` names, and do not wait for it.
fn check_readiness(session: &Session<'_>, code: u32) -> Result<(), Failure> {
    let file = &session.conf.readiness_indicator_file;
    if file.is_empty() || std::path::Path::new(file).exists() {
        return Ok(());
    }
    let msg = format!(
        "the default network is not ready: {file} (readinessindicatorfile) does not exist yet"
    );
    Err(Failure::new(code, Reason::PrimaryNotReady, msg))
}

/// Another command holds a lock for longer than this one may wait.
fn busy(step: &str, error: &crate::journal::JournalError) -> Failure {
    let msg = format!("{step}: {}", cni::error::chain(error));
    Failure::new(code::TRY_AGAIN_LATER, Reason::DelegateFailed, msg)
}
