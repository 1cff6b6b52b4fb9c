//! Addresses in the pod: usable at once, announced to the peers through the attachment's own interface.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{
    Scenario,
    rig::{NET1, Rig, in_pod},
};
use crate::guest::{cni::Sandbox, hardware::wait_for};

/// All scenarios of this file.
pub const ALL: &[Scenario] = &[
    ("IPv6 at once", at_once),
    ("IPv6 duplicate", duplicate),
    ("announcements", announcements),
    ("announce off", announce_off),
];

/// Last part of the peer's addresses.
const PEER: u8 = 9;
const PEER_V6: &str = "fd00:77::9";

fn keys(host: u8, more: &Value) -> Value {
    let mut keys = json!({
        // Debian's IPAM plugins know no 1.1.0.
        "cniVersion": "1.0.0", "vlan": 77,
        "ipam": {
            "type": "static",
            "addresses": [
                {"address": format!("10.77.0.{host}/24")},
                {"address": format!("fd00:77::{host}/64")},
            ],
        },
    });
    // A gateway needs the address at once; the peer is it.
    if host != PEER {
        keys["ipam"]["addresses"][1]["gateway"] = json!(PEER_V6);
        keys["ipam"]["routes"] = json!([{"dst": "fd00:99::/64"}]);
    }
    for (key, value) in more.as_object().into_iter().flatten() {
        keys[key] = value.clone();
    }
    keys
}

/// The pod's IPv6 address as `ip` shows it.
fn v6(pod: &Sandbox) -> Result<Value> {
    let links = pod.ip_json(&format!("-6 address show dev {NET1} scope global"))?;
    links[0]["addr_info"][0]["local"]
        .is_string()
        .then(|| links[0]["addr_info"][0].clone())
        .with_context(|| format!("no IPv6 address on {NET1}: {links}"))
}

/// A pod whose kernel asks 20 times, a second each, whether anyone has an address.
fn slow_prober(name: &str) -> Result<Sandbox> {
    let pod = Sandbox::create(name)?;
    pod.exec("sysctl -qw net.ipv6.conf.default.dad_transmits=20")?;
    Ok(pod)
}

/// No time is measured: with 20 probes the kernel is still at it when ADD is over, if ADD did not wait.
fn at_once(rig: &Rig<'_>) -> Result<String> {
    let (vf, peer_vf) = (rig.vf(0), rig.vf(1));
    let peer = Sandbox::create("peer")?;
    rig.add(&peer, &peer_vf, &keys(PEER, &json!({"ipv6Dad": "off"})))?;
    let settled = v6(&peer)?;
    ensure!(
        settled["tentative"].is_null() && settled["optimistic"].is_null(),
        "with ipv6Dad off: {settled}"
    );
    let pod = slow_prober("prober")?;
    let asked = keys(2, &json!({}));
    rig.add(&pod, &vf, &asked)?;
    let address = v6(&pod)?;
    ensure!(
        address["optimistic"] == true,
        "the address is not being probed any more, so ADD waited, or it cannot be used yet: {address}"
    );
    // The peer first: Linux answers no question of an optimistic address that it does not know yet (RFC 4429 keeps the
    // link-layer address out of it), but the address itself answers.
    let reached = peer
        .exec("ping -6 -c 5 -i 0.5 -W 5 fd00:77::2")
        .and_then(|_| pod.exec(&format!("ping -6 -c 5 -i 0.5 -W 5 {PEER_V6}")));
    let after = v6(&pod)?;
    reached.with_context(|| {
        let neighbours = pod.ip("-6 neighbour show").unwrap_or_default();
        format!("{PEER_V6} from {after}, neighbours {neighbours}")
    })?;
    rig.del(&pod, &vf, &asked)?;
    rig.del(&peer, &peer_vf, &keys(PEER, &json!({})))?;
    Ok(format!(
        "the peer reaches the pod and the pod the peer while the kernel still probes the address: {}",
        if after["optimistic"] == true {
            "optimistic"
        } else {
            "settled meanwhile"
        }
    ))
}

fn duplicate(rig: &Rig<'_>) -> Result<String> {
    let (vf, peer_vf) = (rig.vf(0), rig.vf(1));
    let before = rig.see()?;
    let peer = Sandbox::create("holder")?;
    rig.add(&peer, &peer_vf, &keys(2, &json!({"ipv6Dad": "off"})))?;
    let pod = Sandbox::create("duplicate")?;
    let asked = keys(2, &json!({"ipv6Dad": "on"}));
    let refusal = rig.refused(&pod, &vf, &asked)?;
    ensure!(
        refusal.code == 105 && refusal.text.contains("fd00:77::2"),
        "{refusal:?}"
    );
    rig.del(&peer, &peer_vf, &asked)?;
    rig.is_back(&before)?;
    // Alone, the same address is detected to be free.
    rig.add(&pod, &vf, &asked)?;
    let address = v6(&pod)?;
    ensure!(
        address["tentative"].is_null() && address["optimistic"].is_null(),
        "with ipv6Dad on, ADD ended before detection did: {address}"
    );
    rig.del(&pod, &vf, &asked)?;
    Ok(refusal.text)
}

