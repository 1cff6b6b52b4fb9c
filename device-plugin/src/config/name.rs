//! Names of resources: which are possible, and what is derived from them.

use std::{fmt, path::Path};

/// The resource that pods request: `prefix/name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceName {
    prefix: String,
    name: String,
}

/// Bytes of a socket's path, without the final zero (unix(7)).
const LONGEST_SOCKET: usize = 107;

impl ResourceName {
    /// Checks what Kubernetes demands of a qualified name, and that a socket of that name can exist
    /// in `directory`. The error says what is wrong and what is allowed.
    pub fn new(prefix: &str, name: &str, directory: &Path) -> Result<Self, String> {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let ends = name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.ends_with(|c: char| c.is_ascii_alphanumeric());
        if name.is_empty() || name.len() > 63 || !name.bytes().all(inner) || !ends {
            return Err(format!(
                "resourceName {name:?} is impossible: 1 to 63 letters, digits, - and _, with a letter or digit at both ends"
            ));
        }
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if prefix.len() > 253 || !prefix.split('.').all(label) {
            return Err(format!(
                "resourcePrefix {prefix:?} is impossible: a domain name of small letters, digits, - and dots, like intel.com"
            ));
        }
        let made = Self {
            prefix: prefix.to_owned(),
            name: name.to_owned(),
        };
        let length = directory.join(made.socket_name()).as_os_str().len();
        if length > LONGEST_SOCKET {
            return Err(format!(
                "resource {made} is too long: its socket's path would have {length} bytes, Linux allows {LONGEST_SOCKET}"
            ));
        }
        Ok(made)
    }

    /// The domain in front.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The name behind it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// File name of the socket that serves the resource.
    pub fn socket_name(&self) -> String {
        format!("{}_{}.sock", self.prefix, self.name)
    }

    /// Environment variable that lists a container's devices. `-` stays, as consumers expect.
    pub fn variable(&self) -> String {
        format!("PCIDEVICE_{}_{}", self.prefix, self.name)
            .replace('.', "_")
            .to_uppercase()
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.prefix, self.name)
    }
}
