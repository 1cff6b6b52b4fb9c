//! Rows 57 and 58: nodes without a serving daemon.

use base64::Engine as _;

use super::*;

/// An installation with a kubeconfig, as the thin manifest has it.
fn thin(lab: &Lab, account: &str) -> anyhow::Result<Healed> {
    file::create_dir(&lab.path("account"), 0o755).unwrap();
    let payload = r#"{"exp":4102444800,"kubernetes.io":{"namespace":"kube-system","pod":{"name":"multus-x"}}}"#;
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(payload);
    lab.put("account/token", &format!("e30.{payload}.c2ln\n"));
    lab.put("account/ca.crt", "the ca");
    lab.put("planner", "the planner");
    let host = |name: &str| lab.path(name).display().to_string();
    let own = [
        format!(
            "--multus-kubeconfig-file-host={}",
            host("net.d/multus.d/multus.kubeconfig")
        ),
        format!("--service-account-dir={}", host(account)),
        format!("--multus-daemon-bin-file={}", host("planner")),
        "--api-server=https://10.0.0.1:443".to_owned(),
    ];
    let words: Vec<&str> = own.iter().map(String::as_str).collect();
    lab.install(&words)
}

#[test]
fn row_58_a_node_without_daemon_gets_kubeconfig_and_planner_which_leave_with_multus() {
    let lab = Lab::new();
    thin(&lab, "account").unwrap();
    let kubeconfig = lab.path("net.d/multus.d/multus.kubeconfig");
    assert_eq!(lab.plugin()["kubeconfig"], json!(kubeconfig));
    assert_eq!(
        lab.text("bin/multus-daemon").as_deref(),
        Some("the planner")
    );
    let text = lab.text("net.d/multus.d/multus.kubeconfig").unwrap();
    assert!(text.contains("https://10.0.0.1:443"), "{text}");
    let installed = Store::new(&lab.path("state")).read().unwrap().unwrap();
    for path in [kubeconfig, lab.path("bin/multus-daemon")] {
        assert!(installed.programs.contains(&path), "{installed:?}");
    }
}

#[test]
fn row_58_what_thin_mode_left_goes_with_multus_when_the_node_has_a_daemon_by_then() {
    let lab = Lab::new();
    thin(&lab, "account").unwrap();
    let names = ["net.d/multus.d/multus.kubeconfig", "bin/multus-daemon"];
    // Twice: an upgrade comes after the change of the mode.
    for _ in 0..2 {
        lab.install(&["--plugin", &lab.path("planner").display().to_string()])
            .unwrap();
        let installed = Store::new(&lab.path("state")).read().unwrap().unwrap();
        for name in names {
            assert!(
                installed.programs.contains(&lab.path(name)),
                "{name}: {installed:?}"
            );
        }
    }
    assert_eq!(lab.plugin().get("kubeconfig"), None);
}

#[test]
fn row_58_a_pod_without_a_token_is_told_so_before_anything_is_changed() {
    let lab = Lab::new();
    let error = thin(&lab, "nothing").unwrap_err().to_string();
    assert!(error.contains("automountServiceAccountToken"), "{error}");
    assert_eq!(lab.text("net.d/00-multus.conflist"), None);
}

/// The whole text, so that no key comes or goes unseen. What differs from Go multus is design §2: the primary by its
/// path instead of a copy, the runtime's annotations, a list of versions.
#[test]
fn row_57_each_option_of_thin_entrypoint_gives_this_text() {
    let text = |words: &[&str]| {
        let lab = Lab::new();
        lab.install(words).unwrap();
        let root = lab.path("").display().to_string();
        lab.text("net.d/00-multus.conflist")
            .unwrap()
            .replace(&root, "/")
    };
    let around = |name: &str, keys: &str| {
        format!(
            r#"{{"cniVersion":"1.0.0","cniVersions":["1.0.0","1.1.0"],"name":"{name}","plugins":[{{{keys}"type":"multus","capabilities":{{"io.kubernetes.cri.pod-annotations":true}},"clusterNetwork":"/net.d/10-flannel.conf"}}]}}"#
        )
    };
    let plain = around("multus-cni-network", "");
    for (option, keys) in [
        ("--namespace-isolation", r#""namespaceIsolation":true,"#),
        ("--global-namespaces=a,b", r#""globalNamespaces":"a,b","#),
        ("--multus-log-level=debug", r#""logLevel":"debug","#),
        ("--multus-log-file=/l", r#""logFile":"/l","#),
        ("--multus-log-to-stderr=false", r#""logToStderr":false,"#),
        (
            "--readiness-indicator-file=/r",
            r#""readinessindicatorfile":"/r","#,
        ),
        ("--additional-bin-dir=/b", r#""binDir":"/b","#),
    ] {
        assert_eq!(
            text(&[option]),
            around("multus-cni-network", keys),
            "{option}"
        );
    }
    assert_eq!(text(&["--override-network-name"]), around("cbr0", ""));
    for without_effect in [
        "--cni-version=0.3.1",
        "--cleanup-config-on-exit",
        "--skip-config-watch=true",
        "--rename-conf-file",
        "--force-cni-version=true",
        "--skip-tls-verify",
        "--multus-conf-file=auto",
    ] {
        assert_eq!(text(&[without_effect]), plain, "{without_effect}");
    }
}

#[test]
fn row_57_neither_renaming_nor_versions_touch_the_primarys_file() {
    let lab = Lab::new();
    let before = lab.text("net.d/10-flannel.conf");
    lab.install(&[
        "--rename-conf-file",
        "--force-cni-version",
        "--cni-version=1.0.0",
    ])
    .unwrap();
    assert_eq!(lab.text("net.d/10-flannel.conf"), before);
    assert_eq!(
        file::list(&lab.path("net.d")).unwrap(),
        ["00-multus.conflist", "10-flannel.conf"]
    );
}

#[test]
fn row_57_the_folder_for_configurations_of_nads_is_made_and_told() {
    use std::os::unix::fs::PermissionsExt;
    let lab = Lab::new();
    let dir = lab.path("cni/multus/net.d");
    lab.install(&[&format!("--multus-cni-conf-dir={}", dir.display())])
        .unwrap();
    assert_eq!(lab.plugin()["confDir"], json!(dir));
    let mode = std::fs::metadata(&dir).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
}
