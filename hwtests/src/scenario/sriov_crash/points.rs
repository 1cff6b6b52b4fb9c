//! The rows of the matrix: the crash points that `sriov` has, as it names them itself.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::{
    cell::{Kind, Row, Verb},
    choose::Reached,
    lab::BIN,
    situation,
};
use crate::guest::shell::run;

/// A line of the plugin's list.
#[derive(Debug, Deserialize)]
struct Listed {
    command: String,
    mode: String,
    point: String,
}

/// Every row.
#[derive(Debug, Default)]
pub struct Rows {
    /// Those that can be played.
    pub reached: Vec<Reached>,
    /// Those that nothing outside the plugin brings it to, with the reason.
    pub out_of_reach: Vec<(Row, &'static str)>,
}

/// Asks the plugin for its points.
///
/// # Errors
/// When it does not tell, tells of a command or device that is unknown here, or has no point for one that is known.
pub fn rows() -> Result<Rows> {
    let text = run(&format!("{BIN}/sriov-crash"), ["crash-points", "--json"])?;
    let listed: Vec<Listed> =
        serde_json::from_str(&text).context("read the list of crash points")?;
    let mut rows = Rows::default();
    for Listed {
        command,
        mode,
        point,
    } in listed
    {
        let verb = Verb::ALL.into_iter().find(|verb| name(*verb) == command);
        let verb = verb.with_context(|| format!("{point}: what is {command}?"))?;
        let kinds: &[Kind] = match mode.as_str() {
            "kernel" => &[Kind::Kernel],
            "userspace" => &[Kind::Userspace],
            "fallback" => &[Kind::Macvlan, Kind::Ipvlan],
            _ => &[],
        };
        ensure!(!kinds.is_empty(), "{point}: what is {mode}?");
        for kind in kinds {
            let row = Row {
                verb,
                kind: *kind,
                point: point.clone(),
            };
            match situation::of(&row) {
                Ok(situation) => rows.reached.push((row, situation)),
                Err(why) => rows.out_of_reach.push((row, why)),
            }
        }
    }
    for verb in Verb::ALL {
        for kind in Kind::ALL {
            let has = rows
                .reached
                .iter()
                .any(|(row, _)| (row.verb, row.kind) == (verb, kind));
            ensure!(has, "sriov has no crash point in {verb:?} with {kind:?}");
        }
    }
    Ok(rows)
}

fn name(verb: Verb) -> &'static str {
    match verb {
        Verb::Add => "add",
        Verb::RollBack => "rollback",
        Verb::Heal => "heal",
        Verb::Del => "del",
        Verb::Gc => "gc",
        Verb::Recover => "recover",
    }
}

/// Rows that cannot be played, by the reason.
pub fn by_reason(out_of_reach: &[(Row, &'static str)]) -> BTreeMap<&'static str, Vec<String>> {
    let mut reasons: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (row, why) in out_of_reach {
        reasons
            .entry(*why)
            .or_default()
            .push(format!("{:?} {}", row.kind, row.point));
    }
    reasons
}

/// How many points each command has.
pub fn counts(rows: &[Reached]) -> String {
    let mut counts: BTreeMap<(Verb, Kind), usize> = BTreeMap::new();
    for (row, _) in rows {
        *counts.entry((row.verb, row.kind)).or_default() += 1;
    }
    let counts = counts
        .iter()
        .map(|((verb, kind), count)| format!("{verb:?} {kind:?} {count}"));
    format!(
        "{} rows: {}",
        rows.len(),
        counts.collect::<Vec<_>>().join(", ")
    )
}
