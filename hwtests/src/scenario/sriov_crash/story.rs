//! What the story knows from boot to boot: cells that are to be played, cells that wait for the boot, cells that ended.
//!
//! It is kept on the folder that the host shares, not on the guest's disk: writing there would make the disk safe just
//! before its power is cut.

use std::{
    collections::VecDeque,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{
    cell::{Cell, Column, Row},
    seat::Seat,
};

/// The story so far.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Story {
    /// Every row there is.
    pub rows: Vec<Row>,
    /// How many cells are to be played.
    pub planned: usize,
    /// Cells that boot, still to be played.
    pub to_boot: VecDeque<Cell>,
    /// Cells that were aborted in the boot before.
    pub waiting: Vec<Seat>,
    /// Cells that ended.
    pub ended: Vec<Ended>,
    /// Everything is played and told.
    pub is_over: bool,
}

/// A cell that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The cell.
    pub cell: Cell,
    /// Why it is red; `None` if it is green.
    pub red: Option<String>,
}

impl Story {
    /// Reads what the boot before kept; `None` in the first one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(logs: &Path) -> Result<Option<Self>> {
        let path = file(logs);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("read {}", path.display()))
            .map(Some)
    }

    /// Keeps it for the next boot.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, logs: &Path) -> Result<()> {
        let path = file(logs);
        let text = serde_json::to_vec(self).context("encode the story")?;
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    }

    /// Takes in a batch whose cells have ended; returns a line per red one.
    pub fn end(&mut self, batch: Vec<Seat>) -> Vec<String> {
        let ended: Vec<_> = batch
            .into_iter()
            .map(|seat| Ended {
                cell: seat.cell,
                red: seat.red,
            })
            .collect();
        let red = ended.iter().filter_map(Ended::line).collect();
        self.ended.extend(ended);
        red
    }

    /// Cells to boot with of one column, the next in turn: all of them, out of the queue.
    pub fn take_boot(&mut self) -> Option<(Column, VecDeque<Cell>)> {
        let column = self.to_boot.front()?.column;
        let (now, later) = self
            .to_boot
            .drain(..)
            .partition(|cell| cell.column == column);
        self.to_boot = later;
        Some((column, now))
    }
}

impl Ended {
    fn line(&self) -> Option<String> {
        let Self { cell, red } = self;
        red.as_ref()
            .map(|why| format!("RED {} {cell}: {why}", cell.name()))
    }
}

fn file(logs: &Path) -> PathBuf {
    logs.join("sriov-crash.json")
}
