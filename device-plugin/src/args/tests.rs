//! Case C14 of spec/device-plugin.md §8.2.

use super::*;

fn parse_line(line: &str) -> Result<Command, String> {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    parse(&words)
}

fn run(line: &str) -> Options {
    match parse_line(line) {
        Ok(Command::Run(options)) => *options,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn c14_every_spelling_of_a_flag_with_a_value() {
    for line in [
        "-config-file f",
        "--config-file f",
        "-config-file=f",
        "--config-file=f",
    ] {
        assert_eq!(run(line).settings.config, PathBuf::from("f"), "{line}");
    }
    for line in ["-resource-prefix p", "--resource-prefix=p"] {
        assert_eq!(run(line).settings.prefix, "p");
    }
}

#[test]
fn c14_flags_of_the_image_and_of_the_binary_give_the_same() {
    assert_eq!(run("--log-level=10").verbosity, 10);
    assert_eq!(run("-v 10").verbosity, 10);
    let options = run(
        "--log-dir=sriovdp --log-level=10 --resource-prefix=openshift.io --config-file=/etc/pcidp/node1 --use-cdi",
    );
    assert_eq!(options.settings.prefix, "openshift.io");
    assert_eq!(options.settings.config, PathBuf::from("/etc/pcidp/node1"));
    assert_eq!(options.without_effect.len(), 1);
}

#[test]
fn c14_flags_of_glog_are_accepted() {
    run(
        "-logtostderr -alsologtostderr=true -stderrthreshold INFO -vmodule a=1 -log_dir /x -log_backtrace_at f:1 -log_link x -logbuflevel 0 -v=4",
    );
}

#[test]
fn c14_a_switch_takes_a_value_only_after_the_equals_sign() {
    assert!(run("-use-cdi true").settings.cdi.by_default);
    assert!(!run("--use-cdi=false").settings.cdi.by_default);
    assert!(
        parse_line("--use-cdi=perhaps")
            .unwrap_err()
            .contains("true or false")
    );
}

#[test]
fn c14_unknown_flags_and_missing_values_are_errors_that_name_the_flag() {
    assert_eq!(
        parse_line("--no-such-flag=1").unwrap_err(),
        "flag provided but not defined: --no-such-flag=1"
    );
    assert_eq!(
        parse_line("--config-file").unwrap_err(),
        "flag needs a value: --config-file"
    );
    assert_eq!(
        parse_line("-v ten").unwrap_err(),
        "--v is a number, not \"ten\""
    );
}

#[test]
fn c14_help_is_asked_for_in_three_ways() {
    for line in ["-h", "--help", "help"] {
        assert!(matches!(parse_line(line), Ok(Command::Help)), "{line}");
    }
}

#[test]
fn defaults_are_those_of_the_go_binary() {
    let settings = run("").settings;
    assert_eq!(settings.config, PathBuf::from("/etc/pcidp/config.json"));
    assert_eq!(settings.prefix, "intel.com");
    assert_eq!(settings.kubelet_root, PathBuf::from("/var/lib/kubelet"));
    assert_eq!(
        settings.device_info,
        PathBuf::from("/var/run/k8s.cni.cncf.io/devinfo/dp")
    );
}

#[test]
fn validate_takes_a_file() {
    let Ok(Command::Validate(options)) = parse_line("validate --resource-prefix=p some.json")
    else {
        panic!("no validate");
    };
    assert_eq!(options.settings.config, PathBuf::from("some.json"));
    assert_eq!(options.settings.prefix, "p");
}

#[test]
fn c14_flags_of_cdi() {
    let usual = run("--use-cdi").settings.cdi;
    assert_eq!(usual.directory, PathBuf::from("/var/run/cdi"));
    assert_eq!(usual.answer, Answer::Both);
    let own = run("--cdi-dir /x --cdi-answer=field").settings.cdi;
    assert_eq!((own.directory, own.answer), ("/x".into(), Answer::Field));
    assert!(!own.by_default);
    let error = parse_line("--cdi-answer=none").unwrap_err();
    assert_eq!(
        error,
        "--cdi-answer is field, annotations or both, not \"none\""
    );
}

#[test]
fn reconciling_can_be_switched_off_and_is_on() {
    let minute = Some(Duration::from_mins(1));
    assert_eq!(run("").settings.reconcile, minute);
    assert_eq!(run("--reconcile-seconds 0").settings.reconcile, None);
}

#[test]
fn http_is_off_unless_asked_for_and_on_loopback_by_default() {
    assert_eq!(run("").settings.http, None);
    let address = run("--http-address :9808").settings.http.unwrap();
    assert_eq!(address.to_string(), "127.0.0.1:9808");
    let error = parse_line("--http-address nowhere").unwrap_err();
    assert!(
        error.starts_with("--http-address: \"nowhere\" is no address"),
        "{error}"
    );
}

#[test]
fn a_probe_needs_a_word_and_an_address() {
    let probe = parse_line("probe ready --http-address 9808").unwrap();
    assert!(
        matches!(probe, Command::Probe(_, Question::Ready)),
        "{probe:?}"
    );
    for (line, error) in [
        ("probe --http-address 9808", "probe: write live or ready"),
        (
            "probe live",
            "probe: --http-address is missing: where does it serve?",
        ),
    ] {
        assert_eq!(parse_line(line).unwrap_err(), error);
    }
}
