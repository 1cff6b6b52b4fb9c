use std::cell::RefCell;
use std::io;

use super::*;
use crate::result::Interface;

mod refusal;

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
fn gc_and_status_do_not_look_at_the_container_id() {
    let plugin = Recorder::default();
    let (exit, _) = serve_with(&plugin, &env("GC", &[("CNI_CONTAINERID", "a/b")]), CONF);
    assert_eq!(exit, 0);
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
