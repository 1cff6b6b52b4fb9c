//! Every platform with every switch: each rendering is valid for the oldest and the newest Kubernetes, and has every
//! property that `properties` knows.

use std::{collections::BTreeMap, fs, io::Write};

use serde_json::Value;

use super::{
    properties,
    tools::{self, name, rendered},
    typed,
};

/// The oldest Kubernetes that is served, and the newest whose schema is known.
pub(super) const OLDEST: &str = "1.26.0";
pub(super) const NEWEST: &str = "1.37.0";

/// Platforms of values.schema.json.
pub(super) fn platforms() -> Vec<String> {
    let schema: Value =
        serde_json::from_str(&tools::text("deploy/chart/values.schema.json")).unwrap();
    let names = tools::words(&schema["properties"]["platform"]["enum"]);
    assert_eq!(names.len(), 8);
    names.into_iter().map(str::to_owned).collect()
}

const PROVISION: &str = r#"provision=[{"pf":{"pfNames":["ens1f0"]},"numVfs":8,"groups":[{"vfs":"0-7","driver":"vfio-pci"}]}]"#;
const POOLS: &str = r#"pools=[{"resourceName":"sriov_net","selectors":{"pfNames":["ens1f0"],"needVhostNet":true}}]"#;
const NETWORKS: &str = r#"networks=[{"name":"a","resource":"intel.com/sriov_net","config":{"type":"sriov","vlan":100}}]"#;
const CERTIFICATES: &str = "multus.certificates.enabled=true,multus.certificates.duration=1h30m,multus.certificates.bootstrapKubeconfig=/var/lib/rancher/k3s/agent/kubelet.kubeconfig,multus.certificates.bootstrapFolders={/var/lib/rancher/k3s/agent}";
const PLACED: &str = r#"multus.nodeSelector={"a":"b"}"#;

/// Switches, each a name and options of helm.
pub(super) const SWITCHES: [(&str, &[&str]); 20] = [
    ("defaults", &[]),
    ("no multus", &["--set", "components.multus=false"]),
    (
        "no device plugin",
        &["--set", "components.devicePlugin=false"],
    ),
    ("no sriov", &["--set", "components.sriovCni=false"]),
    (
        "multus alone",
        &[
            "--set",
            "components.devicePlugin=false,components.sriovCni=false",
        ],
    ),
    (
        "device plugin alone",
        &["--set", "components.multus=false,components.sriovCni=false"],
    ),
    ("provision", &["--set-json", PROVISION]),
    (
        "provision, no multus",
        &["--set-json", PROVISION, "--set", "components.multus=false"],
    ),
    (
        "own ConfigMap",
        &[
            "--set",
            "devicePlugin.configMap=sriovdp-config,devicePlugin.provision=always,devicePlugin.configKey=$(NODE_NAME)",
        ],
    ),
    ("CDI", &["--set", "devicePlugin.cdi=true"]),
    ("vhost-net", &["--set-json", POOLS]),
    (
        "metrics",
        &[
            "--set",
            "metrics.enabled=true,metrics.serviceMonitor=true,metrics.rules=true,metrics.labels.release=prom",
        ],
    ),
    (
        "metrics on both families",
        &["--set", "metrics.enabled=true,metrics.host=[::]"],
    ),
    ("networks", &["--set-json", NETWORKS]),
    (
        "another owner of the CNI folders",
        &["--set", "multus.capabilities={DAC_OVERRIDE}"],
    ),
    (
        "policies",
        &[
            "--set",
            "multus.namespaceIsolation=true,multus.globalNamespaces=infra,multus.primary=10-calico.conflist,multus.readinessFile=/run/x,multus.uninstallPolicy=primaryOnly,multus.config.connectionLimit=8",
        ],
    ),
    // Its planner asks the kubelet at the usual place only, so it is refused where a platform has another.
    (
        "thin",
        &[
            "--set",
            "multus.mode=thin,components.devicePlugin=false,paths.kubelet=/var/lib/kubelet",
        ],
    ),
    (
        "certificates",
        &["--set", "multus.certificates.enabled=true"],
    ),
    ("certificates of k3s", &["--set", CERTIFICATES]),
    (
        "placed",
        &[
            "--set-json",
            PLACED,
            "--set",
            "imagePullSecrets[0].name=pull,namespace=elsewhere",
        ],
    ),
];

/// A digest, so that the property "by digest" means something.
pub(super) const DIGEST: &str =
    "image.digest=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn options<'a>(platform: &'a str, switch: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["--set", platform, "--set", DIGEST];
    all.extend(switch);
    all
}

