//! Command line of `multus-daemon`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::install::InstallOptions;

/// Plans the networks of pods for the multus CNI plugin, and writes network-status and events.
#[derive(Debug, Parser)]
#[command(name = "multus-daemon", version, about)]
pub struct Cli {
    /// One-shot commands; none: serve.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to reach everything.
    #[command(flatten)]
    pub options: Options,
}

/// Where things are.
#[derive(Debug, Args)]
pub struct Options {
    /// Daemon configuration file (JSON); may be absent.
    #[arg(
        long,
        global = true,
        default_value = "/etc/cni/net.d/multus.d/daemon-config.json"
    )]
    pub config: PathBuf,
    /// Kubeconfig file; without it the service account of the pod is used.
    #[arg(long, global = true)]
    pub kubeconfig: Option<PathBuf>,
    /// Name of this node: only its pods are watched.
    #[arg(long, global = true, env = "MULTUS_NODE_NAME")]
    pub node_name: Option<String>,
    /// Folder of the socket `multus.sock`; overrides `socketDir` of the configuration.
    #[arg(long, global = true)]
    pub socket_dir: Option<PathBuf>,
    /// The kubelet's PodResources socket.
    #[arg(
        long,
        global = true,
        default_value = "/var/lib/kubelet/pod-resources/kubelet.sock"
    )]
    pub pod_resources_socket: PathBuf,
    /// The kubelet's device checkpoint, read only where that socket does not exist.
    #[arg(
        long,
        global = true,
        default_value = "/var/lib/kubelet/device-plugins/kubelet_internal_checkpoint"
    )]
    pub device_checkpoint: PathBuf,
    /// DeviceInfo folder, with `dp` and `cni` below it.
    #[arg(
        long,
        global = true,
        default_value = "/var/run/k8s.cni.cncf.io/devinfo"
    )]
    pub devinfo_dir: PathBuf,
    /// Where the container runtime keeps its networks' state, with `results` below it.
    #[arg(long, global = true, default_value = "/var/lib/cni")]
    pub runtime_cache_dir: PathBuf,
    /// Namespace and name of the DaemonSet that runs this daemon, as NAMESPACE/NAME; its deletion removes multus from
    /// the node.
    #[arg(long, global = true, env = "MULTUS_DAEMONSET")]
    pub daemonset: Option<String>,
    /// error, warn, info, debug or trace; overrides `logLevel` of the configuration.
    #[arg(long, global = true)]
    pub log_level: Option<String>,
}

/// One-shot commands.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Puts the plugin and its CNI configuration onto the node (the init container).
    Install(Box<InstallOptions>),
    /// For the plugin.
    #[command(flatten)]
    OneShot(OneShot),
}

/// What the plugin runs as a child on a node without a running daemon (thin mode).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum OneShot {
    /// Reads a plan request (JSON) on stdin, prints the plan.
    Plan,
    /// Reads a report (JSON) on stdin, writes network-status and events.
    Report,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_may_follow_the_command() {
        let cli = Cli::parse_from(["multus-daemon", "report", "--kubeconfig", "/k"]);
        assert!(matches!(
            cli.command,
            Some(Command::OneShot(OneShot::Report))
        ));
        assert_eq!(cli.options.kubeconfig, Some("/k".into()));
    }
}
