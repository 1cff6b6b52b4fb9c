//! A failed command as users meet it: CNI code, message, reason, and the attachment it is about.

use cni::error::code;

use crate::wire::{AttachmentError, Reason};

/// Why a command of the plugin failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{msg}")]
pub struct Failure {
    /// CNI error code; that of a delegate passes through unchanged.
    pub code: u32,
    /// One line, causes joined by `: `.
    pub msg: String,
    /// Cause for machines.
    pub reason: Reason,
    /// Details of a delegate, if it gave some.
    pub details: String,
    /// Name of the attachment, empty when none was at work.
    pub attachment: String,
}

impl Failure {
    /// A failure that is about no single attachment.
    pub fn new(code: u32, reason: Reason, msg: impl Into<String>) -> Self {
        Self {
            code,
            msg: msg.into(),
            reason,
            details: String::new(),
            attachment: String::new(),
        }
    }

    /// The planner cannot be reached or does not answer in time: the kubelet tries again.
    pub fn daemon_not_ready(msg: impl Into<String>) -> Self {
        Self::new(code::TRY_AGAIN_LATER, Reason::DaemonNotReady, msg)
    }

    /// A step on our own files or sockets failed; `step` names it.
    pub fn io(step: &str, error: &dyn std::error::Error) -> Self {
        let msg = format!("{step}: {}", cni::error::chain(error));
        Self::new(code::IO, Reason::DelegateFailed, msg)
    }

    /// The planner's own refusal, as it gave it.
    pub fn refused(error: cni::Error) -> Self {
        Self {
            reason: Reason::of_details(&error.details).unwrap_or(Reason::NetworkInvalid),
            code: error.code,
            msg: error.msg,
            details: error.details,
            attachment: String::new(),
        }
    }

    /// The same failure, about this attachment.
    #[must_use]
    pub fn of(mut self, attachment: &str) -> Self {
        attachment.clone_into(&mut self.attachment);
        self
    }

    /// For [`crate::wire::Report::error`].
    pub fn report(&self) -> AttachmentError {
        AttachmentError {
            attachment: self.attachment.clone(),
            code: self.code,
            msg: self.msg.clone(),
            reason: self.reason,
        }
    }
}

impl From<Failure> for cni::Error {
    /// Details begin with the reason.
    fn from(failure: Failure) -> Self {
        let details = if failure.details.is_empty() {
            failure.reason.to_string()
        } else if Reason::of_details(&failure.details) == Some(failure.reason) {
            failure.details
        } else {
            format!("{}: {}", failure.reason, failure.details)
        };
        Self::new(failure.code, failure.msg).with_details(details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_details_of_an_error_begin_with_the_reason() {
        let error: cni::Error = Failure::daemon_not_ready("x").into();
        assert_eq!((error.code, error.details.as_str()), (11, "DaemonNotReady"));
    }

    #[test]
    fn details_of_a_delegate_follow_the_reason() {
        let mut failure = Failure::new(100, Reason::DelegateFailed, "x");
        failure.details = "vf is gone".into();
        let error: cni::Error = failure.into();
        assert_eq!(error.details, "DelegateFailed: vf is gone");
    }

    #[test]
    fn a_refusal_of_the_planner_keeps_its_code_and_reason() {
        let refusal = cni::Error::new(7, "x").with_details("PoolExhausted: 2 of 2");
        let failure = Failure::refused(refusal);
        assert_eq!(failure.reason, Reason::PoolExhausted);
        let error: cni::Error = failure.into();
        assert_eq!(
            (error.code, error.details.as_str()),
            (7, "PoolExhausted: 2 of 2")
        );
    }
}
