use std::os::unix::fs::PermissionsExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use super::*;
use crate::raw::raw;

const CONF: &str = r#"{"cniVersion":"1.0.0","name":"net","plugins":[{"type":"x","n": 1.0e5}]}"#;

fn cache() -> (TempDir, Cache) {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::new(&dir.path().join("state"));
    (dir, cache)
}

fn cached(container_id: &str) -> Cached {
    let mut capability_args = Object::new();
    capability_args.set_str("mac", "02:00:00:00:00:01");
    Cached {
        network: "net".into(),
        container_id: container_id.into(),
        ifname: "net1".into(),
        netns: "/run/netns/a".into(),
        args: Args::parse("IgnoreUnknown=true;K8S_POD_NAME=p").unwrap(),
        capability_args,
        config: CONF.into(),
        result: Some(ResultText(raw(&serde_json::json!({"cniVersion":"1.0.0"})))),
    }
}

fn target(container_id: &str) -> Target {
    Target {
        container_id: container_id.into(),
        ifname: "net1".into(),
        ..Target::default()
    }
}

fn plant(cache: &Cache, container_id: &str, text: &[u8]) {
    fs::create_dir_all(&cache.results).unwrap();
    fs::write(cache.file("net", container_id, "net1"), text).unwrap();
}

#[test]
fn what_is_written_is_read() {
    let (_dir, cache) = cache();
    cache.write(&cached("c1")).unwrap();
    assert_eq!(
        cache.read("net", &target("c1")).unwrap(),
        Some(cached("c1"))
    );
}

#[test]
fn row_40_the_file_is_what_libcni_writes() {
    let (_dir, cache) = cache();
    cache.write(&cached("c1")).unwrap();
    let text = fs::read_to_string(cache.results.join("net-c1-net1")).unwrap();
    let config = STANDARD.encode(CONF);
    assert_eq!(
        text,
        format!(
            r#"{{"kind":"cniCacheV1","containerId":"c1","config":"{config}","ifName":"net1","networkName":"net","netns":"/run/netns/a","cniArgs":[["IgnoreUnknown","true"],["K8S_POD_NAME","p"]],"capabilityArgs":{{"mac":"02:00:00:00:00:01"}},"result":{{"cniVersion":"1.0.0"}}}}"#
        )
    );
}

#[test]
fn folder_and_file_are_for_root_only() {
    let (_dir, cache) = cache();
    cache.write(&cached("c1")).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&cache.results), 0o700);
    assert_eq!(mode(&cache.file("net", "c1", "net1")), 0o600);
}

#[test]
fn row_40_a_file_of_go_with_spaces_and_other_order_is_read() {
    let (_dir, cache) = cache();
    let text = r#"{
        "result": {"cniVersion": "0.3.1", "ips": [{"version": "4", "address": "10.0.0.2/24"}]},
        "kind": "cniCacheV1", "networkName": "net", "ifName": "net1", "containerId": "c1",
        "config": "e30=", "future": true }"#;
    plant(&cache, "c1", text.as_bytes());
    let read = cache.read("net", &target("c1")).unwrap().unwrap();
    assert_eq!(read.config, b"{}");
    assert_eq!(read.netns, "");
    assert_eq!(read.result(Version::V0_1_0).unwrap().ips.len(), 1);
}

#[test]
fn a_file_of_an_old_libcni_is_a_bare_result() {
    let (_dir, cache) = cache();
    plant(
        &cache,
        "c1",
        br#"{"cniVersion":"0.4.0","ips":[{"address":"10.0.0.2/24"}]}"#,
    );
    let read = cache.read("net", &target("c1")).unwrap().unwrap();
    assert_eq!(
        (read.network.as_str(), read.container_id.as_str()),
        ("net", "c1")
    );
    assert_eq!(read.result(Version::V0_1_0).unwrap().ips.len(), 1);
    assert!(cache.list().unwrap().is_empty());
}

#[test]
fn an_absent_file_is_no_error() {
    let (_dir, cache) = cache();
    assert_eq!(cache.read("net", &target("c1")).unwrap(), None);
    assert_eq!(cache.list().unwrap(), []);
    cache.remove("net", "c1", "net1").unwrap();
}

#[test]
fn a_damaged_file_says_what_is_wrong_and_where() {
    let (_dir, cache) = cache();
    let good = {
        cache.write(&cached("c1")).unwrap();
        fs::read(cache.file("net", "c1", "net1")).unwrap()
    };
    for text in [
        &b""[..],
        b"\0\0\0",
        b"{}",
        b"null",
        b"[]",
        br#"{"kind":"cniCacheV2"}"#,
        br#"{"kind":"cniCacheV1"}"#,
        &good[..good.len() / 2],
    ] {
        plant(&cache, "c1", text);
        let error = cache.read("net", &target("c1")).unwrap_err();
        let path = cache.file("net", "c1", "net1");
        assert!(
            error
                .to_string()
                .starts_with(&format!("result cache {} is damaged: ", path.display())),
            "{error}"
        );
    }
    assert!(cache.list().unwrap().is_empty());
}

#[test]
fn every_readable_attachment_is_listed_in_order() {
    let (_dir, cache) = cache();
    for id in ["c2", "c1"] {
        cache.write(&cached(id)).unwrap();
    }
    plant(&cache, "c0", b"garbage");
    fs::write(cache.results.join(".net-c9-net1.77"), "unfinished").unwrap();
    let listed: Vec<_> = cache
        .list()
        .unwrap()
        .into_iter()
        .map(|c| c.container_id)
        .collect();
    assert_eq!(listed, ["c1", "c2"]);
}

#[test]
fn removing_one_attachment_leaves_the_others() {
    let (_dir, cache) = cache();
    cache.write(&cached("c1")).unwrap();
    cache.write(&cached("c2")).unwrap();
    cache.remove("net", "c1", "net1").unwrap();
    assert_eq!(cache.list().unwrap(), [cached("c2")]);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("state"), "a file").unwrap();
    let cache = Cache::new(&dir.path().join("state"));
    let error = cache.write(&cached("c1")).unwrap_err().to_string();
    assert!(
        error.starts_with("create result cache ") && error.ends_with("state/results"),
        "{error}"
    );
}
