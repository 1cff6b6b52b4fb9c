use proptest::prelude::*;

use super::*;

/// `/var/lib/x.sock` and `%2Fvar%2Flib%2Fx.sock`, Huffman-coded.
const CODED_PATH: &[u8] = b"\x8b\x63\xb8\xec\x62\x83\x46\xc7\x95\xd0\x72\x75";
const CODED_ESCAPED: &[u8] =
    b"\x90\x54\x58\x7b\x8e\xc5\x45\x86\x83\x46\xa8\xb0\xf9\x5d\x07\x27\x5f";
/// `:authority`, Huffman-coded.
const CODED_NAME: &[u8] = b"\x88\xb8\x3b\x53\x39\xec\x32\x7d\x7f";

fn string(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    push_string(&mut out, text.as_bytes());
    out
}

/// `:method: POST`, then what is given, then `te: trailers` as a new header.
fn block(authority: &[&[u8]]) -> Vec<u8> {
    let te = [vec![0x40], string("te"), string("trailers")].concat();
    [&[0x83], authority.concat().as_slice(), &te].concat()
}

#[test]
fn a_path_becomes_an_authority_of_the_same_length_in_each_kind_of_literal() {
    for kind in [0x41, 0x01, 0x11] {
        for (path, expected) in [
            ("/", "l"),
            ("/var/x", "localh"),
            ("/var/lib/x.sock", "localhostlocalh"),
            ("%2Fvar%2Fx.sock", "localhostlocalh"),
        ] {
            assert_eq!(
                rewrite(&block(&[&[kind], &string(path)])),
                Some(block(&[&[kind], &string(expected)])),
            );
        }
    }
}

#[test]
fn a_name_that_is_spelt_out_is_found() {
    let expected = string("localh");
    for (kind, name) in [
        (0x40, string(":authority")),
        (0x00, string(":authority")),
        (0x10, string(":authority")),
        (0x40, CODED_NAME.to_vec()),
    ] {
        assert_eq!(
            rewrite(&block(&[&[kind], &name, &string("/var/x")])),
            Some(block(&[&[kind], &name, &expected])),
        );
    }
}

#[test]
fn the_length_of_a_huffman_coded_path_is_counted_decoded() {
    for (coded, expected) in [
        (CODED_PATH, "localhostlocalh"),
        (CODED_ESCAPED, "localhostlocalhostloc"),
    ] {
        assert_eq!(
            rewrite(&block(&[&[0x41], coded])),
            Some(block(&[&[0x41], &string(expected)])),
        );
    }
}

#[test]
fn a_path_longer_than_the_prefix_of_its_length_is_replaced() {
    for length in [126, 127, 128, 254, 255, 300, 16_000] {
        let path = "/".repeat(length);
        let expected: String = "localhost".chars().cycle().take(length).collect();
        assert_eq!(
            rewrite(&block(&[&[0x41], &string(&path)])),
            Some(block(&[&[0x41], &string(&expected)])),
        );
    }
}

#[test]
fn an_empty_authority_becomes_localhost() {
    let expected = block(&[&[0x01], &string("localhost")]);
    assert_eq!(
        rewrite(&block(&[&[0x01], &string("")])),
        Some(expected.clone())
    );
    assert_eq!(rewrite(&block(&[&[0x81]])), Some(expected), "static entry");
}

#[test]
fn an_empty_authority_that_enters_the_table_is_left() {
    assert_eq!(rewrite(&block(&[&[0x41], &string("")])), None);
}

#[test]
fn a_valid_authority_and_other_headers_with_a_slash_are_left() {
    assert_eq!(rewrite(&block(&[&[0x41], &string("localhost")])), None);
    assert_eq!(
        rewrite(&block(&[&[0x41], b"\x86\xa0\xe4\x1d\x13\x9d\x09"])),
        None,
        "localhost, Huffman-coded"
    );
    assert_eq!(rewrite(&block(&[&[0x44], &string("/svc/Call")])), None);
    assert_eq!(
        rewrite(&block(&[&[0x40], &string("x"), &string("/%")])),
        None
    );
    assert_eq!(rewrite(&block(&[&[0xbe]])), None, "an earlier header");
    assert_eq!(rewrite(&[]), None);
}

#[test]
fn what_comes_before_the_authority_is_stepped_over() {
    for before in [
        &b"\x20"[..],
        b"\x3f\xe1\x1f",         // table of 4096 bytes
        b"\xbe",                 // an earlier header
        b"\xff\x05",             // one whose index takes two bytes
        b"\x5f\x01/",            // content-type, index 31, enters the table
        b"\x7f\x00\x01/",        // index 63
        b"\x0f\x10\x01/",        // index 31, does not enter the table
        b"\x1f\x10\x82\x63\xcf", // index 31, never does; Huffman-coded
    ] {
        assert_eq!(
            rewrite(&block(&[before, &[0x41], &string("/x")])),
            Some(block(&[before, &[0x41], &string("lo")])),
            "{before:x?}"
        );
    }
}

#[test]
fn a_block_that_is_cut_short_or_wrongly_coded_is_left() {
    let whole = block(&[&[0x41], &string("/var/lib/x.sock")]);
    let boundaries = [18, whole.len()];
    for end in (3..whole.len()).filter(|end| !boundaries.contains(end)) {
        assert_eq!(rewrite(&whole[..end]), None, "{end}");
    }
    assert_eq!(rewrite(&[0x41, 0x81, 0x00]), None, "padding of zeros");
    assert_eq!(
        rewrite(&[0x41, 0x7f, 0xff, 0xff, 0xff, 0xff, 0x01]),
        None,
        "length beyond any frame"
    );
}

proptest! {
    #[test]
    fn no_block_is_too_broken(block in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Some(rewritten) = rewrite(&block) {
            prop_assert_eq!(rewrite(&rewritten), None, "a rewritten block has no more to replace");
        }
    }
}
