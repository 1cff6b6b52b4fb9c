//! Durable files: written to a temporary file in the same directory and renamed, so that a reader sees the old content
//! or the new one, never a part. Every error names verb and path.
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: files, every error names verb and path"
)]

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::unistd::Uid;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Kind, Result};

/// Mode of state files.
pub const PRIVATE: u32 = 0o600;
/// Mode of state directories.
pub const PRIVATE_DIR: u32 = 0o700;

/// End of the names of temporary files; they also start with a dot.
const TEMPORARY: &str = ".tmp";

/// What a write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A crash of the process. For state that a power cut erases anyway.
    Process,
    /// A power cut: fdatasync of the file before the rename, then fsync of the directory.
    PowerCut,
}

/// Replaces `path` by a file with `contents` and exactly `mode`. The directory must exist.
pub fn write(path: &Path, contents: &[u8], mode: u32, durability: Durability) -> Result<()> {
    let (mut file, temporary) = create_temporary(path, mode)?;
    let written = fill(&mut file, &temporary, contents, mode, durability).and_then(|()| {
        fs::rename(&temporary, path).map_err(|error| Error::file("replace", path, error))
    });
    if let Err(error) = written {
        // The first error counts; a left-over is removed by `remove_temporary`.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    match (durability, path.parent()) {
        (Durability::PowerCut, Some(directory)) => sync_dir(directory),
        _ => Ok(()),
    }
}

/// Content of a file; `None` if it does not exist.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    absent_as_none(fs::read(path)).map_err(|error| Error::file("read", path, error))
}

/// Text of a file; `None` if it does not exist. Not UTF-8 is an error.
pub fn read_text(path: &Path) -> Result<Option<String>> {
    absent_as_none(fs::read_to_string(path)).map_err(|error| Error::file("read", path, error))
}

/// Text of a file that fits into one page and is told in one piece, as those of procfs are; `None` if it does not exist.
pub fn read_page(path: &Path) -> Result<Option<String>> {
    let failed = |error| Error::file("read", path, error);
    let Some(mut file) = absent_as_none(File::open(path)).map_err(failed)? else {
        return Ok(None);
    };
    let mut page = vec![0; 4096];
    let length = file.read(&mut page).map_err(failed)?;
    page.truncate(length);
    let text = String::from_utf8(page).map_err(|_| failed(io::ErrorKind::InvalidData.into()))?;
    Ok(Some(text))
}

/// Writes `record` as JSON with mode 0600.
pub fn write_record<T: Serialize>(path: &Path, record: &T, durability: Durability) -> Result<()> {
    let json = serde_json::to_vec(record).map_err(|source| Error::Record {
        path: path.to_path_buf(),
        source,
    })?;
    write(path, &json, PRIVATE, durability)
}

/// Reads a JSON record; `None` if the file does not exist. A torn or foreign file is an error of kind `Invalid` that
/// names file, line and column.
pub fn read_record<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let Some(bytes) = read(path)? else {
        return Ok(None);
    };
    let parsed = serde_json::from_slice(&bytes).map_err(|source| Error::Record {
        path: path.to_path_buf(),
        source,
    })?;
    Ok(Some(parsed))
}

/// Removes a file. False if it did not exist.
pub fn remove(path: &Path) -> Result<bool> {
    let removed = absent_as_none(fs::remove_file(path))
        .map_err(|error| Error::file("remove", path, error))?;
    Ok(removed.is_some())
}

/// Removes a directory and all in it; links are removed, not followed. False if it did not exist.
pub fn remove_tree(directory: &Path) -> Result<bool> {
    let removed = absent_as_none(fs::remove_dir_all(directory))
        .map_err(|error| Error::file("remove directory", directory, error))?;
    Ok(removed.is_some())
}

/// Renames within one file system, replacing `to`.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|error| Error::file("rename", from, error))
}

/// Names in a directory, sorted by bytes, without temporary files of [`write()`]; empty if it does not exist.
pub fn list(directory: &Path) -> Result<Vec<String>> {
    let mut names = all_names(directory)?;
    names.retain(|name| !is_temporary(name));
    names.sort_unstable();
    Ok(names)
}

