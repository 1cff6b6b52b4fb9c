//! `multus-daemon install`: puts the plugin and its configuration onto the node and says that it is to serve. Takes the
//! options of Go multus' `thin_entrypoint` and `install_multus` (spec/multus.md §6.5).

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use host::file::{self, Durability};
use multus_plugin::lifecycle::HostView;
use multus_plugin::lifecycle::generated::{self, Settings};
use multus_plugin::lifecycle::heal::{self, Healed, Step};
use multus_plugin::lifecycle::intent::{Installation, Intent, Store};
use serde_json::{Map, Value, json};
use tracing::{info, warn};

use crate::kubeconfig::{self, Account, KubeconfigError};

/// Names under which configurations call the plugin.
const NAMES: [&str; 3] = ["multus", "multus-shim", "passthru"];

/// Name under which the plugin looks for the planner on a node without daemon.
const PLANNER: &str = "multus-daemon";

/// How long another installation or removal is waited for.
const LOCK: Duration = Duration::from_secs(10);

/// Options of `install`. What an option of Go multus does that ours need not is said when it is used.
#[derive(Debug, Clone, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one per switch of the command line"
)]
pub struct InstallOptions {
    /// The runtime's folder of CNI programs.
    #[arg(long, default_value = "/host/opt/cni/bin")]
    pub cni_bin_dir: PathBuf,
    /// The runtime's folder of CNI configurations.
    #[arg(long, default_value = "/host/etc/cni/net.d")]
    pub cni_conf_dir: PathBuf,
    /// `auto`: the configuration is generated; else a file that is installed as it is.
    #[arg(long, default_value = "auto")]
    pub multus_conf_file: String,
    /// The plugin to install; without it the one beside this program.
    #[arg(long)]
    pub multus_bin_file: Option<PathBuf>,
    /// The plugin is on the node already.
    #[arg(long, default_value_t = false, num_args = 0..=1, default_missing_value = "true")]
    pub skip_multus_binary_copy: bool,
    /// A further CNI program to install, under its own name; may be repeated. It leaves the node together with multus.
    #[arg(long = "plugin", value_name = "FILE")]
    pub plugins: Vec<PathBuf>,
    /// Installs what `--plugin` names and nothing else, for nodes with another meta-plugin.
    #[arg(long)]
    pub only_plugins: bool,
    /// The primary's file in the configuration folder; empty: the first one.
    #[arg(long, default_value = "")]
    pub multus_master_cni_file_name: String,
    /// NADs of other namespaces are refused.
    #[arg(long, default_value_t = false, num_args = 0..=1, default_missing_value = "true")]
    pub namespace_isolation: bool,
    /// Namespaces, by comma, whose NADs every pod may use all the same.
    #[arg(long, default_value = "")]
    pub global_namespaces: String,
    /// Kubeconfig on the host for a node without daemon; empty: the daemon plans.
    #[arg(long, default_value = "")]
    pub multus_kubeconfig_file_host: String,
    /// Level of the plugin's log.
    #[arg(long, default_value = "")]
    pub multus_log_level: String,
    /// File of the plugin's log.
    #[arg(long, default_value = "")]
    pub multus_log_file: String,
    /// Whether the plugin writes to its standard error.
    #[arg(long, default_value_t = true, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub multus_log_to_stderr: bool,
    /// The network is named as the primary's.
    #[arg(long, default_value_t = false, num_args = 0..=1, default_missing_value = "true")]
    pub override_network_name: bool,
    /// File without which no pod is attached.
    #[arg(long, default_value = "")]
    pub readiness_indicator_file: String,
    /// Folder of programs before the runtime's.
    #[arg(long, default_value = "")]
    pub additional_bin_dir: String,
    /// Folder of configurations that NADs name; made if it is not there, and written into the configuration as `confDir`.
    #[arg(long)]
    pub multus_cni_conf_dir: Option<PathBuf>,
    /// The planner that a node with a kubeconfig needs beside the plugin; without it this program.
    #[arg(long)]
    pub multus_daemon_bin_file: Option<PathBuf>,
    /// The generated kubeconfig lets programs take any API server for the right one.
    #[arg(long, default_value_t = false, num_args = 0..=1, default_missing_value = "true")]
    pub skip_tls_verify: bool,
    /// Folder of this pod's service account, of which the kubeconfig is made.
    #[arg(
        long,
        hide = true,
        default_value = "/var/run/secrets/kubernetes.io/serviceaccount"
    )]
    pub service_account_dir: PathBuf,
    /// URL of the API server for the kubeconfig; without it that of this pod.
    #[arg(long, hide = true)]
    pub api_server: Option<String>,
    /// Accepted, without effect: the primary's file stays, or multus could never leave the node again.
    #[arg(long, default_value_t = false, num_args = 0..=1, default_missing_value = "true", hide = true)]
    pub rename_conf_file: bool,
    /// Accepted, without effect: the primary's file is never changed.
    #[arg(long, default_value_t = false, num_args = 0..=1, default_missing_value = "true", hide = true)]
    pub force_cni_version: bool,
    /// Accepted, without effect: no signal removes the configuration.
    #[arg(long, default_value_t = false, num_args = 0..=1, default_missing_value = "true", hide = true)]
    pub cleanup_config_on_exit: bool,
    /// Accepted, without effect: only the daemon watches.
    #[arg(long, default_value_t = false, num_args = 0..=1, default_missing_value = "true", hide = true)]
    pub skip_config_watch: bool,
    /// Accepted, without effect: results are converted to the primary's version.
    #[arg(long, default_value = "", hide = true)]
    pub cni_version: String,
}

