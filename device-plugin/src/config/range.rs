//! The grammar `NAME[#ITEM(,ITEM)*]`, `ITEM` = `N` or `N-M`, of pfNames and rootDevices
//! (spec/device-plugin.md §1.6).

use std::ops::RangeInclusive;

/// Functions of one parent: all, or those with the indexes given (0-based, ends included).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Functions<Parent> {
    /// The parent.
    pub parent: Parent,
    /// `None` for all.
    pub indexes: Option<Vec<RangeInclusive<u32>>>,
}

impl<Parent> Functions<Parent> {
    /// Whether function `index` is meant; a function without an index is meant only by all.
    pub fn contains(&self, index: Option<u32>) -> bool {
        match (&self.indexes, index) {
            (None, _) => true,
            (Some(ranges), Some(index)) => ranges.iter().any(|range| range.contains(&index)),
            (Some(_), None) => false,
        }
    }

    /// The same functions of a parent that was understood by `parse`.
    pub(super) fn try_map<Other, E>(
        self,
        parse: impl FnOnce(Parent) -> Result<Other, E>,
    ) -> Result<Functions<Other>, E> {
        Ok(Functions {
            parent: parse(self.parent)?,
            indexes: self.indexes,
        })
    }
}

/// Reads one entry; the error names the item that is wrong and says what is expected.
pub(super) fn parse(text: &str) -> Result<Functions<String>, String> {
    let (parent, items) = match text.split_once('#') {
        None => (text, None),
        Some((parent, items)) => (parent, Some(items)),
    };
    if parent.is_empty() {
        return Err(format!("{text:?} names no device before #"));
    }
    let indexes = match items {
        None => None,
        Some(items) if items.contains('#') => {
            return Err(format!(
                "{text:?} has a second #: write one list, like {parent}#0,2-5"
            ));
        }
        Some(items) => Some(
            items
                .split(',')
                .map(|item| range(text, item))
                .collect::<Result<_, _>>()?,
        ),
    };
    Ok(Functions {
        parent: parent.to_owned(),
        indexes,
    })
}

/// Reads the part after `#` alone: `0-3,6`.
pub(super) fn indexes(text: &str) -> Result<Vec<RangeInclusive<u32>>, String> {
    text.split(',').map(|item| range(text, item)).collect()
}

fn range(text: &str, item: &str) -> Result<RangeInclusive<u32>, String> {
    let (first, last) = item.split_once('-').unwrap_or((item, item));
    let number = |digits: &str| {
        // from_str would take a sign.
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if plain {
            digits.parse::<u32>().ok()
        } else {
            None
        }
    };
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        (Some(first), Some(last)) => Err(format!(
            "{text:?}: range {item:?} is impossible, its first index is above its last: write {last}-{first}"
        )),
        _ => Err(format!(
            "{text:?}: {item:?} is no index like 3 and no range like 0-7"
        )),
    }
}
