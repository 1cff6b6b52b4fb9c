use serde_json::json;

use super::*;

const MULTUS: &str = r#"{"cniVersion":"1.0.0","name":"multus-cni-network","plugins":[{"type":"multus","clusterNetwork":"/x"}]}"#;

fn pod(ips: &[&str], annotations: &serde_json::Value) -> Pod {
    let ips: Vec<_> = ips.iter().map(|ip| json!({ "ip": ip })).collect();
    serde_json::from_value(json!({
        "metadata": {"namespace": "d", "name": "p", "uid": "u", "annotations": annotations},
        "status": {"podIPs": ips}
    }))
    .unwrap()
}

fn cached(uid: &str, address: &str, config: &str) -> Cached {
    let args = format!("IgnoreUnknown=1;K8S_POD_NAMESPACE=d;K8S_POD_NAME=p;K8S_POD_UID={uid}");
    let result = json!({
        "cniVersion": "1.0.0",
        "interfaces": [{"name": "eth0", "mac": "02:00:00:00:00:01", "sandbox": "/run/netns/x"}],
        "ips": [{"address": address, "interface": 0, "gateway": "10.1.0.1"}]
    });
    Cached {
        network: "multus-cni-network".into(),
        container_id: "c1".into(),
        ifname: "eth0".into(),
        netns: "/run/netns/x".into(),
        args: cni::args::Args::parse_lenient(&args).unwrap(),
        capability_args: cni::raw::Object::new(),
        config: config.into(),
        result: Some(cni::runtime::cache::ResultText(
            serde_json::value::to_raw_value(&result).unwrap(),
        )),
    }
}

fn named() -> Vec<(String, String)> {
    vec![("cbr0".into(), "eth0".into())]
}

#[test]
fn further_delegates_are_told_from_the_plugins_own_cache_for_the_same_sandbox() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::new(dir.path());
    for (container, ifname) in [("c1", "net1"), ("other", "net1")] {
        let mut cached = cached("u", "10.2.0.7/24", MULTUS);
        cached.network = "extra".into();
        cached.container_id = container.into();
        cached.ifname = ifname.into();
        cache.write(&cached).unwrap();
    }
    let conf = format!(
        r#"{{"name":"n","cniDir":{:?}}}"#,
        dir.path().display().to_string()
    );
    let conf = NetConf::parse(conf.as_bytes()).unwrap();
    let pod = pod(&["10.1.0.5"], &json!({}));
    let record = matching(&pod, &cached("u", "10.1.0.5/24", MULTUS)).unwrap();
    let mut networks = named();
    networks.push(("extra".into(), "net1".into()));
    networks.push(("lost".into(), "net2".into()));
    let text = from_results(&networks, &record, &further(&conf, &networks, &record));
    let elements = status::parse(&text).unwrap();
    let told: Vec<_> = elements
        .iter()
        .map(|e| (e.name.as_str(), e.default))
        .collect();
    assert_eq!(told, [("cbr0", true), ("extra", false)]);
    assert_eq!(elements[1].ips, ["10.2.0.7"]);
}

#[test]
fn a_plain_pod_with_addresses_and_no_status_lacks_one() {
    assert!(lacks_status(&pod(&["10.1.0.5"], &json!({}))));
    assert!(!lacks_status(&pod(&[], &json!({}))));
    let asks = json!({"k8s.v1.cni.cncf.io/networks": "a"});
    assert!(!lacks_status(&pod(&["10.1.0.5"], &asks)));
    let default = json!({"v1.multus-cni.io/default-network": "a"});
    assert!(!lacks_status(&pod(&["10.1.0.5"], &default)));
}

#[test]
fn a_pod_of_a_system_namespace_gets_its_status_like_any_other() {
    let mut pod = pod(&["10.1.0.5"], &json!({}));
    pod.metadata.namespace = Some("kube-system".into());
    assert!(lacks_status(&pod));
}

#[test]
fn a_status_that_fits_the_addresses_is_left_alone_and_a_stale_one_is_not() {
    let with = |text: &str| json!({"k8s.v1.cni.cncf.io/network-status": text});
    let one = r#"[{"name":"cbr0","ips":["10.1.0.5"],"default":true,"dns":{}}]"#;
    assert!(!lacks_status(&pod(&["10.1.0.5"], &with(one))));
    assert!(lacks_status(&pod(&["10.1.0.6"], &with(one))));
    let two = r#"[{"name":"d/a","ips":["10.1.0.6"],"dns":{}},{"name":"cbr0","ips":["10.1.0.5"],"default":true,"dns":{}}]"#;
    assert!(!lacks_status(&pod(&["10.1.0.5"], &with(two))));
    assert!(lacks_status(&pod(&["10.1.0.6"], &with(two))));
    assert!(!lacks_status(&pod(&["10.1.0.6"], &with("not json"))));
}

#[test]
fn a_pod_on_the_hosts_network_gets_no_status() {
    let mut pod = pod(&["10.1.0.5"], &json!({}));
    pod.spec = serde_json::from_str(r#"{"hostNetwork":true}"#).unwrap();
    assert!(!lacks_status(&pod));
}

#[test]
fn the_runtimes_record_counts_only_for_this_pod_with_these_addresses_and_our_plugin() {
    let pod = pod(&["10.1.0.5"], &json!({}));
    assert!(matching(&pod, &cached("u", "10.1.0.5/24", MULTUS)).is_some());
    assert!(matching(&pod, &cached("other", "10.1.0.5/24", MULTUS)).is_none());
    assert!(matching(&pod, &cached("u", "10.1.0.6/24", MULTUS)).is_none());
    let primary = r#"{"cniVersion":"1.0.0","name":"cbr0","plugins":[{"type":"bridge"}]}"#;
    assert!(matching(&pod, &cached("u", "10.1.0.5/24", primary)).is_none());
}

#[test]
fn the_status_has_what_the_result_says() {
    let pod = pod(&["10.1.0.5"], &json!({}));
    let record = matching(&pod, &cached("u", "10.1.0.5/24", MULTUS)).unwrap();
    assert_eq!(NetConf::parse(&record.conf).unwrap().cluster_network, "/x");
    let text = from_results(&named(), &record, &BTreeMap::new());
    let elements = status::parse(&text).unwrap();
    assert_eq!(elements.len(), 1);
    assert_eq!(elements[0].name, "cbr0");
    assert_eq!(elements[0].interface, "eth0");
    assert_eq!(elements[0].mac, "02:00:00:00:00:01");
    assert_eq!(elements[0].ips, ["10.1.0.5"]);
    assert!(elements[0].default);
}

#[test]
fn without_a_record_the_published_addresses_are_told() {
    let pod = pod(&["10.1.0.5", "fd00::5"], &json!({}));
    let elements = status::parse(&from_addresses(&named(), &pod)).unwrap();
    assert_eq!(elements[0].ips, ["10.1.0.5", "fd00::5"]);
    assert!(elements[0].default && elements[0].interface == "eth0");
}
