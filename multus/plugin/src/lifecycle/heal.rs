//! Keeps our configuration first, true to the primary's, and whole; only while the intent is to serve.

use std::path::{Path, PathBuf};
use std::time::Duration;

use host::error::Error;
use host::file::{self, Durability, PRIVATE, PRIVATE_DIR};
use serde::{Deserialize, Serialize};

use super::folder::{self, Primary, Seen};
use super::generated::Settings;
use super::intent::{Installation, Intent, Store};

/// How long another change to the installation is waited for.
const LOCK: Duration = Duration::from_secs(5);

/// One change. A plan is carried out in order and may be begun again at any point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Keep a copy of the primary, for when its file is away.
    KeepPrimary(Kept),
    /// Write our configuration.
    Write {
        /// Name in the folder.
        name: String,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// Remove a file of ours under another name.
    Remove(String),
}

/// The last good primary: what `clusterNetwork` named, and what was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The file on the host.
    pub path: PathBuf,
    /// The whole list.
    pub config: String,
}

/// What healing found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Healed {
    /// Steps that were carried out.
    pub done: Vec<Step>,
    /// Why nothing could be written although the intent is to serve.
    pub trouble: Option<String>,
    /// A configuration that the runtime prefers to ours.
    pub displaced_by: Option<String>,
}

/// The steps that bring the folder to what it must be. Pure.
///
/// The order is: a copy of the primary, then our file, then what shadows it. Nothing is written without a usable
/// primary, and nothing at all unless the intent is to serve (I2, I3).
pub fn plan(
    installed: Option<&Installation>,
    seen: &Seen,
    settings: &Settings,
    own: Option<&[u8]>,
    kept: Option<&Kept>,
) -> Vec<Step> {
    let Some(installed) = installed.filter(|installed| installed.intent == Intent::Serve) else {
        return Vec::new();
    };
    let Ok(primary) = &seen.primary else {
        return Vec::new();
    };
    let mut steps = Vec::new();
    let wanted_copy = copy_of(primary);
    if kept != Some(&wanted_copy) {
        steps.push(Step::KeepPrimary(wanted_copy));
    }
    let bytes = own.map_or_else(|| settings.generate(primary), <[u8]>::to_vec);
    if seen.ours.as_deref() != Some(&bytes) {
        let name = installed.conf_file.clone();
        steps.push(Step::Write { name, bytes });
    }
    steps.extend(seen.left_over.iter().cloned().map(Step::Remove));
    steps
}

fn copy_of(primary: &Primary) -> Kept {
    Kept {
        path: primary.path.clone(),
        config: String::from_utf8_lossy(&primary.bytes).into_owned(),
    }
}

/// Observes, plans and applies under the state lock, in which the intent is read again. `dir` is the configuration
/// folder as it is reached from here.
///
/// # Errors
/// When the state or the folder cannot be read or written. What cannot be parsed is `trouble`, no error.
pub fn heal(store: &Store, dir: &Path, settings: &Settings) -> Result<Healed, Error> {
    let _lock = store.lock(LOCK)?;
    let Some(installed) = store
        .read()?
        .filter(|installed| installed.intent == Intent::Serve)
    else {
        return Ok(Healed::default());
    };
    let seen = folder::observe(dir, &settings.master, &installed.conf_file)?;
    let own = match &settings.own_file {
        Some(path) => match own_configuration(path)? {
            Ok(bytes) => Some(bytes),
            Err(trouble) => {
                return Ok(Healed {
                    trouble: Some(trouble),
                    displaced_by: seen.displaced_by,
                    ..Healed::default()
                });
            }
        },
        None => None,
    };
    let kept = read_kept(store.cni_dir()).unwrap_or_default();
    let steps = plan(
        Some(&installed),
        &seen,
        settings,
        own.as_deref(),
        kept.as_ref(),
    );
    for step in &steps {
        apply(step, store.cni_dir(), dir)?;
    }
    Ok(Healed {
        done: steps,
        trouble: seen.primary.err(),
        displaced_by: seen.displaced_by,
    })
}

fn apply(step: &Step, cni_dir: &Path, dir: &Path) -> Result<(), Error> {
    match step {
        Step::KeepPrimary(kept) => {
            let path = kept_path(cni_dir);
            if let Some(folder) = path.parent() {
                file::create_dir(folder, PRIVATE_DIR)?;
            }
            file::write_record(&path, kept, Durability::PowerCut)
        }
        // A temporary file in the same folder, renamed: the runtime sees the old one or the new one.
        Step::Write { name, bytes } => {
            file::write(&dir.join(name), bytes, PRIVATE, Durability::PowerCut)
        }
        Step::Remove(name) => file::remove(&dir.join(name)).map(drop),
    }
}

/// A configuration that the admin wrote. The inner error says why it may not be installed.
fn own_configuration(path: &Path) -> Result<Result<Vec<u8>, String>, Error> {
    let Some(bytes) = file::read(path)? else {
        return Ok(Err(format!(
            "multusConfigFile {} does not exist",
            path.display()
        )));
    };
    Ok(match cni::config::NetworkList::parse(&bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(format!(
            "multusConfigFile {}: {}",
            path.display(),
            cni::error::chain(&error)
        )),
    })
}

/// Where the copy of the primary is.
fn kept_path(cni_dir: &Path) -> PathBuf {
    cni_dir.join("primary").join("file.json")
}

/// The copy of the primary; `None` if there is none.
pub fn read_kept(cni_dir: &Path) -> Result<Option<Kept>, Error> {
    file::read_record(&kept_path(cni_dir))
}

#[cfg(test)]
mod tests;
