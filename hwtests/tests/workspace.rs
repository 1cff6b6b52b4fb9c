//! Rules of the workspace that no compiler checks: who may depend on whom, and that PARITY.md names real tests.
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: reads the project's own sources and asks cargo"
)]
#![expect(
    clippy::expect_used,
    reason = "the whole file is a test; its readers need no Result"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Packages of this workspace and the packages of it that each may use (ARCHITECTURE.md, "Arrows").
const ARROWS: [(&str, &[&str]); 8] = [
    ("proto", &[]),
    ("host", &[]),
    ("cni", &[]),
    ("sriov", &["cni", "host"]),
    ("multus-plugin", &["cni", "host"]),
    ("multus", &["cni", "host", "multus-plugin", "proto"]),
    ("sriovdp", &["cni", "host", "proto"]),
    ("hwtests", &["cni", "host", "proto"]),
];

/// Crates that must not be linked into a package, however far down.
const FORBIDDEN: [(&str, &[&str]); 4] = [
    ("cni", &["tokio", "kube", "tonic", "hyper", "rtnetlink"]),
    ("host", &["tokio", "kube", "tonic", "hyper"]),
    ("sriov", &["tokio", "kube", "tonic", "hyper", "rustls"]),
    (
        "multus-plugin",
        &["tokio", "kube", "tonic", "hyper", "rustls"],
    ),
];

/// Crates that only these packages may name in their manifest.
const OWNERS: [(&str, &[&str]); 3] = [
    ("rtnetlink", &["host"]),
    ("sysfs-class", &["host"]),
    ("kube", &["multus", "hwtests"]),
];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What `cargo tree` prints without its branches.
fn cargo_tree(words: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .current_dir(workspace())
        .args(["tree", "--offline", "--locked", "--prefix", "none"])
        .args(words)
        .output()
        .expect("run cargo tree");
    assert!(
        output.status.success(),
        "cargo tree {words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Names in the dependency tree of a package.
fn tree(package: &str, more: &[&str]) -> BTreeSet<String> {
    let words = ["--edges", "normal", "--format", "{p}", "--package", package];
    cargo_tree(&[&words, more].concat())
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != package)
        .map(str::to_owned)
        .collect()
}

#[test]
fn packages_depend_only_on_those_that_the_architecture_allows() {
    let ours: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    for (package, allowed) in ARROWS {
        let seen: BTreeSet<String> = tree(package, &["--depth", "1"])
            .into_iter()
            .filter(|name| ours.contains(name.as_str()))
            .collect();
        for name in &seen {
            assert!(
                allowed.contains(&name.as_str()),
                "{package} depends on {name}; allowed are {allowed:?}"
            );
        }
    }
}

#[test]
fn plugins_link_no_async_runtime_and_no_api_client() {
    for (package, forbidden) in FORBIDDEN {
        let seen = tree(package, &[]);
        for name in forbidden {
            assert!(!seen.contains(*name), "{package} links {name}");
        }
    }
}

#[test]
fn crates_with_one_owner_are_named_by_no_other_package() {
    for (package, _) in ARROWS {
        let seen = tree(package, &["--depth", "1"]);
        for (name, owners) in OWNERS {
            assert!(
                !seen.contains(name) || owners.contains(&package),
                "{package} names {name} in its manifest; only {owners:?} may"
            );
        }
    }
}

/// Cargo gives a dependency every feature that anybody of one build asks for. Were it more for the lab, the lab would play
/// other daemons than the image has.
#[test]
fn the_lab_is_built_with_the_daemons_as_they_are_shipped() {
    let built = |packages: &[&str]| -> BTreeSet<String> {
        let words = ["--edges", "normal,build", "--format", "{p} {f}"];
        let packages = packages.iter().flat_map(|name| ["--package", name]);
        let words: Vec<&str> = words.into_iter().chain(packages).collect();
        let lines = cargo_tree(&words);
        let lines = lines
            .lines()
            .map(|line| line.trim_end_matches(" (*)").trim());
        lines.map(str::to_owned).collect()
    };
    let shipped = built(&["sriovdp", "multus"]);
    let with_the_lab = built(&["sriovdp", "multus", "hwtests"]);
    let other: Vec<_> = shipped.difference(&with_the_lab).collect();
    assert!(!shipped.is_empty() && other.is_empty(), "{other:?}");
}

/// Functions below the sources of the workspace, by folder of the package.
fn functions() -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::new();
    for folder in [
        "cni",
        "host",
        "proto",
        "sriov-cni",
        "device-plugin",
        "multus",
        "hwtests",
    ] {
        let mut names = BTreeSet::new();
        collect(&workspace().join(folder), &mut names);
        all.insert(folder.to_owned(), names);
    }
    all
}

fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("list a folder of the workspace") {
        let path = entry.expect("list a folder of the workspace").path();
        if path.is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).expect("read a source file");
            for line in text.lines() {
                let line = line.trim_start();
                let line = line.strip_prefix("pub ").unwrap_or(line);
                let line = line.strip_prefix("async ").unwrap_or(line);
                if let Some(rest) = line.strip_prefix("fn ") {
                    let name: String = rest
                        .chars()
                        .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                        .collect();
                    names.insert(name);
                }
            }
        }
    }
}

/// Stories whose steps PARITY.md names, as `story::name of the step`, each with the name of its sources.
const STORIES: [(&str, &str); 8] = [
    ("demo", "demo"),
    ("deploy", "deploy"),
    ("replacement", "replacement"),
    ("sriov", "sriov"),
    ("sriovdp", "sriovdp"),
    ("multus-life", "multus"),
    ("multus-networks", "multus_networks"),
    ("storm", "storm"),
];

/// Sources of a story of the lab, in which its steps are named.
fn story(name: &str) -> String {
    let scenarios = workspace().join("hwtests/src/scenario");
    let mut text = fs::read_to_string(scenarios.join(format!("{name}.rs"))).expect("read a story");
    for entry in fs::read_dir(scenarios.join(name)).expect("list a story's folder") {
        let path = entry.expect("list a story's folder").path();
        if path.extension().is_some_and(|end| end == "rs") {
            text += &fs::read_to_string(path).expect("read a story");
        }
    }
    text
}

#[test]
fn every_test_that_parity_names_exists() {
    let text = fs::read_to_string(workspace().join("PARITY.md")).expect("read PARITY.md");
    let functions = functions();
    let stories: BTreeMap<&str, String> = STORIES
        .map(|(story, sources)| (story, self::story(sources)))
        .into();
    let mut named = 0;
    for (number, line) in text.lines().enumerate() {
        for word in line.split('`').skip(1).step_by(2) {
            let Some((folder, name)) = word.split_once("::") else {
                continue;
            };
            named += 1;
            let exists = match folder {
                story if stories.contains_key(story) => {
                    stories[story].contains(&format!("\"{name}\""))
                }
                folder => functions
                    .get(folder)
                    .is_some_and(|names| names.contains(name)),
            };
            assert!(
                exists,
                "PARITY.md line {}: there is no test {word}",
                number + 1
            );
        }
    }
    assert!(
        named > 50,
        "PARITY.md names only {named} tests: is its notation still folder::test?"
    );
}
