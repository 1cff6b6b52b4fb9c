//! What ADD and DEL of `sriov` cost on a real VF, beside the bare kernel work and the Go program, in one run.
//!
//! Everything does the same: VLAN, MAC, trust and spoof check, no IPAM. The machine is emulated in software, so only the
//! ratios mean anything; nothing is asserted.

mod bare;
mod sample;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use self::{
    bare::Bare,
    sample::{Row, Sample, medians, of_children, of_this_process},
};
use super::sriov::rig::{NET1, Rig, Vf};
use crate::{
    guest::{
        cni::{Plugin, Sandbox},
        machine::Machine,
        shell::{ip, run},
    },
    report::Reporter,
};

/// Each row is the median of so many rounds, which take turns.
const ROUNDS: usize = 15;
const MAC: &str = "02:00:00:00:0c:01";

/// Plays the story.
///
/// # Errors
/// When the report cannot be written; a step that does not hold is reported, not returned.
pub async fn play(machine: &Machine, report: &mut Reporter) -> Result<()> {
    let rig = Rig::new(machine)?;
    let mut rows = Vec::new();
    report
        .step("bench of sriov", async {
            let before = rig.see()?;
            rows = measure(&rig)?;
            rig.is_back(&before)?;
            rig.sweep(&before, false)?;
            Ok(format!("{ROUNDS} rounds of {} commands", rows.len()))
        })
        .await?;
    if rig.peer.is_none() {
        report.skipped("bench of Go sriov", "PEER_BIN names no folder with it")?;
    }
    report.note(table(&rows))
}

fn measure(rig: &Rig<'_>) -> Result<Vec<Row>> {
    let vf = rig.vf(0);
    let pod = Sandbox::create("bench")?;
    let keys = json!({"vlan": 7, "mac": MAC, "trust": "on", "spoofchk": "off"});
    let config = Rig::config(&vf, &keys);
    let mut plugins = vec![("sriov", &rig.sriov)];
    plugins.extend(rig.peer.as_ref().map(|peer| ("Go sriov", peer)));
    let bare = Bare::new(rig, &vf, &pod, MAC)?;

    let mut samples: Vec<(String, Vec<Sample>)> = Vec::new();
    let mut take =
        |name: String, sample: Sample| match samples.iter_mut().find(|(known, _)| *known == name) {
            Some((_, list)) => list.push(sample),
            None => samples.push((name, vec![sample])),
        };
    for _ in 0..ROUNDS {
        for (name, plugin) in &plugins {
            for command in ["VERSION", "ADD", "DEL"] {
                let sample = of_children(|| call(plugin, command, &pod, &config))?;
                take(format!("{name} {command}"), sample);
            }
            unpin(&vf, &bare)?;
        }
        take("bare ADD".to_owned(), of_this_process(|| bare.add())?);
        take("bare DEL".to_owned(), of_this_process(|| bare.del())?);
        take(
            "ip -batch ADD".to_owned(),
            of_children(|| batch_add(&vf, &pod, &bare))?,
        );
        take(
            "ip -batch DEL".to_owned(),
            of_children(|| batch_del(&vf, &pod, &bare))?,
        );
    }
    let mut rows = medians(samples);
    for (name, plugin) in &plugins {
        for command in ["VERSION", "ADD", "DEL"] {
            let (calls, peak) = deep(plugin, command, &pod, &config)?;
            if let Some(row) = rows
                .iter_mut()
                .find(|row| row.name == format!("{name} {command}"))
            {
                row.calls = Some(calls);
                row.peak_kb = Some(peak);
            }
            unpin(&vf, &bare)?;
        }
    }
    Ok(rows)
}

/// The Go program leaves the VF unable to change its own address (K1), which the others would stumble over.
fn unpin(vf: &Vf, bare: &Bare) -> Result<()> {
    let (pf, index, name, own) = (&vf.pf, vf.index, &bare.name, bare.own);
    ip(&format!("link set {pf} vf {index} mac 00:00:00:00:00:00"))?;
    ip(&format!("link set dev {name} address 02:de:ad:00:00:05"))?;
    ip(&format!("link set dev {name} address {own}")).map(drop)
}

fn call(plugin: &Plugin, command: &str, pod: &Sandbox, config: &Value) -> Result<()> {
    let answer = plugin.call(command, pod, NET1, config)?;
    answer
        .success()
        .with_context(|| command.to_owned())
        .map(drop)
}

