//! The state directory damaged, full, or read-only.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{
    Scenario,
    namespaces::everything,
    rig::{NET1, Rig, STATE, come_back, has, in_pod, is_recorded},
};
use crate::guest::{cni::Sandbox, shell::run};

/// All scenarios of this file.
pub const ALL: &[Scenario] = &[
    ("damaged ledger", damaged_ledger),
    ("damaged Go cache", damaged_cache),
    ("all records damaged", all_damaged),
    ("full disk", full_disk),
    ("read-only state", read_only),
];

/// A damage: its name, and what it makes of a record.
type Damage = (&'static str, fn(&str) -> String);

/// Damages, each done to the bytes of a record.
const DAMAGES: [Damage; 6] = [
    ("empty", |_| String::new()),
    ("cut in half", |text| text[..text.len() / 2].to_owned()),
    ("{}", |_| "{}".to_owned()),
    ("null", |_| "null".to_owned()),
    ("zeros", |text| "\0".repeat(text.len())),
    ("format 99", |text| {
        text.replacen("\"format\":1", "\"format\":99", 1)
    }),
];

fn damage(path: &Path, by: fn(&str) -> String) -> Result<()> {
    let text =
        fs::read_to_string(path).with_context(|| format!("read the record {}", path.display()))?;
    let damaged = by(&text);
    ensure!(damaged != text, "{} was not damaged", path.display());
    fs::write(path, damaged).context("damage a record")
}

fn ledger_of(pod: &Sandbox) -> PathBuf {
    Path::new(STATE).join(format!("ledger/{}@{NET1}", pod.id))
}

fn cache_of(pod: &Sandbox) -> PathBuf {
    Path::new(STATE).join(format!("{}-{NET1}", pod.id))
}

/// The Go plugin's cache has all but a few properties.
fn damaged_ledger(rig: &Rig<'_>) -> Result<String> {
    each_damage(rig, &DAMAGES, ledger_of)
}

fn damaged_cache(rig: &Rig<'_>) -> Result<String> {
    each_damage(rig, &DAMAGES[..5], cache_of)
}

fn each_damage(rig: &Rig<'_>, damages: &[Damage], file: fn(&Sandbox) -> PathBuf) -> Result<String> {
    let vf = rig.vf(0);
    let before = rig.see()?;
    let keys = everything("02:00:00:00:07:01");
    let mut names = Vec::new();
    for (number, (name, by)) in damages.iter().enumerate() {
        let pod = Sandbox::create(&format!("damaged-{number}"))?;
        rig.add(&pod, &vf, &keys)?;
        damage(&file(&pod), *by)?;
        rig.del(&pod, &vf, &keys)?;
        rig.is_back(&before).with_context(|| (*name).to_owned())?;
        names.push(*name);
    }
    Ok(format!(
        "{}: DEL restores everything each time",
        names.join(", ")
    ))
}

/// Nobody knows any more what the VF was; still nothing may be stuck.
fn all_damaged(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(1);
    let before = rig.see()?;
    let keys = json!({"vlan": 100});
    let pod = Sandbox::create("unknown")?;
    rig.add(&pod, &vf, &keys)?;
    for file in [ledger_of(&pod), cache_of(&pod)] {
        damage(&file, |text| text[..text.len() / 2].to_owned())?;
    }
    rig.del(&pod, &vf, &keys)?;
    for file in [ledger_of(&pod), cache_of(&pod)] {
        ensure!(!file.exists(), "{} is left", file.display());
    }
    pod.lose_netns()?;
    come_back(&vf.address)?;
    let next = Sandbox::create("after-unknown")?;
    rig.add(&next, &vf, &json!({"vlan": 7}))?;
    in_pod(&next, &vf, NET1)?;
    rig.del(&next, &vf, &json!({"vlan": 7}))?;
    rig.sweep(&before, true)?;
    Ok("DEL succeeds and forgets; the VF serves the next pod".to_owned())
}

/// A small file system over the state directory, gone with the value.
struct SmallDisk;

impl SmallDisk {
    fn mount() -> Result<Self> {
        fs::create_dir_all(STATE).context("create the state directory")?;
        run("mount", ["-t", "tmpfs", "-o", "size=256k", "small", STATE])?;
        Ok(Self)
    }

    /// Fills it but for `pages` pages.
    fn fill(pages: usize) -> Result<()> {
        let filler = Path::new(STATE).join("filler");
        let mut file = File::create(&filler).context("create the filler")?;
        while file.write_all(&[1; 4096]).is_ok() {}
        let length = file.metadata().context("look at the filler")?.len();
        let room = u64::try_from(pages * 4096).context("size the room")?;
        file.set_len(length.saturating_sub(room))
            .context("leave room on the disk")
    }

    fn read_only(on: bool) -> Result<()> {
        let option = if on { "remount,ro" } else { "remount,rw" };
        run("mount", ["-o", option, STATE]).map(drop)
    }

    fn empty() -> Result<()> {
        fs::remove_file(Path::new(STATE).join("filler")).context("remove the filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A failure shows as a file that is left.
        let _ = run("umount", [STATE]);
    }
}

/// As many free pages as it takes until ADD succeeds: it runs out of space at each of its writes once.
fn full_disk(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(2);
    let before = rig.see()?;
    let disk = SmallDisk::mount()?;
    let keys = everything("02:00:00:00:07:02");
    let mut refused = 0;
    let mut text = String::new();
    for pages in 0..40 {
        let pod = Sandbox::create(&format!("full-{pages}"))?;
        SmallDisk::fill(pages)?;
        let answer = rig
            .sriov
            .call("ADD", &pod, NET1, &Rig::config(&vf, &keys))?;
        let succeeded = answer.status.success();
        if succeeded {
            in_pod(&pod, &vf, NET1)?;
            SmallDisk::fill(0)?;
        } else {
            let refusal = answer.refusal()?;
            ensure!(
                refusal.code == 5 && refusal.text.contains("no space left"),
                "with {pages} pages: {refusal:?}"
            );
            text = refusal.text;
            refused += 1;
            only_vfs(rig, &before).with_context(|| format!("ADD with {pages} free pages"))?;
        }
        rig.del(&pod, &vf, &keys)?;
        SmallDisk::empty()?;
        rig.is_back(&before)
            .with_context(|| format!("DEL with {pages} free pages"))?;
        if succeeded {
            drop(disk);
            ensure!(refused > 0, "the first ADD found room on a full disk");
            return Ok(format!(
                "{text}\n{refused} ADDs refused and undone with 0 to {} free pages; DEL on a full disk restores",
                pages - 1
            ));
        }
    }
    anyhow::bail!("ADD fails with 39 free pages, too: {text}")
}

/// The VFs are as before; files may wait for DEL.
fn only_vfs(rig: &Rig<'_>, before: &super::rig::Seen) -> Result<()> {
    let now = rig.see()?;
    ensure!(now == *before, "a VF is not as before: {now:?}");
    Ok(())
}

fn read_only(rig: &Rig<'_>) -> Result<String> {
    let vf = rig.vf(3);
    let keys = everything("02:00:00:00:07:03");
    let before = rig.see()?;
    let _disk = SmallDisk::mount()?;
    let pod = Sandbox::create("read-only")?;
    SmallDisk::read_only(true)?;
    let refusal = rig.refused(&pod, &vf, &keys)?;
    ensure!(
        refusal.code == 5 && refusal.text.contains("read-only file system"),
        "{refusal:?}"
    );
    only_vfs(rig, &before)?;
    let status = status(rig)?;
    SmallDisk::read_only(false)?;
    rig.add(&pod, &vf, &keys)?;
    SmallDisk::read_only(true)?;
    let answer = rig
        .sriov
        .call("DEL", &pod, NET1, &Rig::config(&vf, &keys))?;
    let held = answer.refusal()?;
    ensure!(held.code == 5, "DEL on a read-only disk: {held:?}");
    SmallDisk::read_only(false)?;
    ensure!(
        is_recorded(&format!("ledger/{}@{NET1}", pod.id)),
        "DEL failed and forgot the record"
    );
    rig.del(&pod, &vf, &keys)?;
    has(&vf, &json!({"vlan": 0, "trust": "off"}))?;
    rig.is_back(&before)?;
    Ok(format!(
        "ADD: {}\nSTATUS: {status}\nDEL: {}; the next one restores",
        refusal.text, held.text
    ))
}

fn status(rig: &Rig<'_>) -> Result<String> {
    let config: Value = json!({"cniVersion": "1.1.0", "name": "rack", "type": "sriov"});
    let nobody = Sandbox {
        id: String::new(),
        netns: String::new(),
    };
    let refusal = rig.sriov.call("STATUS", &nobody, "", &config)?.refusal()?;
    ensure!(refusal.code == 50, "{refusal:?}");
    Ok(refusal.text)
}
