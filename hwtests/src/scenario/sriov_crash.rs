//! `sriov` killed at every point, and what a runtime, an admin or a reboot does next.
//!
//! The crash matrix has a row per point at which a command can be aborted and a column per what comes next; a cell is
//! played on a VF (or software slot) of its own and ends with the VF as it was and nothing left. The kill matrix kills
//! the shipped program at random moments.

pub mod cell;
pub mod choose;
pub mod config;
pub mod disturb;
pub mod eyes;
pub mod kill;
pub mod lab;
pub mod mischief;
pub mod plant;
pub mod points;
pub mod seat;
pub mod situation;
pub mod story;
pub mod table;
pub mod watch;

use std::{
    collections::VecDeque,
    future::pending,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail, ensure};

use self::{
    cell::{Cell, Column},
    kill::Killed,
    lab::Lab,
    plant::Fault,
    points::Rows,
    seat::Seat,
    story::Story,
};
use crate::{
    guest::machine::Machine,
    report::{Line, Reporter},
};

/// Random moments in all, and in the spread.
const MOMENTS: [usize; 2] = [200, 40];
/// Cells of one step: whoever watches sees that it goes on.
const AT_A_TIME: usize = 150;
/// Numbers of cells that are in no matrix.
const PLANTED: usize = 9000;

/// Plays the story, as far as this boot goes.
///
/// # Errors
/// When the report cannot be written; a step that does not hold is reported, not returned.
pub async fn play(machine: &Machine, report: &mut Reporter) -> Result<()> {
    let kept = Story::read(&machine.logs)?;
    if kept.as_ref().is_some_and(|story| story.is_over) {
        return Ok(());
    }
    let mut lab = None;
    report
        .step("crash bench", async {
            let lab = lab.insert(Lab::open(machine)?);
            let counts = lab
                .devices
                .iter()
                .map(|(kind, list)| format!("{} {kind:?}", list.len()));
            Ok(counts.collect::<Vec<_>>().join(", "))
        })
        .await?;
    let Some(mut lab) = lab else { return Ok(()) };
    let mut story = match kept {
        Some(story) => story,
        None => first_boot(machine, &mut lab, report).await?,
    };
    if !story.waiting.is_empty() {
        after_boot(&mut lab, &mut story, report).await?;
    }
    if let Some((column, cells)) = story.take_boot() {
        before_boot(&mut lab, &mut story, report, column, cells).await?;
        story.keep(&machine.logs)?;
        let power_cut = column == Column::PowerCut;
        report.line(&Line::NextBoot { power_cut })?;
        if power_cut {
            // Nothing more happens in this boot.
            pending::<()>().await;
        }
        return Ok(());
    }
    story.is_over = true;
    story.keep(&machine.logs)?;
    close(machine, &story, report).await
}

/// Everything that needs no further boot.
async fn first_boot(machine: &Machine, lab: &mut Lab, report: &mut Reporter) -> Result<Story> {
    let mut story = Story::default();
    let mut rows = Rows::default();
    report
        .step("crash points", async {
            rows = points::rows()?;
            Ok(points::counts(&rows.reached))
        })
        .await?;
    let Rows {
        reached,
        out_of_reach,
    } = rows;
    for (why, rows) in points::by_reason(&out_of_reach) {
        report.skipped(
            &format!("{} rows", rows.len()),
            &format!("{why}: {}", rows.join(", ")),
        )?;
    }
    story.rows = reached.iter().map(|(row, _)| row.clone()).collect();
    for (number, fault) in Fault::ALL.into_iter().enumerate() {
        let found = async { plant::find(lab, fault, PLANTED + number) };
        report.step(&format!("planted {fault:?}"), found).await?;
    }
    let room = lab
        .devices
        .iter()
        .map(|(kind, list)| (*kind, list.len()))
        .collect();
    let cells = if machine.long {
        choose::all(&reached)
    } else {
        choose::spread(&reached, &room)
    };
    story.planned = cells.len();
    let (to_boot, mut now): (VecDeque<Cell>, VecDeque<Cell>) =
        cells.into_iter().partition(|cell| cell.column.boots());
    story.to_boot = to_boot;
    let all = now.len();
    while !now.is_empty() {
        let later = now.split_off(now.len().min(AT_A_TIME));
        let name = format!("crash cells, {} of {all}", all - later.len());
        let cells = std::mem::replace(&mut now, later);
        report
            .step(&name, async { without_boot(lab, &mut story, cells) })
            .await?;
    }
    kill_matrix(machine, lab, report).await?;
    Ok(story)
}

