//! Ethernet addresses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// An Ethernet address of six bytes; text form `aa:bb:cc:dd:ee:ff` in lower case.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// The all-zero address, which drivers take for "none".
    pub const ZERO: Self = Self([0; 6]);

    /// From the first six of `bytes`; `None` if there are fewer.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk().copied().map(Self)
    }

    /// All bytes are zero.
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// A station can have it: not zero, group bit clear (also excludes broadcast).
    pub fn is_valid_unicast(self) -> bool {
        !self.is_zero() && self.0[0] & 1 == 0
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.map(|byte| format!("{byte:02x}"));
        f.write_str(&text.join(":"))
    }
}

impl FromStr for MacAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text).map(Self).ok_or_else(|| Error::Text {
            value: text.to_owned(),
            expected: "a MAC address like 02:00:00:12:34:56",
        })
    }
}

fn parse(text: &str) -> Option<[u8; 6]> {
    let separator = if text.contains('-') { '-' } else { ':' };
    let mut bytes = [0; 6];
    let mut parts = text.split(separator);
    for byte in &mut bytes {
        let part = parts.next()?;
        // from_str_radix would accept a sign.
        if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(bytes)
}

impl TryFrom<String> for MacAddress {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(address: MacAddress) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_address_is_printed_in_lower_case() {
        let address: MacAddress = "AA:bb:0C:dd:EE:0f".parse().unwrap();
        assert_eq!(address.to_string(), "aa:bb:0c:dd:ee:0f");
        assert_eq!("aa-bb-0c-dd-ee-0f".parse::<MacAddress>().unwrap(), address);
    }

    #[test]
    fn texts_that_are_no_mac_address_are_refused() {
        for text in [
            "",
            "aa:bb:cc:dd:ee",
            "aa:bb:cc:dd:ee:ff:00",
            "aa:bb:cc:dd:ee:g0",
            "+a:bb:cc:dd:ee:ff",
            "aabbccddeeff",
        ] {
            let error = text.parse::<MacAddress>().unwrap_err().to_string();
            assert!(error.contains("is not a MAC address"), "{text}: {error}");
        }
    }

    #[test]
    fn zero_and_group_addresses_are_no_valid_unicast() {
        assert!(!MacAddress::ZERO.is_valid_unicast());
        assert!(!MacAddress([0xff; 6]).is_valid_unicast());
        assert!(!MacAddress([1, 0, 0x5e, 0, 0, 1]).is_valid_unicast());
        assert!(MacAddress([2, 0, 0, 0, 0, 1]).is_valid_unicast());
    }
}