impl InstallOptions {
    /// Whether the plugin is to plan by itself, with a kubeconfig.
    fn is_thin(&self) -> bool {
        !self.multus_kubeconfig_file_host.is_empty()
    }

    /// The options as keys of the daemon's configuration file.
    fn keys(&self) -> Map<String, Value> {
        let mut keys = Map::new();
        let texts = [
            ("multusConfigFile", self.multus_conf_file.as_str()),
            ("multusMasterCNI", &self.multus_master_cni_file_name),
            ("globalNamespaces", &self.global_namespaces),
            ("kubeconfig", &self.multus_kubeconfig_file_host),
            ("logLevel", &self.multus_log_level),
            ("logFile", &self.multus_log_file),
            ("readinessindicatorfile", &self.readiness_indicator_file),
            ("binDir", &self.additional_bin_dir),
        ];
        for (key, value) in texts {
            if !value.is_empty() {
                keys.insert(key.to_owned(), json!(value));
            }
        }
        if let Some(dir) = &self.multus_cni_conf_dir {
            let dir = HostView::of(dir).on_host(dir);
            keys.insert("confDir".to_owned(), json!(dir));
        }
        let switches = [
            ("namespaceIsolation", self.namespace_isolation),
            ("overrideNetworkName", self.override_network_name),
        ];
        for (key, on) in switches {
            if on {
                keys.insert(key.to_owned(), json!(true));
            }
        }
        if !self.multus_log_to_stderr {
            keys.insert("logToStderr".to_owned(), json!(false));
        }
        keys
    }
}

/// Brings the kubeconfig that the plugin is to use to what this pod's service account is now; nothing on a node with a
/// serving daemon, or outside a pod.
///
/// # Errors
/// As [`kubeconfig::refresh`].
pub fn keep_kubeconfig(options: &InstallOptions) -> Result<(), KubeconfigError> {
    let (true, Some(server)) = (options.is_thin(), &options.api_server) else {
        return Ok(());
    };
    let host = Path::new(&options.multus_kubeconfig_file_host);
    let path = HostView::of(&options.cni_conf_dir).here(host);
    let account = Account {
        dir: options.service_account_dir.clone(),
        server: server.clone(),
        skip_tls_verify: options.skip_tls_verify,
    };
    if let Some(claims) = kubeconfig::refresh(&path, &account)? {
        let expires = claims.expires.unwrap_or_default();
        info!(file = %path.display(), expires, "kubeconfig written");
        if let Some(pod) = claims.pod {
            info!(
                pod,
                "the token in the kubeconfig ends with this pod: it has to stay ('multus-daemon thin')"
            );
        }
    }
    Ok(())
}

/// Installs: programs first, then the intent, then the configuration (I1, I7). What is there already stays.
///
/// `daemon`: the daemon's configuration file, whose keys win over the options; `cni_dir` the state folder.
///
/// # Errors
/// When a folder is missing or a file cannot be written. Without a usable primary the installation is complete all the
/// same; the daemon writes the configuration when there is one.
pub fn install(
    options: &InstallOptions,
    daemon: &Map<String, Value>,
    cni_dir: &Path,
) -> anyhow::Result<Healed> {
    for dir in [&options.cni_bin_dir, &options.cni_conf_dir] {
        if !dir.is_dir() {
            bail!(
                "{} is no folder: mount the node's folder there, or name another one",
                dir.display()
            );
        }
    }
    install_with(options, daemon, cni_dir)
}

/// Installs the programs that `--plugin` names and nothing else: no configuration, no state.
///
/// # Errors
/// When the folder of programs is missing or a program cannot be read or written.
pub fn install_plugins(options: &InstallOptions) -> anyhow::Result<Vec<PathBuf>> {
    if !options.cni_bin_dir.is_dir() {
        bail!(
            "{} is no folder: mount the node's folder of CNI programs there, or name another one",
            options.cni_bin_dir.display()
        );
    }
    options
        .plugins
        .iter()
        .map(|source| {
            let name = source
                .file_name()
                .with_context(|| format!("--plugin {} names no file", source.display()))?;
            let path = options.cni_bin_dir.join(name);
            copy(&program(source)?, &path)?;
            Ok(path)
        })
        .collect()
}

