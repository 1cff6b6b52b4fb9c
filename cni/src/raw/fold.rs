//! When Go's JSON decoder takes two key spellings for the same field.

/// Equal by Unicode simple folding, as far as it can reach ASCII: upper and lower case, the Kelvin
/// sign and the long s.
pub(super) fn equal(a: &str, b: &str) -> bool {
    a == b || a.chars().map(fold).eq(b.chars().map(fold))
}

fn fold(c: char) -> char {
    match c {
        '\u{212a}' => 'k',
        '\u{17f}' => 's',
        c => c.to_ascii_lowercase(),
    }
}
