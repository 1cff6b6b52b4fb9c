#![expect(clippy::disallowed_methods, reason = "test files")]

use std::fs;

use super::*;

fn conf(json: &str) -> NetConf {
    NetConf::parse(json.as_bytes()).unwrap()
}

fn name_of(reference: &str, conf_dir: &Path, cni_dir: &Path) -> Result<String, Failure> {
    let json = format!(
        r#"{{"name":"m","clusterNetwork":"{reference}","confDir":"{}","cniDir":"{}"}}"#,
        conf_dir.display(),
        cni_dir.display()
    );
    resolve(&conf(&json)).map(|network| network.name().to_owned())
}

#[test]
fn a_reference_with_a_slash_is_a_folder_or_a_file() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("10-b.conflist"),
        r#"{"name":"b","plugins":[{"type":"x"}]}"#,
    )
    .unwrap();
    fs::write(dir.path().join("20-a.conf"), r#"{"name":"a","type":"x"}"#).unwrap();
    let folder = dir.path().display().to_string();
    assert_eq!(name_of(&folder, dir.path(), dir.path()).unwrap(), "b");
    assert_eq!(
        name_of(&format!("{folder}/20-a.conf"), dir.path(), dir.path()).unwrap(),
        "a"
    );
}

#[test]
fn a_plain_name_is_the_kept_nad_first_and_then_a_file_of_conf_dir() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("x.conf"),
        r#"{"name":"net","type":"from-conf-dir"}"#,
    )
    .unwrap();
    assert_eq!(name_of("net", dir.path(), dir.path()).unwrap(), "net");
    let kept = dir.path().join("primary/kube-system");
    fs::create_dir_all(&kept).unwrap();
    fs::write(
        kept.join("net.json"),
        r#"{"name":"kept","type":"from-nad"}"#,
    )
    .unwrap();
    assert_eq!(name_of("net", dir.path(), dir.path()).unwrap(), "kept");
}

#[test]
fn a_default_network_that_is_nowhere_is_not_ready_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let failure = name_of("net", dir.path(), dir.path()).unwrap_err();
    assert_eq!(
        (failure.code, failure.reason),
        (11, Reason::PrimaryNotReady)
    );
    assert!(failure.msg.contains("\"net\""), "{}", failure.msg);
}

#[test]
fn inline_delegates_are_named_by_position_and_only_the_first_is_offered_capabilities() {
    let conf = conf(
        r#"{"name":"m","runtimeConfig":{"dns":{}},"delegates":[
            {"name":"a","type":"x"},{"name":"b","plugins":[{"type":"y"}]}]}"#,
    );
    let found = attachments(&conf, "eth0").unwrap();
    let shape: Vec<_> = found
        .iter()
        .map(|a| (a.name.as_str(), a.ifname.as_str(), a.default))
        .collect();
    assert_eq!(shape, [("a", "eth0", true), ("b", "net1", false)]);
    assert!(found[0].capabilities.contains_key("dns"));
    assert!(found[1].capabilities.is_empty());
}

#[test]
fn a_network_that_is_multus_itself_is_refused() {
    for kind in OWN_TYPES {
        let json = format!(
            r#"{{"name":"m","delegates":[{{"name":"a","plugins":[{{"type":"x"}},{{"type":"{kind}"}}]}}]}}"#
        );
        let failure = attachments(&conf(&json), "eth0").unwrap_err();
        assert_eq!(failure.reason, Reason::NetworkInvalid);
        assert!(failure.msg.contains("multus itself"), "{}", failure.msg);
    }
}

#[test]
fn empty_and_null_plugins_are_errors_and_no_crash() {
    for delegate in [
        r#"{"name":"a","plugins":[]}"#,
        r#"{"name":"a","plugins":[null]}"#,
        "null",
        r#"{"name":"a"}"#,
    ] {
        let json = format!(r#"{{"name":"m","delegates":[{delegate}]}}"#);
        assert_eq!(
            attachments(&conf(&json), "eth0").unwrap_err().code,
            7,
            "{delegate}"
        );
    }
}
