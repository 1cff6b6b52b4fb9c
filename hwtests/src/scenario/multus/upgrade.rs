//! Another release takes the place of the one that runs, and the other way round, while pods are made and the old plugin
//! is executed.

use std::{
    fs,
    io::Write,
    ops::Range,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::{
    super::{
        installation,
        load::{DELETION, has, running},
    },
    steps::read_json,
};
use crate::guest::{
    cluster::NODE,
    containerd::CNI_BIN_DIR,
    node::{Node, Options, start_multus_daemon},
    pod::PodSpec,
    service::Service,
};

/// Where the other release's programs are.
const OTHER: &str = "/run/lab/other-release";

/// As a DaemonSet with maxSurge 1 does it: the new pod's init container and daemon first, then the old one's end. In
/// between the new plugin asks the old daemon. Then the plugin goes back alone, so that an old one asks a newer daemon.
pub(super) async fn under_load(node: &mut Node, options: &Options) -> Result<String> {
    let other = installation::other_release(options, Path::new(OTHER))?;
    ensure!(
        installation::is_installed(options)? && !installation::is_installed(&other)?,
        "the two releases cannot be told apart"
    );
    let each = if options.long { 2 } else { 1 };
    let part = |number: usize| number * each..(number + 1) * each;
    create(node, part(0)).await?;
    let at_work = AtWork::start()?;
    installation::install(&other)?;
    ensure!(
        installation::is_installed(&other)?,
        "the new plugin is not in place"
    );
    at_work.answers()?;
    create(node, part(1)).await?;
    all_run(node, 0..2 * each).await?;
    create(node, part(2)).await?;
    let new = start_multus_daemon(&other, &node.cluster).await?;
    let mut old = std::mem::replace(&mut node.multus_daemon, new);
    old.terminate(Duration::from_secs(10)).await?;
    runs_from(&node.multus_daemon, &other)?;
    all_run(node, part(2)).await?;
    installation::install(options)?;
    ensure!(
        installation::is_installed(options)?,
        "the old plugin is not back"
    );
    create(node, part(3)).await?;
    all_run(node, part(3)).await?;
    for index in 0..4 * each {
        let client = &node.cluster.client;
        client.delete_pod(&name(index), DELETION).await?;
    }
    Ok(format!(
        "{} pods with macvlan across two releases: new plugin and old daemon, both new, old plugin and new daemon; a \
        plugin at work went on while its file was replaced",
        4 * each
    ))
}

fn name(index: usize) -> String {
    format!("load-{index}")
}

async fn create(node: &Node, which: Range<usize>) -> Result<()> {
    for index in which {
        let pod = PodSpec::new(&name(index)).networks("mv").manifest(NODE);
        node.cluster.client.create(&pod).await?;
    }
    Ok(())
}

async fn all_run(node: &Node, which: Range<usize>) -> Result<()> {
    for index in which {
        running(node, &name(index)).await?;
        has(node, &name(index), "net1").await?;
    }
    Ok(())
}

/// The file that a daemon was started from is that release's.
fn runs_from(daemon: &Service, release: &Options) -> Result<()> {
    let link = format!("/proc/{}/exe", daemon.pid());
    let program = fs::read_link(&link).with_context(|| format!("read {link}"))?;
    ensure!(
        program == release.program("multus-daemon"),
        "the daemon runs from {}",
        program.display()
    );
    Ok(())
}

/// The installed plugin, executed and waiting for its input: its file is busy and cannot be written to.
struct AtWork(Child);

impl AtWork {
    fn start() -> Result<Self> {
        let child = Command::new(Path::new(CNI_BIN_DIR).join("multus"))
            .env("CNI_COMMAND", "STATUS")
            .env("CNI_PATH", CNI_BIN_DIR)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("execute the installed plugin")?;
        Ok(Self(child))
    }

    /// It still runs, from a file that has no name any more, and answers.
    fn answers(mut self) -> Result<()> {
        let link = format!("/proc/{}/exe", self.0.id());
        let program = fs::read_link(&link).with_context(|| format!("read {link}"))?;
        ensure!(
            program.to_string_lossy().ends_with(" (deleted)"),
            "the plugin at work runs from {}, which was to be replaced",
            program.display()
        );
        let list = read_json(installation::FILES[0])?;
        let mut config = list["plugins"][0].clone();
        config["name"] = list["name"].clone();
        config["cniVersion"] = "1.1.0".into();
        let mut stdin = self.0.stdin.take().context("its input")?;
        stdin
            .write_all(config.to_string().as_bytes())
            .context("give the plugin its input")?;
        drop(stdin);
        let output = self.0.wait_with_output().context("wait for the plugin")?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "the plugin that was replaced at work answers {text:?}, {}",
            output.status
        );
        Ok(())
    }
}
