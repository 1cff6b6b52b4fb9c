#![expect(clippy::disallowed_methods, reason = "fixtures on disk")]

use std::fs;

use super::*;
use crate::error::chain;

fn inline_error(text: &str) -> String {
    chain(&config("nad", Some(text), Path::new("/nonexistent")).unwrap_err())
}

fn bytes(text: &str) -> String {
    let list = config("nad", Some(text), Path::new("/nonexistent")).unwrap();
    String::from_utf8(list.bytes().to_vec()).unwrap()
}

#[test]
fn a_config_with_a_name_passes_byte_for_byte() {
    for text in [
        "{ \"cniVersion\":\"0.3.1\", \"name\" : \"own\",\n \"type\":\"x\", \"big\": 12345678901234567890 }",
        r#"{"name":"own","plugins":[{"type":"x","f":1.0e5,"s":"\u0041"}],"unknown":{ }}"#,
    ] {
        assert_eq!(bytes(text), text);
    }
}

#[test]
fn a_missing_or_empty_name_becomes_the_nads() {
    assert_eq!(
        bytes(r#"{"type":"x","f":1.0e5}"#),
        r#"{"type":"x","f":1.0e5,"name":"nad"}"#
    );
    assert_eq!(
        bytes(r#"{"name":"","type":"x"}"#),
        r#"{"name":"nad","type":"x"}"#
    );
    assert_eq!(
        bytes(r#"{"plugins":[{"type":"x"}]}"#),
        r#"{"plugins":[{"type":"x"}],"name":"nad"}"#
    );
}

#[test]
fn an_unusable_config_names_the_nad_and_the_fault() {
    let prefix = "network attachment definition \"nad\": spec.config: ";
    for (text, wanted) in [
        ("{", "network configuration: not a JSON object"),
        ("null", "network configuration: not a JSON object"),
        (" ", "network configuration: not a JSON object"),
        (
            "{}",
            "network configuration has neither \"type\" nor \"plugins\"",
        ),
        (
            r#"{"plugins":[]}"#,
            "network configuration has an empty list of plugins",
        ),
        (
            r#"{"plugins":[null]}"#,
            "plugin 0 of the list is null, not an object",
        ),
        (
            r#"{"plugins":[{"type":"a"},{"x":1}]}"#,
            "plugin 1 of the list has no \"type\"",
        ),
        (r#"{"type":"a/b"}"#, "plugin type \"a/b\" is invalid"),
        (
            r#"{"type":"a","name":"b c"}"#,
            "network name \"b c\" is invalid",
        ),
        (
            r#"{"type":7}"#,
            "network configuration: key \"type\" has value 7",
        ),
    ] {
        let error = inline_error(text);
        assert!(
            error.starts_with(&format!("{prefix}{wanted}")),
            "{text}: {error}"
        );
    }
}

#[test]
fn an_empty_config_is_the_file_of_that_name() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("1.conf"), r#"{"name":"nad","type":"x"}"#).unwrap();
    for empty in [None, Some("")] {
        assert_eq!(
            config("nad", empty, dir.path()).unwrap().plugins()[0].plugin_type(),
            "x"
        );
        let error = chain(&config("other", empty, dir.path()).unwrap_err());
        assert_eq!(
            error,
            format!(
                "network attachment definition \"other\" has no spec.config: no configuration named \"other\" in {}",
                dir.path().display()
            )
        );
    }
}
