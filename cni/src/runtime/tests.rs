#![expect(clippy::disallowed_methods, reason = "fixtures on disk")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::error::Error;

mod list;
mod sweep;

/// A folder of plugins that log their calls, and a cache beside it.
struct Node {
    dir: TempDir,
}

/// One call as a plugin saw it.
struct Seen {
    plugin: String,
    command: String,
    env: String,
    stdin: Object,
}

impl Node {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// A plugin that logs its call, then runs `body`.
    fn plugin(&self, name: &str, body: &str) {
        let root = self.dir.path().display();
        let script = format!(
            "#!/bin/sh\nstdin=$(cat)\nn=$(ls {root} | grep -c call-)\n\
             {{ echo {name} $CNI_COMMAND; env | grep ^CNI_ | sort | tr '\\n' ' '; echo; printf '%s' \"$stdin\"; }} \
             > {root}/call-$n\n{body}\n"
        );
        let bin = self.dir.path().join("bin");
        fs::create_dir_all(&bin).unwrap();
        fs::write(bin.join(name), script).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn prints(&self, name: &str, result: &str) {
        self.plugin(name, &format!("[ $CNI_COMMAND != ADD ] || echo '{result}'"));
    }

    fn runtime(&self) -> Runtime {
        Runtime {
            path: vec![self.dir.path().join("bin")],
            cache_dir: Some(self.dir.path().join("cache")),
            env: [
                ("PATH", "/usr/bin:/bin"),
                ("CNI_ARGS", "of the caller"),
                ("CNI_X", "kept"),
            ]
            .into_iter()
            .collect(),
            deadline: Some(Duration::from_secs(20)),
            until: None,
        }
    }

    fn cache_file(&self) -> PathBuf {
        self.dir.path().join("cache/results/net-c1-net1")
    }

    fn seen(&self) -> Vec<Seen> {
        let call = |n| fs::read_to_string(self.dir.path().join(format!("call-{n}"))).ok();
        (0..)
            .map_while(call)
            .map(|text| Seen::parse(&text))
            .collect()
    }

    /// `plugin COMMAND` of every call.
    fn order(&self) -> Vec<String> {
        self.seen()
            .iter()
            .map(|seen| format!("{} {}", seen.plugin, seen.command))
            .collect()
    }
}

impl Seen {
    fn parse(text: &str) -> Self {
        let mut parts = text.splitn(3, '\n');
        let (plugin, command) = parts.next().unwrap().split_once(' ').unwrap();
        let env = parts.next().unwrap().trim().to_owned();
        let stdin = Object::parse(parts.next().unwrap().as_bytes()).unwrap();
        Self {
            plugin: plugin.to_owned(),
            command: command.to_owned(),
            env,
            stdin,
        }
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.stdin.get(key).map(RawValue::get)
    }
}

fn network(text: &str) -> NetworkList {
    NetworkList::parse(text.as_bytes()).unwrap()
}

fn target() -> Target {
    Target {
        container_id: "c1".into(),
        netns: "/run/netns/a".into(),
        ifname: "net1".into(),
        args: Args::parse("IgnoreUnknown=true;K8S_POD_NAME=p").unwrap(),
        ..Target::default()
    }
}