/// tcpdump, writing lines.
struct Capture {
    child: Child,
    out: PathBuf,
}

impl Capture {
    fn start(pod: &Sandbox, interface: &str) -> Result<Self> {
        let out = Path::new("/run/lab-bin").join(format!("capture-{}-{interface}", pod.id));
        let log = out.with_extension("log");
        let child = Command::new("ip")
            .args(["netns", "exec", &pod.id, "tcpdump", "-l", "-n", "-e"])
            .args(["--immediate-mode", "-i", interface, "arp or icmp6"])
            .stdin(Stdio::null())
            .stdout(File::create(&out).context("create a capture's file")?)
            .stderr(File::create(&log).context("create a capture's log")?)
            .spawn()
            .context("start tcpdump")?;
        let capture = Self { child, out };
        wait_for("tcpdump to listen", || {
            Ok(fs::read_to_string(&log)
                .context("read tcpdump's log")?
                .contains("listening on"))
        })?;
        Ok(capture)
    }

    /// What it has seen so far.
    fn lines(&self) -> Result<Vec<String>> {
        let text = fs::read_to_string(&self.out).context("read a capture")?;
        Ok(text.lines().map(str::to_owned).collect())
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_garp(line: &str) -> bool {
    line.contains("ff:ff:ff:ff:ff:ff, ethertype ARP")
        && line.contains("who-has 10.77.0.2")
        && line.contains("tell 10.77.0.2")
}

fn is_advertisement(line: &str) -> bool {
    line.contains("> ff02::1: ICMP6, neighbor advertisement, tgt is fd00:77::2")
}

/// The pod has an interface before net1, with the lower index and a route for multicast: where announcements without
/// a scope leave.
fn announcements(rig: &Rig<'_>) -> Result<String> {
    let (vf, peer_vf) = (rig.vf(0), rig.vf(1));
    let mac = "02:00:00:00:09:01";
    let peer = Sandbox::create("listener")?;
    rig.add(&peer, &peer_vf, &keys(PEER, &json!({})))?;
    let pod = Sandbox::create("announcer")?;
    pod.ip("link add eth0 type veth peer name other")?;
    pod.ip("link set dev other up")?;
    pod.ip("link set dev eth0 up")?;
    let wire = Capture::start(&peer, NET1)?;
    let astray = Capture::start(&pod, "eth0")?;
    let asked = keys(2, &json!({"mac": mac}));
    rig.add(&pod, &vf, &asked)?;
    in_pod(&pod, &vf, NET1)?;
    wait_for("both announcements on the peer", || {
        let lines = wire.lines()?;
        Ok(lines.iter().any(|line| is_garp(line))
            && lines.iter().any(|line| is_advertisement(line)))
    })
    .with_context(|| format!("the peer saw {:?}", wire.lines()))?;
    let seen: Vec<String> = wire
        .lines()?
        .into_iter()
        .filter(|line| is_garp(line) || is_advertisement(line))
        .collect();
    for line in &seen {
        ensure!(line.contains(mac), "not from the pod's address: {line}");
    }
    let lost: Vec<String> = astray
        .lines()?
        .into_iter()
        .filter(|line| is_garp(line) || is_advertisement(line))
        .collect();
    ensure!(lost.is_empty(), "left through eth0: {lost:?}");
    // Ended first: a program that captures while its interface moves away makes the kernel lose count of promiscuity.
    drop((wire, astray));
    rig.del(&pod, &vf, &asked)?;
    rig.del(&peer, &peer_vf, &asked)?;
    let short = |line: &String| {
        line.split_once(' ')
            .map_or(String::new(), |(_, rest)| rest.to_owned())
    };
    Ok(seen
        .iter()
        .take(2)
        .map(short)
        .collect::<Vec<_>>()
        .join("\n"))
}

fn announce_off(rig: &Rig<'_>) -> Result<String> {
    let (vf, peer_vf) = (rig.vf(0), rig.vf(1));
    let peer = Sandbox::create("listener")?;
    rig.add(&peer, &peer_vf, &keys(PEER, &json!({})))?;
    let wire = Capture::start(&peer, NET1)?;
    let pod = Sandbox::create("silent")?;
    let asked = keys(2, &json!({"announce": false, "ipv6Dad": "off"}));
    rig.add(&pod, &vf, &asked)?;
    // Comes after whatever ADD has sent.
    pod.exec("ping -c 1 -W 5 10.77.0.9")?;
    wait_for("the ping's own ARP on the peer", || {
        Ok(wire
            .lines()?
            .iter()
            .any(|line| line.contains("who-has 10.77.0.9")))
    })?;
    let ours: Vec<String> = wire
        .lines()?
        .into_iter()
        .filter(|line| is_advertisement(line))
        .collect();
    ensure!(ours.is_empty(), "announced nevertheless: {ours:?}");
    drop(wire);
    rig.del(&pod, &vf, &asked)?;
    rig.del(&peer, &peer_vf, &asked)?;
    Ok("no unsolicited advertisement of the plugin's".to_owned())
}
