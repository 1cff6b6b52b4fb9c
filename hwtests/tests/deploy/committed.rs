//! The committed rendering, which needs no helm: it has every property, and each property finds what it is for.

use serde_json::{Value, json};

use super::{
    properties::{lasting, problems},
    tools::{documents, of_kind, text},
};

fn committed() -> Vec<Value> {
    let mut objects = documents(&text("deploy/kustomize/base/ferrovia.yaml"));
    // The committed rendering names the image by its version: a digest is the installation's.
    let image = format!("localhost/ferrovia@sha256:{}", "0".repeat(64));
    for set in objects.iter_mut().filter(|one| one["kind"] == "DaemonSet") {
        for key in ["initContainers", "containers"] {
            for container in set["spec"]["template"]["spec"][key]
                .as_array_mut()
                .into_iter()
                .flatten()
            {
                assert_eq!(container["image"], "localhost/ferrovia:0.1.0");
                container["image"] = json!(image);
            }
        }
    }
    objects
}

#[test]
fn the_committed_rendering_has_every_property() {
    let found = problems(&committed(), "generic");
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_definition_of_networks_is_deleted_by_no_way_out() {
    let crds = documents(&text(
        "deploy/chart/crds/network-attachment-definitions.yaml",
    ));
    let mut found = Vec::new();
    lasting(&crds, &mut found);
    assert!(found.is_empty(), "{found:?}");
    let base = documents(&text("deploy/kustomize/base/ferrovia.yaml"));
    assert_eq!(of_kind(&base, "CustomResourceDefinition").count(), 0);
    let kustomization = text("deploy/kustomize/base/kustomization.yaml");
    assert!(!kustomization.contains("crd"), "{kustomization}");
    let crd = &crds[0]["spec"];
    assert_eq!(crd["names"]["shortNames"], json!(["nad", "net-attach-def"]));
    assert_eq!(crd["group"], "k8s.cni.cncf.io");
}

#[test]
fn each_property_finds_what_it_is_for() {
    let plants: [(&str, Value, &str); 12] = [
        (
            "/spec/template/spec/containers/0/image",
            json!("ferrovia:latest"),
            "digest",
        ),
        (
            "/spec/template/spec/containers/0/resources/limits",
            json!({}),
            "/limits/memory",
        ),
        (
            "/spec/template/spec/containers/0/securityContext/privileged",
            json!(true),
            "privileged",
        ),
        (
            "/spec/template/spec/containers/0/securityContext/capabilities/drop",
            json!([]),
            "capabilities",
        ),
        (
            "/spec/template/spec/containers/0/livenessProbe",
            json!({"tcpSocket": {"port": 1}}),
            "livenessProbe",
        ),
        (
            "/spec/template/spec/volumes/1/hostPath/path",
            json!("/"),
            "not among the folders",
        ),
        (
            "/spec/template/spec/containers/0/volumeMounts/0/name",
            json!("other"),
            "mounted are",
        ),
        (
            "/spec/template/spec/priorityClassName",
            json!(""),
            "priority",
        ),
        (
            "/spec/updateStrategy/rollingUpdate/maxSurge",
            json!(2),
            "rolled out",
        ),
        (
            "/spec/template/spec/serviceAccountName",
            json!("default"),
            "runs as",
        ),
        (
            "/spec/template/metadata/labels/app.kubernetes.io~1name",
            json!("x"),
            "selector",
        ),
        (
            "/metadata/annotations",
            json!({"helm.sh/hook": "pre-delete"}),
            "hook",
        ),
    ];
    for (at, value, says) in plants {
        let mut objects = committed();
        let set = objects
            .iter_mut()
            .find(|one| one["metadata"]["name"] == "kube-multus-ds" && one["kind"] == "DaemonSet")
            .unwrap();
        *set.pointer_mut(at)
            .unwrap_or_else(|| panic!("nothing at {at}")) = value;
        let found = problems(&objects, "generic");
        assert!(
            found.iter().any(|why| why.contains(says)),
            "{at}: {found:?}"
        );
    }
}