#[test]
fn every_platform_with_every_switch_renders_and_has_every_property() {
    let mut renderings = 0;
    for platform in platforms() {
        let set = format!("platform={platform}");
        for (switch, more) in SWITCHES {
            let Some(objects) = rendered(OLDEST, &options(&set, more)) else {
                return;
            };
            for object in &objects {
                if let Some(problem) = typed::problem(object) {
                    panic!("{platform}, {switch}: {problem}");
                }
            }
            let problems = properties::problems(&objects, &platform);
            assert!(problems.is_empty(), "{platform}, {switch}: {problems:#?}");
            renderings += 1;
        }
    }
    assert_eq!(renderings, 8 * SWITCHES.len());
}

#[test]
fn every_object_passes_the_strict_schemas_of_the_oldest_and_the_newest_kubernetes() {
    let Some(validate) = tools::program("kubernetes-validate") else {
        return;
    };
    for version in [OLDEST, NEWEST] {
        // The same object comes in many renderings.
        let mut seen: BTreeMap<String, Value> = BTreeMap::new();
        for platform in ["platform=generic", "platform=microk8s"] {
            for (_, more) in SWITCHES {
                let Some(objects) = rendered(version, &options(platform, more)) else {
                    return;
                };
                for object in objects {
                    let foreign = object["apiVersion"].as_str().is_some_and(|group| {
                        group.contains("coreos.com") || group.contains("cncf.io")
                    });
                    if !foreign {
                        seen.insert(object.to_string(), object);
                    }
                }
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("objects.yaml");
        let mut file = fs::File::create(&path).unwrap();
        for object in seen.values() {
            writeln!(file, "---\n{object}").unwrap();
        }
        let path = path.to_string_lossy().into_owned();
        let short = version.rsplit_once('.').unwrap().0;
        let checked = tools::run(&validate, &["--strict", "--quiet", "-k", short, &path]);
        if let Err(problems) = checked {
            panic!("{version}: {problems}");
        }
        assert!(seen.len() > 30, "only {} objects", seen.len());
    }
}

#[test]
fn the_status_policy_comes_where_the_api_server_knows_such_policies() {
    let has = |version: &str, options: &[&str]| {
        let objects = rendered(version, options)?;
        Some(tools::of_kind(&objects, "ValidatingAdmissionPolicy").count() == 1)
    };
    assert_ne!(has("1.29.9", &[]), Some(true));
    assert_ne!(has("1.30.0", &[]), Some(false));
    assert_ne!(
        has(NEWEST, &["--set", "multus.statusPolicy=never"]),
        Some(true)
    );
    assert_ne!(
        has("1.29.9", &["--set", "multus.statusPolicy=always"]),
        Some(false)
    );
    assert_ne!(
        has(NEWEST, &["--set", "components.multus=false"]),
        Some(true)
    );
}

#[test]
fn values_that_cannot_work_are_refused_with_the_key() {
    let wrong = [
        ("image.tag=latest", "/image/tag"),
        ("platform=windows", "/platform"),
        ("image.digest=sha256:12", "/image/digest"),
        ("multus.uninstalPolicy=block", "uninstalPolicy"),
        ("paths.cniBin=opt/cni/bin", "/paths/cniBin"),
        (
            "components.multus=false,components.devicePlugin=false",
            "components.sriovCni alone",
        ),
        ("multus.mode=fat", "/multus/mode"),
        ("multus.mode=thin,platform=k0s", "use thick"),
        (
            "multus.mode=thin,multus.certificates.enabled=true",
            "use thick",
        ),
        (
            "multus.certificates.duration=tomorrow",
            "/multus/certificates/duration",
        ),
    ];
    for (set, says) in wrong {
        let Some(outcome) = tools::template("deploy/chart", OLDEST, &["--set", set]) else {
            return;
        };
        let error = outcome.expect_err(set);
        assert!(error.contains(says), "{set}: {error}");
    }
}

#[test]
fn values_of_the_tanzu_manual_install_unchanged_and_unknown_options_are_handed_on_to_warn() {
    let values = "\
namespace: networking
daemonset:
  args: [--multus-conf-file=auto, --cni-version=0.3.1, --rename-conf-file, --cni-bin-dir=/host/opt/cni/bin]
";
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("multus-data-values.yaml");
    fs::write(&path, values).unwrap();
    let Some(objects) = rendered(OLDEST, &["--values", &path.to_string_lossy()]) else {
        return;
    };
    let multus = objects
        .iter()
        .find(|object| name(object) == "DaemonSet/networking/kube-multus-ds")
        .unwrap();
    let install = &multus["spec"]["template"]["spec"]["initContainers"][0];
    let args = tools::words(&install["args"]);
    assert!(args.contains(&"--cni-version=0.3.1") && args.contains(&"--rename-conf-file"));
    // The chart knows better where it mounts the node's folders.
    assert_eq!(
        args.iter()
            .filter(|arg| arg.starts_with("--cni-bin-dir"))
            .count(),
        1
    );
}
