//! The rights in the chart are those that multus-daemon's calls need, each with the call that needs it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use serde_json::Value;

use super::{
    matrix::OLDEST,
    tools::{documents, file, of_kind, rendered, text, words},
};

/// A right: API group, resource, verb.
type Right = (&'static str, &'static str, &'static str);

/// A place in the code that makes a typed client, the call made with it, and what the call needs.
struct Use {
    file: &'static str,
    /// What is written there.
    call: &'static str,
    rights: &'static [Right],
}

const NADS: &str = "network-attachment-definitions";
const REQUESTS: &str = "certificatesigningrequests";

/// Every place in `multus/src` that makes a typed client. A new one must come with its rights.
const USES: [Use; 6] = [
    Use {
        file: "multus/src/daemon.rs",
        call: "watch::follow(api, &selector, pod::trim",
        rights: &[("", "pods", "list"), ("", "pods", "watch")],
    },
    Use {
        file: "multus/src/daemon.rs",
        call: "watch::follow(api, \"\", nad::trim",
        rights: &[
            ("k8s.cni.cncf.io", NADS, "list"),
            ("k8s.cni.cncf.io", NADS, "watch"),
        ],
    },
    Use {
        file: "multus/src/sources.rs",
        call: "api.get_opt(",
        rights: &[("k8s.cni.cncf.io", NADS, "get")],
    },
    Use {
        file: "multus/src/api/pod.rs",
        call: "api.list(",
        rights: &[("", "pods", "list")],
    },
    Use {
        file: "multus/src/api/status.rs",
        call: "api.patch_status(",
        rights: &[("", "pods/status", "patch")],
    },
    Use {
        file: "multus/src/api/event.rs",
        call: "api.create(",
        rights: &[("", "events", "create")],
    },
];

/// Calls that a value asks for: the value, and the call.
const ASKED: [(&str, Use); 4] = [
    (
        "multus.certificates.enabled=true",
        Use {
            file: "multus/src/certificate/request.rs",
            call: "api.create(",
            rights: &[
                ("certificates.k8s.io", REQUESTS, "create"),
                ("certificates.k8s.io", REQUESTS, "get"),
            ],
        },
    ),
    (
        "multus.config.namespaceDefaults=true",
        Use {
            file: "multus/src/namespaces.rs",
            call: ".get_metadata_opt(",
            rights: &[("", "namespaces", "get")],
        },
    ),
    (
        "multus.config.dra=true",
        Use {
            file: "multus/src/api/claim.rs",
            call: "api.get_opt(",
            rights: &[("resource.k8s.io", "resourceclaims", "get")],
        },
    ),
    (
        "multus.config.dra=true",
        Use {
            file: "multus/src/api/claim.rs",
            call: "api.list(",
            rights: &[("resource.k8s.io", "resourceslices", "list")],
        },
    ),
];

/// The approver's: it looks at requests and writes what it decided, for one signer. Its events are those of the daemon.
const APPROVER: Use = Use {
    file: "multus/src/certificate/approve.rs",
    call: "api.replace_subresource(\"approval\"",
    rights: &[
        ("certificates.k8s.io", REQUESTS, "get"),
        ("certificates.k8s.io", REQUESTS, "list"),
        ("certificates.k8s.io", REQUESTS, "watch"),
        (
            "certificates.k8s.io",
            "certificatesigningrequests/approval",
            "update",
        ),
        ("certificates.k8s.io", "signers", "approve"),
        ("", "events", "create"),
    ],
};

/// Of the release's own namespace and one object only.
const OWN: Use = Use {
    file: "multus/src/api/daemonset.rs",
    call: "watch::follow(api, &selector, trim",
    rights: &[
        ("apps", "daemonsets", "list"),
        ("apps", "daemonsets", "watch"),
    ],
};

fn sources() -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![file("multus/src")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// Text without its tests.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or_default()
}

#[test]
fn every_client_in_the_code_is_known_with_its_rights() {
    let mut made: BTreeMap<String, usize> = BTreeMap::new();
    for path in sources() {
        let name = path
            .to_string_lossy()
            .split_once("multus/src")
            .unwrap()
            .1
            .to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let count: usize = ["Api::all", "Api::namespaced", "Api::default_namespaced"]
            .iter()
            .map(|word| code(&text).matches(word).count())
            .sum();
        if count > 0 && !name.contains("tests") {
            made.insert(format!("multus/src{name}"), count);
        }
    }
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    let asked = ASKED.iter().map(|(_, one)| one);
    for one in USES.iter().chain([&OWN, &APPROVER]).chain(asked) {
        let source = text(one.file);
        // Formatting may break a call.
        let flat: String = code(&source).split_whitespace().collect();
        let call: String = one.call.split_whitespace().collect();
        assert!(
            flat.contains(&call),
            "{} has no call {}",
            one.file,
            one.call
        );
        *known.entry(one.file.to_owned()).or_default() += 1;
    }
    assert_eq!(
        made, known,
        "clients of the API in the code, and those whose rights are known here: a new one needs its right in deploy/chart/templates/multus-rights.yaml"
    );
}

fn given(role: &Value) -> BTreeSet<(String, String, String)> {
    let mut all = BTreeSet::new();
    for rule in role["rules"].as_array().into_iter().flatten() {
        for group in words(&rule["apiGroups"]) {
            for resource in words(&rule["resources"]) {
                for verb in words(&rule["verbs"]) {
                    all.insert((group.to_owned(), resource.to_owned(), verb.to_owned()));
                }
            }
        }
    }
    all
}

fn needed<'a>(uses: impl IntoIterator<Item = &'a Use>) -> BTreeSet<(String, String, String)> {
    uses.into_iter()
        .flat_map(|one| one.rights)
        .map(|(group, resource, verb)| {
            (
                (*group).to_owned(),
                (*resource).to_owned(),
                (*verb).to_owned(),
            )
        })
        .collect()
}

