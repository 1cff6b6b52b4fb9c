//! The figures in lines.

use super::cost::Row;

/// A line per program, pod and command.
pub(super) fn costs(rows: &[Row], floor_kb: Option<u64>) -> String {
    let mut lines = vec![format!(
        "\n{:<18} {:>8} {:<4} {:>8} {:>14} {:>10} {:>9} {:>6} {:>9}",
        "",
        "networks",
        "",
        "wall ms",
        "CPU ms (least)",
        "daemon ms",
        "peak kB",
        "files",
        "API calls"
    )];
    let number =
        |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    for row in rows {
        lines.push(format!(
            "{:<18} {:>8} {:<4} {:>8.1} {:>14} {:>10.1} {:>9} {:>6} {:>9}",
            row.subject,
            row.networks,
            row.command,
            row.wall_ms,
            format!("{:.1} ({:.1})", row.cpu_ms, row.least_cpu_ms),
            row.daemon_ms,
            number(row.peak_kb),
            number(row.files.map(|files| files as u64)),
            number(row.api_calls),
        ));
    }
    lines.push(format!(
        "CPU: the command's processes, delegates included; daemon: its threads and what it runs; peak: the program with\n\
         delegates that cost nothing (a static program that does nothing: {}); files: in its state folder after the command",
        number(floor_kb)
    ));
    lines.join("\n")
}

/// The daemons' memory at three moments.
pub(super) fn memory(pods: usize, moments: &[Vec<(String, u64, u64)>; 3]) -> String {
    let mut lines = vec![format!(
        "\n{:<18} {:>14} {:>14} {:>14}   resident (anonymous) kB",
        "",
        "idle",
        "after the run",
        format!("{pods} pods")
    )];
    let [idle, used, crowded] = moments;
    for ((one, two), three) in idle.iter().zip(used).zip(crowded) {
        let cell =
            |(_, resident, anonymous): &(String, u64, u64)| format!("{resident} ({anonymous})");
        lines.push(format!(
            "{:<18} {:>14} {:>14} {:>14}",
            one.0,
            cell(one),
            cell(two),
            cell(three)
        ));
    }
    lines.join("\n")
}

/// Ours beside the design's budget, and the Go programs' multiples of ours.
pub(super) fn budgets(rows: &[Row]) -> String {
    let find = |subject: &str, networks: usize, command: &str| {
        rows.iter().find(|row| {
            row.subject == subject && row.networks == networks && row.command == command
        })
    };
    let own = |networks: usize| {
        let ours = find("multus + daemon", networks, "ADD")?;
        let alone = find("delegates alone", networks, "ADD")?;
        Some(ours.least_cpu_ms - alone.least_cpu_ms)
    };
    let mut lines = vec![String::new()];
    if let (Some(none), Some(one), Some(three)) = (own(0), own(1), own(3)) {
        lines.push(format!(
            "own share of ADD's CPU, from the least: plain {none:.1} ms (budget 1), one network {one:.1} ms, three {three:.1} ms: {:.1} ms for each further one (budget 1)",
            (three - one) / 2.0
        ));
    }
    for go in ["Go shim + daemon", "Go thin"] {
        for networks in super::NETWORKS {
            for command in ["ADD", "DEL"] {
                let (Some(ours), Some(theirs)) = (
                    find("multus + daemon", networks, command),
                    find(go, networks, command),
                ) else {
                    continue;
                };
                lines.push(format!(
                    "{go}, {networks} networks, {command}: {:.1} times the wall time, {:.1} times the CPU (the least, daemons included)",
                    theirs.wall_ms / ours.wall_ms,
                    (theirs.least_cpu_ms + theirs.daemon_ms)
                        / (ours.least_cpu_ms + ours.daemon_ms),
                ));
            }
        }
    }
    lines.join("\n")
}
