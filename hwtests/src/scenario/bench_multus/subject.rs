//! Who is measured: a program, the configuration it is given, and the daemon behind it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::ground::{Ground, PLUGINS, annotation};
use crate::guest::{cluster::NODE, cni::Plugin, pod::NETWORKS as ANNOTATION, service::Service};

/// A daemon must serve within this time.
const START: Duration = Duration::from_mins(1);

/// One program under measurement; without a program the delegates alone.
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) plugin: Option<Plugin>,
    config: Value,
    hands_over: bool,
    pub(super) daemon: Option<Service>,
    /// Folders whose files count as written by the program.
    pub(super) state: Vec<PathBuf>,
}

/// The Go programs.
pub(super) struct Go;

impl Go {
    pub(super) fn is_in(folder: &Path) -> bool {
        ["multus", "multus-daemon", "multus-shim"]
            .iter()
            .all(|name| folder.join(name).exists())
    }
}

impl Subject {
    /// The delegates alone, ours with the daemon, ours without.
    pub(super) async fn ours(ground: &Ground) -> Result<Vec<Self>> {
        let own = std::env::current_exe().context("find this program")?;
        let profiles = own
            .parent()
            .and_then(Path::parent)
            .context("a program without a folder")?;
        let bin = ground.dir.join("bin");
        for (profile, name) in [("small", "multus"), ("release", "multus-daemon")] {
            let built = profiles.join(profile).join(name);
            fs::copy(&built, bin.join(name))
                .with_context(|| format!("{} is not built: run make build", built.display()))?;
        }
        let sockets = ground.dir.join("run");
        let kubeconfig = ground.kubeconfig.display().to_string();
        let state = ground.dir.join("state");
        let conf = ground.dir.join("daemon.json");
        let keys = json!({"cniDir": state, "cniConfigDir": ground.dir.join("net.d"), "confDir": ground.dir.join("nads.d")});
        fs::write(&conf, keys.to_string()).context("write the daemon's configuration")?;
        let words = [
            "--config",
            &conf.display().to_string(),
            "--kubeconfig",
            &kubeconfig,
            "--socket-dir",
            &sockets.display().to_string(),
            "--runtime-cache-dir",
            &ground.dir.join("runtime").display().to_string(),
        ]
        .map(str::to_owned);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut daemon = Service::start_with(
            &ground.dir.join("logs"),
            "multus-daemon",
            &bin.join("multus-daemon"),
            &words,
            &[("MULTUS_NODE_NAME", NODE)],
        )?;
        let copies = state.join("nads/default");
        daemon
            .wait_until(START, "it knows the networks", async || {
                sockets.join("multus.sock").exists()
                    && fs::read_dir(&copies).is_ok_and(|files| files.count() == 3)
            })
            .await?;
        let common = json!({
            "cniVersion": "1.0.0", "name": "multus-cni-network", "type": "multus",
            "clusterNetwork": ground.dir.join("net.d/10-bench.conflist"),
            "cniDir": state, "confDir": ground.dir.join("nads.d"), "binDir": PLUGINS,
            "capabilities": {"io.kubernetes.cri.pod-annotations": true},
        });
        let plugin = Plugin::new(&bin.join("multus"));
        let thin_state = ground.dir.join("state-thin");
        Ok(vec![
            Self {
                name: "delegates alone".to_owned(),
                plugin: None,
                config: Value::Null,
                hands_over: false,
                daemon: None,
                state: Vec::new(),
            },
            Self {
                name: "multus + daemon".to_owned(),
                plugin: Some(plugin.clone()),
                config: with(&common, json!({"daemonSocketDir": sockets})),
                hands_over: true,
                daemon: Some(daemon),
                state: vec![state],
            },
            Self {
                name: "multus, no daemon".to_owned(),
                plugin: Some(plugin),
                config: with(
                    &common,
                    json!({"kubeconfig": kubeconfig, "cniDir": thin_state}),
                ),
                hands_over: true,
                daemon: None,
                state: vec![thin_state],
            },
        ])
    }

