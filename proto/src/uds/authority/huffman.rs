//! Huffman code of HPACK strings (RFC 7541 §5.2 and appendix B).

/// Symbols by the length of their code in bits, in the order of the codes. The code is canonical:
/// each code is the one before it plus one, with zeros appended where the length grows. EOS, the
/// last of 30 bits, is left out: it must not occur.
const SYMBOLS: [(u32, &[u8]); 21] = [
    (5, b"012aceiost"),
    (6, b" %-./3456789=A_bdfghlmnpru"),
    (7, b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
    (8, b"&*,;XZ"),
    (10, b"!\"()?"),
    (11, b"'+|"),
    (12, b"#>"),
    (13, b"\x00$@[]~"),
    (14, b"^}"),
    (15, b"<`{"),
    (19, b"\\\xc3\xd0"),
    (20, b"\x80\x82\x83\xa2\xb8\xc2\xe0\xe2"),
    (21, b"\x99\xa1\xa7\xac\xb0\xb1\xb3\xd1\xd8\xd9\xe3\xe5\xe6"),
    (
        22,
        b"\x81\x84\x85\x86\x88\x92\x9a\x9c\xa0\xa3\xa4\xa9\xaa\xad\xb2\xb5\xb9\xba\xbb\xbd\xbe\
          \xc4\xc6\xe4\xe8\xe9",
    ),
    (
        23,
        b"\x01\x87\x89\x8a\x8b\x8c\x8d\x8f\x93\x95\x96\x97\x98\x9b\x9d\x9e\xa5\xa6\xa8\xae\xaf\
          \xb4\xb6\xb7\xbc\xbf\xc5\xe7\xef",
    ),
    (24, b"\t\x8e\x90\x91\x94\x9f\xab\xce\xd7\xe1\xec\xed"),
    (25, b"\xc7\xcf\xea\xeb"),
    (
        26,
        b"\xc0\xc1\xc8\xc9\xca\xcd\xd2\xd5\xda\xdb\xee\xf0\xf2\xf3\xff",
    ),
    (
        27,
        b"\xcb\xcc\xd3\xd4\xd6\xdd\xde\xdf\xf1\xf4\xf5\xf6\xf7\xf8\xfa\xfb\xfc\xfd\xfe",
    ),
    (
        28,
        b"\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13\x14\x15\x17\x18\x19\x1a\
          \x1b\x1c\x1d\x1e\x1f\x7f\xdc\xf9",
    ),
    (30, b"\n\r\x16"),
];

/// The text of a coded string; nothing when it holds EOS or is padded wrongly.
pub(super) fn decode(coded: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let (mut code, mut length) = (0, 0);
    for byte in coded {
        for shift in (0..8).rev() {
            code = code << 1 | u32::from(byte >> shift & 1);
            length += 1;
            if let Some(symbol) = symbol(code, length) {
                text.push(symbol);
                (code, length) = (0, 0);
            } else if length == 30 {
                return None;
            }
        }
    }
    // Padding is the begin of EOS, which is all ones.
    (length < 8 && code == (1 << length) - 1).then_some(text)
}

fn symbol(code: u32, length: u32) -> Option<u8> {
    let (mut first, mut before) = (0, 0);
    for (bits, symbols) in SYMBOLS {
        first <<= bits - before;
        before = bits;
        if bits == length {
            let nth = usize::try_from(code.checked_sub(first)?).ok()?;
            return symbols.get(nth).copied();
        }
        first += u32::try_from(symbols.len()).ok()?;
    }
    None
}

#[cfg(test)]
mod tests;
