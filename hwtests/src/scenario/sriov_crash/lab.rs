//! The bench that cells are played on: programs on a fast disk, devices by kind, batches of cells that share a boot.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    thread,
};

use anyhow::{Context, Result, ensure};

use super::{
    cell::{Act, Cell, Kind, Verb},
    eyes::Eyes,
    mischief,
    seat::Seat,
    watch,
};
use crate::guest::{
    cni::{Answer, Plugin},
    hardware::Hardware,
    machine::Machine,
};

/// Where programs are copied to: memory, since programs on the lab's shared folder take long to start.
pub const BIN: &str = "/run/sriov-crash";
/// The variable that names the point where the crashing build aborts.
const CRASH_AT: &str = "FERROVIA_CRASH_AT";
/// VFs of the first PF that are kernel VFs here; the others go to vfio-pci.
const KERNEL_VFS: usize = 2;
/// Software slots by plugin.
const SLOTS: usize = 4;
/// Cells at work at a time; the machine has two processors, and some of a cell is waiting.
const AT_ONCE: usize = 3;

/// Devices by kind.
pub type Devices = BTreeMap<Kind, Vec<String>>;

/// The bench.
#[derive(Debug)]
pub struct Lab {
    /// What is compared with.
    pub eyes: Eyes,
    /// The shipped plugin.
    pub sriov: Plugin,
    /// Devices that no red cell has spoilt.
    pub devices: Devices,
    logs: PathBuf,
}

impl Lab {
    /// Binds more VFs to vfio-pci, copies the programs, takes the baseline.
    ///
    /// # Errors
    /// When a VF cannot be bound or a program copied.
    pub fn open(machine: &Machine) -> Result<Self> {
        fs::create_dir_all(BIN).with_context(|| format!("create {BIN}"))?;
        for name in ["sriov", "sriov-crash"] {
            copy(&machine.programs.join(name), name)?;
        }
        for name in ["host-local", "macvlan", "ipvlan"] {
            copy(&Path::new("/usr/lib/cni").join(name), name)?;
        }
        mischief::install()?;
        let [first, second] = [0, 1].map(|pf| machine.hardware.pfs[pf].vfs.clone());
        let (kernel, userspace) = first.split_at(KERNEL_VFS);
        for vf in userspace {
            if machine.baseline[vf].driver != "vfio-pci" {
                Hardware::bind_vfio(vf)?;
            }
        }
        let slots = |from: usize| {
            (from..from + SLOTS)
                .map(|slot| format!("software-{slot}"))
                .collect()
        };
        let devices = BTreeMap::from([
            (Kind::Kernel, [kernel, &second].concat()),
            (Kind::Userspace, userspace.to_vec()),
            (Kind::Macvlan, slots(10)),
            (Kind::Ipvlan, slots(20)),
        ]);
        fs::create_dir_all(&machine.logs)
            .with_context(|| format!("create {}", machine.logs.display()))?;
        Ok(Self {
            eyes: Eyes::open(&machine.hardware)?,
            sriov: plugin("sriov"),
            devices,
            logs: machine
                .logs
                .join(format!("sriov-crash.{}.log", machine.boot)),
        })
    }

    /// The build that aborts at a point.
    pub fn crashing(&self, point: &str) -> Plugin {
        plugin("sriov-crash").with(CRASH_AT, point)
    }

    /// Plays a batch until every cell has ended or waits for the next boot. Returns whether one waits.
    ///
    /// # Errors
    /// When `sriov recover` fails or the log cannot be written.
    pub fn play(&self, batch: &mut [Seat]) -> Result<bool> {
        loop {
            // `recover` sees all of the node, so cells that abort it come one by one, before the others.
            let (alone, others): (Vec<_>, Vec<_>) = batch
                .iter_mut()
                .partition(|seat| seat.cell.row.verb == Verb::Recover);
            self.abreast(alone, 1);
            self.abreast(others, AT_ONCE);
            let waits = |act| batch.iter().any(|seat| seat.next() == Some(act));
            if waits(Act::Boot) {
                return Ok(true);
            }
            if !waits(Act::Recover) {
                return Ok(false);
            }
            let failed = recover(&mut shipped())
                .and_then(|answer| is_complete(&answer))
                .err();
            for seat in batch
                .iter_mut()
                .filter(|seat| seat.next() == Some(Act::Recover))
            {
                seat.red = failed.as_ref().map(|error| format!("Recover: {error:#}"));
                seat.done += 1;
            }
        }
    }

    fn abreast(&self, seats: Vec<&mut Seat>, at_once: usize) {
        let queue = Mutex::new(seats.into_iter());
        let next = || queue.lock().ok()?.next();
        thread::scope(|scope| {
            for _ in 0..at_once {
                scope.spawn(|| {
                    while let Some(seat) = next() {
                        seat.play(self);
                    }
                });
            }
        });
    }

    /// Ends a batch: red cells are tidied up, devices that stay spoilt are not used again in this boot.
    pub fn clear(&mut self, batch: &mut [Seat]) {
        let mut spoilt = BTreeSet::new();
        for seat in batch.iter_mut().filter(|seat| seat.red.is_some()) {
            seat.tidy(self);
            if !seat.is_fit(self) {
                spoilt.insert(seat.device.clone());
            }
        }
        for devices in self.devices.values_mut() {
            devices.retain(|device| !spoilt.contains(device));
        }
    }

    /// `recover` of the build that aborts at a point.
    ///
    /// # Errors
    /// When it does not start.
    pub fn recover_aborted(&self, point: &str) -> Result<Answer> {
        recover(Command::new(Path::new(BIN).join("sriov-crash")).env(CRASH_AT, point))
    }

    /// Appends what a call said to the boot's log, which the host keeps.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn log(&self, cell: &Cell, what: &str, answer: &Answer) -> Result<()> {
        let text = format!(
            "== {} {cell}: {what}: {}\n{}{}\n",
            cell.name(),
            answer.status,
            answer.stdout,
            answer.stderr
        );
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.logs)
            .context("open the log")?;
        file.write_all(text.as_bytes()).context("write the log")
    }
}

/// `recover` tells a line per record, and by its code whether anything is left undone.
fn is_complete(answer: &Answer) -> Result<()> {
    ensure!(
        answer.status.success(),
        "{}: {} {}",
        answer.status,
        answer.stdout.trim(),
        answer.stderr.trim()
    );
    Ok(())
}

fn shipped() -> Command {
    Command::new(Path::new(BIN).join("sriov"))
}

fn plugin(name: &str) -> Plugin {
    Plugin::new(&Path::new(BIN).join(name)).with("CNI_PATH", BIN)
}

fn recover(command: &mut Command) -> Result<Answer> {
    let child = command
        .arg("recover")
        .env("CNI_PATH", BIN)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    watch::end(child.context("start sriov recover")?)
}

fn copy(from: &Path, name: &str) -> Result<()> {
    let to = Path::new(BIN).join(name);
    fs::copy(from, &to).with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
    Ok(())
}
