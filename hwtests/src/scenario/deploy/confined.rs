//! What the daemons' processes may do, as the kernel says it: the manifests' security context has arrived.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, ensure};

/// The daemons by the name of their process.
const DAEMONS: [&str; 2] = ["sriovdp", "multus-daemon"];

/// Holds both daemons to what the manifests promise: user 0 without any capability, nothing can give one back, a
/// seccomp filter, a root that cannot be written to.
///
/// # Errors
/// When a daemon does not run in a container of its own, or may do more.
pub fn check() -> Result<String> {
    for name in DAEMONS {
        let process = process(name)?;
        let status = fs::read_to_string(process.join("status"))
            .with_context(|| format!("read the status of {name}"))?;
        for (field, wanted) in [
            ("CapEff:", "0000000000000000"),
            ("CapPrm:", "0000000000000000"),
            ("CapBnd:", "0000000000000000"),
            ("NoNewPrivs:", "1"),
            ("Seccomp:", "2"),
        ] {
            let is = value(&status, field);
            ensure!(
                is == Some(wanted),
                "{name}: {field} is {is:?}, wanted {wanted}"
            );
        }
        let mounts = fs::read_to_string(process.join("mountinfo"))
            .with_context(|| format!("read the mounts of {name}"))?;
        let root = mounts
            .lines()
            .find(|line| line.split(' ').nth(4) == Some("/"))
            .with_context(|| format!("{name} has no root"))?;
        let words: Vec<&str> = root.split(' ').collect();
        ensure!(
            words[5].split(',').any(|option| option == "ro") && root.contains(" - overlay "),
            "the root of {name} is no container's, or can be written to: {root}"
        );
        let score = fs::read_to_string(process.join("oom_score_adj"))
            .with_context(|| format!("read the score of {name}"))?;
        ensure!(
            score.trim() == "-997",
            "{name} is killed early: {}",
            score.trim()
        );
    }
    Ok(format!(
        "{}: no capability, no_new_privs, seccomp filter, read-only root of the image, killed last",
        DAEMONS.join(" and ")
    ))
}

/// Resident memory of both daemons, for the report.
///
/// # Errors
/// When one does not run.
pub fn memory() -> Result<Vec<(String, String)>> {
    let mut rows = Vec::new();
    for name in DAEMONS {
        let status = fs::read_to_string(process(name)?.join("status"))
            .with_context(|| format!("read the status of {name}"))?;
        let [now, peak] = ["VmRSS:", "VmHWM:"].map(|field| value(&status, field).unwrap_or("?"));
        rows.push((
            format!("{name} in its container"),
            format!("{now} kB resident, {peak} kB at most"),
        ));
    }
    Ok(rows)
}

fn value<'a>(status: &'a str, field: &str) -> Option<&'a str> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()
}

/// The folder in /proc of the only process of this name that runs from a container.
fn process(name: &str) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("list processes")? {
        let path = entry.context("list processes")?.path();
        // One that has ended meanwhile has no name.
        let own = fs::read_to_string(path.join("comm")).unwrap_or_default();
        let words = fs::read(path.join("cmdline")).unwrap_or_default();
        let first = words.split(|byte| *byte == 0).next().unwrap_or_default();
        // Probes are short, and say so with their first argument.
        let is_probe = String::from_utf8_lossy(&words).contains("\0probe\0");
        if own.trim() == name && first == format!("/usr/bin/{name}").as_bytes() && !is_probe {
            found.push(path);
        }
    }
    ensure!(found.len() == 1, "{} processes are {name}", found.len());
    found.pop().with_context(|| format!("{name} does not run"))
}
