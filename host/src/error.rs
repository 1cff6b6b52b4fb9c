//! The one error type of this crate: which step failed, on which object, and the kernel's reason as its source.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A step that failed. Display names step and object only; the kernel's words are the source, so that a chain joined by
/// `: ` reads `set trust on vf 3 of ens1f0 (0000:3b:00.0): operation not supported`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An operation on a file, directory or link failed.
    #[error("{verb} {}", path.display())]
    File {
        /// What was tried: `read`, `write`, `open`, ...
        verb: &'static str,
        /// The object.
        path: PathBuf,
        /// The kernel's answer.
        source: Cause,
    },
    /// A file was read, and what it holds makes no sense.
    #[error("{} holds {value:?}, expected {expected}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// What it holds (shortened).
        value: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// A durable record is not valid JSON of its type.
    #[error("parse record {}", path.display())]
    Record {
        /// The record's file.
        path: PathBuf,
        /// The JSON error with line and column.
        source: serde_json::Error,
    },
    /// The kernel refused a request on a socket, a namespace or a device.
    #[error("{step}")]
    Kernel {
        /// What was asked, of which object, with which value.
        step: String,
        /// The kernel's answer.
        source: Cause,
    },
    /// A reply of the kernel could not be understood.
    #[error("{step}: unexpected reply of the kernel: {detail}")]
    Reply {
        /// What was asked.
        step: String,
        /// What is wrong with the reply.
        detail: String,
    },
    /// Something did not happen in the time given.
    #[error("{step}: still waiting after {seconds:.1} s")]
    Deadline {
        /// What was waited for.
        step: String,
        /// How long, in seconds.
        seconds: f64,
    },
    /// An object that must exist does not, or is in a state that forbids the step.
    #[error("{object}: {problem}")]
    State {
        /// The object: a PCI address, an interface, a path.
        object: String,
        /// What is wrong with it and what to do.
        problem: String,
        /// Class for callers that decide.
        kind: Kind,
    },
    /// A text is not what it should be (a PCI address, a MAC address).
    #[error("{value:?} is not {expected}")]
    Text {
        /// The text.
        value: String,
        /// What it should be, with an example.
        expected: &'static str,
    },
}

/// What a caller may want to decide upon. Matching on texts is forbidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The object does not exist: ENOENT, ENODEV, ENXIO, ESRCH.
    NotFound,
    /// The name or address is taken: EEXIST, ENOTUNIQ.
    Exists,
    /// Worth a retry: EAGAIN, EBUSY, ENETDOWN, EINTR.
    Busy,
    /// The driver or kernel cannot: EOPNOTSUPP, EPROTONOSUPPORT, ENOSYS, EAFNOSUPPORT.
    Unsupported,
    /// EPERM, EACCES, EROFS.
    Denied,
    /// The value is refused: EINVAL, ERANGE, EADDRNOTAVAIL, ENAMETOOLONG, or it does not parse.
    Invalid,
    /// A deadline passed.
    Deadline,
    /// Anything else.
    Other,
}

/// The kernel's reason: errno words in lower case, then the ext-ack text if one came.
#[derive(Debug, thiserror::Error)]
#[error("{}{}{}", words(io), if detail.is_empty() { "" } else { ": " }, detail)]
pub struct Cause {
    io: io::Error,
    detail: String,
}

impl Error {
    /// Class of the failure.
    pub fn kind(&self) -> Kind {
        match self {
            Self::File { source, .. } | Self::Kernel { source, .. } => source.kind(),
            Self::Value { .. } | Self::Record { .. } | Self::Text { .. } => Kind::Invalid,
            Self::Reply { .. } => Kind::Other,
            Self::Deadline { .. } => Kind::Deadline,
            Self::State { kind, .. } => *kind,
        }
    }

    /// Number of the kernel's error, if the kernel gave one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::File { source, .. } | Self::Kernel { source, .. } => source.errno(),
            _ => None,
        }
    }

    pub(crate) fn file(verb: &'static str, path: impl AsRef<Path>, source: io::Error) -> Self {
        Self::File {
            verb,
            path: path.as_ref().to_path_buf(),
            source: source.into(),
        }
    }

    pub(crate) fn kernel(step: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Kernel {
            step: step.into(),
            source: Cause::from(source.into()),
        }
    }

    pub(crate) fn state(kind: Kind, object: impl fmt::Display, problem: impl Into<String>) -> Self {
        Self::State {
            object: object.to_string(),
            problem: problem.into(),
            kind,
        }
    }
}

impl Cause {
    /// From an errno and the ext-ack text of a netlink reply (may be empty).
    pub(crate) fn new(errno: i32, detail: impl Into<String>) -> Self {
        Self {
            io: io::Error::from_raw_os_error(errno),
            detail: detail.into(),
        }
    }

    /// Number of the error, if it came from the kernel.
    pub fn errno(&self) -> Option<i32> {
        self.io.raw_os_error()
    }

    /// Text that the kernel gave in addition to the number; empty if none.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    fn kind(&self) -> Kind {
        use nix::libc as c;
        let Some(errno) = self.errno() else {
            return match self.io.kind() {
                io::ErrorKind::NotFound => Kind::NotFound,
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Kind::Invalid,
                _ => Kind::Other,
            };
        };
        match errno {
            c::ENOENT | c::ENODEV | c::ENXIO | c::ESRCH => Kind::NotFound,
            c::EEXIST | c::ENOTUNIQ => Kind::Exists,
            c::EAGAIN | c::EBUSY | c::ENETDOWN | c::EINTR => Kind::Busy,
            c::EOPNOTSUPP | c::EPROTONOSUPPORT | c::ENOSYS | c::EAFNOSUPPORT => Kind::Unsupported,
            c::EPERM | c::EACCES | c::EROFS => Kind::Denied,
            c::EINVAL | c::ERANGE | c::EADDRNOTAVAIL | c::ENAMETOOLONG => Kind::Invalid,
            c::ETIMEDOUT => Kind::Deadline,
            _ => Kind::Other,
        }
    }
}

impl From<io::Error> for Cause {
    fn from(io: io::Error) -> Self {
        Self {
            io,
            detail: String::new(),
        }
    }
}

/// The C library's words for an errno, first letter in lower case, without the number.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = match text.rfind(" (os error ") {
        Some(end) => &text[..end],
        None => text.as_str(),
    };
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_names_step_object_and_errno_words_once() {
        let error = Error::Kernel {
            step: "set trust on vf 3 of ens1f0 (0000:3b:00.0)".into(),
            source: Cause::new(nix::libc::EOPNOTSUPP, ""),
        };
        assert_eq!(
            error.to_string(),
            "set trust on vf 3 of ens1f0 (0000:3b:00.0)"
        );
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(source, "operation not supported");
        assert_eq!(error.kind(), Kind::Unsupported);
        assert_eq!(error.errno(), Some(95));
    }

    #[test]
    fn the_text_of_the_kernel_follows_the_errno_words() {
        assert_eq!(
            Cause::new(22, "vlan id out of range").to_string(),
            "invalid argument: vlan id out of range"
        );
    }
}