fn install_with(
    options: &InstallOptions,
    daemon: &Map<String, Value>,
    cni_dir: &Path,
) -> anyhow::Result<Healed> {
    for (given, text) in [
        (
            options.cleanup_config_on_exit,
            "--cleanup-config-on-exit has no effect: only the removal of multus removes its configuration",
        ),
        (
            options.rename_conf_file,
            "--rename-conf-file has no effect: without the primary's file multus could not leave this node",
        ),
        (
            options.force_cni_version,
            "--force-cni-version has no effect: results are converted, the primary's file is never changed",
        ),
    ] {
        if given {
            warn!("{text}");
        }
    }
    if let Some(dir) = &options.multus_cni_conf_dir {
        file::create_dir(dir, 0o755)?;
    }
    keep_kubeconfig(options)?;
    let view = HostView::of(&options.cni_conf_dir);
    let mut programs = programs(options)?;
    let mut keys = options.keys();
    keys.extend(daemon.clone());
    let mut settings = Settings::of(&keys);
    if let Some(folder) = keys.get("socketDir").and_then(Value::as_str) {
        settings.serve_socket_from(Path::new(folder));
    }
    let store = Store::new(cni_dir);
    {
        let _lock = store.lock(LOCK)?;
        // A damaged record is replaced like a good one; what it named stays behind.
        if let Ok(Some(earlier)) = store.read() {
            let bin_dir = HostView::of(&options.cni_bin_dir).on_host(&options.cni_bin_dir);
            let left = left_of_earlier(earlier.programs, &programs, &bin_dir);
            programs.extend(left);
        }
        store.write(&Installation {
            intent: Intent::Serve,
            uninstall_policy: settings.uninstall_policy,
            conf_dir: view.on_host(&options.cni_conf_dir),
            conf_file: conf_file(&settings)?,
            programs,
            settings: options.keys(),
        })?;
    }
    let healed = heal::heal(&store, &options.cni_conf_dir, &settings)?;
    told(&healed);
    Ok(healed)
}

/// A file of the admin's keeps its name, as with Go multus.
fn conf_file(settings: &Settings) -> anyhow::Result<String> {
    let Some(path) = &settings.own_file else {
        return Ok(generated::FILE.to_owned());
    };
    let name = path
        .file_name()
        .with_context(|| format!("multusConfigFile {} names no file", path.display()))?;
    Ok(name.to_string_lossy().into_owned())
}

/// Copies the plugin under each of its names, the planner where no daemon is to serve, and what `--plugin` names.
/// Returns the paths on the host of what has to go with multus, the kubeconfig included.
fn programs(options: &InstallOptions) -> anyhow::Result<Vec<PathBuf>> {
    let view = HostView::of(&options.cni_bin_dir);
    let mut paths = NAMES.map(|name| options.cni_bin_dir.join(name)).to_vec();
    if !options.skip_multus_binary_copy {
        let source = match &options.multus_bin_file {
            Some(file) => file.clone(),
            None => beside_this_program()?,
        };
        let bytes = program(&source)?;
        for path in &paths {
            copy(&bytes, path)?;
        }
    }
    if options.is_thin() {
        let path = options.cni_bin_dir.join(PLANNER);
        let source = match &options.multus_daemon_bin_file {
            Some(file) => file.clone(),
            None => std::env::current_exe().context("find this program")?,
        };
        copy(&program(&source)?, &path)?;
        paths.push(path);
    }
    paths.extend(install_plugins(options)?);
    let mut paths: Vec<PathBuf> = paths.iter().map(|path| view.on_host(path)).collect();
    if options.is_thin() {
        paths.push((&options.multus_kubeconfig_file_host).into());
    }
    Ok(paths)
}

/// What an earlier installation put elsewhere than into the folder of programs, and its planner: the two that thin mode
/// leaves. A pod of it may be at work with them yet, so they stay for now, and go with multus.
fn left_of_earlier(earlier: Vec<PathBuf>, programs: &[PathBuf], bin_dir: &Path) -> Vec<PathBuf> {
    let mut left = earlier;
    left.retain(|path| {
        let elsewhere = path.parent() != Some(bin_dir) || path.ends_with(PLANNER);
        elsewhere && !programs.contains(path)
    });
    left
}

fn program(source: &Path) -> anyhow::Result<Vec<u8>> {
    file::read(source)?.with_context(|| format!("{} does not exist", source.display()))
}

/// A running program is replaced by rename, never written to; an equal one stays.
fn copy(bytes: &[u8], path: &Path) -> anyhow::Result<()> {
    if file::read(path)?.as_deref() != Some(bytes) {
        file::write(path, bytes, 0o755, Durability::PowerCut)?;
        info!(program = %path.display(), "installed");
    }
    Ok(())
}

fn beside_this_program() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("find this program")?;
    Ok(own.with_file_name("multus"))
}

/// Says what was done and what is wrong.
pub fn told(healed: &Healed) {
    for step in &healed.done {
        match step {
            Step::KeepPrimary(kept) => {
                info!(primary = %kept.path.display(), "primary configuration kept");
            }
            Step::Write { name, .. } => info!(file = name, "CNI configuration written"),
            Step::Remove(name) => info!(file = name, "configuration of an earlier multus removed"),
        }
    }
    if let Some(trouble) = &healed.trouble {
        warn!(trouble, "the CNI configuration stays as it is");
    }
    if let Some(file) = &healed.displaced_by {
        warn!(
            file,
            "another CNI configuration comes before ours: pods do not get their networks"
        );
    }
}

#[cfg(test)]
mod tests;
