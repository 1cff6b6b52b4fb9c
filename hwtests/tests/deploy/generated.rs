//! kustomize's base is the chart rendered with its default values.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    matrix::{NEWEST, OLDEST},
    tools::{self, documents, golden, name, of_kind, text},
};

const HEADER: &str =
    "# Rendered from deploy/chart by 'make deploy-render'; change the chart, not this file.\n";

/// The text without what only helm says about itself.
fn plain(rendered: &str) -> String {
    let lines = rendered
        .lines()
        .filter(|line| !line.starts_with("# Source:"));
    let text = lines.fold(HEADER.to_owned(), |text, line| text + line + "\n");
    text.trim_end().to_owned() + "\n"
}

#[test]
fn the_base_is_the_chart_with_default_values() {
    let Some(rendered) = tools::template("deploy/chart", OLDEST, &[]) else {
        return;
    };
    golden(
        "deploy/kustomize/base/ferrovia.yaml",
        &plain(&rendered.unwrap()),
    );
}

#[test]
fn the_status_policy_is_the_charts() {
    let options = ["--show-only", "templates/status-policy.yaml"];
    let Some(rendered) = tools::template("deploy/chart", NEWEST, &options) else {
        return;
    };
    golden(
        "deploy/kustomize/status-policy/policy.yaml",
        &plain(&rendered.unwrap()),
    );
}

#[test]
fn the_first_command_installs_the_charts_definition_of_networks() {
    let crd = text("deploy/chart/crds/network-attachment-definitions.yaml");
    golden(
        "deploy/kustomize/crd/network-attachment-definitions.yaml",
        &crd,
    );
}

fn by_name(objects: Vec<Value>) -> BTreeMap<String, Value> {
    objects
        .into_iter()
        .map(|object| (name(&object), object))
        .collect()
}

#[test]
fn kustomize_makes_of_each_folder_what_is_in_it_and_moves_it_elsewhere() {
    let Some(kubectl) = tools::program("kubectl") else {
        return;
    };
    let built = |folder: &str| {
        let text = tools::run(&kubectl, &["kustomize", folder]).unwrap();
        documents(&text)
    };
    for (folder, file) in [
        ("base", "base/ferrovia.yaml"),
        ("crd", "crd/network-attachment-definitions.yaml"),
        ("status-policy", "status-policy/policy.yaml"),
    ] {
        let committed = documents(&text(&format!("deploy/kustomize/{file}")));
        assert_eq!(
            by_name(built(&format!("deploy/kustomize/{folder}"))),
            by_name(committed),
            "{folder}"
        );
    }
    let example = built("deploy/examples/kustomize");
    for set in of_kind(&example, "DaemonSet") {
        assert_eq!(set["metadata"]["namespace"], "ferrovia");
        let image = set
            .pointer("/spec/template/spec/containers/0/image")
            .unwrap();
        assert!(image.as_str().unwrap().contains("@sha256:"), "{image}");
    }
    let binding = of_kind(&example, "ClusterRoleBinding").next().unwrap();
    assert_eq!(binding["subjects"][0]["namespace"], "ferrovia");
}
