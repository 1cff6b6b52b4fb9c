//! Every case of spec/device-plugin.md §8.2 to §8.7 is a test whose name begins with the case.
//! `cargo nextest list -p sriovdp` shows them; this one counts them.
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::disallowed_methods, reason = "reads the sources of this crate")]

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::Path,
};

/// Letter, number of cases, what they are about. G12 is a benchmark.
const CASES: [(char, usize, &str); 6] = [
    ('c', 15, "configuration"),
    ('s', 22, "readers of sysfs"),
    ('d', 11, "candidates"),
    ('l', 18, "selectors"),
    ('a', 17, "devices, environment, nodes"),
    ('g', 11, "kubelet, DeviceInfo, CDI"),
];

/// Names of all tests below a directory.
fn tests(directory: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            // An attribute stands above its function, perhaps with others between.
            for (_, after) in text
                .match_indices("test]\n")
                .map(|(at, _)| text.split_at(at))
            {
                let name = after
                    .split_once("fn ")
                    .and_then(|(_, rest)| rest.split_once('('));
                found.extend(name.map(|(name, _)| name.to_owned()));
            }
        }
    }
}

/// `s18` of `s18_one_entry_...`.
fn case(name: &str) -> Option<&str> {
    let (case, _) = name.split_once('_')?;
    let digits = &case[1..];
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(case)
}

#[test]
fn every_case_of_the_specification_is_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = Vec::new();
    for directory in ["src", "tests"] {
        tests(&root.join(directory), &mut names);
    }
    let mut by_case = BTreeMap::<&str, usize>::new();
    for case in names.iter().filter_map(|name| case(name)) {
        *by_case.entry(case).or_default() += 1;
    }
    let mut missing = Vec::new();
    let mut report = Vec::new();
    for (letter, count, about) in CASES {
        let cases: Vec<String> = (1..=count)
            .map(|number| format!("{letter}{number}"))
            .collect();
        let tests: usize = cases
            .iter()
            .filter_map(|case| by_case.get(case.as_str()))
            .sum();
        let big = letter.to_ascii_uppercase();
        writeln!(report, "{big}1 to {big}{count}, {about}: {tests} tests").unwrap();
        missing.extend(
            cases
                .into_iter()
                .filter(|case| !by_case.contains_key(case.as_str())),
        );
    }
    io::stdout().write_all(&report).unwrap();
    assert!(missing.is_empty(), "no test begins with {missing:?}");
}
