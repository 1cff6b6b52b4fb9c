//! The state directory on a disk that is full or read-only: a clear error, and nothing half done.

use std::path::Path;

use host::testing::netns::fresh;
use nix::mount::{MsFlags, mount};

use super::*;
use crate::life::comparable;

/// Files that an attachment needs at most, directories and temporary files included.
const ENOUGH: u32 = 40;

/// A disk of its own for the state directory, with room for so many files.
fn disk(state: &Path, files: u32) {
    std::fs::create_dir_all(state).unwrap();
    let options = format!("nr_inodes={files}");
    mount(
        Some("state"),
        state,
        Some("tmpfs"),
        MsFlags::empty(),
        Some(options.as_str()),
    )
    .unwrap();
}

fn remount(state: &Path, flags: MsFlags, files: u32) {
    let options = format!("nr_inodes={files}");
    mount(
        None::<&str>,
        state,
        None::<&str>,
        flags | MsFlags::MS_REMOUNT,
        Some(options.as_str()),
    )
    .unwrap();
}

#[test]
fn a_full_disk_fails_add_at_any_write_with_nothing_left() {
    let mut succeeded = None;
    let mut failures = 0;
    let mut world = World::new();
    let pod = fresh();
    for files in 2..ENOUGH {
        world.site.state = world.directory.path().join(format!("state.{files}"));
        disk(&world.site.state, files);
        let before = comparable(world.lab.vf());
        let added = world.add(&pod.netns, &with_ipam());
        if added.is_ok() {
            succeeded = Some(files);
        }
        if let Err(error) = added {
            let said = error.to_cni();
            assert_eq!(said.code, 5, "{files} files: {}", said.msg);
            assert!(said.msg.contains("no space left on device"), "{}", said.msg);
            assert!(
                said.msg.contains(world.site.state.to_str().unwrap()),
                "{}",
                said.msg
            );
            failures += 1;
        }
        // A DEL may have to write, too; with room it can.
        remount(&world.site.state, MsFlags::empty(), ENOUGH);
        world.del(&pod.netns).unwrap();
        assert_eq!(comparable(world.lab.vf()), before, "{files} files");
        assert!(world.is_clean(), "{files} files");
        nix::mount::umount(&world.site.state).unwrap();
        if succeeded.is_some() {
            break;
        }
    }
    assert!(succeeded.is_some(), "room for {ENOUGH} files is not enough");
    assert!(failures > 5, "only {failures} writes failed");
}

#[test]
fn a_disk_that_is_full_at_del_keeps_nothing_from_being_given_back() {
    let mut world = World::new();
    let pod = fresh();
    disk(&world.site.state, ENOUGH);
    let before = comparable(world.lab.vf());
    world.add(&pod.netns, &with_ipam()).unwrap();
    let mut filling = 0;
    while std::fs::File::create(world.site.state.join(format!("filling.{filling}"))).is_ok() {
        filling += 1;
    }
    world.del(&pod.netns).unwrap();
    assert_eq!(comparable(world.lab.vf()), before);
    assert!(world.is_clean());
    nix::mount::umount(&world.site.state).unwrap();
}

#[test]
fn a_read_only_state_directory_refuses_add_before_anything_is_done() {
    let mut world = World::new();
    let pod = fresh();
    disk(&world.site.state, ENOUGH);
    remount(&world.site.state, MsFlags::MS_RDONLY, ENOUGH);
    let before = comparable(world.lab.vf());
    let said = world.add(&pod.netns, &with_ipam()).unwrap_err().to_cni();
    assert_eq!(said.code, 5, "{}", said.msg);
    assert!(said.msg.contains("read-only file system"), "{}", said.msg);
    assert_eq!(comparable(world.lab.vf()), before);
    let call = world.call(Command::Status, &pod.netns, &json!({}));
    let said =
        sriov::command::status::status(&world.site, &mut (&mut world.lab), &call).unwrap_err();
    assert_eq!(said.code(), 50);
    nix::mount::umount(&world.site.state).unwrap();
}

#[test]
fn a_state_directory_that_became_read_only_is_told_at_del_and_del_is_finished_later() {
    let mut world = World::new();
    let pod = fresh();
    disk(&world.site.state, ENOUGH);
    let before = comparable(world.lab.vf());
    world.add(&pod.netns, &with_ipam()).unwrap();
    remount(&world.site.state, MsFlags::MS_RDONLY, ENOUGH);
    let said = world.del(&pod.netns).unwrap_err().to_cni();
    assert_eq!(said.code, 5, "{}", said.msg);
    assert!(said.msg.contains("read-only file system"), "{}", said.msg);
    remount(&world.site.state, MsFlags::empty(), ENOUGH);
    world.del(&pod.netns).unwrap();
    assert_eq!(comparable(world.lab.vf()), before);
    assert!(world.is_clean());
    nix::mount::umount(&world.site.state).unwrap();
}
