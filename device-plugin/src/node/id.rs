//! What a device is called: the id that the kubelet hands back and pods see.

use std::{fmt, str::FromStr};

use host::pci::PciAddress;

/// Name of a device in its pool.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceId {
    /// A PCI function: `0000:3b:02.1`.
    Pci(PciAddress),
    /// A device on the auxiliary bus, as `mlx5_core.sf.4`.
    Auxiliary {
        /// Driver module that made it.
        module: String,
        /// What it is, `sf` for a sub-function.
        kind: String,
        /// The bus's number of it, which is not the sub-function's own.
        number: u32,
    },
    /// A slot of the software fallback: `software-3` (design §5).
    Software(u32),
}

/// A text that names no device of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no id of a device: neither a PCI address nor an auxiliary device's name")]
pub struct NoDeviceId(String);

impl DeviceId {
    /// The PCI function, if it is one.
    pub fn pci(&self) -> Option<PciAddress> {
        match self {
            Self::Pci(address) => Some(*address),
            Self::Auxiliary { .. } | Self::Software(_) => None,
        }
    }
}

impl From<PciAddress> for DeviceId {
    fn from(address: PciAddress) -> Self {
        Self::Pci(address)
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pci(address) => address.fmt(f),
            Self::Auxiliary {
                module,
                kind,
                number,
            } => write!(f, "{module}.{kind}.{number}"),
            Self::Software(slot) => write!(f, "software-{slot}"),
        }
    }
}

impl FromStr for DeviceId {
    type Err = NoDeviceId;

    /// Reads what `Display` writes; of a PCI address any spelling.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Pci(address));
        }
        if let Some(slot) = text.strip_prefix("software-").and_then(number) {
            return Ok(Self::Software(slot));
        }
        auxiliary(text).ok_or_else(|| NoDeviceId(text.to_owned()))
    }
}

/// `<module>.<kind>.<number>` (kernel: drivers/base/auxiliary.c).
fn auxiliary(text: &str) -> Option<DeviceId> {
    let mut parts = text.split('.');
    let (module, kind, id) = (parts.next()?, parts.next()?, parts.next()?);
    let word = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    };
    let is_name = word(module) && word(kind) && parts.next().is_none();
    Some(DeviceId::Auxiliary {
        module: module.to_owned(),
        kind: kind.to_owned(),
        number: number(id)?,
    })
    .filter(|_| is_name)
}

/// Digits only: `from_str` would take a sign.
fn number(digits: &str) -> Option<u32> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s15_names_of_auxiliary_devices() {
        for junk in [
            "0000:12:34.0",
            "drv.type.id",
            "drv.type.-4",
            "drv.type.+4",
            "drv.type",
            "drv..1",
            "a.b.1.2",
            "a/b.sf.1",
            "GPU-3f1c",
        ] {
            assert!(junk.parse::<DeviceId>().is_err(), "{junk}");
        }
        let id: DeviceId = "drv.type.123".parse().unwrap();
        assert_eq!(
            id,
            DeviceId::Auxiliary {
                module: "drv".to_owned(),
                kind: "type".to_owned(),
                number: 123,
            }
        );
        assert_eq!(id.to_string(), "drv.type.123");
    }

    #[test]
    fn ids_are_read_as_they_are_written() {
        for text in [
            "0000:3b:02.1",
            "10000:e1:00.0",
            "mlx5_core.sf.4",
            "software-12",
        ] {
            assert_eq!(text.parse::<DeviceId>().unwrap().to_string(), text);
        }
    }
}
