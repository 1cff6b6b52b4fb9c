//! Command line of `multus-daemon`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::install::InstallOptions;
use crate::probe::Question;

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
    /// Where sysfs is mounted.
    #[arg(long, global = true, default_value = "/sys")]
    pub sysfs_root: PathBuf,
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
    /// Puts the plugin and its CNI configuration onto the node (the init container). An option that it does not know is
    /// passed over with a warning; of one that comes twice the last counts.
    #[command(args_override_self = true)]
    Install(Box<InstallOptions>),
    /// As install, and then stays on a node without a serving daemon: keeps kubeconfig and CNI configuration true.
    #[command(args_override_self = true)]
    Thin(Box<InstallOptions>),
    /// Approves what nodes ask for with perNodeCertificate, and denies what others ask for under their names: one for
    /// the whole cluster.
    ApproveCertificates,
    /// Asks the daemon that serves at the socket how it is; fails if it is not well.
    Probe {
        /// Whether it lives, or whether it does its job.
        question: Question,
    },
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

/// A command line as it may be parsed, and what was taken out of it.
///
/// `install` gets the options of other entry points from values files made for Go multus. What is no option of ours must
/// not keep multus from the node.
pub fn without_unknown(words: Vec<OsString>) -> (Vec<OsString>, Vec<String>) {
    let cli = Cli::command();
    let is_install = |word: &OsString| word == "install" || word == "thin";
    let is_install = words.iter().skip(1).any(is_install);
    let Some(install) = cli.find_subcommand("install").filter(|_| is_install) else {
        return (words, Vec::new());
    };
    let known = |word: &str| {
        let name = word.split('=').next().unwrap_or_default();
        ["--help", "--version", "-h", "-V"].contains(&name)
            || [install, &cli].iter().any(|command| {
                command.get_arguments().any(|arg| {
                    arg.get_long()
                        .is_some_and(|long| name.strip_prefix("--") == Some(long))
                })
            })
    };
    let (mut kept, mut unknown) = (Vec::new(), Vec::new());
    // A value that follows an option as a word of its own goes with it.
    let mut dropping = false;
    for word in words {
        let text = word.to_string_lossy();
        if text.starts_with('-') {
            dropping = !known(&text);
        }
        if dropping {
            unknown.push(text.into_owned());
        } else {
            kept.push(word);
        }
    }
    (kept, unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    fn cleaned(line: &str) -> (Vec<String>, Vec<String>) {
        let words = line.split_whitespace().map(OsString::from).collect();
        let (kept, unknown) = without_unknown(words);
        let kept = kept.iter().map(|word| word.to_string_lossy().into_owned());
        (kept.collect(), unknown)
    }

    #[test]
    fn row_57_options_of_other_entry_points_are_passed_over_and_known_ones_kept() {
        let (kept, unknown) = cleaned(
            "multus-daemon install --multus-conf-file=auto --some-later-switch --cni-version=0.3.1 \
             --some-later-dir /host/etc/cni/x --config=/c --namespace-isolation",
        );
        assert_eq!(
            kept.join(" "),
            "multus-daemon install --multus-conf-file=auto --cni-version=0.3.1 --config=/c --namespace-isolation"
        );
        assert_eq!(
            unknown,
            ["--some-later-switch", "--some-later-dir", "/host/etc/cni/x"]
        );
        Cli::try_parse_from(kept).unwrap();
    }

    #[test]
    fn a_wrong_option_of_any_other_command_is_an_error() {
        let (kept, unknown) = cleaned("multus-daemon report --no-such-option");
        assert!(unknown.is_empty());
        assert!(Cli::try_parse_from(kept).is_err());
    }

    #[test]
    fn row_57_of_an_option_that_comes_twice_the_last_counts() {
        let cli = Cli::try_parse_from([
            "multus-daemon",
            "install",
            "--cni-bin-dir=/a",
            "--multus-log-level=debug",
            "--cni-bin-dir=/b",
            "--plugin=/x",
            "--plugin=/y",
        ])
        .unwrap();
        let Some(Command::Install(options)) = cli.command else {
            panic!("{cli:?}");
        };
        assert_eq!(options.cni_bin_dir, PathBuf::from("/b"));
        assert_eq!(options.plugins, [PathBuf::from("/x"), PathBuf::from("/y")]);
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
