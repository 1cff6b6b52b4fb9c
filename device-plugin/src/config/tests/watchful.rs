//! Keys `health` and `preferredAllocation`.

use super::*;
use crate::config::{Health, Preference};

#[test]
fn health_is_a_set_of_switches_and_the_carrier_is_off() {
    let usual = pool(r#""selectors":{}"#);
    assert_eq!(
        usual.health,
        Health {
            driver: true,
            vfio_group: true,
            carrier: false
        }
    );
    let other =
        pool(r#""selectors":{},"health":{"Carrier":true,"vfioGroup":false,"driver":false}"#);
    assert_eq!(
        other.health,
        Health {
            driver: false,
            vfio_group: false,
            carrier: true
        }
    );
}

#[test]
fn preferred_allocation_is_one_of_four_words() {
    assert_eq!(pool(r#""selectors":{}"#).preference, Preference::Numa);
    for (word, preference) in [
        ("numa", Preference::Numa),
        ("balanced", Preference::Balanced),
        ("packed", Preference::Packed),
        ("none", Preference::None),
    ] {
        let pool = pool(&format!(
            r#""selectors":{{}},"preferredAllocation":"{word}""#
        ));
        assert_eq!(pool.preference, preference);
    }
}

#[test]
fn unknown_words_of_health_and_preference_are_rejected_with_those_that_are_known() {
    assert_rejected(
        r#""selectors":{},"health":{"link":true}"#,
        "health has no \"link\": write driver, vfioGroup or carrier",
    );
    assert_rejected(
        r#""selectors":{},"preferredAllocation":"random""#,
        "preferredAllocation \"random\" is unknown: write numa, balanced, packed or none",
    );
}
