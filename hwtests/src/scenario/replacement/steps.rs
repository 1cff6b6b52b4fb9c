//! The steps, each with what it observed.

use std::{
    cell::Cell,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{go::Go, ours::Ours, pods};
use crate::{
    guest::node::{Base, Options},
    scenario::{
        demo::{all_is_back, networks::KERNEL},
        deploy::{image, install::Installation},
        go_multus::{CREDENTIALS, THICK_CONF},
        installation,
        load::{Load, come_and_go},
        look,
    },
};

/// The node and whose programs are on it.
pub(super) struct Stage<'a> {
    base: &'a Base,
    go: Go,
    ours: Option<Ours>,
}

impl<'a> Stage<'a> {
    pub(super) fn new(base: &'a Base, options: &'a Options) -> Self {
        Self {
            base,
            go: Go::new(options),
            ours: None,
        }
    }

    pub(super) async fn go_thin(&mut self) -> Result<String> {
        fs::create_dir_all("/etc/pcidp").context("create /etc/pcidp")?;
        fs::write("/etc/pcidp/config.json", self.base.pools().to_string())
            .context("write the pools")?;
        self.go.start_sriov()?;
        self.go.install_thin(&self.base.cluster)?;
        look::offered(KERNEL, 5).await?;
        // The Go manifests' definition of networks is this one, too.
        let manifests = Installation::new(&image::current()?, &self.base.pools())?;
        manifests.define(&self.base.cluster.client).await?;
        pods::networks(self.base).await?;
        pods::start(self.base, "thin").await
    }

    /// While pods come and go. The device plugins change places first, and those who ran go on.
    pub(super) async fn ours_go_in(&mut self, whose: &str) -> Result<String> {
        let base = self.base;
        let done = Cell::new(false);
        let go = &mut self.go;
        let swap = async {
            let swapped = async {
                go.stop_sriovdp().await?;
                let ours = Ours::go_in(base).await?;
                go.stop_thick().await?;
                installation::first_is_ours().await?;
                look::offered(KERNEL, 5).await?;
                Ok::<_, anyhow::Error>(ours)
            }
            .await;
            done.set(true);
            swapped
        };
        let (ours, load) = tokio::join!(swap, come_and_go(base, load(whose), &done));
        self.ours = Some(ours?);
        let load = load?;
        let name = format!("for-{whose}");
        let new = pods::start(base, &name).await?;
        pods::attached(base, whose).await?;
        Ok(format!("{load}\n{new}"))
    }

    /// The pods that the Go programs attached go with full restore; those of ours do not feel it.
    pub(super) async fn old_pods_go(&mut self, whose: &str) -> Result<String> {
        let name = format!("for-{whose}");
        pods::delete(self.base, whose).await?;
        pods::attached(self.base, &name).await?;
        for kind in ["plain", "mv"] {
            pods::delete_one(self.base, &format!("{name}-{kind}")).await?;
        }
        pods::delete_one(self.base, &format!("{name}-vf")).await?;
        all_is_back(self.base)
    }

    /// As documentation has it: ours are deleted, the last pod takes them along, then the others are installed.
    pub(super) async fn back(&mut self) -> Result<String> {
        pods::start(self.base, "last").await?;
        self.leave_with("last").await?;
        fs::remove_dir_all(CREDENTIALS).context("remove what Go thin left")?;
        self.go.start_sriov()?;
        self.go.start_thick(&self.base.cluster).await?;
        first_is_go().await?;
        look::offered(KERNEL, 5).await?;
        pods::start(self.base, "thick").await
    }

    /// The kubelet starts an old Go pod once more: its daemon empties the folder of sockets and puts its configuration
    /// first; then it ends, and takes a configuration away.
    pub(super) async fn go_cleans_up(&mut self) -> Result<String> {
        let base = self.base;
        let done = Cell::new(false);
        let go = &mut self.go;
        let restart = async {
            let ended = async {
                go.start_thick(&base.cluster).await?;
                installation::first_is_ours().await?;
                go.stop_thick().await?;
                installation::first_is_ours().await
            }
            .await;
            done.set(true);
            ended
        };
        let (ended, load) = tokio::join!(restart, come_and_go(base, load("again"), &done));
        ended?;
        load
    }

    pub(super) async fn leave(&mut self) -> Result<String> {
        pods::start(self.base, "end").await?;
        self.leave_with("end").await?;
        all_is_back(self.base)
    }

    /// Everything of ours is deleted while these pods live; the last of them takes multus along.
    async fn leave_with(&mut self, whose: &str) -> Result<()> {
        let ours = self.ours.take().context("nothing of ours is installed")?;
        ours.delete(self.base).await?;
        pods::attached(self.base, whose).await?;
        pods::delete(self.base, whose).await?;
        let mut left = installation::files()?;
        left.retain(|path| !path.starts_with(CREDENTIALS));
        ensure!(left.is_empty(), "left of ours: {left:?}");
        let sriov = Path::new("/opt/cni/bin/sriov");
        ensure!(!sriov.exists(), "{} is left", sriov.display());
        Ok(())
    }
}

/// Pods may be refused while one multus takes another's place.
fn load(name: &str) -> Load<'_> {
    Load {
        name,
        least: 3,
        refusals: None,
    }
}

/// Waits until the Go daemon's configuration is there.
async fn first_is_go() -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !Path::new(THICK_CONF).exists() {
        ensure!(Instant::now() < deadline, "no {THICK_CONF} after 30 s");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
