use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::error::Kind;

/// Beyond the patience of the test runner: a wait that does not end by its event fails.
const LONG: Duration = Duration::from_mins(10);

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
fn removing_the_file_never_lets_two_in() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let (_directory, path) = path();
    let inside = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..300 {
                    let lock = Lock::exclusive(&path, LONG).unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    thread::yield_now();
                    assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
                    lock.remove().unwrap();
                }
            });
        }
    });
}

#[test]
fn a_file_that_was_removed_or_replaced_is_not_the_lock() {
    let (_directory, path) = path();
    file::create_dir(path.parent().unwrap(), file::PRIVATE_DIR).unwrap();
    let opened = open(&path).unwrap();
    let attempt = || attempt(&opened, &path, Side::Exclusive).unwrap();
    assert!(matches!(attempt(), Attempt::Taken));
    file::remove(&path).unwrap();
    assert!(matches!(attempt(), Attempt::Stale));
    let _new = open(&path).unwrap();
    assert!(matches!(attempt(), Attempt::Stale));
}

#[expect(clippy::disallowed_methods, reason = "any child will do")]
fn waits_for_its_stdin() -> std::process::Child {
    std::process::Command::new("cat")
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn who_is_killed_leaves_an_inherited_lock_to_the_programs_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let lock = Lock::exclusive(&path, Duration::ZERO)
        .unwrap()
        .inherited()
        .unwrap();
    let mut child = waits_for_its_stdin();
    // As the kernel closes it for a process that is killed: nobody unlocks.
    nix::unistd::close(std::os::fd::AsRawFd::as_raw_fd(&lock.file)).unwrap();
    std::mem::forget(lock);
    let busy = Lock::exclusive(&path, Duration::ZERO).unwrap_err();
    assert!(matches!(busy, Error::Deadline { .. }), "{busy}");
    drop(child.stdin.take());
    child.wait().unwrap();
    Lock::exclusive(&path, Duration::ZERO).unwrap();
}

#[test]
fn who_gives_up_an_inherited_lock_gives_it_up_for_its_programs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let lock = Lock::exclusive(&path, Duration::ZERO)
        .unwrap()
        .inherited()
        .unwrap();
    let mut child = waits_for_its_stdin();
    drop(lock);
    Lock::exclusive(&path, Duration::ZERO).unwrap();
    drop(child.stdin.take());
    child.wait().unwrap();
}

/// A child that has inherited the lock on `path` from a process that has it no more.
fn orphan_of(path: &Path) -> std::process::Child {
    let lock = Lock::exclusive(path, Duration::ZERO)
        .unwrap()
        .inherited()
        .unwrap();
    let child = waits_for_its_stdin();
    nix::unistd::close(std::os::fd::AsRawFd::as_raw_fd(&lock.file)).unwrap();
    std::mem::forget(lock);
    child
}

fn despite(path: &Path, patience: Duration) -> Result<(Lock, Vec<Orphan>)> {
    Lock::exclusive_despite_orphans(path, Duration::ZERO, patience, Path::new("/proc"))
}

#[test]
fn a_program_left_behind_keeps_the_lock_for_its_time_is_named_and_then_loses_it() {
    let (_directory, path) = path();
    let mut child = orphan_of(&path);
    let busy = despite(&path, LONG).unwrap_err();
    assert_eq!(busy.kind(), Kind::Deadline);
    let text = busy.to_string();
    for word in [
        &path.display().to_string(),
        &format!("held by cat (process {}, for", child.id()),
        "left behind by a command that was killed",
    ] {
        assert!(text.contains(word), "{word:?} is missing in: {text}");
    }
    let (lock, orphans) = despite(&path, Duration::ZERO).unwrap();
    assert_eq!(
        orphans.iter().map(|o| o.pid).collect::<Vec<_>>(),
        [child.id()]
    );
    // It is a lock like any other, and the program goes on.
    assert!(Lock::exclusive(&path, Duration::ZERO).is_err());
    assert!(despite(&path, Duration::ZERO).is_err());
    assert!(child.try_wait().unwrap().is_none());
    drop(lock);
    Lock::exclusive(&path, Duration::ZERO).unwrap();
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[test]
fn a_lock_whose_taker_lives_is_never_taken_from_it() {
    let (_directory, path) = path();
    let lock = Lock::exclusive(&path, Duration::ZERO)
        .unwrap()
        .inherited()
        .unwrap();
    let mut child = waits_for_its_stdin();
    let busy = despite(&path, Duration::ZERO).unwrap_err();
    assert!(
        busy.to_string().contains("held by another process"),
        "{busy}"
    );
    drop(lock);
    assert!(despite(&path, LONG).unwrap().1.is_empty());
    drop(child.stdin.take());
    child.wait().unwrap();
}
