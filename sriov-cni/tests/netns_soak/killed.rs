//! The program is killed while a plugin that it called is at work, and that one goes on.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use host::testing::netns::fresh;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;

use crate::{call, node, start};

/// Notes what it does; ADD ends when it is told to.
const SLOW: &str = r#"#!/bin/sh
cat >/dev/null
[ "$CNI_COMMAND" = ADD ] && { echo begun >>DIR/told; read -r word <DIR/gate; echo added >>DIR/told; }
[ "$CNI_COMMAND" = DEL ] && echo deleted >>DIR/told
exit 0
"#;

#[test]
fn del_waits_for_the_plugin_that_a_killed_add_has_left_at_work() {
    node();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let program = path.join("macvlan");
    fs::write(&program, SLOW.replace("DIR", &path.display().to_string())).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    // A release that has nothing to do.
    let ipam = path.join("host-local");
    fs::write(&ipam, "#!/bin/sh\ncat >/dev/null\n").unwrap();
    fs::set_permissions(&ipam, Permissions::from_mode(0o755)).unwrap();
    let gate = path.join("gate");
    mkfifo(&gate, Mode::S_IRWXU).unwrap();
    let pod = fresh();

    let mut add = start("ADD", 0, &pod, path);
    // Opens once the plugin is there to read.
    let mut opened: File = OpenOptions::new().write(true).open(&gate).unwrap();
    add.kill().unwrap();
    add.wait().unwrap();
    let del = start("DEL", 0, &pod, path).wait_with_output().unwrap();
    let refused: Value = serde_json::from_slice(&del.stdout).unwrap();
    assert_eq!(refused["code"], 11, "{refused}");

    opened.write_all(b"go\n").unwrap();
    drop(opened);
    assert_eq!(call("DEL", 0, &pod, path), Value::Null);
    let told = fs::read_to_string(path.join("told")).unwrap();
    assert_eq!(told, "begun\nadded\ndeleted\n");
}
