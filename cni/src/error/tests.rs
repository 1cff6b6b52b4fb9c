use super::*;

#[derive(Debug, thiserror::Error)]
#[error("open file a")]
struct Outer(#[source] std::io::Error);

#[test]
fn an_error_prints_as_indented_json_with_its_version() {
    let error =
        Error::new(code::INVALID_CONFIG, "vlan 4095 is out of range").with_details("0 to 4094");
    assert_eq!(
        error.to_json(Version::V1_0_0),
        "{\n    \"cniVersion\": \"1.0.0\",\n    \"code\": 7,\n    \"msg\": \"vlan 4095 is out of range\",\n    \"details\": \"0 to 4094\"\n}"
    );
}

#[test]
fn empty_details_are_not_printed() {
    assert!(
        !Error::new(5, "x")
            .to_json(Version::CURRENT)
            .contains("details")
    );
}

#[test]
fn a_printed_error_is_read_back_unchanged() {
    let error = Error::new(11, "lock \"a\" is busy\n").with_details("ü");
    assert_eq!(
        Error::parse(error.to_json(Version::V0_4_0).as_bytes()),
        Some(error)
    );
}

#[test]
fn an_error_of_go_without_version_is_read() {
    let error = Error::parse(br#"{ "code": 100, "msg": "no VF", "details": "" }"#).unwrap();
    assert_eq!((error.code, error.msg.as_str()), (100, "no VF"));
}

#[test]
fn what_is_no_error_object_is_not_taken_for_one() {
    for text in [
        "",
        "boom",
        "[]",
        r#"[7,"x",null]"#,
        "null",
        "{}",
        r#"{"cniVersion":"1.0.0"}"#,
        r#"{"code":-1,"msg":"x"}"#,
    ] {
        assert_eq!(Error::parse(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn the_cause_chain_is_joined_once() {
    let outer = Outer(std::io::Error::other("disk on fire"));
    assert_eq!(
        Error::from_chain(5, &outer).msg,
        "open file a: disk on fire"
    );
    assert_eq!(Error::new(5, "a").with_details("b").to_string(), "a; b");
}
