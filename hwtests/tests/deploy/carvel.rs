//! The Carvel package carries the chart in itself, with values from the same schema.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};

use super::{
    matrix::OLDEST,
    schema::{defaults, openapi},
    tools::{self, documents, file, golden, name, text},
};

/// Name of the package, beginning as that of the package it stands in for.
const NAME: &str = "multus-cni.ferrovia.local";

fn version() -> String {
    let chart: Value = serde_saphyr::from_str(&text("deploy/chart/Chart.yaml")).unwrap();
    chart["version"].as_str().unwrap().to_owned()
}

fn path() -> String {
    format!("deploy/carvel/repository/packages/{NAME}/{}.yml", version())
}

/// Files of the chart, by their path in it.
fn chart() -> BTreeMap<String, String> {
    let root = file("deploy/chart");
    let (mut files, mut folders) = (BTreeMap::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path
                .strip_prefix(&root)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            files.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
    files
}

fn package() -> Value {
    let files: serde_json::Map<_, _> = chart()
        .into_iter()
        .map(|(name, text)| (format!("chart/{name}"), json!(text)))
        .collect();
    json!({
        "apiVersion": "data.packaging.carvel.dev/v1alpha1",
        "kind": "Package",
        "metadata": {"name": format!("{NAME}.{}", version())},
        "spec": {
            "refName": NAME,
            "version": version(),
            "licenses": ["Apache-2.0"],
            "releaseNotes": "multus, the SR-IOV device plugin and the SR-IOV CNI plugin of Ferrovia.",
            "capacityRequirementsDescription": "per node: 20m CPU and 40Mi memory requested",
            "includedSoftware": [{"displayName": "ferrovia", "version": version(), "description": "multus, sriovdp, sriov"}],
            "kubernetesVersionSelection": {"constraints": ">=1.26.0"},
            "valuesSchema": {"openAPIv3": openapi()},
            "template": {"spec": {
                "fetch": [{"inline": {"paths": files}}],
                "template": [{"helmTemplate": {"name": "ferrovia", "path": "chart", "kubernetesVersion": {}}}],
                "deploy": [{"kapp": {}}],
            }},
        },
    })
}

#[test]
fn the_package_carries_the_chart_and_its_values() {
    let yaml = serde_saphyr::to_string(&package()).unwrap();
    let header =
        "# Made from deploy/chart by 'make deploy-render'; change the chart, not this file.\n";
    golden(&path(), &format!("{header}{yaml}"));
}

fn committed() -> Value {
    documents(&text(&path())).remove(0)
}

#[test]
fn the_chart_inside_the_package_is_the_chart() {
    let package = committed();
    let inner: BTreeMap<String, String> = serde_json::from_value(
        package["spec"]["template"]["spec"]["fetch"][0]["inline"]["paths"].clone(),
    )
    .unwrap();
    let chart: BTreeMap<String, String> = chart()
        .into_iter()
        .map(|(name, text)| (format!("chart/{name}"), text))
        .collect();
    for (name, text) in &chart {
        assert!(
            inner.get(name) == Some(text),
            "{name} in the package is another one"
        );
    }
    assert_eq!(inner.len(), chart.len());
}

/// Values that a schema gives to who sets none.
fn values(schema: &Value) -> Value {
    match schema["properties"].as_object() {
        Some(properties) => properties
            .iter()
            .map(|(key, below)| (key.clone(), values(below)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        None => schema["default"].clone(),
    }
}

#[test]
fn the_packages_values_are_the_charts_but_for_the_namespace() {
    let package = committed();
    let mut seen = values(&package["spec"]["valuesSchema"]["openAPIv3"]);
    assert_eq!(seen["namespace"], "kube-system");
    seen["namespace"] = json!("");
    assert_eq!(seen, defaults());
}

#[test]
fn the_package_renders_what_the_chart_renders() {
    let package = committed();
    let paths = &package["spec"]["template"]["spec"]["fetch"][0]["inline"]["paths"];
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in paths.as_object().unwrap() {
        let target = dir.path().join(name);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, text.as_str().unwrap()).unwrap();
    }
    let given = dir.path().join("values.yaml");
    let values = values(&package["spec"]["valuesSchema"]["openAPIv3"]);
    fs::write(&given, values.to_string()).unwrap();
    // As kapp-controller calls it: with the definitions, and with hooks.
    let render = |chart: &Path, values: &Path| {
        let (chart, values) = (chart.to_string_lossy(), values.to_string_lossy());
        let options = ["--values", &*values, "--include-crds"];
        tools::template(&chart, OLDEST, &options).map(|text| documents(&text.unwrap()))
    };
    let inner = render(&dir.path().join("chart"), &given);
    let Some(inner) = inner else {
        return;
    };
    let outer = render(&file("deploy/chart"), &file("deploy/chart/values.yaml")).unwrap();
    let sorted = |mut all: Vec<Value>| {
        all.sort_by_key(name);
        all
    };
    assert_eq!(sorted(inner), sorted(outer));
}

#[test]
fn metadata_and_repository_name_the_package() {
    let metadata = documents(&text(&format!(
        "deploy/carvel/repository/packages/{NAME}/metadata.yml"
    )));
    assert_eq!(metadata[0]["kind"], "PackageMetadata");
    assert_eq!(metadata[0]["metadata"]["name"], NAME);
    for key in [
        "displayName",
        "shortDescription",
        "longDescription",
        "providerName",
        "categories",
        "maintainers",
    ] {
        assert!(!metadata[0]["spec"][key].is_null(), "{key} is missing");
    }
    let lock = documents(&text("deploy/carvel/repository/.imgpkg/images.yml"));
    assert_eq!(lock[0]["kind"], "ImagesLock");
    let repository = documents(&text("deploy/carvel/repository.yml"));
    assert_eq!(repository[0]["kind"], "PackageRepository");
    assert!(repository[0]["spec"]["fetch"]["imgpkgBundle"]["image"].is_string());
}
