//! `sriovdp list`.

use super::{Answer, decide, holdings, json, load, observe};
use crate::{args::Options, list};

/// Lists the devices of all pools and which pod has each. A kubelet that does not answer is told,
/// and makes it no failure: the devices are known all the same.
pub fn list(options: &Options) -> anyhow::Result<Answer> {
    let loaded = load(options)?;
    let (_, _, node) = observe(options, &loaded.config)?;
    let holdings = holdings(&options.settings.kubelet_root);
    let (plan, _) = decide(options, &loaded.config, &node);
    let listed = list::list(&node, &plan, &holdings);
    let text = if options.json {
        json(&listed)?
    } else {
        listed.table()
    };
    Ok(Answer { text, good: true })
}
