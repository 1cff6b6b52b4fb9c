//! Plugins that a vendor adds without touching the primary's file.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::stage::Stage;
use crate::guest::{containerd::CNI_CONF_DIR, pod::PodSpec};

const SYSCTL: &str = "/proc/sys/net/ipv4/conf/eth0/arp_filter";

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
        let words = ["/bin/cat", SYSCTL];
        let seen = stage
            .node
            .runtime
            .run(pod, &words, Duration::from_secs(10))
            .await?;
        ensure!(seen.trim() == "1", "{SYSCTL} of {pod} is {seen}");
    }
    // What the record holds is deleted, whatever is in the folder then.
    fs::remove_dir_all(&folder).context("remove the folder of plugins")?;
    stage.delete(&["chained", "chained-more"]).await?;
    Ok("arp_filter is 1 on eth0 of a plain pod and of another".to_owned())
}
