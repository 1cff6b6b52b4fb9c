//! The container image from the programs under test, as deploy/image/build.sh writes it; and one of an older tag.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::scenario::deploy::image::{ARCHIVES, MARK, OLDER_TAG, PROGRAMS};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/image/build.sh");

/// Builds the image of this version, and one of an older tag whose programs are other files: each ends with a mark that
/// nothing reads. A build of an older commit would take longer than the story. Returns the archives with their names in
/// the guest.
///
/// # Errors
/// When a program is missing or the script refuses it.
pub fn build(
    workspace: &Path,
    programs: &[(PathBuf, &'static str)],
) -> Result<Vec<(PathBuf, &'static str)>> {
    let folder = workspace.join("image");
    let mut current = Vec::new();
    let mut older = Vec::new();
    fs::create_dir_all(folder.join("older"))
        .with_context(|| format!("create {}", folder.display()))?;
    for name in PROGRAMS {
        let (path, _) = programs
            .iter()
            .find(|(_, given)| *given == name)
            .with_context(|| format!("there is no program {name}"))?;
        let mut bytes = fs::read(path).with_context(|| format!("read {}", path.display()))?;
        bytes.extend_from_slice(MARK);
        let marked = folder.join("older").join(name);
        fs::write(&marked, bytes).with_context(|| format!("write {}", marked.display()))?;
        current.push(path.clone());
        older.push(marked);
    }
    let built = [
        run(&folder.join("current-image"), &current, None)?,
        run(&folder.join("older-image"), &older, Some(OLDER_TAG))?,
    ];
    Ok(built.into_iter().zip(ARCHIVES).collect())
}

fn run(out: &Path, programs: &[PathBuf], tag: Option<&str>) -> Result<PathBuf> {
    let mut command = Command::new("bash");
    command.arg(SCRIPT).arg(out).args(programs);
    if let Some(tag) = tag {
        command.env("IMAGE_TAG", tag);
    }
    let output = command.output().context("run deploy/image/build.sh")?;
    if !output.status.success() {
        bail!(
            "deploy/image/build.sh ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let mut archives = fs::read_dir(out)
        .with_context(|| format!("list {}", out.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "tar"));
    archives
        .next()
        .context("deploy/image/build.sh wrote no archive")
}
