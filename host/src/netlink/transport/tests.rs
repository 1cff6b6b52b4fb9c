use super::*;

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap();
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn refusal(flags: u16, errno: i32, request: &[u8]) -> Message {
    let length = u32::try_from(request.len()).unwrap();
    let mut payload = (-errno).to_ne_bytes().to_vec();
    payload.extend(length.to_ne_bytes());
    payload.extend([0; 12]);
    if flags & NLM_F_CAPPED == 0 {
        payload.extend(&request[16..]);
    }
    if flags & NLM_F_ACK_TLVS != 0 {
        payload.extend(attribute(2, &[0; 4]));
        payload.extend(attribute(NLMSGERR_ATTR_MSG, b"too bad\0"));
    }
    Message {
        kind: NLMSG_ERROR,
        flags,
        sequence: 1,
        payload,
    }
}

fn words(message: &Message) -> String {
    match acknowledgement(message) {
        Ok(()) => "acknowledged".to_owned(),
        Err(failure) => {
            let error = failure.during("try");
            let source = std::error::Error::source(&error).map(ToString::to_string);
            format!("{error}: {}", source.unwrap_or_default())
        }
    }
}

#[test]
fn the_text_of_an_extended_acknowledgement_is_decoded() {
    let request = [0; 44];
    let expected = "try: invalid argument: too bad";
    assert_eq!(words(&refusal(NLM_F_ACK_TLVS, 22, &request)), expected);
    assert_eq!(
        words(&refusal(NLM_F_ACK_TLVS | NLM_F_CAPPED, 22, &request)),
        expected
    );
    assert_eq!(words(&refusal(0, 22, &request)), "try: invalid argument");
    assert_eq!(words(&refusal(0, 0, &request)), "acknowledged");
}

#[test]
fn a_dump_can_end_with_an_error() {
    let mut message = refusal(0, 90, &[0; 16]);
    message.payload.truncate(4);
    assert!(done(&message).is_err());
    message.payload.clear();
    assert!(done(&message).is_ok());
}

#[test]
fn a_cut_datagram_is_an_error_and_no_panic() {
    assert!(split(&[1, 2, 3]).is_err());
    assert!(split(&[200, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]).is_err());
    assert_eq!(split(&[]).map(|messages| messages.len()).ok(), Some(0));
}

/// Two links and the end of a dump, the links with `flags`.
fn dumped(flags: u16) -> Option<usize> {
    let mut dump = Dump::default();
    for (kind, flags) in [(16, 0), (16, flags), (NLMSG_DONE, 0)] {
        let message = Message {
            kind,
            flags: flags | NLM_F_MULTIPART,
            sequence: 1,
            payload: Vec::new(),
        };
        let complete = dump.take(message).is_ok_and(|complete| complete);
        assert_eq!(complete, kind == NLMSG_DONE);
    }
    dump.finish().map(|replies| replies.len())
}

#[test]
fn a_dump_that_changed_on_the_way_is_not_used() {
    assert_eq!(dumped(0), Some(2));
    assert_eq!(dumped(NLM_F_DUMP_INTR), None);
}

#[test]
fn an_answer_that_never_comes_is_a_deadline_and_no_hang() {
    let mut transport = Transport::open().unwrap();
    limit(&transport.socket, Duration::from_millis(1)).unwrap();
    let failure = transport.receive().err().unwrap();
    assert_eq!(failure.during("read").kind(), crate::error::Kind::Deadline);
}