    /// Go thick and thin, the default network inline: by name the thick one's DEL leaks an address (spec/peers.md §3).
    pub(super) async fn go(ground: &Ground, folder: &Path) -> Result<Vec<Self>> {
        let dir = ground.dir.join("go");
        let auto = dir.join("net.d");
        fs::create_dir_all(&auto).context("create Go multus' folder")?;
        fs::write(auto.join("10-bench.conflist"), ground.primary().to_string())
            .context("write the default network")?;
        let sockets = dir.join("run");
        let state = dir.join("state");
        let keys = json!({
            "cniVersion": "1.0.0", "socketDir": sockets, "cniConfigDir": auto, "multusAutoconfigDir": auto,
            "multusConfigFile": "auto", "logLevel": "error", "logToStderr": true, "cniDir": state, "binDir": PLUGINS,
        });
        let conf = dir.join("daemon.json");
        fs::write(&conf, keys.to_string()).context("write Go multus' configuration")?;
        into_the_cluster(ground)?;
        let mut daemon = Service::start_with(
            &ground.dir.join("logs"),
            "go-multus-daemon",
            &folder.join("multus-daemon"),
            &["-config", &conf.display().to_string()],
            &[
                ("MULTUS_NODE_NAME", NODE),
                ("KUBERNETES_SERVICE_HOST", "127.0.0.1"),
                ("KUBERNETES_SERVICE_PORT", "6443"),
            ],
        )?;
        daemon
            .wait_until(START, "its socket is there", async || {
                sockets.join("multus.sock").exists()
            })
            .await?;
        let common = json!({
            "cniVersion": "1.0.0", "name": "multus-cni-network", "delegates": [ground.primary()],
            "confDir": ground.dir.join("nads.d"), "binDir": PLUGINS, "logLevel": "error",
        });
        let thin_state = dir.join("state-thin");
        Ok(vec![
            Self {
                name: "Go shim + daemon".to_owned(),
                plugin: Some(Plugin::new(&folder.join("multus-shim"))),
                config: with(
                    &common,
                    json!({"type": "multus-shim", "daemonSocketDir": sockets, "cniDir": state}),
                ),
                hands_over: false,
                daemon: Some(daemon),
                state: vec![state],
            },
            Self {
                name: "Go thin".to_owned(),
                plugin: Some(Plugin::new(&folder.join("multus"))),
                config: with(
                    &common,
                    json!({"type": "multus", "kubeconfig": ground.kubeconfig, "cniDir": thin_state}),
                ),
                hands_over: false,
                daemon: None,
                state: vec![thin_state],
            },
        ])
    }

    /// What the runtime would give on standard input.
    pub(super) fn config(&self, networks: usize) -> Value {
        if !self.hands_over {
            return self.config.clone();
        }
        let mut annotations = json!({});
        if networks > 0 {
            annotations[ANNOTATION] = json!(annotation(networks));
        }
        let handed = json!({"io.kubernetes.cri.pod-annotations": annotations});
        with(&self.config, json!({"runtimeConfig": handed}))
    }
}

/// The files that a pod's service account has, seen by the processes of this mount namespace only.
fn into_the_cluster(ground: &Ground) -> Result<()> {
    let (certificate, token) = ground.in_cluster()?;
    let folder = Path::new("/run/secrets/kubernetes.io/serviceaccount");
    fs::create_dir_all(folder).context("create the service account's folder")?;
    fs::copy(&certificate, folder.join("ca.crt")).context("copy the certificate")?;
    fs::write(folder.join("token"), token).context("write the token")
}

fn with(base: &Value, more: Value) -> Value {
    let mut merged = base.clone();
    if let (Some(merged), Value::Object(more)) = (merged.as_object_mut(), more) {
        merged.extend(more);
    }
    merged
}
