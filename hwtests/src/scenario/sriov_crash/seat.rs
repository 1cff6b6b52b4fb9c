//! A cell on its device: how far its script is played, and how one act is carried out.

use std::{fs, os::unix::process::ExitStatusExt, path::Path, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    cell::{Act, Cell, Column, Pod, Row, Verb},
    config::Asked,
    eyes::{self, VfLook},
    lab::Lab,
    watch,
};
use crate::guest::{
    cni::{Answer, Sandbox},
    shell::ip,
};

/// CNI code for "try again later".
const TRY_AGAIN: u64 = 11;
/// How often the runtime of this lab tries again, and how long it waits before.
const TRIES: (usize, Duration) = (20, Duration::from_millis(500));

/// A cell with the device that it is played on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// The cell.
    pub cell: Cell,
    /// PCI address of a VF, or name of a software slot.
    pub device: String,
    /// Acts that are done.
    pub done: usize,
    /// Why the cell is red.
    pub red: Option<String>,
    /// The VF as the cell itself has prepared it; no boot keeps that.
    #[serde(skip)]
    pub before: Option<VfLook>,
}

impl Seat {
    /// A cell that has not begun.
    pub fn new(cell: Cell, device: &str) -> Self {
        Self {
            cell,
            device: device.to_owned(),
            done: 0,
            red: None,
            before: None,
        }
    }

    /// The act that is next; `None` at the end, and for a cell that is red.
    pub fn next(&self) -> Option<Act> {
        let open = self.red.is_none();
        open.then(|| self.cell.script().get(self.done).copied())
            .flatten()
    }

    /// Plays on until the end or an act that is played once for many cells.
    pub fn play(&mut self, lab: &Lab) {
        while self
            .next()
            .is_some_and(|act| !matches!(act, Act::Recover | Act::Boot))
        {
            self.step(lab);
        }
    }

    /// Plays one act.
    pub fn step(&mut self, lab: &Lab) {
        let Some(act) = self.next() else { return };
        match self.act(lab, act) {
            Ok(()) => self.done += 1,
            Err(error) => self.red = Some(format!("{act:?}: {error:#}")),
        }
    }

    /// Goes to the first act of this kind, back or forth.
    pub fn rewind(&mut self, to: Act) {
        self.done = self
            .cell
            .script()
            .iter()
            .take_while(|act| **act != to)
            .count();
    }

    fn act(&mut self, lab: &Lab, act: Act) -> Result<()> {
        let cell = &self.cell;
        match act {
            Act::Prepare => self.prepare(&lab.eyes),
            Act::Start(pod) => Sandbox::create(&cell.container(pod)).map(drop),
            Act::Disturb => self.disturb(&lab.eyes),
            Act::Settle => self.settle(&lab.eyes),
            Act::Lose(pod) => self.lose(pod),
            Act::Add(pod) => self.insist(lab, "ADD", pod),
            Act::Del(pod) => self.insist(lab, "DEL", pod),
            Act::Abort => self.abort(lab),
            Act::Owned(pod) => {
                lab.eyes
                    .owned(cell, &self.device, pod, &self.sandbox(pod))?;
                eyes::forgotten(&cell.container(Pod::First))
            }
            Act::Clean => self.clean(lab),
            Act::Recover | Act::Boot => Ok(()),
        }
    }

    /// The machine has booted: VFs are new, and nothing that was prepared is there.
    pub fn booted(&mut self) {
        self.done += 1;
    }

    /// The device is what it was, nothing is left of the cell; its pods and its network's empty folder go.
    ///
    /// # Errors
    /// What is left, or differs.
    pub fn clean(&mut self, lab: &Lab) -> Result<()> {
        for pod in self.living() {
            eyes::empty(&pod)?;
        }
        if self.cell.row.kind.is_vf() {
            lab.eyes.unchanged(&self.device, self.before.as_ref())?;
        }
        if self.cell.column == Column::PowerCut {
            eyes::drop_emptied_leases(&self.cell.name())?;
        }
        eyes::forgotten(&self.cell.name())?;
        eyes::forgotten(&self.device)?;
        self.forget()?;
        self.undress(&lab.eyes)
    }

