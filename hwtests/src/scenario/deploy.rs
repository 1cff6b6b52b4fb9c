//! Ferrovia from its image and its manifests, as an admin installs it: nothing is started by hand. Installed, upgraded
//! while pods come and go, used as the demo uses it, and removed while pods live. The node is one that Go multus had, with
//! pods of its own.

pub mod confined;
mod go_files;
pub mod image;
pub mod install;
pub(crate) mod steps;
mod way_out;

use anyhow::Result;

use self::{install::Installation, steps::Installed};
use crate::{
    guest::node::{Base, Options},
    report::Reporter,
    scenario::demo,
};

/// Names of the steps, in order; the demo's own come between [`step::UPGRADE`] and [`step::POOLS`].
pub mod step {
    /// Hardware, runtime, cluster, nothing of ours.
    pub const BASE: &str = "node without us";
    /// `ctr images import`.
    pub const IMAGE: &str = "image imported";
    /// Go multus thin and its pods, as the files that they leave.
    pub const GO: &str = "pods of Go thin";
    /// The manifests applied with an image of an older tag.
    pub const INSTALL: &str = "manifests applied";
    /// What the containers may do.
    pub const CONFINED: &str = "containers confined";
    /// What Go attached is deleted by ours.
    pub const GO_DELETED: &str = "pods of Go thin deleted";
    /// What Go thick does at its start and end, while pods come and go.
    pub const GO_CLEANS: &str = "Go thick cleans up";
    /// The manifests applied again, while pods come and go.
    pub const UPGRADE: &str = "upgrade, pods come and go";
    /// Another ConfigMap is followed, nothing restarts.
    pub const POOLS: &str = "pools changed";
    /// All objects deleted at once.
    pub const UNINSTALL: &str = "everything deleted at once";
    /// The last pod with a network takes multus with it.
    pub const CLEAN: &str = "node clean";
}

/// Brings the node up and plays the story until its end or its first step that does not hold.
///
/// # Errors
/// When the report cannot be written.
pub async fn play(options: &Options, report: &mut Reporter) -> Result<()> {
    let _ = played(options, report).await?;
    Ok(())
}

/// `None` as soon as a step does not hold: what follows builds on it.
async fn played(options: &Options, report: &mut Reporter) -> Result<Option<()>> {
    macro_rules! held {
        ($name:expr, $work:expr) => {
            if report.step($name, $work).await?.is_none() {
                return Ok(None);
            }
        };
    }
    let Some(base) = Base::reported(options, report, step::BASE).await? else {
        return Ok(None);
    };
    held!(step::IMAGE, async { steps::images(options) });
    let mut installed = Installed {
        base: &base,
        options,
        manifests: Installation::new(&image::older()?, &base.pools())?,
    };
    held!(step::GO, go_files::pods_alive(&base, options));
    held!(step::INSTALL, installed.install());
    held!(step::CONFINED, async { confined::check() });
    held!(step::GO_DELETED, go_files::pods_go(&base));
    held!(step::GO_CLEANS, go_files::thick_cleans_up(&base, options));
    if options.long {
        held!(step::UPGRADE, installed.upgrade());
        let before = report.failed();
        demo::play(&base, report).await?;
        if report.failed() > before {
            return Ok(None);
        }
    } else {
        let why =
            "upgrade and demo on the installation are played with --long: they take three minutes";
        report.skipped(step::UPGRADE, why)?;
    }
    held!(step::POOLS, installed.pools());
    for (name, is) in confined::memory()? {
        report.head(&name, &is)?;
    }
    held!(step::UNINSTALL, installed.uninstall());
    held!(step::CLEAN, installed.clean());
    Ok(Some(()))
}
