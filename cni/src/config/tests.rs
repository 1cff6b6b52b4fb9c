use super::*;
use crate::raw::Object;
use crate::version::Version;

fn list(text: &str) -> NetworkList {
    NetworkList::parse(text.as_bytes()).unwrap()
}

fn object(text: &str) -> Object {
    Object::parse(text.as_bytes()).unwrap()
}

fn error(text: &str) -> String {
    crate::error::chain(&NetworkList::parse(text.as_bytes()).unwrap_err())
}

#[test]
fn unchanged_bytes_are_kept_as_they_were() {
    let text = "{ \"name\":\"a\",\n \"type\" :\"x\", \"n\": 1.0e5 }\n";
    assert_eq!(list(text).bytes(), text.as_bytes());
}

#[test]
fn type_and_plugins_together_are_a_single_conf() {
    assert!(list(r#"{"type":"x","plugins":[{"type":"y"}]}"#).is_single());
    assert!(!list(r#"{"type":"","plugins":[{"type":"y"}]}"#).is_single());
}

#[test]
fn a_configuration_without_type_or_plugins_is_refused() {
    assert_eq!(
        error("{}"),
        "network configuration has neither \"type\" nor \"plugins\""
    );
    assert!(error("null").starts_with("network configuration: not a JSON object"));
    assert!(error("[]").contains("not a JSON object"));
    assert!(error("{\"type\":").contains("not a JSON object"));
}

#[test]
fn empty_plugins_and_null_plugins_are_typed_errors() {
    assert_eq!(
        error(r#"{"plugins":[]}"#),
        "network configuration has an empty list of plugins"
    );
    assert_eq!(
        error(r#"{"plugins":null}"#),
        "network configuration has an empty list of plugins"
    );
    assert_eq!(
        error(r#"{"plugins":[null]}"#),
        "plugin 0 of the list is null, not an object"
    );
    assert_eq!(
        error(r#"{"plugins":[{"type":"a"},7]}"#),
        "plugin 1 of the list is 7, not an object"
    );
    assert_eq!(
        error(r#"{"plugins":[{"type":"a"},{}]}"#),
        "plugin 1 of the list has no \"type\""
    );
    assert!(error(r#"{"plugins":{"type":"a"}}"#).contains("key \"plugins\""));
}

#[test]
fn a_type_with_a_slash_is_refused() {
    assert!(
        error(r#"{"type":"../../bin/sh"}"#).contains("plugin type \"../../bin/sh\" is invalid")
    );
    assert!(error(r#"{"plugins":[{"type":"/bin/sh"}]}"#).contains("must be the name of a file"));
}

#[test]
fn device_ids_go_into_a_conf() {
    let mut conf = list(r#"{"name":"n","type":"sriov"}"#);
    conf.set_device_id("0000:3b:02.1");
    assert_eq!(
        String::from_utf8_lossy(conf.bytes()),
        r#"{"name":"n","type":"sriov","deviceID":"0000:3b:02.1","pciBusID":"0000:3b:02.1"}"#
    );
}

#[test]
fn device_ids_go_into_every_plugin_of_a_list() {
    let mut conf =
        list(r#"{"name":"n","plugins":[{"type":"sriov","x": 1.0e5},{"type":"tuning"}]}"#);
    conf.set_device_id("a");
    assert_eq!(
        String::from_utf8_lossy(conf.bytes()),
        r#"{"name":"n","plugins":[{"type":"sriov","x":1.0e5,"deviceID":"a","pciBusID":"a"},{"type":"tuning","deviceID":"a","pciBusID":"a"}]}"#
    );
}

#[test]
fn no_other_spelling_of_a_device_id_survives() {
    let mut conf =
        list(r#"{"type":"sriov","DeviceId":"evil","deviceid":"evil","pciBusId":"evil"}"#);
    assert_eq!(
        conf.plugins()[0].device_id().unwrap().as_deref(),
        Some("evil")
    );
    conf.set_device_id("good");
    assert!(!String::from_utf8_lossy(conf.bytes()).contains("evil"));
    assert_eq!(
        conf.plugins()[0].device_id().unwrap().as_deref(),
        Some("good")
    );
}

#[test]
fn cni_args_go_into_a_conf_merge_and_go_into_every_plugin() {
    let mut conf = list(r#"{"type":"x"}"#);
    conf.merge_cni_args(&object(r#"{"a": 1,"b":[ 2 ]}"#))
        .unwrap();
    assert_eq!(
        conf.bytes(),
        br#"{"type":"x","args":{"cni":{"a":1,"b":[ 2 ]}}}"#
    );

    let mut conf = list(r#"{"type":"x","args":{"other":1,"cni":{"a":9,"z":0}}}"#);
    conf.merge_cni_args(&object(r#"{"a":1}"#)).unwrap();
    assert_eq!(
        conf.bytes(),
        br#"{"type":"x","args":{"other":1,"cni":{"a":1,"z":0}}}"#
    );

    let mut conf = list(r#"{"plugins":[{"type":"x","args":null},{"type":"y"}]}"#);
    conf.merge_cni_args(&object(r#"{"a":1}"#)).unwrap();
    for plugin in conf.plugins() {
        assert_eq!(
            plugin.object().get("args").unwrap().get(),
            r#"{"cni":{"a":1}}"#
        );
    }
}

#[test]
fn args_that_are_no_object_are_a_typed_error_and_change_nothing() {
    let text = r#"{"plugins":[{"type":"x"},{"type":"y","args":[1]}]}"#;
    let mut conf = list(text);
    let failed = conf.merge_cni_args(&object(r#"{"a":1}"#)).unwrap_err();
    assert_eq!(failed.to_string(), "key \"args\" is [1], not an object");
    assert_eq!(conf.bytes(), text.as_bytes());
    let failed = list(r#"{"type":"x","args":{"cni":"s"}}"#).merge_cni_args(&Object::new());
    assert_eq!(
        failed.unwrap_err().to_string(),
        "key \"args.cni\" is \"s\", not an object"
    );
}

#[test]
fn row_32_a_plugin_gets_name_version_previous_result_and_its_own_capabilities() {
    let conf = list(
        r#"{"type":"x","capabilities":{"mac":true,"ips":false},"keep":12345678901234567890,"NAME":"old"}"#,
    );
    let offered = object(r#"{"mac":"aa:bb","ips":["10.0.0.1"],"bandwidth":{}}"#);
    let prev = crate::raw::raw(&[1, 2]);
    let stdin = conf.plugins()[0].stdin("net", "1.0.0", Some(&prev), &offered);
    assert_eq!(
        stdin.to_string(),
        r#"{"type":"x","capabilities":{"mac":true,"ips":false},"keep":12345678901234567890,"name":"net","cniVersion":"1.0.0","prevResult":[1,2],"runtimeConfig":{"mac":"aa:bb"}}"#
    );
}

#[test]
fn a_capability_that_is_not_declared_true_is_not_passed() {
    let conf = list(r#"{"type":"x","capabilities":{"ips":false}}"#);
    let stdin = conf.plugins()[0].stdin("net", "1.0.0", None, &object(r#"{"ips":[],"mac":""}"#));
    assert!(stdin.get("runtimeConfig").is_none());
    assert!(!conf.has_capability("ips"));
    assert!(error(r#"{"type":"x","capabilities":{"ips":"yes"}}"#).contains("\"capabilities\""));
}

#[test]
fn row_32_the_best_version_of_a_list_is_chosen() {
    let version = |text: &str| list(text).version().unwrap();
    let plugins = r#""plugins":[{"type":"x"}]"#;
    assert_eq!(
        version(&format!(
            r#"{{"cniVersion":"1.0.0","cniVersions":["1.1.0","1.0.0"],{plugins}}}"#
        )),
        Version::V1_1_0
    );
    assert_eq!(
        version(&format!(
            r#"{{"cniVersion":"1.0.0","cniVersions":["2.0.0","0.4.0"],{plugins}}}"#
        )),
        Version::V1_0_0
    );
    assert_eq!(
        version(&format!(r#"{{"cniVersions":["0.3.1"],{plugins}}}"#)),
        Version::V0_3_1
    );
    assert_eq!(version(&format!("{{{plugins}}}")), Version::V0_1_0);
    assert!(
        error(&format!(r#"{{"cniVersions":["new"],{plugins}}}"#)).contains("unknown CNI version")
    );
}

#[test]
fn an_unknown_version_is_kept_for_del_and_refused_by_version() {
    let conf = list(r#"{"cniVersion":"9.9.9","type":"x"}"#);
    assert_eq!(conf.cni_version(), "9.9.9");
    assert!(conf.version().is_err());
}

#[test]
fn switches_are_truth_values_or_their_names() {
    let conf = |value: &str| {
        format!(r#"{{"disableCheck":{value},"disableGC":{value},"plugins":[{{"type":"x"}}]}}"#)
    };
    for (value, wanted) in [
        ("true", true),
        ("\"True\"", true),
        ("false", false),
        ("\"false\"", false),
    ] {
        assert_eq!(list(&conf(value)).disable_check(), wanted, "{value}");
        assert_eq!(list(&conf(value)).disable_gc(), wanted, "{value}");
    }
    assert_eq!(
        error(&conf("1")),
        "key \"disableCheck\" is 1, not true or false"
    );
    assert!(error(&conf("\"on\"")).contains("not true or false"));
}

#[test]
fn a_name_can_be_set_and_is_checked() {
    let mut conf = list(r#"{"plugins":[{"type":"x"}],"q":"\u00e9  \u0041"}"#);
    assert!(matches!(conf.check_name(), Err(ConfigError::NoName)));
    conf.set_name("a b");
    assert!(matches!(conf.check_name(), Err(ConfigError::Name(_))));
    conf.set_name("ab");
    conf.check_name().unwrap();
    conf.set_cni_version("0.4.0");
    assert_eq!(
        String::from_utf8_lossy(conf.bytes()),
        r#"{"plugins":[{"type":"x"}],"q":"\u00e9  \u0041","name":"ab","cniVersion":"0.4.0"}"#
    );
}

#[test]
fn a_list_without_plugins_can_be_opened_and_filled() {
    let mut conf = NetworkList::parse_open(br#"{"name":"n"}"#).unwrap();
    assert!(conf.plugins().is_empty());
    conf.push_plugin(Plugin::new(object(r#"{"type":"x"}"#)).unwrap());
    assert_eq!(conf.bytes(), br#"{"name":"n","plugins":[{"type":"x"}]}"#);
}
