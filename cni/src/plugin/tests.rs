use std::cell::RefCell;
use std::io;

use super::*;
use crate::result::Interface;

/// Records the verbs that reached it.
#[derive(Default)]
struct Recorder {
    calls: RefCell<Vec<Invocation>>,
    fails: Option<Error>,
    panics: bool,
    versions: Vec<Version>,
}

impl Recorder {
    fn called(&self, call: &Invocation) -> Result<(), Error> {
        self.calls.borrow_mut().push(call.clone());
        assert!(!self.panics, "the plugin broke");
        self.fails.clone().map_or(Ok(()), Err)
    }
}

impl Plugin for Recorder {
    fn add(&self, call: &Invocation) -> Result<AddResult, Error> {
        self.called(call)?;
        let interface = Interface {
            name: call.ifname.clone(),
            ..Interface::default()
        };
        Ok(AddResult {
            interfaces: vec![interface],
            ..AddResult::default()
        })
    }
    fn del(&self, call: &Invocation) -> Result<(), Error> {
        self.called(call)
    }
    fn check(&self, call: &Invocation) -> Result<(), Error> {
        self.called(call)
    }
    fn status(&self, call: &Invocation) -> Result<(), Error> {
        self.called(call)
    }
    fn gc(&self, call: &Invocation) -> Result<(), Error> {
        self.called(call)
    }
    fn versions(&self) -> &[Version] {
        if self.versions.is_empty() {
            &Version::ALL
        } else {
            &self.versions
        }
    }
}

const CONF: &str = r#"{"cniVersion":"1.1.0","name":"net","type":"x"}"#;

fn env(command: &str, changes: &[(&str, &str)]) -> Env {
    let mut env: Env = [
        ("CNI_COMMAND", command),
        ("CNI_CONTAINERID", "c1"),
        ("CNI_NETNS", "/no/such/netns"),
        ("CNI_IFNAME", "net1"),
        ("CNI_ARGS", "A=1"),
        ("CNI_PATH", "/opt/cni/bin:/b"),
        ("HOME", "/root"),
    ]
    .into_iter()
    .collect();
    for (name, value) in changes {
        env.set(*name, *value);
    }
    env
}

fn serve_with(plugin: &Recorder, env: &Env, conf: &str) -> (u8, String) {
    let mut stdout = Vec::new();
    let exit = run(plugin, env, &mut conf.as_bytes(), &mut stdout);
    (exit, String::from_utf8(stdout).unwrap())
}

/// The error of a call that must not reach the plugin.
fn refused(env: &Env, conf: &str) -> Error {
    let plugin = Recorder::default();
    let (exit, stdout) = serve_with(&plugin, env, conf);
    assert_eq!(exit, 1);
    assert!(plugin.calls.borrow().is_empty(), "the plugin was called");
    assert!(stdout.contains("\"cniVersion\""));
    Error::parse(stdout.as_bytes()).unwrap()
}

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
fn each_verb_is_called_with_only_the_variables_it_requires() {
    let blank = [
        ("CNI_CONTAINERID", ""),
        ("CNI_NETNS", ""),
        ("CNI_IFNAME", ""),
    ];
    for (command, changes) in [
        ("ADD", &blank[..0]),
        ("CHECK", &blank[..0]),
        ("DEL", &blank[1..2]),
        ("STATUS", &blank[..]),
        ("GC", &blank[..]),
    ] {
        let plugin = Recorder::default();
        let (exit, stdout) = serve_with(&plugin, &env(command, changes), CONF);
        assert_eq!(exit, 0, "{command}: {stdout}");
        assert_eq!(plugin.calls.borrow()[0].command.as_str(), command);
        assert_eq!(stdout.is_empty(), command != "ADD", "{command}");
    }
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
fn gc_and_status_do_not_look_at_the_container_id() {
    let plugin = Recorder::default();
    let (exit, _) = serve_with(&plugin, &env("GC", &[("CNI_CONTAINERID", "a/b")]), CONF);
    assert_eq!(exit, 0);
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

#[test]
fn version_answers_one_line_without_reading_stdin() {
    struct Untouchable;
    impl Read for Untouchable {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("stdin was read")
        }
    }
    let mut stdout = Vec::new();
    let env: Env = [("CNI_COMMAND", "VERSION")].into_iter().collect();
    assert_eq!(
        run(&Recorder::default(), &env, &mut Untouchable, &mut stdout),
        0
    );
    assert_eq!(
        String::from_utf8(stdout).unwrap(),
        "{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.1.0\",\"0.2.0\",\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n"
    );
}

#[test]
fn the_plugin_sees_the_call_as_the_runtime_made_it() {
    let conf = r#"{ "cniVersion":"0.4.0","name":"net","n":1.0e5,"runtimeConfig":{"mac":"a"},"ipam":{"type":"host-local"},
        "prevResult":{"ips":[{"version":"4","address":"10.0.0.2/24"}]}}"#;
    let plugin = Recorder::default();
    serve_with(&plugin, &env("CHECK", &[]), conf);
    let calls = plugin.calls.borrow();
    let call = &calls[0];
    assert_eq!(call.stdin, conf.as_bytes());
    assert_eq!((call.name.as_str(), call.version), ("net", Version::V0_4_0));
    assert_eq!(
        (call.netns.as_str(), call.ifname.as_str()),
        ("/no/such/netns", "net1")
    );
    assert_eq!(
        call.path,
        ["/opt/cni/bin", "/b"].map(std::path::PathBuf::from)
    );
    assert_eq!(call.args().unwrap().get("A"), Some("1"));
    assert_eq!(call.env.get("HOME"), Some("/root"));
    assert_eq!(call.config.get("n").unwrap().get(), "1.0e5");
    assert_eq!(call.runtime_config().unwrap().len(), 1);
    assert_eq!(call.ipam_type().unwrap().as_deref(), Some("host-local"));
    assert_eq!(call.prev_result().unwrap().unwrap().ips.len(), 1);
    assert_eq!(call.valid_attachments().unwrap_err().code, 7);
}