#[test]
fn the_rights_are_those_of_the_calls_and_no_more() {
    let objects = rendered(OLDEST, &[])
        .unwrap_or_else(|| documents(&text("deploy/kustomize/base/ferrovia.yaml")));
    let cluster: Vec<_> = of_kind(&objects, "ClusterRole").collect();
    let own: Vec<_> = of_kind(&objects, "Role").collect();
    assert_eq!((cluster.len(), own.len()), (1, 1));
    assert_eq!(given(cluster[0]), needed(&USES));
    assert_eq!(given(own[0]), needed([&OWN]));
    for rule in own[0]["rules"].as_array().unwrap() {
        assert_eq!(words(&rule["resourceNames"]), ["kube-multus-ds"]);
    }
}

fn role<'a>(objects: &'a [Value], name: &str) -> &'a Value {
    of_kind(objects, "ClusterRole")
        .find(|role| role["metadata"]["name"] == name)
        .unwrap()
}

#[test]
fn the_approver_may_approve_for_one_signer_and_daemons_have_rights_by_their_certificates() {
    let Some(objects) = rendered(OLDEST, &["--set", "multus.certificates.enabled=true"]) else {
        return;
    };
    let approver = role(&objects, "ferrovia-multus-approver");
    assert_eq!(given(approver), needed([&APPROVER]));
    for rule in approver["rules"].as_array().unwrap() {
        if words(&rule["resources"]) == ["signers"] {
            assert_eq!(
                words(&rule["resourceNames"]),
                ["kubernetes.io/kube-apiserver-client"]
            );
        }
    }
    let bound: Vec<_> = objects
        .iter()
        .filter(|one| one["roleRef"]["name"] == "ferrovia-multus")
        .map(|one| &one["subjects"][0])
        .collect();
    assert_eq!(bound.len(), 2);
    for subject in bound {
        assert_eq!(subject["kind"], "Group");
        assert_eq!(subject["name"], "system:multus");
    }
}

#[test]
fn a_right_that_a_key_of_the_configuration_asks_for_comes_with_the_key() {
    let keys: BTreeSet<&str> = ASKED.iter().map(|(key, _)| *key).collect();
    for key in keys {
        let Some(objects) = rendered(OLDEST, &["--set", key]) else {
            return;
        };
        let more = ASKED.iter().filter(|(other, _)| *other == key);
        let wanted = needed(USES.iter().chain(more.map(|(_, one)| one)));
        assert_eq!(given(role(&objects, "ferrovia-multus")), wanted, "{key}");
    }
    let one = r#"multus.config.namespaceDefaults=["tenant"]"#;
    if let Some(objects) = rendered(OLDEST, &["--set-json", one]) {
        let rules = role(&objects, "ferrovia-multus")["rules"].as_array();
        let rules = rules.unwrap();
        let found = rules
            .iter()
            .find(|rule| words(&rule["resources"]) == ["namespaces"]);
        assert_eq!(words(&found.unwrap()["resourceNames"]), ["tenant"]);
    }
}
