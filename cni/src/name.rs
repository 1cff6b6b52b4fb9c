//! Names of the protocol: container ids, network names, interface names, plugin types.

/// A name that breaks the rules of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {value:?} is invalid: {rule}")]
pub struct InvalidName {
    /// What it names, e.g. `interface name`.
    pub kind: &'static str,
    /// The value found.
    pub value: String,
    /// The rule it breaks.
    pub rule: &'static str,
}

/// `^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`.
pub fn check_container_id(value: &str) -> Result<(), InvalidName> {
    identifier("container id", value)
}

/// `^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`.
pub fn check_network(value: &str) -> Result<(), InvalidName> {
    identifier("network name", value)
}

/// At most 15 bytes, not empty, not `.` or `..`, no `/`, `:`, NUL or Unicode whitespace.
pub fn check_interface(value: &str) -> Result<(), InvalidName> {
    let rule = if value.is_empty() {
        "it is empty"
    } else if value.len() > 15 {
        "it is longer than 15 bytes"
    } else if value == "." || value == ".." {
        "it is . or .."
    } else if value
        .chars()
        .any(|c| matches!(c, '/' | ':' | '\0') || c.is_whitespace())
    {
        "it contains a slash, a colon, a NUL or white space"
    } else {
        return Ok(());
    };
    Err(InvalidName {
        kind: "interface name",
        value: value.to_owned(),
        rule,
    })
}

/// A file name: not empty, no `/`, no NUL, not `.` or `..`.
pub fn check_plugin_type(value: &str) -> Result<(), InvalidName> {
    let rule = if value.is_empty() {
        "it is empty"
    } else if value.contains(['/', '\0']) || value == "." || value == ".." {
        "it must be the name of a file, not a path"
    } else {
        return Ok(());
    };
    Err(InvalidName {
        kind: "plugin type",
        value: value.to_owned(),
        rule,
    })
}

/// Longest name of a file on Linux's file systems, in bytes.
const LONGEST_FILE: usize = 255;

/// `<head><tail>` as the name of a file. Where that is longer than a file's name may be, the end of `head` gives way to
/// its hash: two names stay two, and `tail` stays readable.
pub(crate) fn file_name(head: &str, tail: &str) -> String {
    if head.len() + tail.len() <= LONGEST_FILE {
        return format!("{head}{tail}");
    }
    let hash = format!("~{:016x}", hash(head));
    let room = LONGEST_FILE.saturating_sub(hash.len() + tail.len());
    format!("{}{hash}{tail}", &head[..head.floor_char_boundary(room)])
}

/// FNV-1a, 64 bit: short names of long ones, nothing that has to withstand an attack.
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn identifier(kind: &'static str, value: &str) -> Result<(), InvalidName> {
    let mut chars = value.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_alphanumeric());
    if first && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')) {
        return Ok(());
    }
    Err(InvalidName {
        kind,
        value: value.to_owned(),
        rule: "it must be letters, digits, '_', '.' and '-', the first a letter or digit",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_that_is_too_long_is_cut_and_stays_distinct() {
        assert_eq!(file_name("a", "-c1-eth0"), "a-c1-eth0");
        let (one, two) = ("n".repeat(300), "n".repeat(301));
        let [one, two] = [one, two].map(|head| file_name(&head, "-c1-eth0"));
        assert_eq!((one.len(), two.len()), (255, 255));
        assert!(one != two && one.ends_with("-c1-eth0"), "{one}");
        let exact = file_name(&"n".repeat(247), "-c1-eth0");
        assert_eq!(exact, format!("{}-c1-eth0", "n".repeat(247)));
        assert!(file_name(&"ü".repeat(200), "-c1-eth0").len() <= 255);
    }

    #[test]
    fn container_ids_follow_the_pattern() {
        for good in ["a", "0", "A-b_c.d", &"f".repeat(200)] {
            assert!(check_container_id(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "_a", "a/b", "a b", "ä", "a\n"] {
            assert!(check_container_id(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn interface_names_follow_the_kernels_rules() {
        for good in ["eth0", "a", "exactly15bytes_", "ü.x"] {
            assert!(check_interface(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "a:b",
            "a b",
            "a\tb",
            "a\u{2003}b",
            "a\0b",
            "sixteen_bytes_xx",
        ] {
            assert!(check_interface(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_plugin_type_with_a_slash_is_refused() {
        for bad in ["", "/bin/sh", "../x", "a/b", "."] {
            assert!(check_plugin_type(bad).is_err(), "{bad:?}");
        }
        assert!(check_plugin_type("host-local").is_ok());
    }
}
