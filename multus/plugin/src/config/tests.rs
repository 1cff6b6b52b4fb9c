use super::*;

fn conf(json: &str) -> NetConf {
    NetConf::parse(json.as_bytes()).unwrap()
}

#[test]
fn row_5_defaults_are_those_of_go_multus() {
    let conf = conf(r#"{"name":"n","type":"multus"}"#);
    assert_eq!(conf.conf_dir, PathBuf::from("/etc/cni/multus/net.d"));
    assert_eq!(conf.cni_dir, PathBuf::from("/var/lib/cni/multus"));
    assert_eq!(conf.bin_dir, PathBuf::from("/opt/cni/bin"));
    assert_eq!(conf.multus_namespace, "kube-system");
    assert_eq!(conf.system_namespaces, ["kube-system"]);
    assert_eq!(conf.namespaces_exempt_from_isolation(), ["default"]);
    assert!(!conf.namespace_isolation);
}

#[test]
fn row_5_null_and_empty_values_mean_the_default() {
    let conf = conf(
        r#"{"name":"n","type":null,"confDir":"","cniDir":null,"systemNamespaces":[],"delegates":null,"runtimeConfig":null,"prevResult":null}"#,
    );
    assert_eq!(conf.conf_dir, PathBuf::from("/etc/cni/multus/net.d"));
    assert_eq!(conf.cni_dir, PathBuf::from("/var/lib/cni/multus"));
    assert_eq!(conf.system_namespaces, ["kube-system"]);
    assert!(conf.runtime_config.is_empty());
}

#[test]
fn a_configuration_without_a_default_network_says_what_to_set() {
    let error = conf(r#"{"name":"n"}"#).primary().unwrap_err().to_string();
    assert!(
        error.contains("clusterNetwork") && error.contains("delegates"),
        "{error}"
    );
}

#[test]
fn cluster_network_wins_over_delegates() {
    let conf = conf(r#"{"name":"n","clusterNetwork":"x","delegates":[{"type":"y"}]}"#);
    assert!(matches!(conf.primary().unwrap(), Primary::Reference(name) if name == "x"));
}

#[test]
fn global_namespaces_replace_the_implicit_default() {
    let conf = conf(r#"{"name":"n","globalNamespaces":"a, b"}"#);
    assert_eq!(conf.namespaces_exempt_from_isolation(), ["a", "b"]);
}

#[test]
fn default_networks_count_only_with_cluster_network_and_outside_system_namespaces() {
    let with = conf(r#"{"name":"n","clusterNetwork":"x","defaultNetworks":["a"]}"#);
    assert_eq!(with.default_networks_of("d"), ["a"]);
    assert!(with.default_networks_of("kube-system").is_empty());
    let without = conf(r#"{"name":"n","delegates":[{}],"defaultNetworks":["a"]}"#);
    assert!(without.default_networks_of("d").is_empty());
}

#[test]
fn the_planner_is_chosen_by_socket_then_kubeconfig_then_capability() {
    let socket = |path: &str| Planner::Socket(path.into());
    assert_eq!(
        conf(r#"{"daemonSocketDir":"/x","kubeconfig":"/k"}"#).planner(),
        socket("/x/multus.sock")
    );
    assert_eq!(conf(r#"{"kubeconfig":"/k"}"#).planner(), Planner::Child);
    assert_eq!(
        conf(r#"{"type":"multus-shim"}"#).planner(),
        socket(DEFAULT_SOCKET)
    );
    assert_eq!(
        conf(r#"{"capabilities":{"io.kubernetes.cri.pod-annotations":true}}"#).planner(),
        socket(DEFAULT_SOCKET)
    );
    assert_eq!(conf(r#"{"type":"multus"}"#).planner(), Planner::Absent);
}

#[test]
fn a_primary_named_by_a_nad_has_a_file_and_a_path_has_none() {
    let named = conf(r#"{"clusterNetwork":"cbr0","cniDir":"/s"}"#);
    assert_eq!(
        named.kept_primary(),
        Some("/s/primary/kube-system/cbr0.json".into())
    );
    assert_eq!(
        conf(r#"{"clusterNetwork":"/etc/cni/x.conf"}"#).kept_primary(),
        None
    );
    assert_eq!(conf(r#"{"clusterNetwork":".."}"#).kept_primary(), None);
}

#[test]
fn a_wrong_type_is_reported_with_its_place() {
    let error = NetConf::parse(br#"{"name":"n","delegates":7}"#).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("column"), "{source}");
}
