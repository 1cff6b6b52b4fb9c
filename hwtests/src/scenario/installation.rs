//! multus as `multus-daemon install` puts it onto a node, and what is left of it there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::{go_multus::THICK_CONF, leftovers};
use crate::guest::{
    containerd::{CNI_BIN_DIR, CNI_CONF_DIR},
    node::Options,
};

/// All that multus puts onto a node.
pub const FILES: [&str; 6] = [
    "/etc/cni/net.d/00-multus.conflist",
    "/etc/cni/net.d/00-multus.conf",
    "/opt/cni/bin/multus",
    "/opt/cni/bin/multus-shim",
    "/var/lib/cni/multus",
    "/opt/cni/bin/passthru",
];

/// Where files of ours can be.
const PLACES: [&str; 5] = [
    "/etc/cni",
    "/opt/cni",
    "/var/lib/cni",
    "/run/multus",
    "/var/run/k8s.cni.cncf.io",
];

/// What the DaemonSet's init container runs, at every start of the pod, for multus alone.
///
/// # Errors
/// When it fails, with what it said.
pub fn install(options: &Options) -> Result<()> {
    let output = Command::new(options.program("multus-daemon"))
        .arg("install")
        .args(["--cni-bin-dir", CNI_BIN_DIR, "--cni-conf-dir", CNI_CONF_DIR])
        .arg("--multus-bin-file")
        .arg(options.program("multus"))
        .output()
        .context("run multus-daemon install")?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    ensure!(output.status.success(), "multus-daemon install: {text}");
    Ok(())
}

/// Runs a command of the installed plugin: whether it succeeded, and what it said.
///
/// # Errors
/// When it is not there.
pub fn multus(words: &[&str]) -> Result<(bool, String)> {
    let output = Command::new(Path::new(CNI_BIN_DIR).join("multus"))
        .env_remove("CNI_COMMAND")
        .args(words)
        .output()
        .context("run multus")?;
    let text = [output.stdout, output.stderr].concat();
    Ok((
        output.status.success(),
        String::from_utf8_lossy(&text).trim().to_owned(),
    ))
}

/// The options of a release that has other files than the one that is installed: the programs with a word more at their
/// end, which nothing reads that loads them. Their code is the same.
///
/// # Errors
/// When a program cannot be copied.
pub fn other_release(options: &Options, folder: &Path) -> Result<Options> {
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let mut other = options.clone();
    for name in ["multus", "multus-daemon"] {
        let path = folder.join(name);
        fs::copy(options.program(name), &path).with_context(|| format!("copy {name}"))?;
        let mut bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        bytes.extend_from_slice(b"another release");
        // The copy keeps its mode.
        fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))?;
        other.replaced.insert(name.to_owned(), path);
    }
    Ok(other)
}

/// Whether the installed plugin is, byte for byte and under each of its names, the one of these options.
///
/// # Errors
/// When a file cannot be read.
pub fn is_installed(options: &Options) -> Result<bool> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("read {}", path.display()));
    let wanted = read(&options.program("multus"))?;
    for name in ["multus", "multus-shim", "passthru"] {
        if read(&Path::new(CNI_BIN_DIR).join(name))? != wanted {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Waits until the runtime's first configuration is ours and no file of the Go programs is there.
pub(crate) async fn first_is_ours() -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let text = fs::read_to_string(FILES[0]).unwrap_or_default();
        let list: Value = serde_json::from_str(&text).unwrap_or_default();
        let named = list["plugins"][0]["clusterNetwork"].is_string();
        let theirs = Path::new(THICK_CONF).exists();
        if named && !theirs {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{THICK_CONF} there: {theirs}; {}: {text:?}", FILES[0]);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Files that are ours by name or by what they hold.
///
/// # Errors
/// When a folder that exists cannot be read.
pub fn files() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in PLACES {
        found.extend(leftovers::tree(Path::new(folder))?);
    }
    found.retain(|path| path.to_string_lossy().contains("multus"));
    for name in FILES.map(PathBuf::from) {
        if name.exists() && !found.contains(&name) {
            found.push(name);
        }
    }
    Ok(found)
}
