use proptest::prelude::*;

use super::*;

const DATA: u8 = 0;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 0x1;

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let stream = [0, 0, 0, 1];
    [&length[1..], &[kind, flags], &stream, payload].concat()
}

/// `:authority: /var`, between other headers, and what becomes of it.
const PATH: &[u8] = b"\x83\x41\x04/var\x86";
const REPLACED: &[u8] = b"\x83\x41\x04loca\x86";
/// `:authority: /var/lib/x.sock`, Huffman-coded, and what becomes of it.
const CODED: &[u8] = b"\x41\x8b\x63\xb8\xec\x62\x83\x46\xc7\x95\xd0\x72\x75";
const CODED_REPLACED: &[u8] = b"\x41\x0flocalhostlocalh";

/// What a client sends, and what the server is to read.
pub(in super::super) fn one_request() -> (Vec<u8>, Vec<u8>) {
    let with = |block: &[u8]| {
        [
            PREFACE,
            &frame(SETTINGS, 0, &[0, 2, 0, 0, 0, 0]),
            &frame(SETTINGS, 1, &[]),
            &frame(HEADERS, END_HEADERS, block),
            &frame(DATA, END_STREAM, &[0; 5]),
        ]
        .concat()
    };
    (with(PATH), with(REPLACED))
}

fn fed<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let (mut frames, mut out) = (Frames::default(), Vec::new());
    for chunk in chunks {
        frames.feed(chunk, &mut out);
    }
    frames.finish(&mut out);
    out
}

/// What is passed on of one frame after the preface.
fn passed(frame: &[u8]) -> Vec<u8> {
    fed([PREFACE, frame])[PREFACE.len()..].to_vec()
}

#[test]
fn a_request_is_rewritten_whatever_the_size_of_the_chunks() {
    let (sent, expected) = one_request();
    for size in 1..=sent.len() {
        assert_eq!(fed(sent.chunks(size)), expected, "{size}");
    }
}

#[test]
fn nothing_is_held_back_outside_of_heads_and_blocks() {
    let (mut frames, mut out) = (Frames::default(), Vec::new());
    let data = frame(DATA, 0, &[7; 100]);
    for bytes in [&PREFACE[..10], &PREFACE[10..], &data[..50], &data[50..]] {
        out.clear();
        frames.feed(bytes, &mut out);
        assert_eq!(out, bytes);
    }
    out.clear();
    frames.feed(&frame(HEADERS, END_HEADERS, PATH), &mut out);
    assert_eq!(out, frame(HEADERS, END_HEADERS, REPLACED));
}

#[test]
fn the_length_of_the_frame_follows_that_of_the_block() {
    for (block, replaced) in [
        (&[0x83, 0x81][..], &b"\x83\x01\x09localhost"[..]),
        (CODED, CODED_REPLACED),
    ] {
        let flags = END_HEADERS | END_STREAM;
        assert_eq!(
            passed(&frame(HEADERS, flags, block)),
            frame(HEADERS, flags, replaced)
        );
    }
}

#[test]
fn padding_and_priority_around_the_block_stay() {
    let priority = [0x80, 0, 0, 3, 200];
    for (flags, before, after) in [
        (PADDED, vec![3], vec![0; 3]),
        (PADDED, vec![0], vec![]),
        (PRIORITY, priority.to_vec(), vec![]),
        (
            PADDED | PRIORITY,
            [&[2], &priority[..]].concat(),
            vec![0; 2],
        ),
    ] {
        let with = |block: &[u8]| {
            let payload = [&before, block, &after].concat();
            frame(HEADERS, END_HEADERS | flags, &payload)
        };
        assert_eq!(passed(&with(PATH)), with(REPLACED));
        assert_eq!(passed(&with(CODED)), with(CODED_REPLACED));
    }
}

#[test]
fn more_padding_than_payload_passes_unchanged() {
    for payload in [&[9, 0x81][..], &[0xff], &[]] {
        let sent = frame(HEADERS, END_HEADERS | PADDED, payload);
        assert_eq!(passed(&sent), sent);
    }
    let sent = frame(HEADERS, END_HEADERS | PRIORITY, &[0x81; 4]);
    assert_eq!(passed(&sent), sent);
}

#[test]
fn a_block_in_several_frames_passes_unchanged() {
    let sent = [
        frame(HEADERS, 0, &PATH[..4]),
        frame(CONTINUATION, END_HEADERS, &PATH[4..]),
    ]
    .concat();
    assert_eq!(passed(&sent), sent);
}

#[test]
fn a_frame_too_large_or_that_would_be_passes_unchanged() {
    let filled = |begin: &[u8], size: usize| {
        let mut payload = begin.to_vec();
        payload.resize(size, 0x83);
        frame(HEADERS, END_HEADERS, &payload)
    };
    let largest = filled(PATH, MAX_PAYLOAD);
    assert_eq!(passed(&largest), filled(REPLACED, MAX_PAYLOAD));
    for sent in [filled(PATH, MAX_PAYLOAD + 1), filled(CODED, MAX_PAYLOAD)] {
        assert_eq!(passed(&sent), sent);
    }
}

/// Bytes cut at the places given.
fn cut<'a>(bytes: &'a [u8], places: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|at| at % (bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|at| &bytes[at[0]..at[1]]).collect()
}

fn places() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(any::<usize>(), 0..20)
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..most)
}

proptest! {
    #[test]
    fn frames_that_are_not_headers_pass_unchanged(
        sent in proptest::collection::vec((any::<u8>(), any::<u8>(), bytes(80)), 0..8),
        tail in bytes(8),
        places in places(),
    ) {
        let mut all = PREFACE.to_vec();
        for (kind, flags, payload) in sent.iter().filter(|(kind, ..)| *kind != HEADERS) {
            all.extend(frame(*kind, *flags, payload));
        }
        all.extend(tail);
        prop_assert_eq!(fed(cut(&all, &places)), all);
    }

    #[test]
    fn what_is_not_http_2_passes_unchanged(sent in bytes(200), same in 0..24_usize, places in places()) {
        let all = [&PREFACE[..same], b"\0", &sent].concat();
        prop_assert_eq!(fed(cut(&all, &places)), all);
    }

    #[test]
    fn chunks_make_no_difference(
        sent in proptest::collection::vec((0..3_u8, any::<u8>(), bytes(80)), 0..8),
        places in places(),
    ) {
        let mut all = PREFACE.to_vec();
        for (kind, flags, payload) in sent {
            all.extend(frame(kind, flags, &[PATH, &payload].concat()));
        }
        prop_assert_eq!(fed(cut(&all, &places)), fed([all.as_slice()]));
    }
}
