//! A program under measurement: started, followed by a stand-in kubelet, looked at, ended.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, SysconfVar, sysconf},
};

use crate::{
    fake::{FakeKubelet, Followed},
    node::{self, Node},
};

/// How long the slowest program may take to offer all pools.
const LIMIT: Duration = Duration::from_mins(5);
/// How long a program is left alone before its idle memory is read.
const IDLE: Duration = Duration::from_secs(4);
/// The pool whose selectors are edited.
const EDITED: &str = "intel.com/pf0_0";

/// How to start one.
pub(crate) struct Program {
    binary: PathBuf,
    variables: Vec<(&'static str, PathBuf)>,
    /// It follows edits of its configuration.
    follows: bool,
}

/// What was measured.
pub(crate) struct Figures {
    /// Start to the first pool's list.
    pub(crate) first: Duration,
    /// Start to the last pool's list.
    pub(crate) all: Duration,
    /// Processor time until then.
    pub(crate) cpu: Duration,
    /// Resident memory some seconds later, in kB.
    pub(crate) idle: u64,
    /// Largest resident memory, in kB.
    pub(crate) peak: u64,
    /// An edit of the configuration to the list that shows it.
    pub(crate) update: Option<Duration>,
}

impl Program {
    /// The one of this repository.
    pub(crate) fn ours() -> Self {
        Self {
            binary: env!("CARGO_BIN_EXE_sriovdp").into(),
            variables: Vec::new(),
            follows: true,
        }
    }

    /// The Go program.
    pub(crate) fn peer(binary: PathBuf, node: &Node) -> Self {
        Self {
            binary,
            variables: vec![("PCIDB_PATH", node.names())],
            follows: false,
        }
    }

    fn start(&self, node: &Node) -> Child {
        Command::new(&self.binary)
            .arg("--config-file")
            .arg(node.config())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .stderr(File::create(node.log()).unwrap())
            .spawn()
            .unwrap()
    }
}

/// Measures one program from its start to its end.
pub(crate) async fn measure(node: &Node, program: &Program) -> Figures {
    node.configure(&node::config(20));
    let mut kubelet = FakeKubelet::stopped(node::kubelet_root(), false);
    kubelet.start(0);
    let begun = Instant::now();
    let mut process = program.start(node);
    let (mut pools, mut first) = (Vec::new(), Duration::ZERO);
    while pools.len() < node::POOLS {
        if kubelet.pending() == 0 {
            assert!(begun.elapsed() < LIMIT, "not all pools came: {}", log(node));
            let ended = process.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {}", log(node));
            tokio::time::sleep(Duration::from_micros(200)).await;
            continue;
        }
        let request = kubelet.registration().await;
        let mut pool = kubelet.follow(&request).await;
        let list = pool.next().await.expect("a list");
        assert!(
            !list.devices.is_empty(),
            "{} is empty",
            request.resource_name
        );
        if pools.is_empty() {
            first = begun.elapsed();
        }
        pools.push((request.resource_name, pool));
    }
    let (all, cpu) = (begun.elapsed(), cpu(&process));
    tokio::time::sleep(IDLE).await;
    let (idle, peak) = (status(&process, "VmRSS"), status(&process, "VmHWM"));
    let edited = pools.into_iter().find(|(name, _)| name == EDITED);
    let update = match edited {
        Some((_, pool)) if program.follows => Some(edit(node, pool).await),
        _ => None,
    };
    kill(
        Pid::from_raw(process.id().try_into().unwrap()),
        Signal::SIGTERM,
    )
    .unwrap();
    process.wait().unwrap();
    kubelet.stop();
    Figures {
        first,
        all,
        cpu,
        idle,
        peak,
        update,
    }
}

/// Takes one device out of the first pool.
async fn edit(node: &Node, mut pool: Followed) -> Duration {
    let begun = Instant::now();
    node.configure(&node::config(19));
    loop {
        let list = pool.next().await.expect("a list");
        if list.devices.len() == 19 {
            return begun.elapsed();
        }
    }
}

fn log(node: &Node) -> String {
    fs::read_to_string(node.log()).unwrap_or_default()
}

/// Processor time of the process, in user and kernel mode (proc(5), stat, fields 14 and 15).
fn cpu(process: &Child) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    let (_, fields) = stat.rsplit_once(") ").expect("a name in parentheses");
    let ticks: u64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().unwrap())
        .sum();
    let per_second = sysconf(SysconfVar::CLK_TCK).unwrap().expect("a tick");
    Duration::from_millis(ticks * 1000 / u64::try_from(per_second).unwrap())
}

/// A value of /proc/PID/status in kB.
fn status(process: &Child, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .expect(name);
    let number = line.trim_matches(|c: char| !c.is_ascii_digit());
    number.parse().unwrap()
}
