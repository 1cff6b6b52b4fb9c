//! The command line: every flag of the Go binary and of its image's entry point, in every spelling
//! (spec/device-plugin.md §1.1, §1.2), and our own.
//!
//! Go's flags begin with one or two dashes and take their value after `=` or as the next word; a
//! switch takes one only after `=`. Further words are ignored.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use crate::{
    daemon::Settings,
    handover::cdi::{self, Answer},
    http::{self, probe::Question},
    node::DeviceId,
};

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// Serve.
    Run(Box<Options>),
    /// Check a configuration file.
    Validate(Box<Options>),
    /// Say for each function which pool takes it, or why none does.
    Explain(Box<Options>),
    /// Say which pod holds which device.
    List(Box<Options>),
    /// Make PFs and VFs what the block `provision` asks.
    Provision(Box<Options>),
    /// Print what `provision` would do.
    Plan(Box<Options>),
    /// Ask the program that serves beside this one how it is.
    Probe(http::Address, Question),
    /// Print usage.
    Help,
    /// Print the version.
    Version,
}

/// What the flags said.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where everything is.
    pub settings: Settings,
    /// The one device to explain.
    pub device: Option<DeviceId>,
    /// Answer in JSON.
    pub json: bool,
    /// State directory of `sriov`, where its ledger is and baselines belong.
    pub sriov_state: PathBuf,
    /// How long one write of provisioning may take.
    pub write_deadline: Duration,
    /// A PF that cannot be provisioned is no failure.
    pub lenient: bool,
    /// Verbosity as glog counts it.
    pub verbosity: u32,
    /// Flags that are accepted and do nothing here, with what to know about it.
    pub without_effect: Vec<&'static str>,
}

/// Printed on `--help` and below an error.
pub const USAGE: &str = "\
usage: sriovdp [flags]                  serve the pools of the configuration file
       sriovdp validate [flags] [FILE]  check a configuration file; fails if a pool is rejected
       sriovdp explain [flags]          say for each device which pool takes it, or why none does
       sriovdp list [flags]             say which pod holds which device
       sriovdp plan [flags]             print what `sriovdp provision` would do
       sriovdp provision [flags]        make PFs and VFs what the block `provision` asks; fails if it cannot
       sriovdp probe live|ready --http-address ADDRESS
                                        ask the program that serves there; fails if it is not well
       sriovdp version

  --config-file FILE      pool configuration (default /etc/pcidp/config.json)
  --resource-prefix NAME  prefix of pools that have none of their own (default intel.com)
  --log-level N, -v N     0 to 3: informational, from 4: decisions, from 11: everything (default 0)
  --kubelet-root DIR      the kubelet's root (default /var/lib/kubelet)
  --sysfs-root DIR        sysfs (default /sys)
  --dev-root DIR          device nodes (default /dev)
  --devinfo-dir DIR       DeviceInfo files (default /var/run/k8s.cni.cncf.io/devinfo/dp)
  --reconcile-seconds N   longest time between two scans (default 60; 0: only changes lead to scans)
  --http-address ADDRESS  serve /metrics, /healthz, /readyz, /debug/devices: PORT (loopback), HOST:PORT or
                          unix:/PATH (default: off)
  --use-cdi               containers get device nodes through CDI (a pool's key cdi stands over it)
  --cdi-dir DIR           CDI specifications (default /var/run/cdi)
  --cdi-answer HOW        field (kubelet 1.29 and later), annotations or both (default both)
  --json                  explain, list: answer in JSON
  --device ADDRESS        explain: only this device
  --sriov-state DIR       provision: state of the CNI plugin sriov (default /var/lib/cni/sriov)
  --write-seconds N       provision: longest time that a driver may take for one write (default 120)
  --lenient               provision: a PF that cannot be provisioned is no failure; serving withholds its VFs
  accepted, without effect: --log-dir, and the flags of glog
";

/// Flags with a value; the last seven are accepted for compatibility only.
const VALUES: &[&str] = &[
    "config-file",
    "resource-prefix",
    "log-level",
    "v",
    "kubelet-root",
    "sysfs-root",
    "dev-root",
    "devinfo-dir",
    "cdi-dir",
    "cdi-answer",
    "reconcile-seconds",
    "http-address",
    "device",
    "sriov-state",
    "write-seconds",
    "log-dir",
    "log_dir",
    "log_link",
    "logbuflevel",
    "log_backtrace_at",
    "vmodule",
    "stderrthreshold",
];

/// Switches; the last two are accepted for compatibility only.
const SWITCHES: &[&str] = &[
    "json",
    "lenient",
    "use-cdi",
    "logtostderr",
    "alsologtostderr",
];

/// Words that are commands if they come first.
const COMMANDS: [&str; 8] = [
    "validate",
    "explain",
    "list",
    "plan",
    "provision",
    "probe",
    "version",
    "help",
];

/// Reads the words after the program's name. The error is one line, to be followed by [`USAGE`].
pub fn parse(words: &[String]) -> Result<Command, String> {
    let (command, rest) = match words.split_first() {
        Some((word, rest)) if COMMANDS.contains(&word.as_str()) => (word.as_str(), rest),
        _ => ("run", words),
    };
    let Some((flags, operands)) = flags(rest)? else {
        return Ok(Command::Help);
    };
    let mut options = options(&flags)?;
    Ok(match command {
        "validate" => {
            if let Some(file) = operands.first() {
                options.settings.config = PathBuf::from(file);
            }
            Command::Validate(Box::new(options))
        }
        "explain" => Command::Explain(Box::new(options)),
        "list" => Command::List(Box::new(options)),
        "plan" => Command::Plan(Box::new(options)),
        "provision" => Command::Provision(Box::new(options)),
        "probe" => probe(&operands, options.settings.http)?,
        "version" => Command::Version,
        "help" => Command::Help,
        _ => Command::Run(Box::new(options)),
    })
}

fn probe(operands: &[&String], address: Option<http::Address>) -> Result<Command, String> {
    let question = match operands {
        [word] if *word == "live" => Question::Live,
        [word] if *word == "ready" => Question::Ready,
        _ => return Err("probe: write live or ready".to_owned()),
    };
    let address = address.ok_or("probe: --http-address is missing: where does it serve?")?;
    Ok(Command::Probe(address, question))
}

/// Flags by name, and the other words; `None` if help is asked for.
#[expect(clippy::type_complexity, reason = "used once")]
fn flags(words: &[String]) -> Result<Option<(BTreeMap<&str, String>, Vec<&String>)>, String> {
    let (mut flags, mut operands) = (BTreeMap::new(), Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(flag) = word.strip_prefix("--").or(word.strip_prefix('-')) else {
            operands.push(word);
            continue;
        };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (flag, None),
        };
        if name == "h" || name == "help" {
            return Ok(None);
        }
        let value = match (kind(name), value) {
            (None, _) => return Err(format!("flag provided but not defined: {word}")),
            (Some(Kind::Switch), value) => switch(name, value.as_deref())?,
            (Some(Kind::Value), Some(value)) => value,
            (Some(Kind::Value), None) => words
                .next()
                .cloned()
                .ok_or_else(|| format!("flag needs a value: {word}"))?,
        };
        flags.insert(name, value);
    }
    Ok(Some((flags, operands)))
}

