//! The kill matrix: the shipped `sriov` is killed at moments that nobody chose, while other pods come and go.

use std::{
    os::unix::process::ExitStatusExt,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    cell::{Cell, Column, Kind, Pod, Row, Verb},
    lab::Lab,
    seat::Seat,
    situation::Situation,
    watch,
};
use crate::guest::cni::Sandbox;

/// What the parallel pods are given, a lane each.
const LANES: [Kind; 4] = [Kind::Kernel, Kind::Kernel, Kind::Userspace, Kind::Macvlan];
/// A command that is done before its moment came is tried again, so often at most per moment asked for.
const PATIENCE: usize = 4;

/// `sriov` takes a younger temporary file for another process's work.
const OLD: Duration = Duration::from_secs(11);

/// What came of one lane.
#[derive(Debug, Default)]
pub struct Killed {
    /// Moments at which a process died by SIGKILL.
    pub adds: usize,
    /// The same for DEL.
    pub dels: usize,
    /// Moments that came after the process had ended.
    pub late: usize,
    /// What was wrong afterwards.
    pub red: Vec<String>,
}

impl Killed {
    fn hits(&self) -> usize {
        self.adds + self.dels
    }
}

/// Numbers that look random: SplitMix64 by Steele, Lea and Flood (2014). The same seed gives the same moments.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A time below `span`.
    fn moment(&mut self, span: Duration) -> Duration {
        Duration::from_micros(
            self.next() % u64::try_from(span.as_micros()).unwrap_or(u64::MAX).max(1),
        )
    }
}

/// Kills `moments` processes in all lanes together.
///
/// # Errors
/// When a lane has no device.
pub fn matrix(lab: &Lab, seed: u64, moments: usize) -> Result<Killed> {
    let mut devices = lab.devices.clone();
    let mut lanes = Vec::new();
    for (number, kind) in LANES.into_iter().enumerate() {
        let device = devices.get_mut(&kind).and_then(Vec::pop);
        lanes.push((
            number,
            kind,
            device.with_context(|| format!("no {kind:?} device is fit for the kill matrix"))?,
        ));
    }
    let each = moments.div_ceil(lanes.len());
    let mut sum = Killed::default();
    thread::scope(|scope| {
        let play = |(number, kind, device): &(usize, Kind, String)| {
            let (number, kind, device) = (*number, *kind, device.clone());
            scope.spawn(move || lane(lab, number, kind, &device, seed, each))
        };
        let lanes: Vec<_> = lanes.iter().map(play).collect();
        for lane in lanes {
            let Ok(lane) = lane.join() else {
                sum.red.push("a lane's thread panicked".to_owned());
                continue;
            };
            sum.adds += lane.adds;
            sum.dels += lane.dels;
            sum.late += lane.late;
            sum.red.extend(lane.red);
        }
    });
    Ok(sum)
}

/// How long undisturbed commands take in a lane, while the other lanes are at work.
#[derive(Debug, Clone, Copy)]
struct Pace {
    add: Duration,
    del: Duration,
}

