//! The container runtime: which configuration it uses (spec/ecosystem.md §6.2), and how it calls the plugin that this
//! names. Our own plugin runs in this process, through the skeleton that `main` uses.

use std::os::unix::fs::PermissionsExt;

use cni::conf_dir;
use cni::config::NetworkList;
use cni::plugin::{Env, Plugin};
use cni::raw::Object;
use cni::runtime::{Runtime, Target};
use multus_plugin::command::Multus;
use multus_plugin::session::Node;
use serde_json::{Value, json};

use crate::axes::{Op, Pod};
use crate::place::Place;

/// A clock for records: old enough that GC may collect them a while later.
pub(crate) const THEN: u64 = 1_000_000;
pub(crate) const NOW: u64 = THEN + 3600;

/// Whom the runtime would call.
#[derive(Debug, Clone)]
pub(crate) enum Choice {
    /// Our plugin, with this configuration.
    Ours(Value),
    /// Another program, with this list.
    Another(NetworkList),
    /// Nobody: every ADD and DEL fails.
    Nobody(String),
}

/// The runtime takes the first file by name and does not go on to the next when that one is unusable (E5).
pub(crate) fn choose(place: &Place) -> Choice {
    let dir = place.path("net.d");
    let names = host::file::list(&dir).unwrap();
    let mut files = names.iter().filter(|name| {
        let end = name.rsplit('.').next().unwrap_or_default();
        ["conf", "conflist", "json"].contains(&end)
    });
    let Some(first) = files.next() else {
        return Choice::Nobody("no configuration".to_owned());
    };
    let list = match conf_dir::load(&dir.join(first)) {
        Ok(list) => list,
        Err(error) => return Choice::Nobody(format!("{first}: {}", cni::error::chain(&error))),
    };
    if list.plugins()[0].plugin_type() == "multus" {
        Choice::Ours(serde_json::from_slice(list.bytes()).unwrap())
    } else {
        Choice::Another(list)
    }
}

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    pub(crate) op: Op,
    pub(crate) container: &'a str,
    pub(crate) pod: Pod,
    /// CNI_NETNS.
    pub(crate) netns: &'a str,
    /// Containers that the runtime has, for GC.
    pub(crate) valid: &'a [&'a str],
}

/// The answer: nothing, or code, message and details.
pub(crate) type Answer = Result<(), (u64, String, String)>;

/// What the table takes for multus: the shipped plugin, or one with a planted fault.
pub(crate) type Make = fn(Multus) -> Box<dyn Plugin>;

/// The shipped plugin.
pub(crate) fn shipped(multus: Multus) -> Box<dyn Plugin> {
    Box::new(multus)
}

pub(crate) fn call(place: &Place, make: Make, choice: &Choice, call: &Call<'_>) -> Answer {
    match choice {
        Choice::Nobody(why) => Err((
            0,
            format!("cni plugin not initialized: {why}"),
            String::new(),
        )),
        Choice::Another(list) => call_another(place, list, call),
        Choice::Ours(list) => call_ours(place, make, list, call),
    }
}

fn call_ours(place: &Place, make: Make, list: &Value, call: &Call<'_>) -> Answer {
    let program = place.path("bin/multus");
    let executable = program
        .metadata()
        .is_ok_and(|meta| meta.permissions().mode() & 0o111 != 0);
    if !executable {
        return Err((
            0,
            "failed to find plugin \"multus\"".to_owned(),
            String::new(),
        ));
    }
    let plugin = make(Multus {
        node: node(place, call),
    });
    let stdin = stdin(list, call).to_string();
    let mut stdout = Vec::new();
    let exit = cni::plugin::run(
        plugin.as_ref(),
        &env(place, call),
        &mut stdin.as_bytes(),
        &mut stdout,
    );
    if exit == 0 {
        return Ok(());
    }
    let error: Value = serde_json::from_slice(&stdout).unwrap();
    let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
    Err((
        error["code"].as_u64().unwrap(),
        text("msg"),
        text("details"),
    ))
}

pub(crate) fn node(place: &Place, call: &Call<'_>) -> Node {
    Node {
        now: if call.op == Op::Gc { NOW } else { THEN },
        proc: "/proc".into(),
        own_dir: None,
        devinfo: place.path("devinfo"),
        runtime_cache: place.path("runtime"),
        log_dirs: Vec::new(),
    }
}

/// What libcni makes of the list for its only plugin.
fn stdin(list: &Value, call: &Call<'_>) -> Value {
    let mut conf = list["plugins"][0].clone();
    conf["name"] = list["name"].clone();
    // Of `cniVersions` the highest.
    conf["cniVersion"] = list["cniVersions"][1].clone();
    let annotations = match call.pod {
        Pod::Plain | Pod::DefaultNetworks => Some(json!({"app": "x"})),
        Pod::Annotated => Some(json!({"k8s.v1.cni.cncf.io/networks": "one,two"})),
        Pod::DefaultNetworkAnnotation => Some(json!({"v1.multus-cni.io/default-network": "two"})),
        Pod::KeyAbsent => None,
    };
    let about_pod = !matches!(call.op, Op::Gc | Op::Status);
    if let (Some(annotations), true) = (annotations, about_pod) {
        conf["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": annotations});
    }
    if call.op == Op::Gc {
        let valid = call
            .valid
            .iter()
            .map(|id| json!({"containerID": id, "ifname": "eth0"}));
        conf["cni.dev/valid-attachments"] = valid.collect();
    }
    conf
}

fn env(place: &Place, call: &Call<'_>) -> Env {
    let verb = match call.op {
        Op::Add => "ADD",
        Op::Del | Op::DelOfCrio => "DEL",
        Op::Check => "CHECK",
        Op::Gc => "GC",
        Op::Status => "STATUS",
    };
    let pod = if call.pod == Pod::KeyAbsent {
        "asks"
    } else {
        "p"
    };
    let args =
        format!("IgnoreUnknown=1;K8S_POD_NAMESPACE=d;K8S_POD_NAME={pod};K8S_POD_UID=uid-of-{pod}");
    let mut env = Env::default();
    env.set("CNI_COMMAND", verb);
    env.set("CNI_CONTAINERID", call.container);
    env.set("CNI_NETNS", call.netns);
    env.set("CNI_IFNAME", "eth0");
    env.set("CNI_ARGS", args);
    env.set("CNI_PATH", place.path("programs"));
    env.set("NODE", place.path(""));
    env
}

fn call_another(place: &Place, list: &NetworkList, call: &Call<'_>) -> Answer {
    let runtime = Runtime {
        path: vec![place.path("programs")],
        cache_dir: None,
        env: env(place, call),
        deadline: None,
        until: None,
    };
    let target = Target {
        container_id: call.container.to_owned(),
        netns: call.netns.to_owned(),
        ifname: "eth0".to_owned(),
        args: cni::args::Args::default(),
        capability_args: Object::new(),
        prev_result: None,
    };
    let done = match call.op {
        Op::Add => runtime.add(list, &target).map(drop),
        Op::Del | Op::DelOfCrio => runtime.del(list, &target),
        Op::Check => runtime.check(list, &target),
        Op::Gc => runtime.gc(list, &[]),
        Op::Status => runtime.status(list),
    };
    done.map_err(|error| {
        (
            u64::from(error.code()),
            cni::error::chain(&error),
            String::new(),
        )
    })
}
