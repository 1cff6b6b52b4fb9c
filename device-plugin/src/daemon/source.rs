//! The configuration file: read again at each change, the last good content kept.

use host::file;
use tracing::{error, info, warn};

use super::Settings;
use crate::{
    config::{self, Config, Defaults},
    failure,
    serve::kubelet::Kubelet,
    status::Status,
};

/// What was read of it.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// The pools in force.
    pub(super) config: Config,
    /// Bytes of the file as last read; `None` before, or if it cannot be read.
    document: Option<Vec<u8>>,
    missing: Option<String>,
}

impl Source {
    /// Reads the file. What is wrong is told; the last good configuration stays. True if another one counts.
    pub(super) fn load(&mut self, settings: &Settings, status: &Status) -> bool {
        let path = &settings.config;
        let read = file::read(path)
            .map_err(|error| failure::chain(&error))
            .and_then(|found| found.ok_or_else(|| format!("{}: no such file", path.display())));
        let document = match read {
            Ok(document) => document,
            Err(error) => {
                self.document = None;
                if self.missing.as_ref() != Some(&error) {
                    error!(
                        error,
                        "configuration cannot be read, the last good one stays"
                    );
                }
                status.lock().config_problems = vec![error.clone()];
                self.missing = Some(error);
                return false;
            }
        };
        self.missing = None;
        if self.document.as_ref() == Some(&document) {
            return false;
        }
        let file = path.display();
        let defaults = Defaults {
            prefix: settings.prefix.clone(),
            socket_directory: Kubelet::longest_directory(&settings.kubelet_root),
        };
        let loaded = config::load(&document, &defaults);
        self.document = Some(document);
        let mut loaded = match loaded {
            Ok(loaded) => loaded,
            Err(problem) => {
                error!(%file, %problem, "configuration refused, the last good one stays");
                status.lock().config_problems = vec![format!("{file}: {problem}")];
                return false;
            }
        };
        for warning in &loaded.warnings {
            warn!(%file, %warning, "configuration");
        }
        let rejected = loaded.rejected.iter().map(ToString::to_string);
        let of_provision = loaded.provision_rejected.iter().map(ToString::to_string);
        let problems: Vec<String> = rejected.chain(of_provision).collect();
        for problem in &problems {
            error!(%file, "{problem}");
        }
        for name in loaded.keep_last_good(&self.config) {
            warn!(resource = %name, "the pool goes on with its last good configuration");
        }
        info!(%file, pools = loaded.config.pools.len(), "configuration loaded");
        let mut facts = status.lock();
        facts.generation += 1;
        facts.config_problems = problems;
        self.config = loaded.config;
        true
    }
}
