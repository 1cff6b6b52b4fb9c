//! What a run reports: one JSON line per observation, written in the guest, read and printed on the host.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// One line of a report.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Line {
    /// What ran: kernel, runtime, kubelet and API server, real or stand-in.
    Head {
        /// The thing.
        what: String,
        /// Its version or nature.
        is: String,
    },
    /// A step begins.
    Begin {
        /// Short name of the step.
        step: String,
    },
    /// A step ended.
    Step {
        /// Short name of the step.
        step: String,
        /// Whether what was observed is what must be.
        outcome: Outcome,
        /// What was observed; on failure the reason.
        observed: String,
        /// Time that the step took, in milliseconds.
        millis: u64,
    },
    /// The story goes on after the machine's next boot, on the same disk.
    NextBoot {
        /// The machine is killed now, as by a power cut, instead of being waited for.
        power_cut: bool,
    },
    /// A PF's cable is pulled or plugged in, by whoever runs the machine.
    Cable {
        /// The PF, counted from 0.
        pf: usize,
        /// Plugged in, not pulled.
        plugged: bool,
    },
    /// Text to show as it is, below a step.
    Note {
        /// One or more lines.
        text: String,
    },
}

/// How a step ended.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It held.
    Passed,
    /// It did not hold.
    Failed,
    /// It could not be tried here; the observation says why.
    Skipped,
}

/// Writes a report line by line.
#[derive(Debug)]
pub struct Reporter {
    file: File,
    failed: usize,
    boots: bool,
}

impl Reporter {
    /// Appends to the file at `path`.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn append(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| format!("open the report {}", path.display()))?;
        Ok(Self {
            file,
            failed: 0,
            boots: false,
        })
    }

    /// A second writer of the same report, for lines within a step. What it counts is its own.
    ///
    /// # Errors
    /// When the file cannot be shared.
    pub fn inside(&self) -> Result<Self> {
        Ok(Self {
            file: self.file.try_clone().context("share the report")?,
            failed: 0,
            boots: false,
        })
    }

    /// Writes one line.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn line(&mut self, line: &Line) -> Result<()> {
        self.boots |= matches!(line, Line::NextBoot { .. });
        let mut text = serde_json::to_string(line).context("encode a report line")?;
        text.push('\n');
        self.file
            .write_all(text.as_bytes())
            .context("write the report")
    }

    /// Names something that takes part.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn head(&mut self, what: &str, is: &str) -> Result<()> {
        self.line(&Line::Head {
            what: what.to_owned(),
            is: is.to_owned(),
        })
    }

    /// Runs one step and reports it. Returns what it observed, or `None` if it failed.
    ///
    /// # Errors
    /// When the report cannot be written.
    pub async fn step(
        &mut self,
        name: &str,
        work: impl Future<Output = Result<String>>,
    ) -> Result<Option<String>> {
        self.line(&Line::Begin {
            step: name.to_owned(),
        })?;
        let started = Instant::now();
        let result = work.await;
        let (outcome, observed) = match &result {
            Ok(observed) => (Outcome::Passed, observed.clone()),
            Err(error) => {
                self.failed += 1;
                (Outcome::Failed, format!("{error:#}"))
            }
        };
        self.line(&Line::Step {
            step: name.to_owned(),
            outcome,
            observed,
            millis: millis(started.elapsed()),
        })?;
        Ok(result.ok())
    }

    /// Reports a step that could not be tried here, with the reason; it is counted.
    ///
    /// # Errors
    /// When the report cannot be written.
    pub fn skipped(&mut self, name: &str, why: &str) -> Result<()> {
        self.line(&Line::Step {
            step: name.to_owned(),
            outcome: Outcome::Skipped,
            observed: why.to_owned(),
            millis: 0,
        })
    }

    /// Shows text below the last step.
    ///
    /// # Errors
    /// When the report cannot be written.
    pub fn note(&mut self, text: impl Into<String>) -> Result<()> {
        self.line(&Line::Note { text: text.into() })
    }

    /// Whether a story goes on after the machine's next boot: others must not find what it has left for that.
    pub fn boots(&self) -> bool {
        self.boots
    }

    /// Number of steps that failed so far.
    pub fn failed(&self) -> usize {
        self.failed
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Prints a report's lines for people as they come, and keeps them.
#[derive(Debug, Default)]
pub struct Printer {
    /// All lines seen, in order.
    pub lines: Vec<Line>,
}

impl Printer {
    /// Takes one line of the report's file; a line that is not a report's line is shown as it is.
    pub fn take(&mut self, text: &str) {
        let Ok(line) = serde_json::from_str::<Line>(text) else {
            println!("  {text}");
            return;
        };
        match &line {
            Line::Head { what, is } => println!("  {what:<12} {is}"),
            Line::Begin { .. } | Line::Cable { .. } => {}
            Line::NextBoot { power_cut: false } => println!("  lab: rebooting the guest"),
            Line::NextBoot { power_cut: true } => println!("  lab: cutting the guest's power"),
            Line::Step {
                step,
                outcome,
                observed,
                millis,
            } => print_step(step, *outcome, observed, *millis),
            Line::Note { text } => {
                for row in text.lines() {
                    println!("        {row}");
                }
            }
        }
        self.lines.push(line);
    }

    /// Steps by outcome.
    pub fn count(&self, wanted: Outcome) -> usize {
        self.lines
            .iter()
            .filter(|line| matches!(line, Line::Step { outcome, .. } if *outcome == wanted))
            .count()
    }

    /// Name of the first step that failed.
    pub fn first_failure(&self) -> Option<&str> {
        self.lines.iter().find_map(|line| match line {
            Line::Step {
                step,
                outcome: Outcome::Failed,
                ..
            } => Some(step.as_str()),
            _ => None,
        })
    }
}

fn print_step(step: &str, outcome: Outcome, observed: &str, millis: u64) {
    let mark = match outcome {
        Outcome::Passed => "ok",
        Outcome::Failed => "FAILED",
        Outcome::Skipped => "skipped",
    };
    let mut rows = observed.lines();
    let first = rows.next().unwrap_or_default();
    println!(
        "  {mark:<7} {step:<22} {first}  [{}.{} s]",
        millis / 1000,
        millis % 1000 / 100
    );
    for row in rows {
        println!("  {:<7} {:<22} {row}", "", "");
    }
}