/// Does work on a file whose directory may be missing: it is made, with [`PRIVATE_DIR`], when the work says so.
pub fn with_dir<T>(directory: &Path, mut work: impl FnMut() -> Result<T>) -> Result<T> {
    match work() {
        Err(error) if error.kind() == Kind::NotFound => {
            create_dir(directory, PRIVATE_DIR)?;
            work()
        }
        done => done,
    }
}

/// Makes a directory and its missing parents, all new ones with `mode`. An existing one keeps its mode.
pub fn create_dir(path: &Path, mode: u32) -> Result<()> {
    let result = DirBuilder::new().recursive(true).mode(mode).create(path);
    result.map_err(|error| Error::file("create directory", path, error))
}

/// Lets the owner of a directory into it where its mode locks him out; whether it did. Go's libraries make folders of mode 0
/// and 0600, in which root finds nothing unless he has CAP_DAC_OVERRIDE. Directories of others, links and what is not there
/// are left alone.
pub fn admit_owner(directory: &Path) -> Result<bool> {
    const OWNER: u32 = 0o700;
    let found = match fs::symlink_metadata(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        found => found.map_err(|error| Error::file("look at", directory, error))?,
    };
    let mode = found.mode() & 0o7777;
    if !found.is_dir() || found.uid() != Uid::effective().as_raw() || mode & OWNER == OWNER {
        return Ok(false);
    }
    fs::set_permissions(directory, fs::Permissions::from_mode(mode | OWNER))
        .map_err(|error| Error::file("open to its owner", directory, error))?;
    Ok(true)
}

/// Makes renames and removals in a directory survive a power cut.
pub fn sync_dir(directory: &Path) -> Result<()> {
    // The parent of a bare file name is the empty path.
    let directory = if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    };
    let synced = File::open(directory).and_then(|handle| handle.sync_all());
    synced.map_err(|error| Error::file("sync", directory, error))
}

/// Removes temporary files that a crash left in `directory` more than `age` ago. Returns how many.
pub fn remove_temporary(directory: &Path, age: Duration) -> Result<usize> {
    let mut removed = 0;
    for name in all_names(directory)?
        .iter()
        .filter(|name| is_temporary(name))
    {
        let path = directory.join(name);
        let modified = fs::metadata(&path).and_then(|metadata| metadata.modified());
        // Another process may remove it first; a clock set back makes the age unknown, then it stays.
        let old = modified.is_ok_and(|time| time.elapsed().is_ok_and(|elapsed| elapsed >= age));
        if old && remove(&path)? {
            removed += 1;
        }
    }
    Ok(removed)
}

fn create_temporary(path: &Path, mode: u32) -> Result<(File, PathBuf)> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    static PROCESS: LazyLock<u32> = LazyLock::new(std::process::id);
    let Some(name) = path.file_name() else {
        return Err(Error::file(
            "write",
            path,
            io::ErrorKind::InvalidInput.into(),
        ));
    };
    loop {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!(
            ".{}.{}-{number}{TEMPORARY}",
            name.to_string_lossy(),
            *PROCESS
        );
        let temporary = path.with_file_name(name);
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)
        {
            Ok(file) => return Ok((file, temporary)),
            // Left by a crashed process that had our number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::file("create", temporary, error)),
        }
    }
}

fn fill(
    file: &mut File,
    path: &Path,
    contents: &[u8],
    mode: u32,
    durability: Durability,
) -> Result<()> {
    let failed = |error| Error::file("write", path, error);
    file.write_all(contents).map_err(failed)?;
    // The mode given to open is cut by the umask. A private mode has nothing that a sane umask takes.
    if mode & 0o077 != 0 {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        file.set_permissions(permissions).map_err(failed)?;
    }
    if durability == Durability::PowerCut {
        file.sync_data()
            .map_err(|error| Error::file("sync", path, error))?;
    }
    Ok(())
}

fn all_names(directory: &Path) -> Result<Vec<String>> {
    let failed = |error| Error::file("list", directory, error);
    let Some(entries) = absent_as_none(fs::read_dir(directory)).map_err(failed)? else {
        return Ok(Vec::new());
    };
    entries
        .map(|entry| {
            Ok(entry
                .map_err(failed)?
                .file_name()
                .to_string_lossy()
                .into_owned())
        })
        .collect()
}

fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(TEMPORARY)
}

fn absent_as_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