#[test]
fn gc_reads_the_valid_attachments_under_both_names() {
    for key in [VALID_ATTACHMENTS, ATTACHMENTS] {
        let conf = format!(
            r#"{{"cniVersion":"1.1.0","name":"n","{key}":[{{"containerID":"c","ifname":"eth0"}}]}}"#
        );
        let plugin = Recorder::default();
        serve_with(&plugin, &env("GC", &[]), &conf);
        let valid = plugin.calls.borrow()[0].valid_attachments().unwrap();
        assert_eq!(
            valid,
            [Attachment {
                container_id: "c".into(),
                ifname: "eth0".into()
            }]
        );
    }
}

#[test]
fn broken_parts_of_the_configuration_have_their_codes() {
    let conf =
        r#"{"name":"n","cniVersion":"1.0.0","prevResult":[],"runtimeConfig":1,"ipam":{"type":1}}"#;
    let plugin = Recorder::default();
    serve_with(&plugin, &env("ADD", &[("CNI_ARGS", "A")]), conf);
    let calls = plugin.calls.borrow();
    let call = &calls[0];
    assert_eq!(call.prev_result().unwrap_err().code, 6);
    assert_eq!(call.runtime_config().unwrap_err().code, 7);
    assert_eq!(call.ipam_type().unwrap_err().code, 7);
    assert_eq!(call.args().unwrap_err().code, 4);
}

#[test]
fn a_result_is_told_in_the_configurations_version() {
    let conf = r#"{"cniVersion":"0.3.1","name":"n"}"#;
    let (exit, stdout) = serve_with(&Recorder::default(), &env("ADD", &[]), conf);
    assert_eq!(exit, 0);
    assert_eq!(
        stdout,
        "{\n    \"cniVersion\": \"0.3.1\",\n    \"interfaces\": [\n        {\n            \"name\": \"net1\"\n        }\n    ],\n    \"dns\": {}\n}\n"
    );
}

#[test]
fn a_result_that_the_version_cannot_tell_is_an_error() {
    let (exit, stdout) = serve_with(&Recorder::default(), &env("ADD", &[]), r#"{"name":"n"}"#);
    assert_eq!(exit, 1);
    assert_eq!(Error::parse(stdout.as_bytes()).unwrap().code, 1);
}

#[test]
fn the_plugins_error_is_printed_with_code_details_and_version() {
    let fails = Some(Error::new(103, "set vlan").with_details("EPERM"));
    let plugin = Recorder {
        fails,
        ..Recorder::default()
    };
    let (exit, stdout) = serve_with(
        &plugin,
        &env("DEL", &[]),
        r#"{"cniVersion":"0.4.0","name":"n"}"#,
    );
    assert_eq!(exit, 1);
    assert_eq!(
        stdout,
        "{\n    \"cniVersion\": \"0.4.0\",\n    \"code\": 103,\n    \"msg\": \"set vlan\",\n    \"details\": \"EPERM\"\n}\n"
    );
}

#[test]
fn a_panic_becomes_an_internal_error_on_stdout() {
    let plugin = Recorder {
        panics: true,
        ..Recorder::default()
    };
    let (exit, stdout) = serve_with(&plugin, &env("ADD", &[]), CONF);
    assert_eq!(exit, 1);
    let error = Error::parse(stdout.as_bytes()).unwrap();
    assert_eq!(
        (error.code, error.msg.as_str()),
        (999, "internal error: panicked: the plugin broke")
    );
}

#[test]
fn a_stdout_that_cannot_be_written_fails_the_call() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("full"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let exit = run(
        &Recorder::default(),
        &env("ADD", &[]),
        &mut CONF.as_bytes(),
        &mut Full,
    );
    assert_eq!(exit, 1);
}
