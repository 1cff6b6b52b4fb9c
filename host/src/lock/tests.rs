use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::error::Kind;

const LONG: Duration = Duration::from_secs(20);

fn path() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vf_lock/0000:3b:02.1.lock");
    (directory, path)
}

#[test]
fn a_lock_makes_its_directory_and_file_private() {
    let (_directory, path) = path();
    let lock = Lock::exclusive(&path, Duration::ZERO).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(lock.path(), path);
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
}

#[test]
fn a_lock_that_stays_taken_ends_in_a_deadline_that_names_it() {
    let (_directory, path) = path();
    let _held = Lock::exclusive(&path, Duration::ZERO).unwrap();
    for within in [Duration::ZERO, Duration::from_millis(30)] {
        let error = Lock::exclusive(&path, within).unwrap_err();
        assert_eq!(error.kind(), Kind::Deadline);
        let expected = format!(
            "lock {}, held by another process: still waiting after",
            path.display()
        );
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}

#[test]
fn a_dropped_lock_goes_to_the_one_who_waits() {
    let (_directory, path) = path();
    let held = Lock::exclusive(&path, Duration::ZERO).unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| Lock::exclusive(&path, LONG).map(drop));
        drop(held);
        waiting.join().unwrap().unwrap();
    });
}

#[test]
fn shared_holders_do_not_exclude_each_other_but_an_exclusive_one() {
    let (_directory, path) = path();
    let one = Lock::shared(&path, Duration::ZERO).unwrap();
    let two = Lock::shared(&path, Duration::ZERO).unwrap();
    assert!(Lock::exclusive(&path, Duration::ZERO).is_err());
    drop((one, two));
    let _alone = Lock::exclusive(&path, Duration::ZERO).unwrap();
    assert!(Lock::shared(&path, Duration::ZERO).is_err());
}

#[test]
fn it_is_flock_that_other_programs_see() {
    use nix::fcntl::{Flock, FlockArg};
    let (_directory, path) = path();
    let held = Lock::exclusive(&path, Duration::ZERO).unwrap();
    let other = || Flock::lock(File::open(&path).unwrap(), FlockArg::LockExclusiveNonblock);
    assert!(other().is_err());
    drop(held);
    let theirs = other().unwrap();
    assert!(Lock::exclusive(&path, Duration::ZERO).is_err());
    drop(theirs);
}

#[test]
fn whoever_waits_for_a_removed_file_locks_the_new_one() {
    let (_directory, path) = path();
    let held = Lock::exclusive(&path, Duration::ZERO).unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| Lock::exclusive(&path, LONG).unwrap());
        held.remove().unwrap();
        let lock = waiting.join().unwrap();
        assert!(is_current(&lock.file, &path).unwrap());
        assert!(Lock::exclusive(&path, Duration::ZERO).is_err());
    });
}
