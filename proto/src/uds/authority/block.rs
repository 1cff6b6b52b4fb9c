//! Replaces authorities in an HPACK header block (RFC 7541 §6).
//!
//! Both ends keep a table of headers sent earlier and must forget the same entries at the same
//! time. So a header keeps its representation, and its value keeps its decoded length, by which
//! entries are counted (§4.1).

use std::borrow::Cow;

use super::huffman;

/// Static index of the header (appendix A), there with an empty value.
const AUTHORITY: usize = 1;
const NAME: &[u8] = b":authority";

/// Put in place of an empty value; of another as many letters of it, over and over, as needed.
const VALUE: &[u8] = b"localhost";

/// The block with every authority replaced that is empty or holds `/` or `%`.
///
/// Nothing, when there is none or the block cannot be parsed. Left as they are, for the server to
/// refuse: an empty value that enters the table, since no valid value has its length; and a name
/// taken from the table of earlier headers, which is not followed: `:authority` has a static index.
pub(super) fn rewrite(block: &[u8]) -> Option<Vec<u8>> {
    let mut rest = Cursor { block, at: 0 };
    let mut out = Vec::new();
    let mut copied = 0;
    while let Some(first) = block.get(rest.at) {
        let start = rest.at;
        let (prefix, enters_table) = match first.leading_zeros() {
            0 => {
                if rest.integer(7)? == AUTHORITY {
                    out.extend(&block[copied..start]);
                    // A literal with the same name that does not enter the table.
                    out.push(1);
                    push_string(&mut out, VALUE);
                    copied = rest.at;
                }
                continue;
            }
            1 => (6, true),
            2 => {
                rest.integer(5)?;
                continue;
            }
            _ => (4, false),
        };
        let is_authority = match rest.integer(prefix)? {
            0 => *rest.string()? == *NAME,
            index => index == AUTHORITY,
        };
        let value_at = rest.at;
        let value = rest.string()?;
        let refused = value.is_empty() || value.iter().any(|byte| b"/%".contains(byte));
        if !is_authority || !refused || (value.is_empty() && enters_table) {
            continue;
        }
        out.extend(&block[copied..value_at]);
        let length = if value.is_empty() {
            VALUE.len()
        } else {
            value.len()
        };
        let value: Vec<u8> = VALUE.iter().copied().cycle().take(length).collect();
        push_string(&mut out, &value);
        copied = rest.at;
    }
    if copied == 0 {
        return None;
    }
    out.extend(&block[copied..]);
    Some(out)
}

/// Appends a string that is not Huffman-coded (§5.2).
fn push_string(out: &mut Vec<u8>, text: &[u8]) {
    let mut left = text.len();
    if left < 0x7f {
        out.push(low_bits(left));
    } else {
        out.push(0x7f);
        left -= 0x7f;
        while left > 0x7f {
            out.push(0x80 | low_bits(left));
            left >>= 7;
        }
        out.push(low_bits(left));
    }
    out.extend(text);
}

fn low_bits(number: usize) -> u8 {
    number.to_le_bytes()[0] & 0x7f
}

struct Cursor<'a> {
    block: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.block.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// An integer that begins in the low `prefix` bits of the next byte (§5.1), of at most four
    /// bytes more, as no length in a frame needs more.
    fn integer(&mut self, prefix: u32) -> Option<usize> {
        let full = (1 << prefix) - 1;
        let mut number = usize::from(self.byte()?) & full;
        if number < full {
            return Some(number);
        }
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            number += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// The text of a string (§5.2).
    fn string(&mut self) -> Option<Cow<'a, [u8]>> {
        let is_coded = self.block.get(self.at)? & 0x80 != 0;
        let length = self.integer(7)?;
        let bytes = self.block.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        if is_coded {
            huffman::decode(bytes).map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(bytes))
        }
    }
}

#[cfg(test)]
mod tests;
