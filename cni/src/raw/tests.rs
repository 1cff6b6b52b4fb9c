use super::*;
use proptest::prelude::*;

fn object(text: &str) -> Object {
    Object::parse(text.as_bytes()).unwrap()
}

#[test]
fn odd_values_pass_through_byte_for_byte() {
    for value in [
        "1.0e5",
        "12345678901234567890",
        "-0.0",
        "1E+2",
        r#""\u0041\/\ud83d\ude00""#,
        r#""\ud800""#,
        "[ 1 ,\n\t2 ]",
        r#"{ "a" : { } , "a" : null }"#,
        "123456789012345678901234567890.000000000000000000001",
    ] {
        let text = format!(r#"{{"first":1,"odd":{value},"last":2}}"#);
        let mut parsed = object(&text);
        assert_eq!(parsed.to_string(), text);
        parsed.set_str("name", "n");
        assert_eq!(
            parsed.to_string(),
            format!(r#"{{"first":1,"odd":{value},"last":2,"name":"n"}}"#)
        );
    }
}

#[test]
fn keys_keep_their_escapes() {
    let text = r#"{"\u0061\/":1}"#;
    assert_eq!(object(text).to_string(), text);
    assert_eq!(object(text).get("a/").unwrap().get(), "1");
}

#[test]
fn whitespace_between_members_is_not_kept() {
    assert_eq!(
        object(" { \"a\" :  1 ,\n \"b\":[ 1 ]  } ").to_string(),
        r#"{"a":1,"b":[ 1 ]}"#
    );
}

#[test]
fn the_last_of_two_equal_keys_counts() {
    assert_eq!(
        object(r#"{"a":1,"b":2,"a":3}"#).to_string(),
        r#"{"b":2,"a":3}"#
    );
}

#[test]
fn only_objects_parse() {
    for text in ["", "null", "[]", "1", "{", "{}x", "{\"a\"}", "{\"a\":}"] {
        assert!(Object::parse(text.as_bytes()).is_err(), "{text}");
    }
    assert!(Object::parse(b"{\"a\":\"\xff\"}").is_err());
}

#[test]
fn folded_keys_are_those_that_go_would_read() {
    let parsed = object("{\"deviceId\":1,\"DEVICEID\":2,\"\u{212a}ey\":3,\"clu\u{17f}ter\":4}");
    assert_eq!(parsed.get_folded("deviceID").unwrap().get(), "2");
    assert_eq!(parsed.get_folded("key").unwrap().get(), "3");
    assert_eq!(parsed.get_folded("cluster").unwrap().get(), "4");
    assert!(parsed.get("deviceID").is_none());
    assert!(parsed.get_folded("deviceI").is_none());
}

#[test]
fn a_folded_set_leaves_one_spelling() {
    let mut parsed = object(r#"{"DEVICEID":1,"deviceID":2,"x":3,"deviceid":4}"#);
    parsed.set_folded("deviceID", raw("new"));
    assert_eq!(parsed.to_string(), r#"{"deviceID":"new","x":3}"#);
    assert!(parsed.remove_folded("DeviceId"));
    assert_eq!(parsed.to_string(), r#"{"x":3}"#);
    assert_eq!(parsed.remove("x").unwrap().get(), "3");
    assert!(parsed.is_empty());
}

#[test]
fn a_wrong_type_is_named_with_key_and_value() {
    let error = object(r#"{"mtu":"big"}"#).typed::<u32>("mtu").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("key \"mtu\" has value \"big\": "),
        "{error}"
    );
    assert_eq!(object(r#"{"mtu":null}"#).typed::<u32>("mtu").unwrap(), None);
    assert_eq!(object("{}").typed::<u32>("mtu").unwrap(), None);
}

#[test]
fn objects_inside_serde_types_keep_their_bytes() {
    #[derive(Serialize, Deserialize)]
    struct Outer {
        inner: Object,
    }
    let text = r#"{"inner":{"n":1.0e5,"s":"\u0041"}}"#;
    let outer: Outer = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&outer).unwrap(), text);
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        ".{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::vec((".{0,5}", inner), 0..4)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn printed_objects_parse_to_the_same_bytes(members in proptest::collection::vec((".{0,6}", json()), 0..6)) {
        let mut built = Object::new();
        for (key, value) in &members {
            built.set(key, raw(value));
        }
        let text = built.to_string();
        prop_assert_eq!(Object::parse(text.as_bytes()).unwrap().to_string(), text);
        for (key, _) in &members {
            prop_assert!(built.get(key).is_some());
        }
    }
}
