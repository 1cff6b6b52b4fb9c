//! Whole lives of attachments on the behaving node of [`crate::fake`], with a real state directory and real IPAM
//! programs.

mod add;
mod baseline;
mod check;
mod crash;
mod defaults;
mod del;
mod driver;
mod fallback;
mod gc;
mod go;
mod interface;
mod ipam;
mod list;
mod mac;
mod matrix;
mod owners;
mod points;
mod recover;
mod refusals;
mod reset;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use cni::plugin::{Attachment, Command, Env, Invocation};
use cni::raw::Object;
use cni::result::AddResult;
use cni::version::Version;
use host::testing::driver::FakeDriver;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::error::Error;
use crate::fake::{Machine, VF};
use crate::site::Site;

/// A node and the plugin's state directory on it.
struct World {
    directory: TempDir,
    site: Site,
    machine: Machine,
}

const NETNS: &str = "/run/netns/a";

impl World {
    fn new(machine: Machine) -> Self {
        let directory = TempDir::new().unwrap();
        let mut site = Site::new(directory.path().join("state"), || SystemTime::UNIX_EPOCH);
        site.add_lock = Duration::ZERO;
        site.del_lock = Duration::ZERO;
        Self {
            directory,
            site,
            machine,
        }
    }

    /// An igb VF with its interface, and a pod.
    fn igb() -> Self {
        Self::with_pod(Machine::new(FakeDriver::igb()))
    }

    fn with_pod(mut machine: Machine) -> Self {
        machine.start_pod(NETNS);
        Self::new(machine)
    }

    fn call(&self, command: Command, container: &str, netns: &str, extra: &Value) -> Invocation {
        let mut config =
            json!({ "cniVersion": "1.1.0", "name": "net", "type": "sriov", "deviceID": VF });
        for (key, value) in extra.as_object().unwrap() {
            config[key] = value.clone();
        }
        let stdin = config.to_string().into_bytes();
        let path = self.directory.path().to_path_buf();
        let env: Env = [
            ("CNI_COMMAND", command.as_str()),
            ("CNI_CONTAINERID", container),
            ("CNI_NETNS", netns),
            ("CNI_IFNAME", "net1"),
            ("CNI_PATH", path.to_str().unwrap()),
        ]
        .into_iter()
        .collect();
        Invocation {
            command,
            container_id: container.to_owned(),
            netns: netns.to_owned(),
            ifname: "net1".to_owned(),
            args_text: String::new(),
            path: vec![path],
            name: config["name"].as_str().unwrap().to_owned(),
            version: config["cniVersion"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap_or(Version::CURRENT),
            config: Object::parse(&stdin).unwrap(),
            stdin,
            env,
        }
    }

    fn add(&mut self, container: &str, netns: &str, extra: &Value) -> Result<AddResult, Error> {
        let call = self.call(Command::Add, container, netns, extra);
        super::add::add(&self.site, &mut (&mut self.machine), &call)
    }

    fn del(&mut self, container: &str, netns: &str) -> Result<(), Error> {
        self.del_with(container, netns, &json!({}))
    }

    fn del_with(&mut self, container: &str, netns: &str, extra: &Value) -> Result<(), Error> {
        let call = self.call(Command::Del, container, netns, extra);
        super::del::del(&self.site, &mut (&mut self.machine), &call)
    }

    /// Files of the state directory that say that something is in use; locks stay for ever and say nothing.
    fn leftovers(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut directories = vec![self.site.state.clone()];
        while let Some(directory) = directories.pop() {
            for entry in directory.read_dir().into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else if path.extension().is_none_or(|extension| extension != "lock") {
                    files.push(
                        path.strip_prefix(&self.site.state)
                            .unwrap()
                            .display()
                            .to_string(),
                    );
                }
            }
        }
        files.sort();
        files
    }

    fn state(&self, name: &str) -> PathBuf {
        self.site.state.join(name)
    }

    /// An IPAM program `test-ipam` that notes its calls in `ipam.log` and gives an address, or fails.
    fn ipam(&self, body: &str) {
        use std::os::unix::fs::PermissionsExt;
        let log = self.directory.path().join("ipam.log");
        let script = format!(
            "#!/bin/sh\ncat >/dev/null\necho \"$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME\" >>{}\n{body}\n",
            log.display()
        );
        let program = self.directory.path().join("test-ipam");
        write(&program, script.as_bytes());
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn ipam_calls(&self) -> Vec<String> {
        let text = std::fs::File::open(self.directory.path().join("ipam.log"))
            .map(|file| std::io::read_to_string(file).unwrap())
            .unwrap_or_default();
        text.lines().map(ToOwned::to_owned).collect()
    }
}

const GIVES_AN_ADDRESS: &str = r#"[ "$CNI_COMMAND" = ADD ] && echo '{"cniVersion":"1.1.0","ips":[{"address":"192.0.2.5/24","gateway":"192.0.2.1"},{"address":"2001:db8::5/64","gateway":"2001:db8::1"}],"routes":[{"dst":"198.51.100.0/24"}],"dns":{"nameservers":["192.0.2.53"]}}'
exit 0"#;

fn write(path: &std::path::Path, bytes: &[u8]) {
    host::file::write(path, bytes, 0o600, host::file::Durability::Process).unwrap();
}

fn attachment(container: &str) -> Attachment {
    Attachment {
        container_id: container.to_owned(),
        ifname: "net1".to_owned(),
    }
}

fn text(error: &Error) -> String {
    error.to_cni().msg
}
