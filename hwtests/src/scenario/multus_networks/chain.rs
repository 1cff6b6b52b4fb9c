//! Plugins that a vendor adds without touching the primary's file.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::stage::{DAEMON_CONFIG, Stage};
use crate::{
    guest::{cluster::NODE, containerd::CNI_CONF_DIR, pod::PodSpec},
    scenario::{installation, leftovers, look},
};

const SYSCTL: &str = "/proc/sys/net/ipv4/conf/eth0/arp_filter";
/// Name of the auxiliary chain, and of its folder.
pub(super) const CHAIN: &str = "vendor-cni-chain";

/// The folder named after the primary holds further plugins of its list, for plain pods and others.
pub(super) async fn plugins_of_a_folder(stage: &Stage<'_>) -> Result<String> {
    // The lab's default network is called lab.
    let folder = Path::new(CNI_CONF_DIR).join("lab");
    fs::create_dir_all(&folder).context("create the folder of plugins")?;
    let tuning = json!({"type": "tuning", "sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1"}});
    fs::write(folder.join("vendor.conf"), tuning.to_string()).context("write a plugin")?;
    let pods = [
        PodSpec::new("chained"),
        PodSpec::new("chained-more").networks("macvlan-leased"),
    ];
    stage.start(&pods).await?;
    for pod in ["chained", "chained-more"] {
        is_set(stage, pod).await?;
    }
    // What the record holds is deleted, whatever is in the folder then.
    fs::remove_dir_all(&folder).context("remove the folder of plugins")?;
    stage.delete(&["chained", "chained-more"]).await?;
    Ok("arp_filter is 1 on eth0 of a plain pod and of another".to_owned())
}

async fn is_set(stage: &Stage<'_>, pod: &str) -> Result<()> {
    let words = ["/bin/cat", SYSCTL];
    let seen = stage
        .node
        .runtime
        .run(pod, &words, Duration::from_secs(10))
        .await?;
    ensure!(seen.trim() == "1", "{SYSCTL} of {pod} is {seen}");
    Ok(())
}

/// The chain that `auxiliaryCNIChainName` names runs after the networks of every pod, on a multus that was installed as
/// an admin installs it; the last step, for multus is taken from the node again.
pub(super) async fn auxiliary_chain(stage: &mut Stage<'_>) -> Result<String> {
    let folder = Path::new(CNI_CONF_DIR).join(CHAIN);
    fs::create_dir_all(&folder).context("create the chain's folder")?;
    // As upstream's test has it: the chain's own interface does not exist.
    let tuning = json!({"type": "tuning", "sysctl": {"net.ipv4.conf.eth0.arp_filter": "1"}});
    fs::write(folder.join("10-vendor.conf"), tuning.to_string()).context("write a plugin")?;
    Stage::configure_daemon(&json!({"auxiliaryCNIChainName": CHAIN}))?;
    installation::install(stage.options)?;
    stage.restart_daemon_as_configured().await?;
    let pods = [
        PodSpec::new("aux-plain"),
        PodSpec::new("aux-more").networks("macvlan-leased"),
    ];
    stage.start(&pods).await?;
    look::check_status(stage.node, "aux-plain", &["eth0"]).await?;
    look::check_status(stage.node, "aux-more", &["eth0", "net1"]).await?;
    for pod in ["aux-plain", "aux-more"] {
        is_set(stage, pod).await?;
    }
    let records = leftovers::records()?.len();
    ensure!(records == 2, "{records} records of two pods with a chain");
    let event = refused_until_it_can_be_read(stage, &folder.join("20-vendor.conf")).await?;
    // Neither the chain nor the daemon is needed to delete what was made with them.
    fs::remove_dir_all(&folder).context("remove the chain's folder")?;
    stage
        .node
        .multus_daemon
        .terminate(Duration::from_secs(10))
        .await?;
    stage
        .delete_some(&["aux-plain", "aux-more", "aux-late"])
        .await?;
    let records = leftovers::records()?;
    ensure!(records.is_empty(), "records are left: {records:?}");
    let (done, text) = installation::multus(&["uninstall"])?;
    ensure!(done, "multus uninstall without a pod: {text}");
    fs::remove_file(DAEMON_CONFIG).context("remove the daemon's configuration")?;
    let left = installation::files()?;
    ensure!(left.is_empty(), "multus is still on the node: {left:?}");
    let left = leftovers::of_pods()?;
    ensure!(left.is_empty(), "left on the node:\n{}", left.join("\n"));
    Ok(format!(
        "arp_filter is 1 on eth0 of a plain pod and of another; both deleted without chain and daemon; meanwhile: {event}"
    ))
}

/// A pod does not go without a part of the chain: it waits for the admin to repair the file, and says so.
async fn refused_until_it_can_be_read(stage: &Stage<'_>, file: &Path) -> Result<String> {
    fs::write(file, "{").context("write a plugin that cannot be read")?;
    let pod = PodSpec::new("aux-late").manifest(NODE);
    stage.node.cluster.client.create(&pod).await?;
    let event = stage.refused("aux-late", "20-vendor.conf").await?;
    fs::remove_file(file).context("remove it again")?;
    stage.runs("aux-late").await?;
    is_set(stage, "aux-late").await?;
    Ok(event)
}
