use super::*;

fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(|byte| *byte != b' ').collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn the_examples_of_rfc_7541_appendix_c_decode() {
    for (coded, text) in [
        ("f1e3 c2e5 f23a 6ba0 ab90 f4ff", "www.example.com"),
        ("a8eb 1064 9cbf", "no-cache"),
        ("25a8 49e9 5ba9 7d7f", "custom-key"),
        ("25a8 49e9 5bb8 e8b4 bf", "custom-value"),
        ("6402", "302"),
        ("aec3 771a 4b", "private"),
        (
            "d07a be94 1054 d444 a820 0595 040b 8166 e082 a62d 1bff",
            "Mon, 21 Oct 2013 20:13:21 GMT",
        ),
        (
            "9d29 ad17 1863 c78f 0b97 c8e9 ae82 ae43 d3",
            "https://www.example.com",
        ),
        ("640e ff", "307"),
        ("9bd9 ab", "gzip"),
        (
            "94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 \
             65c0 03ed 4ee5 b106 3d50 07",
            "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
        ),
    ] {
        assert_eq!(decode(&hex(coded)).as_deref(), Some(text.as_bytes()));
    }
}

#[test]
fn the_table_has_each_symbol_once_and_leaves_one_code_for_eos() {
    let mut all: Vec<u8> = SYMBOLS.iter().flat_map(|(_, some)| some.to_vec()).collect();
    all.sort_unstable();
    assert_eq!(all, (0..=255).collect::<Vec<u8>>());
    let taken: usize = SYMBOLS
        .iter()
        .map(|(bits, some)| some.len() << (30 - bits))
        .sum();
    assert_eq!(taken, (1 << 30) - 1);
}

#[test]
fn the_longest_codes_decode() {
    // Appendix B: 0x3ffffffc, 0x3ffffffd, 0x3ffffffe are 10, 13, 22; six bits of padding follow.
    let coded = hex("fffffff3 ffffffdf ffffff bf");
    assert_eq!(decode(&coded), Some(vec![10, 13, 22]));
}

#[test]
fn eos_and_wrong_padding_do_not_decode() {
    assert_eq!(decode(&[0xff; 4]), None, "EOS");
    assert_eq!(decode(&[0xff]), None, "a whole byte of padding");
    assert_eq!(decode(&[0x00]), None, "padding of zeros after 0");
    assert_eq!(decode(&[]), Some(Vec::new()));
}