    /// Removes what the runtime and host-local keep for the cell: namespaces, the network's folder.
    pub fn forget(&self) -> Result<()> {
        for pod in self.living() {
            pod.lose_netns()?;
        }
        let folder = Path::new("/var/lib/cni/networks").join(self.cell.name());
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
        }
        Ok(())
    }

    fn living(&self) -> Vec<Sandbox> {
        let pods = [Pod::First, Pod::Second].map(|pod| self.sandbox(pod));
        pods.into_iter()
            .filter(|pod| Path::new(&pod.netns).exists())
            .collect()
    }

    fn lose(&self, pod: Pod) -> Result<()> {
        if Path::new(&self.sandbox(pod).netns).exists() {
            ip(&format!("netns delete {}", self.cell.container(pod)))?;
        }
        Ok(())
    }

    /// Calls as a runtime does, which tries again when it is told to.
    ///
    /// # Errors
    /// When it fails otherwise, or for too long.
    pub fn insist(&self, lab: &Lab, command: &str, pod: Pod) -> Result<()> {
        let (mut tries, pause) = TRIES;
        loop {
            tries -= 1;
            let answer = self.call(lab, command, pod)?;
            match answer.refusal() {
                Ok(refusal) if refusal.code == TRY_AGAIN && tries > 0 => std::thread::sleep(pause),
                Ok(refusal) => bail!("{command} refused: code {}, {}", refusal.code, refusal.text),
                Err(_) => return answer.success().map(drop),
            }
        }
    }

    fn call(&self, lab: &Lab, command: &str, pod: Pod) -> Result<Answer> {
        let (named, ifname) = (self.named(pod), self.cell.ifname());
        let child = lab
            .sriov
            .start(command, &named, &ifname, &self.config(pod))?;
        let answer = watch::end(child)?;
        lab.log(&self.cell, command, &answer)?;
        Ok(answer)
    }

    /// The pod as the runtime names it: of a namespace that is lost some runtimes give the path, others nothing.
    fn named(&self, pod: Pod) -> Sandbox {
        let sandbox = self.sandbox(pod);
        if Path::new(&sandbox.netns).exists() || self.cell.number % 2 == 1 {
            return sandbox;
        }
        sandbox.without_netns()
    }

    fn abort(&self, lab: &Lab) -> Result<()> {
        let Row { verb, point, .. } = &self.cell.row;
        let pod = self.cell.victim();
        let crashing = lab.crashing(point);
        let call = |command, config: &Value| {
            watch::end(crashing.start(command, &self.sandbox(pod), &self.cell.ifname(), config)?)
        };
        let mut config = self.config(pod);
        let answer = match verb {
            Verb::Recover => lab.recover_aborted(point)?,
            Verb::Add | Verb::RollBack | Verb::Heal => call("ADD", &config)?,
            Verb::Del => call("DEL", &config)?,
            Verb::Gc => {
                config["cni.dev/valid-attachments"] = json!([]);
                // GC came with 1.1.0; the reference plugins of the lab are older, and have no GC.
                config["cniVersion"] = json!("1.1.0");
                config["ipam"] = json!({});
                call("GC", &config)?
            }
        };
        lab.log(&self.cell, &format!("{verb:?} aborted at {point}"), &answer)?;
        ensure!(
            answer.status.signal() == Some(Signal::SIGABRT as i32),
            "did not die at {point}: {}, {}",
            answer.status,
            answer
                .stdout
                .split_whitespace()
                .take(40)
                .collect::<Vec<_>>()
                .join(" ")
        );
        Ok(())
    }

    /// A pod of the cell.
    pub fn sandbox(&self, pod: Pod) -> Sandbox {
        let id = self.cell.container(pod);
        Sandbox {
            netns: format!("/run/netns/{id}"),
            id,
        }
    }

    /// Configuration that the runtime gives for a pod.
    pub fn config(&self, pod: Pod) -> Value {
        Asked::of(&self.cell, pod).config(&self.cell, pod, &self.device)
    }

    /// Brings a red cell's device and files back by force, so that the next cell on the device is not red for it.
    pub fn tidy(&mut self, lab: &Lab) {
        // What these say was told already, by the cell's own acts.
        let _ = self.settle(&lab.eyes);
        for pod in [Pod::First, Pod::Second] {
            let _ = self.call(lab, "DEL", pod);
        }
        let _ = self.forget();
        let _ = self.undress(&lab.eyes);
    }

    /// Whether the device is fit for another cell.
    pub fn is_fit(&self, lab: &Lab) -> bool {
        !self.cell.row.kind.is_vf() || lab.eyes.unchanged(&self.device, None).is_ok()
    }
}
