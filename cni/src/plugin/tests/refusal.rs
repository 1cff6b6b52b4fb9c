//! What never reaches the plugin (spec/sriov-cni.md §6.3).

use super::*;

#[test]
fn a_missing_command_is_an_error_of_the_environment() {
    let error = refused(&env("", &[]), CONF);
    assert_eq!(
        (error.code, error.msg.as_str()),
        (4, "required env variables [CNI_COMMAND] missing")
    );
}

#[test]
fn every_missing_variable_is_named() {
    let blank = [
        ("CNI_CONTAINERID", ""),
        ("CNI_NETNS", ""),
        ("CNI_IFNAME", ""),
        ("CNI_PATH", ""),
    ];
    let all = "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH] missing";
    let no_netns = "required env variables [CNI_CONTAINERID,CNI_IFNAME,CNI_PATH] missing";
    let path_only = "required env variables [CNI_PATH] missing";
    for (command, wanted) in [
        ("ADD", all),
        ("CHECK", all),
        ("DEL", no_netns),
        ("GC", path_only),
        ("STATUS", path_only),
    ] {
        let error = refused(&env(command, &blank), CONF);
        assert_eq!((error.code, error.msg.as_str()), (4, wanted), "{command}");
    }
    let error = refused(&env("ADD", &[("CNI_NETNS", ""), ("CNI_PATH", "")]), CONF);
    assert_eq!(
        error.msg,
        "required env variables [CNI_NETNS,CNI_PATH] missing"
    );
}

#[test]
fn an_invalid_container_id_or_interface_is_an_error_of_the_environment() {
    for change in [
        ("CNI_CONTAINERID", "a/b"),
        ("CNI_CONTAINERID", "-a"),
        ("CNI_IFNAME", ".."),
        ("CNI_IFNAME", "a:b"),
        ("CNI_IFNAME", "a\u{2003}b"),
        ("CNI_IFNAME", "sixteen_bytes_xx"),
    ] {
        for command in ["ADD", "DEL", "CHECK"] {
            assert_eq!(
                refused(&env(command, &[change]), CONF).code,
                4,
                "{change:?}"
            );
        }
    }
}

#[test]
fn unreadable_stdin_is_an_io_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("wire cut"))
        }
    }
    let mut stdout = Vec::new();
    assert_eq!(
        run(
            &Recorder::default(),
            &env("ADD", &[]),
            &mut Broken,
            &mut stdout
        ),
        1
    );
    let error = Error::parse(&stdout).unwrap();
    assert_eq!(
        (error.code, error.msg.as_str()),
        (5, "read the configuration from stdin: wire cut")
    );
}

#[test]
fn a_configuration_that_is_no_json_object_is_a_decoding_error() {
    for conf in [
        "",
        "x",
        "[]",
        "null",
        "{\"name\":1}",
        "{\"name\":\"n\",\"cniVersion\":1}",
    ] {
        assert_eq!(refused(&env("ADD", &[]), conf).code, 6, "{conf}");
    }
}

#[test]
fn a_missing_or_invalid_network_name_is_an_invalid_configuration() {
    for conf in [
        "{}",
        r#"{"name":""}"#,
        r#"{"name":null}"#,
        r#"{"name":"a/b"}"#,
        r#"{"name":"-a"}"#,
    ] {
        assert_eq!(refused(&env("ADD", &[]), conf).code, 7, "{conf}");
    }
}

#[test]
fn a_version_that_the_plugin_does_not_speak_is_refused_with_both_sides_named() {
    for command in ["ADD", "DEL", "CHECK", "GC", "STATUS"] {
        let error = refused(&env(command, &[]), r#"{"cniVersion":"9.9.9","name":"n"}"#);
        assert_eq!(
            (error.code, error.msg.as_str()),
            (1, "incompatible CNI versions")
        );
        assert!(
            error
                .details
                .starts_with("config is \"9.9.9\", plugin supports [\"0.1.0\" "),
            "{error}"
        );
    }
    let plugin = Recorder {
        versions: vec![Version::V1_0_0],
        ..Recorder::default()
    };
    let (_, stdout) = serve_with(&plugin, &env("ADD", &[]), CONF);
    let error = Error::parse(stdout.as_bytes()).unwrap();
    assert_eq!(
        error.details,
        "config is \"1.1.0\", plugin supports [\"1.0.0\"]"
    );
}

#[test]
fn check_gc_and_status_need_a_version_that_has_them() {
    for (command, version) in [
        ("CHECK", "0.3.1"),
        ("GC", "1.0.0"),
        ("STATUS", "1.0.0"),
        ("CHECK", ""),
    ] {
        let conf = format!(r#"{{"cniVersion":"{version}","name":"n"}}"#);
        let error = refused(&env(command, &[]), &conf);
        assert_eq!(error.code, 1);
        assert_eq!(
            error.msg,
            format!("config version does not allow {command}")
        );
    }
}

#[test]
fn an_unknown_command_is_an_error_of_the_environment() {
    let error = refused(&env("FROB", &[]), CONF);
    assert_eq!(
        (error.code, error.msg.as_str()),
        (4, "unknown CNI_COMMAND: FROB")
    );
}

#[test]
fn the_plugins_own_namespace_is_refused_before_any_work() {
    let own = ("CNI_NETNS", "/proc/thread-self/ns/net");
    for command in ["ADD", "DEL"] {
        assert_eq!(refused(&env(command, &[own]), CONF).code, 8);
    }
    for allow in ["1", "TRUE", "true"] {
        let plugin = Recorder::default();
        let changes = [own, ("CNI_NETNS_OVERRIDE", allow)];
        assert_eq!(
            serve_with(&plugin, &env("ADD", &changes), CONF).0,
            0,
            "{allow}"
        );
    }
    assert_eq!(
        refused(&env("ADD", &[own, ("CNI_NETNS_OVERRIDE", "yes")]), CONF).code,
        8
    );
}