/// System calls as strace counts them, and peak memory in kB: each in a call of its own, since they cost time. The call
/// is undone or done first, so that it does all of its work.
fn deep(plugin: &Plugin, command: &str, pod: &Sandbox, config: &Value) -> Result<(u64, u64)> {
    let prepare = || match command {
        "DEL" => call(plugin, "ADD", pod, config),
        _ => Ok(()),
    };
    let clean = || call(plugin, "DEL", pod, config);
    let file = "/run/lab-bin/strace";
    let traced = plugin.clone().below(&format!("strace -f -c -o {file}"));
    prepare()?;
    call(&traced, command, pod, config)?;
    if command == "ADD" {
        clean()?;
    }
    let text = std::fs::read_to_string(file).context("read strace's table")?;
    let calls = text
        .lines()
        .last()
        .filter(|line| line.ends_with("total"))
        .and_then(|line| line.split_whitespace().nth(3)?.parse().ok())
        .with_context(|| format!("no total in {text:?}"))?;

    prepare()?;
    let timed = plugin.clone().below("/usr/bin/busybox time -v");
    let answer = timed.call(command, pod, NET1, config)?;
    answer.success()?;
    if command == "ADD" {
        clean()?;
    }
    let peak = answer
        .stderr
        .lines()
        .find_map(|line| {
            line.trim()
                .strip_prefix("Maximum resident set size (kbytes): ")
        })
        .and_then(|text| text.parse().ok())
        .with_context(|| format!("no peak memory in {:?}", answer.stderr))?;
    Ok((calls, peak))
}

/// The same changes by two `ip` processes, as K14 has it; without the sysctls, which `ip` cannot set.
fn batch_add(vf: &Vf, pod: &Sandbox, bare: &Bare) -> Result<()> {
    let name = &bare.name;
    batch(
        &[],
        &format!(
            "link set dev {name} address {MAC}\n\
         link set dev {pf} vf {index} vlan 7 mac {MAC} spoofchk off trust on\n\
         link set dev {name} netns {pod} name {NET1}\n",
            pf = vf.pf,
            index = vf.index,
            pod = pod.id,
        ),
    )?;
    batch(&["-netns", &pod.id], &format!("link set dev {NET1} up\n"))
}

fn batch_del(vf: &Vf, pod: &Sandbox, bare: &Bare) -> Result<()> {
    let (name, own) = (&bare.name, bare.own);
    batch(
        &["-netns", &pod.id],
        &format!("link set dev {NET1} down\nlink set dev {NET1} netns 1 name {name}\n"),
    )?;
    batch(
        &[],
        &format!(
            "link set dev {pf} vf {index} mac 00:00:00:00:00:00\n\
         link set dev {name} address {own}\n\
         link set dev {pf} vf {index} vlan 0 spoofchk on trust off\n",
            pf = vf.pf,
            index = vf.index,
        ),
    )
}

fn batch(words: &[&str], lines: &str) -> Result<()> {
    let file = "/run/lab-bin/batch";
    std::fs::write(file, lines).context("write a batch")?;
    let printed = run("ip", words.iter().copied().chain(["-batch", file]))?;
    ensure!(printed.is_empty(), "ip printed {printed}");
    Ok(())
}

fn table(rows: &[Row]) -> String {
    let mut lines = vec![format!(
        "{:<18} {:>8} {:>8} {:>7} {:>8}  {:>13} {:>13}",
        "", "wall ms", "CPU ms", "calls", "peak kB", "wall to bare", "CPU to bare"
    )];
    let find = |name: &str, command: &str| {
        let name = format!("{name} {command}");
        rows.iter().find(move |row| row.name == name)
    };
    for row in rows {
        let (_, command) = row.name.rsplit_once(' ').unwrap_or_default();
        let bare = find("bare", command);
        let number =
            |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        let to_bare = |ours: f64, theirs: Option<f64>| {
            theirs.map_or_else(|| "-".to_owned(), |theirs| format!("{:.2}", ours / theirs))
        };
        lines.push(format!(
            "{:<18} {:>8.1} {:>8.1} {:>7} {:>8}  {:>13} {:>13}",
            row.name,
            row.wall_ms,
            row.cpu_ms,
            number(row.calls),
            number(row.peak_kb),
            to_bare(row.wall_ms, bare.map(|bare| bare.wall_ms)),
            to_bare(row.cpu_ms, bare.map(|bare| bare.cpu_ms)),
        ));
    }
    for command in ["ADD", "DEL"] {
        if let (Some(ours), Some(go)) = (find("sriov", command), find("Go sriov", command)) {
            lines.push(format!(
                "{command}: Go takes {:.1} times the wall time, {:.1} times the CPU, {:.1} times the system calls of ours",
                go.wall_ms / ours.wall_ms,
                go.cpu_ms / ours.cpu_ms,
                ratio(go.calls, ours.calls),
            ));
        }
    }
    lines.join("\n")
}

#[expect(clippy::cast_precision_loss, reason = "counts of system calls")]
fn ratio(one: Option<u64>, other: Option<u64>) -> f64 {
    one.unwrap_or_default() as f64 / other.unwrap_or(1) as f64
}
