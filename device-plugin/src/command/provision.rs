//! `sriovdp provision` and `sriovdp plan`: one line per PF, and of a plan its steps.

use std::path::Path;

use host::{boot, sysfs::Sysfs};

use super::{Answer, holdings, lines, load, observe};
use crate::{
    args::Options,
    config::Loaded,
    provision::{self, Kernel, Provisioner, Report},
};

/// Makes PFs and VFs what the configuration's `provision` asks. Well if all of them are, or wait for
/// their users on purpose; `lenient` makes a PF that is not well no failure: serving withholds its VFs.
pub fn provision(options: &Options, proc: &Path) -> anyhow::Result<Answer> {
    let loaded = load(options)?;
    let reports = with(options, &loaded, proc, |provisioner| {
        provisioner.run(&loaded.config.provision)
    })?;
    let said = reports.iter().map(ToString::to_string).collect();
    Ok(answer(options, &loaded, &reports, said))
}

/// Prints what `provision` would do now, as commands of a shell.
pub fn plan(options: &Options, proc: &Path) -> anyhow::Result<Answer> {
    let loaded = load(options)?;
    let reports = with(options, &loaded, proc, |provisioner| {
        provisioner.plan(&loaded.config.provision)
    })?;
    let mut said = Vec::new();
    for report in &reports {
        said.push(format!("# {}", report.planned()));
        said.extend(report.steps.iter().map(ToString::to_string));
    }
    Ok(answer(options, &loaded, &reports, said))
}

fn with<T>(
    options: &Options,
    loaded: &Loaded,
    proc: &Path,
    work: impl FnOnce(&Provisioner<'_>) -> Result<T, host::error::Error>,
) -> anyhow::Result<T> {
    let settings = &options.settings;
    let kernel = Kernel {
        sysfs: Sysfs::new(&settings.sysfs_root),
        deadline: options.write_deadline,
    };
    let look = || {
        let (sysfs, network, node) = observe(options, &loaded.config)?;
        provision::observe(&sysfs, &network, &node)
    };
    let holdings = || holdings(&settings.kubelet_root);
    Ok(work(&Provisioner {
        hands: &kernel,
        look: &look,
        holdings: &holdings,
        state: options.sriov_state.clone(),
        boot: boot::boot_id(proc)?,
        dev: settings.dev_root.clone(),
        sysfs: kernel.sysfs.clone(),
    })?)
}

fn answer(options: &Options, loaded: &Loaded, reports: &[Report], mut said: Vec<String>) -> Answer {
    for entry in &loaded.config.provision {
        if !reports.iter().any(|report| report.entry == entry.index) {
            said.push(format!(
                "# provision entry {}: selects no function of this node, or none that an earlier entry left",
                entry.index + 1
            ));
        }
    }
    let rejected = loaded.provision_rejected.iter().map(ToString::to_string);
    said.extend(rejected);
    if said.is_empty() {
        said.push("# the configuration has no provision block: nothing to do".to_owned());
    }
    let well = loaded.provision_rejected.is_empty() && !reports.iter().any(Report::is_failure);
    Answer {
        text: lines(said),
        good: well || options.lenient,
    }
}