fn lane(lab: &Lab, number: usize, kind: Kind, device: &str, seed: u64, moments: usize) -> Killed {
    let mut random = Random(seed.wrapping_add(number as u64));
    let mut killed = Killed::default();
    let seat = |moment: usize, verb| {
        let row = Row {
            verb,
            kind,
            point: "a random moment".to_owned(),
        };
        let cell = Cell {
            number: 2000 * (number + 1) + moment,
            row,
            column: Column::Del,
            situation: Situation::Plain,
        };
        Seat::new(cell, device)
    };
    let pace = match measure(lab, &mut seat(0, Verb::Add)) {
        Ok(pace) => pace,
        Err(error) => {
            killed.red.push(format!(
                "RED lane {number}, {kind:?}, undisturbed: {error:#}"
            ));
            return killed;
        }
    };
    for moment in 1..=moments * PATIENCE {
        if killed.hits() == moments {
            return killed;
        }
        let verb = if random.next().is_multiple_of(3) {
            Verb::Del
        } else {
            Verb::Add
        };
        let mut seat = seat(moment, verb);
        match one(lab, &mut seat, pace, &mut random) {
            Ok(true) if verb == Verb::Add => killed.adds += 1,
            Ok(true) => killed.dels += 1,
            Ok(false) => killed.late += 1,
            Err(error) => {
                killed.red.push(format!(
                    "RED {} {verb:?} {kind:?}: {error:#}",
                    seat.cell.name()
                ));
                seat.tidy(lab);
                if !seat.is_fit(lab) {
                    killed
                        .red
                        .push(format!("RED lane {number} ends: {device} stays spoilt"));
                    return killed;
                }
            }
        }
    }
    killed.red.push(format!(
        "RED lane {number}: {} of {moments} kills hit",
        killed.hits()
    ));
    killed
}

/// The last word: temporary files that killed processes left are removed by a later DEL once they are old, and then
/// nothing at all is left.
///
/// # Errors
/// When something is.
pub fn sweep(lab: &Lab) -> Result<()> {
    thread::sleep(OLD);
    let device = lab.devices[&Kind::Kernel]
        .first()
        .context("no VF for the last DEL")?;
    let row = Row {
        verb: Verb::Del,
        kind: Kind::Kernel,
        point: "none".to_owned(),
    };
    let cell = Cell {
        number: 1999,
        row,
        column: Column::Del,
        situation: Situation::Plain,
    };
    let mut seat = Seat::new(cell, device);
    seat.insist(lab, "DEL", Pod::First)?;
    seat.clean(lab)?;
    lab.eyes.nothing_left()
}

fn measure(lab: &Lab, seat: &mut Seat) -> Result<Pace> {
    Sandbox::create(&seat.cell.container(Pod::First))?;
    let started = Instant::now();
    seat.insist(lab, "ADD", Pod::First)?;
    let add = started.elapsed();
    let started = Instant::now();
    seat.insist(lab, "DEL", Pod::First)?;
    let del = started.elapsed();
    seat.clean(lab)?;
    Ok(Pace { add, del })
}

/// One moment. False if the process had ended before.
fn one(lab: &Lab, seat: &mut Seat, pace: Pace, random: &mut Random) -> Result<bool> {
    let pod = Sandbox::create(&seat.cell.container(Pod::First))?;
    let hit = if seat.cell.row.verb == Verb::Del {
        seat.insist(lab, "ADD", Pod::First)?;
        kill_at(lab, seat, "DEL", &pod, random.moment(pace.del))?
    } else {
        kill_at(lab, seat, "ADD", &pod, random.moment(pace.add))?
    };
    seat.insist(lab, "DEL", Pod::First)?;
    seat.clean(lab)?;
    Ok(hit)
}

fn kill_at(lab: &Lab, seat: &Seat, command: &str, pod: &Sandbox, moment: Duration) -> Result<bool> {
    let child = lab
        .sriov
        .start(command, pod, &seat.cell.ifname(), &seat.config(Pod::First))?;
    thread::sleep(moment);
    let pid = i32::try_from(child.id()).context("a process id")?;
    // Not reaped yet, so the id is still the child's own.
    kill(Pid::from_raw(pid), Signal::SIGKILL).context("kill sriov")?;
    let answer = watch::end(child)?;
    lab.log(
        &seat.cell,
        &format!("{command} killed after {} us", moment.as_micros()),
        &answer,
    )?;
    match answer.status.signal() {
        Some(signal) if signal == Signal::SIGKILL as i32 => Ok(true),
        Some(signal) => bail!(
            "{command} died of signal {signal}: {}",
            answer.stderr.trim()
        ),
        None => {
            ensure!(
                answer.status.success(),
                "{command} failed by itself: {}",
                answer.stdout.trim()
            );
            Ok(false)
        }
    }
}
