//! ADD, DEL and CHECK of chained lists.

use super::*;

const CHAIN: &str = r#"{"cniVersion":"1.0.0","name":"net","plugins":[
    {"type":"first","odd":12345678901234567890,"capabilities":{"mac":true}},
    {"type":"second","esc":"\u0041  b","capabilities":{"mac":false,"ips":true}}]}"#;
const FIRST: &str = r#"{"cniVersion":"0.4.0","interfaces":[{"name":"net1","sandbox":"/run/netns/a"}],"ips":[{"version":"4","interface":0,"address":"10.0.0.2/24"}]}"#;
const SECOND: &str =
    r#"{"interfaces":[{"name":"net1","mac":"02:00:00:00:00:01","sandbox":"/run/netns/a"}]}"#;

fn chain() -> Node {
    let node = Node::new();
    node.prints("first", FIRST);
    node.prints("second", SECOND);
    node
}

#[test]
fn row_32_each_plugin_gets_its_predecessors_result_and_the_last_result_counts() {
    let node = chain();
    let result = node.runtime().add(&network(CHAIN), &target()).unwrap();
    assert_eq!(result.interfaces[0].mac, "02:00:00:00:00:01");
    assert!(result.ips.is_empty());
    let seen = node.seen();
    assert_eq!(node.order(), ["first ADD", "second ADD"]);
    assert_eq!(seen[0].get("prevResult"), None);
    assert_eq!(
        seen[1].get("prevResult").unwrap(),
        r#"{"cniVersion":"1.0.0","interfaces":[{"name":"net1","sandbox":"/run/netns/a"}],"ips":[{"interface":0,"address":"10.0.0.2/24"}]}"#
    );
    assert_eq!(seen[0].get("name"), Some("\"net\""));
    assert_eq!(seen[1].get("cniVersion"), Some("\"1.0.0\""));
    assert_eq!(seen[0].get("odd"), Some("12345678901234567890"));
    assert_eq!(seen[1].get("esc"), Some(r#""\u0041  b""#));
}

#[test]
fn the_environment_is_the_callers_with_the_calls_variables() {
    let node = chain();
    node.runtime().add(&network(CHAIN), &target()).unwrap();
    let bin = node.dir.path().join("bin");
    assert_eq!(
        node.seen()[0].env,
        format!(
            "CNI_ARGS=IgnoreUnknown=true;K8S_POD_NAME=p CNI_COMMAND=ADD CNI_CONTAINERID=c1 CNI_IFNAME=net1 CNI_NETNS=/run/netns/a CNI_PATH={} CNI_X=kept",
            bin.display()
        )
    );
}

#[test]
fn each_plugin_gets_the_capabilities_that_it_declares() {
    let node = chain();
    let offered = br#"{"mac":"02:00:00:00:00:09","ips":["10.0.0.9/24"],"bandwidth":{}}"#;
    let target = Target {
        capability_args: Object::parse(offered).unwrap(),
        ..target()
    };
    node.runtime().add(&network(CHAIN), &target).unwrap();
    node.runtime().del(&network(CHAIN), &target).unwrap();
    for seen in node.seen() {
        let wanted = match seen.plugin.as_str() {
            "first" => r#"{"mac":"02:00:00:00:00:09"}"#,
            _ => r#"{"ips":["10.0.0.9/24"]}"#,
        };
        assert_eq!(seen.get("runtimeConfig"), Some(wanted), "{}", seen.plugin);
    }
}

#[test]
fn del_goes_backwards_with_the_final_result_and_forgets_it() {
    let node = chain();
    node.runtime().add(&network(CHAIN), &target()).unwrap();
    node.runtime().del(&network(CHAIN), &target()).unwrap();
    assert_eq!(node.order()[2..], ["second DEL", "first DEL"]);
    let seen = node.seen();
    let wanted = SECOND.replacen('{', r#"{"cniVersion":"1.0.0","#, 1);
    assert_eq!(seen[2].get("prevResult"), Some(wanted.as_str()));
    assert_eq!(seen[3].get("prevResult"), Some(wanted.as_str()));
    assert!(!node.cache_file().exists());
    node.runtime().del(&network(CHAIN), &target()).unwrap();
    assert_eq!(node.seen()[4].get("prevResult"), None);
}

#[test]
fn del_below_0_4_gets_no_previous_result() {
    let node = chain();
    let old = network(&CHAIN.replace("1.0.0", "0.3.1"));
    node.runtime().add(&old, &target()).unwrap();
    node.runtime().del(&old, &target()).unwrap();
    assert_eq!(node.seen()[2].get("prevResult"), None);
}

#[test]
fn add_stops_at_the_first_failure_and_caches_nothing() {
    let node = chain();
    node.plugin(
        "first",
        r#"echo '{"code":11,"msg":"busy","details":"d"}'; exit 1"#,
    );
    let error = node.runtime().add(&network(CHAIN), &target()).unwrap_err();
    assert_eq!(node.order(), ["first ADD"]);
    assert!(!node.cache_file().exists());
    assert_eq!(
        Error::from(error),
        Error::new(11, "plugin type=\"first\" name=\"net\" failed (add): busy").with_details("d")
    );
}

#[test]
fn del_stops_at_the_first_failure_and_can_be_repeated() {
    let node = chain();
    node.runtime().add(&network(CHAIN), &target()).unwrap();
    node.plugin("second", "exit 1");
    node.runtime().del(&network(CHAIN), &target()).unwrap_err();
    assert_eq!(node.order()[2..], ["second DEL"]);
    assert!(node.cache_file().exists());
    node.plugin("second", "");
    node.runtime().del(&network(CHAIN), &target()).unwrap();
    assert!(node.seen()[3].get("prevResult").is_some());
}

#[test]
fn a_damaged_cache_is_left_out_and_del_calls_the_plugins() {
    let node = chain();
    node.runtime().add(&network(CHAIN), &target()).unwrap();
    fs::write(node.cache_file(), "\0\0").unwrap();
    node.runtime().del(&network(CHAIN), &target()).unwrap();
    assert_eq!(node.order()[2..], ["second DEL", "first DEL"]);
    assert_eq!(node.seen()[2].get("prevResult"), None);
    assert!(!node.cache_file().exists());
}

#[test]
fn an_unknown_version_is_refused_at_add_and_served_at_del() {
    let node = chain();
    let unknown = network(&CHAIN.replace("1.0.0", "9.9.9"));
    let error = node.runtime().add(&unknown, &target()).unwrap_err();
    assert_eq!(error.code(), 1);
    assert!(node.order().is_empty());
    node.runtime().del(&unknown, &target()).unwrap();
    assert_eq!(node.order(), ["second DEL", "first DEL"]);
}

#[test]
fn a_plugin_that_prints_nothing_or_garbage_fails_add_by_name() {
    for (body, wanted) in [
        (
            "",
            "plugin type=\"first\" name=\"net\" failed (add): the result is empty",
        ),
        (
            "echo hello",
            "plugin type=\"first\" name=\"net\" failed (add): result \"hello",
        ),
    ] {
        let node = chain();
        node.plugin("first", body);
        let error = Error::from(node.runtime().add(&network(CHAIN), &target()).unwrap_err());
        assert!(error.msg.starts_with(wanted), "{error}");
        assert_eq!(error.code, 6);
        assert!(!node.cache_file().exists());
    }
}

#[test]
fn a_hanging_plugin_fails_add_with_try_again_later() {
    let node = chain();
    node.plugin("first", "exec sleep 1000");
    let runtime = Runtime {
        deadline: Some(Duration::from_millis(50)),
        ..node.runtime()
    };
    let error = runtime.add(&network(CHAIN), &target()).unwrap_err();
    assert_eq!(error.code(), 11);
    assert!(matches!(
        error,
        RuntimeError::Plugin { source, .. } if matches!(*source, crate::exec::ExecError::Deadline { .. })
    ));
}

#[test]
fn all_plugins_of_a_network_together_end_by_the_time_given_and_what_comes_later_is_not_started() {
    let node = chain();
    node.plugin("second", "exec sleep 1000");
    let soon = Runtime {
        until: Instant::now().checked_add(Duration::from_millis(300)),
        ..node.runtime()
    };
    assert_eq!(soon.del(&network(CHAIN), &target()).unwrap_err().code(), 11);
    assert_eq!(node.order(), ["second DEL"]);
    let past = Runtime {
        until: Some(Instant::now()),
        ..node.runtime()
    };
    let error = Error::from(past.del(&network(CHAIN), &target()).unwrap_err());
    assert!(
        error.code == 11 && error.msg.contains("was not started"),
        "{error}"
    );
    assert_eq!(node.order(), ["second DEL"]);
}

#[test]
fn a_network_whose_name_is_too_long_for_a_file_is_cached_all_the_same() {
    let node = chain();
    let long = CHAIN.replace("\"net\"", &format!("\"{}\"", "n".repeat(300)));
    let network = network(&long);
    node.runtime().add(&network, &target()).unwrap();
    let listed = node.runtime().cache().unwrap().list().unwrap();
    assert_eq!(listed[0].network, "n".repeat(300));
    node.runtime().del(&network, &target()).unwrap();
    assert!(node.seen()[2].get("prevResult").is_some());
    assert!(node.runtime().cache().unwrap().list().unwrap().is_empty());
}

#[test]
fn a_missing_plugin_is_named_with_the_folders_searched() {
    let node = Node::new();
    let error = Error::from(node.runtime().add(&network(CHAIN), &target()).unwrap_err());
    assert!(
        error
            .msg
            .contains("failed to find plugin \"first\" in path"),
        "{error}"
    );
}

#[test]
fn a_single_conf_runs_like_a_list_of_one() {
    let node = chain();
    let conf = network(r#"{"cniVersion":"0.3.1","name":"net","type":"first","x":1}"#);
    let result = node.runtime().add(&conf, &target()).unwrap();
    assert_eq!(result.ips.len(), 1);
    let cached = node
        .runtime()
        .cache()
        .unwrap()
        .read("net", &target())
        .unwrap()
        .unwrap();
    assert_eq!(cached.config, conf.bytes());
    node.runtime().del(&conf, &target()).unwrap();
    assert_eq!(node.order(), ["first ADD", "first DEL"]);
}

#[test]
fn a_result_without_addresses_is_cached_even_in_the_oldest_version() {
    let node = Node::new();
    node.prints("first", r#"{"dns":{}}"#);
    let conf = network(r#"{"name":"net","type":"first"}"#);
    node.runtime().add(&conf, &target()).unwrap();
    assert!(node.cache_file().exists());
    node.runtime().del(&conf, &target()).unwrap();
}

#[test]
fn without_a_cache_nothing_is_written_and_the_callers_result_is_passed() {
    let node = chain();
    let runtime = Runtime {
        cache_dir: None,
        ..node.runtime()
    };
    let result = runtime.add(&network(CHAIN), &target()).unwrap();
    assert!(!node.dir.path().join("cache").exists());
    let prev_result = Some(result.to_raw(Version::V1_1_0).unwrap());
    runtime
        .del(
            &network(CHAIN),
            &Target {
                prev_result,
                ..target()
            },
        )
        .unwrap();
    let wanted = result.to_json(Version::V1_0_0).unwrap();
    assert_eq!(node.seen()[2].get("prevResult"), Some(wanted.as_str()));
}

#[test]
fn invalid_names_are_refused_before_any_call() {
    let node = chain();
    for (target, code) in [
        (
            Target {
                container_id: "../x".into(),
                ..target()
            },
            4,
        ),
        (
            Target {
                ifname: "a/b".into(),
                ..target()
            },
            4,
        ),
    ] {
        assert_eq!(
            node.runtime()
                .add(&network(CHAIN), &target)
                .unwrap_err()
                .code(),
            code
        );
        assert_eq!(
            node.runtime()
                .del(&network(CHAIN), &target)
                .unwrap_err()
                .code(),
            code
        );
    }
    for name in ["", "../x"] {
        let bad = network(&CHAIN.replace("\"net\"", &format!("\"{name}\"")));
        assert_eq!(node.runtime().add(&bad, &target()).unwrap_err().code(), 7);
    }
    assert!(node.order().is_empty());
}

#[test]
fn check_gets_the_cached_result_in_list_order() {
    let node = chain();
    node.runtime().add(&network(CHAIN), &target()).unwrap();
    node.runtime().check(&network(CHAIN), &target()).unwrap();
    assert_eq!(node.order()[2..], ["first CHECK", "second CHECK"]);
    assert!(
        node.seen()
            .iter()
            .skip(2)
            .all(|seen| seen.get("prevResult").is_some())
    );
}

#[test]
fn check_can_be_switched_off_and_needs_0_4() {
    let node = chain();
    let off = network(&CHAIN.replacen('{', r#"{"disableCheck":"true","#, 1));
    node.runtime().check(&off, &target()).unwrap();
    let old = network(&CHAIN.replace("1.0.0", "0.3.1"));
    let error = node.runtime().check(&old, &target()).unwrap_err();
    assert_eq!(error.code(), 1);
    assert_eq!(
        error.to_string(),
        "network \"net\" has CNI version \"0.3.1\", which does not support CHECK"
    );
    assert!(node.order().is_empty());
}
