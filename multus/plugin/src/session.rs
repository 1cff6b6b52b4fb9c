//! One call of the plugin with everything that its commands share: configuration, journal, runtime side.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use cni::args::Args;
use cni::error::code;
use cni::plugin::Invocation;
use cni::runtime::Runtime;

use crate::config::NetConf;
use crate::detach::Place;
use crate::failure::Failure;
use crate::journal::Journal;
use crate::log::Log;
use crate::planner::Client;
use crate::wire::{PodRef, Reason};

/// Where containerd and CRI-O keep libcni's cache.
pub const RUNTIME_CACHE: &str = "/var/lib/cni";

/// What `main` knows of the node, handed down.
#[derive(Debug, Clone)]
pub struct Node {
    /// Seconds since 1970.
    pub now: u64,
    /// Where procfs is mounted.
    pub proc: PathBuf,
    /// Folder of this program; `multus-daemon` is looked for there first.
    pub own_dir: Option<PathBuf>,
    /// Folder of the attachments' DeviceInfo files.
    pub devinfo: PathBuf,
    /// Where the container runtime keeps its networks' state, with `results` below it.
    pub runtime_cache: PathBuf,
    /// Where a log file may be.
    pub log_dirs: Vec<PathBuf>,
}

/// One call.
#[derive(Debug)]
pub struct Session<'a> {
    /// The call as the skeleton checked it.
    pub call: &'a Invocation,
    /// The node.
    pub node: &'a Node,
    /// The parsed configuration.
    pub conf: NetConf,
    /// Records under `cniDir`.
    pub journal: Journal,
    /// The pod, if the runtime names one.
    pub pod: Option<PodRef>,
    /// The runtime's CNI_ARGS.
    args: Args,
    log: Log,
}

impl<'a> Session<'a> {
    /// Reads the configuration and CNI_ARGS.
    pub fn new(call: &'a Invocation, node: &'a Node) -> Result<Self, Failure> {
        let conf = NetConf::parse(&call.stdin).map_err(|error| {
            let msg = cni::error::chain(&error);
            Failure::new(code::INVALID_CONFIG, Reason::NetworkInvalid, msg)
        })?;
        let args = Args::parse_lenient(&call.args_text).map_err(|error| {
            let msg = error.to_string();
            Failure::new(code::INVALID_ENVIRONMENT, Reason::NetworkInvalid, msg)
        })?;
        Ok(Self {
            journal: Journal::new(&conf.cni_dir),
            pod: pod_of(&args),
            log: Log::new(&conf, &node.log_dirs, node.now),
            args,
            conf,
            call,
            node,
        })
    }

    /// The runtime side for delegates, with the result cache that Go multus uses.
    pub fn runtime(&self) -> Runtime {
        Runtime {
            path: self.path(),
            cache_dir: Some(self.conf.cni_dir.clone()),
            env: self.call.env.clone(),
            deadline: Some(self.conf.delegate_timeout()),
            until: None,
        }
    }

    /// The runtime side for a pod of which nothing is written.
    pub fn runtime_without_cache(&self) -> Runtime {
        Runtime {
            cache_dir: None,
            ..self.runtime()
        }
    }

    /// The runtime side with a shorter deadline for each plugin.
    pub fn runtime_within(&self, limit: Duration) -> Runtime {
        let deadline = self.conf.delegate_timeout().min(limit);
        Runtime {
            deadline: Some(deadline),
            ..self.runtime()
        }
    }

    /// The runtime side of work that has to be over by then, all plugins of all networks together.
    pub fn runtime_until(&self, until: Instant) -> Runtime {
        Runtime {
            until: Some(until),
            ..self.runtime()
        }
    }

    /// The way to the planner.
    pub fn planner(&self) -> Client {
        let env = self.call.env.iter();
        Client {
            planner: self.conf.planner(),
            programs: self
                .node
                .own_dir
                .iter()
                .cloned()
                .chain([self.conf.bin_dir.clone()])
                .collect(),
            env: env
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    /// CNI_ARGS of every delegate: what identifies the pod, then the runtime's own pairs; of a key
    /// the last value wins (spec/multus.md §9.2, Q21).
    pub fn delegate_args(&self, pod: Option<&PodRef>) -> Vec<(String, String)> {
        let mut args = Args::default();
        args.set("IgnoreUnknown", "true");
        if let Some(pod) = pod {
            args.set("K8S_POD_NAMESPACE", &pod.namespace);
            args.set("K8S_POD_NAME", &pod.name);
            args.set("K8S_POD_INFRA_CONTAINER_ID", &self.call.container_id);
            if let Some(uid) = &pod.uid {
                args.set("K8S_POD_UID", uid);
            }
        }
        for (key, value) in self.args.pairs() {
            args.set(key, value);
        }
        args.pairs().to_vec()
    }

    /// This sandbox, for DEL and CHECK of its attachments.
    pub fn place(&self, args: Vec<(String, String)>) -> Place {
        Place {
            container_id: self.call.container_id.clone(),
            netns: self.call.netns.clone(),
            args,
            prev_result: self.conf.prev_result.clone(),
        }
    }

    /// Where warnings go.
    pub const fn log(&self) -> &Log {
        &self.log
    }

    /// binDir, then CNI_PATH.
    fn path(&self) -> Vec<PathBuf> {
        let mut path = vec![self.conf.bin_dir.clone()];
        path.extend(
            self.call
                .path
                .iter()
                .filter(|dir| **dir != self.conf.bin_dir)
                .cloned(),
        );
        path
    }
}

fn pod_of(args: &Args) -> Option<PodRef> {
    let value = |key: &str| {
        args.get(key)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    };
    Some(PodRef {
        namespace: value("K8S_POD_NAMESPACE")?,
        name: value("K8S_POD_NAME")?,
        uid: value("K8S_POD_UID"),
    })
}
