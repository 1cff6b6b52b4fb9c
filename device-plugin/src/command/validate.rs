//! `sriovdp validate`: every pool, entry and warning on a line of its own.

use super::{Answer, lines, load};
use crate::{args::Options, config::Target};

/// Checks the configuration file. Not well if anything of it is rejected; nothing of the node is read.
pub fn validate(options: &Options) -> anyhow::Result<Answer> {
    let loaded = load(options)?;
    let config = &loaded.config;
    let pools = config.pools.iter().map(|pool| format!("{}: ok", pool.name));
    let entries = config
        .provision
        .iter()
        .map(|entry| format!("provision entry {}: ok", entry.index + 1));
    let warnings = loaded
        .warnings
        .iter()
        .map(|warning| format!("warning: {warning}"));
    let mut said: Vec<String> = pools.chain(entries).chain(warnings).collect();
    said.extend(strangers(&loaded.config));
    let rejected = loaded.rejected.iter().map(ToString::to_string);
    let provision = loaded.provision_rejected.iter().map(ToString::to_string);
    let wrong: Vec<String> = rejected.chain(provision).collect();
    let good = wrong.is_empty();
    Ok(Answer {
        text: lines(said.into_iter().chain(wrong)),
        good,
    })
}

/// Groups that are meant for a resource that the file does not have.
fn strangers(config: &crate::config::Config) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in &config.provision {
        let Target::Pf { groups, .. } = &entry.target else {
            continue;
        };
        for pool in groups.iter().filter_map(|group| group.pool.as_ref()) {
            if !config
                .pools
                .iter()
                .any(|known| known.name.to_string() == *pool)
            {
                lines.push(format!(
                    "warning: provision entry {}: a group is meant for {pool}, which resourceList does not have",
                    entry.index + 1
                ));
            }
        }
    }
    lines
}
