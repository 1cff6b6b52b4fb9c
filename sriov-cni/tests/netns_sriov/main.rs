//! The plugin on the real kernel: moves, names, addresses, sysctls and frames. Each test has a network namespace of its
//! own, which plays the host's.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stderr,
    reason = "test code"
)]

mod announcements;
mod disk;
mod fallback;
mod interface;
mod lab;
mod life;

use std::time::SystemTime;

use cni::plugin::{Command, Env, Invocation};
use cni::raw::Object;
use cni::result::AddResult;
use cni::version::Version;
use host::netns::NetNs;
use lab::{Lab, VF};
use serde_json::{Value, json};
use sriov::command::{add, check, del};
use sriov::error::Error;
use sriov::site::Site;
use tempfile::TempDir;

/// A node, the plugin's state directory and an IPAM program `test-ipam`.
struct World {
    lab: Lab,
    site: Site,
    directory: TempDir,
}

const ADDRESSES: &str = r#"{"cniVersion":"1.1.0","ips":[{"address":"192.0.2.5/24","gateway":"192.0.2.1"},{"address":"2001:db8::5/64","gateway":"2001:db8::1"}],"routes":[{"dst":"198.51.100.0/24"},{"dst":"::/0"},{"dst":"203.0.113.0/24","gw":"192.0.2.9","priority":50}]}"#;

impl World {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let directory = TempDir::new().unwrap();
        let program = directory.path().join("test-ipam");
        let script =
            format!("#!/bin/sh\n[ \"$CNI_COMMAND\" = ADD ] && echo '{ADDRESSES}'\nexit 0\n");
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self {
            lab: Lab::new(),
            site: Site::new(directory.path().join("state"), || SystemTime::UNIX_EPOCH),
            directory,
        }
    }

    fn call(&self, command: Command, pod: &NetNs, extra: &Value) -> Invocation {
        let mut config =
            json!({ "cniVersion": "1.1.0", "name": "net", "type": "sriov", "deviceID": VF });
        for (key, value) in extra.as_object().unwrap() {
            config[key] = value.clone();
        }
        let stdin = config.to_string().into_bytes();
        let netns = pod.path().to_str().unwrap().to_owned();
        let path = self.directory.path().to_path_buf();
        let env: Env = [
            ("CNI_COMMAND", command.as_str()),
            ("CNI_CONTAINERID", "c1"),
            ("CNI_NETNS", &netns),
            ("CNI_IFNAME", "net1"),
            ("CNI_PATH", path.to_str().unwrap()),
        ]
        .into_iter()
        .collect();
        Invocation {
            command,
            container_id: "c1".to_owned(),
            netns,
            ifname: "net1".to_owned(),
            args_text: String::new(),
            path: vec![path],
            name: "net".to_owned(),
            version: Version::V1_1_0,
            config: Object::parse(&stdin).unwrap(),
            stdin,
            env,
        }
    }

    fn add(&mut self, pod: &NetNs, extra: &Value) -> Result<AddResult, Error> {
        let call = self.call(Command::Add, pod, extra);
        add::add(&self.site, &mut (&mut self.lab), &call)
    }

    fn check(&mut self, pod: &NetNs, extra: &Value) -> Result<(), Error> {
        let call = self.call(Command::Check, pod, extra);
        check::check(&self.site, &mut (&mut self.lab), &call)
    }

    fn del(&mut self, pod: &NetNs) -> Result<(), Error> {
        let call = self.call(Command::Del, pod, &json!({}));
        del::del(&self.site, &mut (&mut self.lab), &call)
    }

    /// Nothing of an attachment is left in the state directory.
    fn is_clean(&self) -> bool {
        let ledger = self.site.ledger();
        let vf = VF.parse().unwrap();
        ledger.all().unwrap().is_empty()
            && ledger.holder(vf).unwrap().is_none()
            && self.site.go_files().owner(vf).unwrap().is_none()
            && !self.site.state.join("c1-net1").exists()
    }
}

fn with_ipam() -> Value {
    json!({ "vlan": 100, "ipam": { "type": "test-ipam" } })
}
