//! What the documentation, the alerts and the dashboard name is there: files, reasons, metrics.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use super::{
    docs::PAGES,
    tools::{documents, file, text},
};

/// Files that a page links to, and paths of the project that it names in code.
fn named(page: &str) -> Vec<String> {
    let text = text(page);
    let links = text.split("](").skip(1).filter_map(|rest| {
        let target = rest.split(')').next()?.split('#').next()?;
        let here = page.rsplit_once('/').map_or("", |(folder, _)| folder);
        (!target.is_empty() && !target.contains("://")).then(|| format!("{here}/{target}"))
    });
    let code = text.split('`').skip(1).step_by(2);
    let folders = ["deploy/", "hwtests/", "image/", "docs/", "examples/"];
    let paths = code
        .filter(|word| folders.iter().any(|folder| word.starts_with(folder)))
        .filter(|word| !word.contains([' ', '*']))
        .map(|word| match word.split('/').next() {
            Some("deploy" | "hwtests") => word.to_owned(),
            _ => format!("deploy/{word}"),
        });
    links.chain(paths).collect()
}

#[test]
fn every_file_that_a_page_names_is_there() {
    let mut seen = 0;
    let pages = PAGES.into_iter().chain(["ARCHITECTURE.md"]);
    for page in pages {
        for path in named(page) {
            seen += 1;
            let found = file(path.trim_start_matches('/'));
            assert!(found.exists(), "{page} names {path}, which is not there");
        }
    }
    assert!(seen > 15, "only {seen} files are named");
}

#[test]
fn every_reason_is_explained_and_none_that_does_not_exist() {
    let source = text("multus/plugin/src/wire.rs");
    let list = source.split("pub const ALL").nth(1).unwrap();
    let list = list.split("];").next().unwrap();
    let reasons: BTreeSet<&str> = list
        .split("Self::")
        .skip(1)
        .filter_map(|rest| rest.split(',').next())
        .collect();
    assert!(reasons.len() >= 15, "{reasons:?}");
    let page = text("deploy/docs/failures.md");
    let told: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .filter(|title| !title.contains(' '))
        .collect();
    assert_eq!(told, reasons);
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_the_programs_have() {
    let mut code = String::new();
    for folder in ["device-plugin/src", "multus/src"] {
        let mut folders = vec![file(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    code.push_str(&fs::read_to_string(path).unwrap());
                }
            }
        }
    }
    let mut asked = BTreeSet::new();
    for page in [
        "deploy/chart/files/alerts.yaml",
        "deploy/monitoring/dashboard.json",
    ] {
        let text = text(page);
        let names = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let prefixes = ["sriov_", "sriovdp_", "multus_", "cni_", "net_"];
        asked.extend(
            names
                .filter(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)))
                .map(str::to_owned),
        );
    }
    assert!(asked.len() > 15, "{asked:?}");
    for name in asked {
        let family = name.trim_end_matches("_bucket");
        let in_code = code.contains(&format!("\"{family}\""));
        // Counters of VFs are named by the kernel's.
        let of_vf = family
            .strip_prefix("sriov_vf_")
            .map(|rest| rest.trim_end_matches("_total"));
        let counted = of_vf.is_some_and(|counter| ["rx_bytes", "tx_bytes"].contains(&counter));
        assert!(in_code || counted, "no program has a metric {name}");
    }
}

#[test]
fn alerts_are_rules_and_the_dashboard_is_one() {
    let rules = documents(&text("deploy/chart/files/alerts.yaml"));
    let rules = rules[0]["groups"][0]["rules"].as_array().unwrap();
    for rule in rules {
        let name = rule["alert"].as_str().unwrap();
        assert!(
            rule["expr"].is_string() && rule["labels"]["severity"].is_string(),
            "{name}"
        );
        assert!(rule["annotations"]["summary"].is_string(), "{name}");
        assert!(rule["annotations"]["description"].is_string(), "{name}");
    }
    let board: Value = serde_json::from_str(&text("deploy/monitoring/dashboard.json")).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len());
}
