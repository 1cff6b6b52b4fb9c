//! Finding a plugin's program.

use std::fs;
use std::path::PathBuf;

use super::ExecError;
use crate::name;

/// The first regular file `<folder>/<plugin>`; links are followed, the execute bit is not looked
/// at.
pub fn find(plugin: &str, path: &[PathBuf]) -> Result<PathBuf, ExecError> {
    name::check_plugin_type(plugin)?;
    path.iter()
        .map(|folder| folder.join(plugin))
        .find(|file| fs::metadata(file).is_ok_and(|meta| meta.is_file()))
        .ok_or_else(|| ExecError::Missing {
            plugin: plugin.to_owned(),
            path: path.to_vec(),
        })
}
