//! Every command line of every container and probe is one that the program takes. The programs themselves are asked, in a
//! way in which they read all of it and do nothing.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    matrix::{NEWEST, OLDEST, SWITCHES},
    properties::{containers_of, workloads},
    tools::{self, documents, rendered, text, words},
};

/// Command lines of containers and their probes.
fn command_lines(objects: &[Value]) -> BTreeSet<Vec<String>> {
    let owned = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let mut found = BTreeSet::new();
    for workload in workloads(objects) {
        for container in containers_of(workload) {
            let mut line = owned(words(&container["command"]));
            line.extend(owned(words(&container["args"])));
            found.insert(line);
            for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
                found.insert(owned(words(&container[probe]["exec"]["command"])));
            }
        }
    }
    found.retain(|line| !line.is_empty());
    found
}

/// Why the program does not take the line; `None` if the program is not built.
fn asked(line: &[String]) -> Option<Result<(), String>> {
    let (path, rest) = line.split_first()?;
    let name = path.strip_prefix("/usr/bin/").unwrap_or(path);
    let program = tools::built(name)?;
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    Some(match name {
        "sriovdp" => sriovdp(&program, &rest),
        "multus-daemon" => daemon(&program, &rest),
        _ => Err("it is in no image of ours".to_owned()),
    })
}

/// `version` reads all flags and their values, whatever they are for.
fn sriovdp(program: &std::path::Path, line: &[&str]) -> Result<(), String> {
    let usage = tools::run(program, &["--help"])?;
    let is_flag = |word: &&str| word.starts_with('-');
    let command = line.first().filter(|word| !is_flag(word));
    let rest = match command {
        None => line,
        Some(word) if usage.contains(&format!("\n       sriovdp {word} ")) => &line[1..],
        Some(word) => return Err(format!("sriovdp has no command {word}")),
    };
    let mut all = vec!["version"];
    all.extend(rest);
    tools::run(program, &all).map(drop)
}

/// `--help` at the end prints help once everything before it is read. Of an installation's options those that are
/// unknown are passed over, so each must be in the help.
fn daemon(program: &std::path::Path, line: &[&str]) -> Result<(), String> {
    let mut all = line.to_vec();
    all.push("--help");
    let help = tools::run(program, &all)?;
    for word in line.iter().filter(|word| word.starts_with("--")) {
        let name = word.split('=').next().unwrap_or(word);
        let known = help
            .split_whitespace()
            .any(|other| other.trim_end_matches([',', ']']) == name);
        if !known {
            return Err(format!("multus-daemon does not know {name}\n{help}"));
        }
    }
    Ok(())
}

#[test]
fn every_command_line_of_every_container_is_one_that_the_program_takes() {
    let committed = documents(&text("deploy/kustomize/base/ferrovia.yaml"));
    let mut lines = command_lines(&committed);
    assert_eq!(lines.len(), 7, "{lines:#?}");
    for (_, options) in SWITCHES {
        for version in [OLDEST, NEWEST] {
            let Some(objects) = rendered(version, options) else {
                break;
            };
            lines.extend(command_lines(&objects));
        }
    }
    for line in &lines {
        if let Some(Err(why)) = asked(line) {
            panic!("{}\n{why}", line.join(" "));
        }
    }
}

#[test]
fn a_line_with_a_fault_is_refused() {
    let faults = [
        "/usr/bin/sriovdp --config-fil=/x",
        "/usr/bin/sriovdp --log-level=much",
        "/usr/bin/sriovdp --http-address=unix:relative",
        "/usr/bin/sriovdp supply --lenient",
        "/usr/bin/sriovdp provision --lenient=perhaps",
        "/usr/bin/multus-daemon install --cni-bin=/host/opt/cni/bin",
        "/usr/bin/multus-daemon install --skip-tls-verify=perhaps",
        "/usr/bin/multus-daemon probe well",
        "/usr/bin/multus-daemon thick",
        "/usr/bin/multus-daemon approve-certificates --cni-bin-dir=/x",
    ];
    for fault in faults {
        let line: Vec<String> = fault.split(' ').map(str::to_owned).collect();
        if let Some(outcome) = asked(&line) {
            assert!(outcome.is_err(), "{fault}");
        }
    }
}