fn without_boot(lab: &mut Lab, story: &mut Story, mut cells: VecDeque<Cell>) -> Result<String> {
    let count = cells.len();
    let mut red = Vec::new();
    while !cells.is_empty() {
        let mut batch = choose::batch(&mut cells, &lab.devices);
        ensure!(
            !batch.is_empty(),
            "no device is fit for {} more cells\n{}",
            cells.len(),
            red.join("\n")
        );
        lab.play(&mut batch)?;
        red.extend(finish(lab, story, batch));
    }
    verdict(count, &red)
}

async fn kill_matrix(machine: &Machine, lab: &mut Lab, report: &mut Reporter) -> Result<()> {
    let moments = MOMENTS[usize::from(!machine.long)];
    report
        .step("kill matrix", async {
            let seed = SystemTime::now().duration_since(UNIX_EPOCH).context("read the clock")?.subsec_nanos();
            let Killed { adds, dels, late, mut red } = kill::matrix(lab, u64::from(seed), moments)?;
            red.extend(kill::sweep(lab).err().map(|error| format!("RED in the end: {error:#}")));
            let told = format!(
                "{} of {moments} kills: {adds} ADD, {dels} DEL; {late} came late; 4 pods in parallel; seed {seed}",
                adds + dels
            );
            if red.is_empty() { Ok(told) } else { bail!("{told}\n{}", red.join("\n")) }
        })
        .await?;
    Ok(())
}

/// Aborts the cells of a boot; what they have left is there at the next.
async fn before_boot(
    lab: &mut Lab,
    story: &mut Story,
    report: &mut Reporter,
    column: Column,
    mut cells: VecDeque<Cell>,
) -> Result<()> {
    let mut batch = choose::batch(&mut cells, &lab.devices);
    // The rest is for later boots.
    cells.extend(story.to_boot.drain(..));
    story.to_boot = cells;
    report
        .step(&format!("crashes before {}", name(column)), async {
            ensure!(
                !batch.is_empty(),
                "no device is fit for the cells that are left"
            );
            // Whatever was cleaned up before stays so.
            nix::unistd::sync();
            let half = batch.len() / 2;
            lab.play(&mut batch[..half])?;
            if column == Column::PowerCut {
                // These cells' files outlive the power, the others' may not.
                nix::unistd::sync();
            }
            lab.play(&mut batch[half..])?;
            let (waiting, ended): (Vec<Seat>, Vec<Seat>) =
                batch.drain(..).partition(|seat| seat.red.is_none());
            story.waiting = waiting;
            story.waiting.iter_mut().for_each(Seat::booted);
            let count = story.waiting.len() + ended.len();
            verdict(count, &story.end(ended))
        })
        .await?;
    Ok(())
}

async fn after_boot(lab: &mut Lab, story: &mut Story, report: &mut Reporter) -> Result<()> {
    let mut batch = std::mem::take(&mut story.waiting);
    let column = batch
        .first()
        .map_or(Column::Reboot, |seat| seat.cell.column);
    report
        .step(&format!("after {}", name(column)), async {
            let count = batch.len();
            lab.play(&mut batch)?;
            verdict(count, &finish(lab, story, batch))
        })
        .await?;
    Ok(())
}

/// Ends a batch; returns what is red.
fn finish(lab: &mut Lab, story: &mut Story, mut batch: Vec<Seat>) -> Vec<String> {
    lab.clear(&mut batch);
    let mut red = story.end(batch);
    if red.is_empty() {
        red.extend(
            lab.eyes
                .nothing_left()
                .err()
                .map(|error| format!("RED after a batch of cells: {error:#}")),
        );
    }
    red
}

async fn close(machine: &Machine, story: &Story, report: &mut Reporter) -> Result<()> {
    report
        .step("crash matrix", async {
            let summary = table::summary(story);
            let green = story.ended.iter().all(|ended| ended.red.is_none());
            ensure!(
                green && story.ended.len() == story.planned,
                "{summary}, {} planned",
                story.planned
            );
            Ok(summary)
        })
        .await?;
    if machine.long || story.ended.iter().any(|ended| ended.red.is_some()) {
        report.note(table::whole(story))?;
    }
    report.note(table::counts(story))
}

fn verdict(count: usize, red: &[String]) -> Result<String> {
    ensure!(red.is_empty(), "{count} cells\n{}", red.join("\n"));
    Ok(format!("{count} cells"))
}

fn name(column: Column) -> &'static str {
    match column {
        Column::PowerCut => "a power cut",
        _ => "a reboot",
    }
}
