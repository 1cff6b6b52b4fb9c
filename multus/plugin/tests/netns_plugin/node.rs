//! A node of its own for each test: folders, delegates that record their calls, and the built plugin.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// What one call of the plugin printed.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    /// The JSON on stdout.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// Code, message and details of a failure.
    pub(crate) fn error(&self) -> (u64, String, String) {
        assert!(!self.success, "{self:?}");
        let json = self.json();
        let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
        (json["code"].as_u64().unwrap(), text("msg"), text("details"))
    }

    /// The answer, which must be a success.
    pub(crate) fn ok(self) -> Self {
        assert!(self.success, "{self:?}");
        self
    }
}

/// Folders and programs of one test.
pub(crate) struct Node {
    dir: tempfile::TempDir,
    /// CNI_NETNS.
    pub(crate) netns: String,
    /// CNI_ARGS.
    pub(crate) args: String,
    /// Runs the plugin under this name.
    pub(crate) program: PathBuf,
}

/// A delegate: records environment and stdin, runs what the test put into `behave`, else succeeds.
const DELEGATE: &str = r#"#!/bin/sh
type=$(basename "$0")
call="$CNI_COMMAND-$type-$CNI_IFNAME"
cat > "DIR/calls/$call.stdin"
env > "DIR/calls/$call.env"
echo "$CNI_COMMAND $type $CNI_IFNAME" >> "DIR/order"
if [ -f "DIR/behave/$type-$CNI_COMMAND" ]; then . "DIR/behave/$type-$CNI_COMMAND"; fi
if [ "$CNI_COMMAND" = ADD ]; then
  echo "{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"$CNI_IFNAME\",\"mac\":\"02:00:00:00:00:01\",\"sandbox\":\"$CNI_NETNS\"}],\"ips\":[{\"address\":\"10.1.0.5/24\",\"gateway\":\"10.1.0.1\",\"interface\":0}],\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"10.1.0.1\"}]}"
fi
"#;

