//! An IPAM plugin that behaves as asked: host-local, with somebody else at work at the worst moment. It is how a test
//! gets between two steps of `sriov` from outside.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use anyhow::{Context, Result};

use super::{
    cell::{Cell, Kind, Verb},
    lab::BIN,
    situation::Situation,
};

/// Its `type`.
pub const NAME: &str = "mischief";

/// Asks for its rules by the network's name; without any it is host-local.
const PROGRAM: &str = r#"#!/bin/sh
here=$(dirname "$0")
config=$(cat)
name=$(echo "$config" | sed 's/.*"name":"\([a-z0-9]*\)".*/\1/')
rules=$here/rules.$name
has() { grep -q "^$1" "$rules" 2>/dev/null; }
case $CNI_COMMAND in
ADD)
  answer=$(echo "$config" | "$here/host-local") || { echo "$answer"; exit 1; }
  has altname && ip -n "$CNI_CONTAINERID" link property add dev "$CNI_IFNAME" altname "$CNI_IFNAME-too" >&2
  has takename && ip link add "$(sed -n 's/^takename //p' "$rules")" type dummy >&2
  has noted && printf %s "$CNI_NETNS" >"/var/lib/cni/sriov/pci/$(sed -n 's/^noted //p' "$rules")"
  has noips && answer='{"cniVersion":"1.0.0"}'
  echo "$answer" ;;
DEL)
  has faildel && { echo '{"cniVersion":"1.0.0","code":100,"msg":"no release today"}'; exit 1; }
  echo "$config" | "$here/host-local" ;;
esac
"#;

/// Puts the plugin beside the others.
///
/// # Errors
/// When it cannot be written.
pub fn install() -> Result<()> {
    let path = Path::new(BIN).join(NAME);
    fs::write(&path, PROGRAM).context("write the plugin mischief")?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
        .context("make the plugin mischief executable")
}

/// Whether a cell needs it.
pub fn is_needed(cell: &Cell) -> bool {
    !rules(cell, "", "").is_empty() || cell.situation == Situation::IpamDown
}

/// Sets what it does for a cell's network; nothing removes the file.
///
/// # Errors
/// When the file cannot be written.
pub fn set(cell: &Cell, rules: &[String]) -> Result<()> {
    let path = Path::new(BIN).join(format!("rules.{}", cell.name()));
    if rules.is_empty() {
        let _ = fs::remove_file(path);
        return Ok(());
    }
    fs::write(&path, rules.join("\n") + "\n").context("write rules of the plugin mischief")
}

/// What it does while ADD of the cell's first pod runs. `interface` is the VF's name on the host.
pub fn rules(cell: &Cell, device: &str, interface: &str) -> Vec<String> {
    if cell.row.verb != Verb::RollBack {
        return Vec::new();
    }
    let mut rules = Vec::new();
    match cell.situation {
        Situation::Named => rules.push("altname".to_owned()),
        Situation::NameTaken => rules.push(format!("takename {interface}")),
        Situation::IpamDown => rules.push("faildel".to_owned()),
        Situation::Noted => rules.push(format!("noted {device}")),
        _ => {}
    }
    // A userspace VF has no route that could be refused.
    if cell.row.kind == Kind::Userspace {
        rules.push("noips".to_owned());
    }
    rules
}
