//! Software slots: what a pool hands out on a node without NIC (design §5).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Start of the ids of slots.
pub const PREFIX: &str = "software-";

/// A slot, `software-<N>`; N without sign and leading zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Slot(u32);

/// Not the id of a slot.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no software slot: its id is {PREFIX}<number>")]
pub struct NoSlot(String);

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0)
    }
}

impl FromStr for Slot {
    type Err = NoSlot;

    fn from_str(text: &str) -> Result<Self, NoSlot> {
        let slot = text
            .strip_prefix(PREFIX)
            .and_then(|number| number.parse().ok())
            .map(Self);
        // One id, one file: no other spelling of a number.
        slot.filter(|slot| slot.to_string() == text)
            .ok_or_else(|| NoSlot(text.to_owned()))
    }
}

impl From<Slot> for String {
    fn from(slot: Slot) -> Self {
        slot.to_string()
    }
}

impl TryFrom<String> for Slot {
    type Error = NoSlot;

    fn try_from(text: String) -> Result<Self, NoSlot> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_has_one_spelling() {
        assert_eq!(
            "software-0".parse::<Slot>().unwrap().to_string(),
            "software-0"
        );
        for wrong in [
            "software-",
            "software-01",
            "software-+1",
            "software--1",
            "software-1 ",
            "Software-1",
            "1",
            "software-4294967296",
        ] {
            assert!(wrong.parse::<Slot>().is_err(), "{wrong}");
        }
    }
}