impl Node {
    /// A node with delegates `primary`, `one` and `two`.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["bin", "calls", "behave", "conf", "run", "netns"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let node = Self {
            netns: dir.path().join("netns/gone").display().to_string(),
            args: "IgnoreUnknown=1;K8S_POD_NAMESPACE=d;K8S_POD_NAME=p;K8S_POD_UID=u;EXTRA=a=b"
                .into(),
            program: PathBuf::from(env!("CARGO_BIN_EXE_multus")),
            dir,
        };
        for name in ["primary", "one", "two"] {
            node.program_in_bin(
                name,
                &DELEGATE.replace("DIR", &node.path("").display().to_string()),
            );
        }
        node
    }

    /// A path below the node's folder.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        if below.is_empty() {
            self.dir.path().to_owned()
        } else {
            self.dir.path().join(below)
        }
    }

    /// Writes a file below the node's folder.
    pub(crate) fn write(&self, below: &str, text: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Puts a program into the folder of delegates.
    pub(crate) fn program_in_bin(&self, name: &str, text: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// From now on a delegate runs these shell commands on this verb.
    pub(crate) fn behave(&self, delegate: &str, verb: &str, shell: &str) {
        self.write(&format!("behave/{delegate}-{verb}"), shell);
    }

    /// A delegate's own error.
    pub(crate) fn fail(&self, delegate: &str, verb: &str, code: u32, msg: &str) {
        let error = json!({ "code": code, "msg": msg });
        self.behave(delegate, verb, &format!("echo '{error}'; exit 1\n"));
    }

    /// A delegate behaves well again.
    pub(crate) fn recover(&self, delegate: &str, verb: &str) {
        fs::remove_file(self.path(&format!("behave/{delegate}-{verb}"))).unwrap();
    }

    /// The calls of delegates so far, in order, as `VERB type ifname`.
    pub(crate) fn order(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("order")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Forgets the calls so far.
    pub(crate) fn forget_order(&self) {
        let _ = fs::remove_file(self.path("order"));
    }

    /// stdin of a delegate's last call of this verb.
    pub(crate) fn stdin_of(&self, verb: &str, delegate: &str, ifname: &str) -> Value {
        let text =
            fs::read_to_string(self.path(&format!("calls/{verb}-{delegate}-{ifname}.stdin")))
                .unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// A variable in a delegate's last call of this verb.
    pub(crate) fn env_of(
        &self,
        verb: &str,
        delegate: &str,
        ifname: &str,
        name: &str,
    ) -> Option<String> {
        let text = fs::read_to_string(self.path(&format!("calls/{verb}-{delegate}-{ifname}.env")))
            .unwrap();
        text.lines()
            .find_map(|line| line.strip_prefix(&format!("{name}=")).map(str::to_owned))
    }

    /// The configuration: default network `cbr0` by file, everything in the node's folder, and `extra`
    /// merged over it. A null removes a key.
    pub(crate) fn conf(&self, extra: &Value) -> Value {
        let primary = self.path("conf/10-primary.conflist");
        if !primary.exists() {
            self.write(
                "conf/10-primary.conflist",
                r#"{"cniVersion":"1.0.0","name":"cbr0","plugins":[{"type":"primary","capabilities":{"portMappings":true},"kept": 1.50 }]}"#,
            );
        }
        let mut conf = json!({
            "cniVersion": "1.1.0",
            "name": "multus-cni-network",
            "type": "multus-shim",
            "clusterNetwork": primary,
            "cniDir": self.path("state"),
            "confDir": self.path("conf"),
            "binDir": self.path("bin"),
            "daemonSocketDir": self.path("run"),
            "capabilities": {"io.kubernetes.cri.pod-annotations": true},
        });
        for (key, value) in extra.as_object().unwrap() {
            if value.is_null() {
                conf.as_object_mut().unwrap().remove(key);
            } else {
                conf[key] = value.clone();
            }
        }
        conf
    }

    /// [`Node::conf`] for a pod whose annotations, as the runtime hands them over, are these.
    pub(crate) fn conf_with_annotations(&self, annotations: &Value) -> Value {
        self.conf(&json!({"runtimeConfig": {
            "io.kubernetes.cri.pod-annotations": annotations,
            "portMappings": [{"hostPort": 80, "containerPort": 80}],
        }}))
    }

    /// [`Node::conf`] for a pod that asks for nothing.
    pub(crate) fn plain(&self) -> Value {
        self.conf_with_annotations(&json!({}))
    }

    /// [`Node::conf`] for a pod that asks for networks.
    pub(crate) fn asking(&self) -> Value {
        self.conf_with_annotations(&json!({"k8s.v1.cni.cncf.io/networks": "one,two"}))
    }

    /// Calls the plugin for container `c1` and interface `eth0`.
    pub(crate) fn call(&self, verb: &str, conf: &Value) -> Answer {
        self.call_for("c1", verb, conf)
    }

    /// Calls the plugin for this container.
    pub(crate) fn call_for(&self, container: &str, verb: &str, conf: &Value) -> Answer {
        let mut child = Command::new(&self.program)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("CNI_COMMAND", verb)
            .env("CNI_CONTAINERID", container)
            .env("CNI_NETNS", &self.netns)
            .env("CNI_IFNAME", "eth0")
            .env("CNI_ARGS", &self.args)
            .env("CNI_PATH", self.path("other-bin"))
            .env("OF_THE_RUNTIME", "kept")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A plugin that ends early closes the pipe; its answer is what the test looks at.
        let _ = std::io::Write::write_all(
            &mut child.stdin.take().unwrap(),
            conf.to_string().as_bytes(),
        );
        let output = child.wait_with_output().unwrap();
        Answer {
            success: output.status.success(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Files below the state folder, relative, sorted.
    pub(crate) fn state(&self) -> Vec<String> {
        let mut found = Vec::new();
        walk(&self.path("state"), &self.path("state"), &mut found);
        found.sort();
        found
    }
}

fn walk(root: &Path, dir: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(root, &path, found);
        } else {
            found.push(path.strip_prefix(root).unwrap().display().to_string());
        }
    }
}
