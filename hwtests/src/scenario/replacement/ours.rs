//! Ours, installed from image and manifests as the documentation has it (deploy/docs/migration.md).

use std::time::Duration;

use anyhow::Result;

use crate::{
    guest::node::Base,
    scenario::deploy::{image, install::Installation, steps::ROLLOUT},
};

/// The daemons end within their grace period.
const GONE: Duration = Duration::from_mins(3);

/// The DaemonSets of ours.
#[derive(Debug)]
pub(super) struct Ours {
    manifests: Installation,
}

impl Ours {
    /// Applies the manifests and waits until every container serves.
    pub(super) async fn go_in(base: &Base) -> Result<Self> {
        let manifests = Installation::new(&image::current()?, &base.pools())?;
        let client = &base.cluster.client;
        manifests.apply(client).await?;
        manifests.wait_rolled_out(client, ROLLOUT).await?;
        Ok(Self { manifests })
    }

    /// Every object is deleted at once.
    pub(super) async fn delete(self, base: &Base) -> Result<()> {
        let client = &base.cluster.client;
        self.manifests.delete(client).await?;
        self.manifests.wait_gone(client, GONE).await
    }
}