enum Kind {
    Value,
    Switch,
}

fn kind(name: &str) -> Option<Kind> {
    if VALUES.contains(&name) {
        return Some(Kind::Value);
    }
    SWITCHES.contains(&name).then_some(Kind::Switch)
}

/// Go's spellings of truth.
fn switch(name: &str, value: Option<&str>) -> Result<String, String> {
    match value {
        None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok("true".to_owned()),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok("false".to_owned()),
        Some(other) => Err(format!("--{name} is true or false, not {other:?}")),
    }
}

fn options(flags: &BTreeMap<&str, String>) -> Result<Options, String> {
    let text =
        |name: &str, default: &str| flags.get(name).map_or(default, String::as_str).to_owned();
    let path = |name: &str, default: &str| PathBuf::from(text(name, default));
    let number = |name: &str, default: u32| match flags.get(name) {
        None => Ok(default),
        Some(value) => value
            .parse::<u32>()
            .map_err(|_| format!("--{name} is a number, not {value:?}")),
    };
    let is_on = |name: &str| flags.get(name).is_some_and(|value| value == "true");
    let usual = cdi::Settings::default();
    let cdi = cdi::Settings {
        directory: flags.get("cdi-dir").map_or(usual.directory, PathBuf::from),
        by_default: is_on("use-cdi"),
        answer: match flags.get("cdi-answer").map(String::as_str) {
            None => usual.answer,
            Some("field") => Answer::Field,
            Some("annotations") => Answer::Annotations,
            Some("both") => Answer::Both,
            Some(other) => {
                return Err(format!(
                    "--cdi-answer is field, annotations or both, not {other:?}"
                ));
            }
        },
    };
    let reconcile = number("reconcile-seconds", 60)?;
    let http = flags.get("http-address").map(|text| {
        let parsed = text.parse::<http::Address>();
        parsed.map_err(|error| format!("--http-address: {error}"))
    });
    let settings = Settings {
        config: path("config-file", "/etc/pcidp/config.json"),
        prefix: text("resource-prefix", "intel.com"),
        kubelet_root: path("kubelet-root", "/var/lib/kubelet"),
        sysfs_root: path("sysfs-root", "/sys"),
        dev_root: path("dev-root", "/dev"),
        device_info: path("devinfo-dir", cni::net_attach::device_info::DP_DIR),
        cdi,
        proc_root: PathBuf::from("/proc"),
        http: http.transpose()?,
        reconcile: (reconcile > 0).then(|| Duration::from_secs(reconcile.into())),
        settle: Duration::from_millis(100),
        pause: Duration::from_millis(250),
        warm_up: Duration::from_secs(15),
    };
    let mut without_effect = Vec::new();
    if flags.contains_key("log-dir") || flags.contains_key("log_dir") {
        without_effect.push("--log-dir: logs go to standard error only");
    }
    let verbosity = number("v", 0)?.max(number("log-level", 0)?);
    let device = flags.get("device").map(|text| {
        let parsed = text.parse::<DeviceId>();
        parsed.map_err(|error| format!("--device: {error}"))
    });
    let is_on = |name| flags.get(name).is_some_and(|value| value == "true");
    Ok(Options {
        device: device.transpose()?,
        json: is_on("json"),
        sriov_state: path("sriov-state", "/var/lib/cni/sriov"),
        write_deadline: Duration::from_secs(number("write-seconds", 120)?.max(1).into()),
        lenient: is_on("lenient"),
        settings,
        verbosity,
        without_effect,
    })
}
