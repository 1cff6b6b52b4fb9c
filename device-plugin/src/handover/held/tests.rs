//! G8 of spec/device-plugin.md §8.7: which files stay, and until when.

use super::*;

const VF: &str = "0000:3b:02.0";

fn resource(name: &str) -> ResourceName {
    ResourceName::new("intel.com", name, Path::new("/")).unwrap()
}

fn id() -> DeviceId {
    VF.parse().unwrap()
}

fn files(directory: &Path) -> HeldFiles {
    HeldFiles::new(directory.join("devinfo/dp"), ("", "-device.json"), false)
}

struct Fixture {
    directory: tempfile::TempDir,
    files: HeldFiles,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let files = files(directory.path());
        Self { directory, files }
    }

    fn write(&self, name: &str) {
        let put = |path: &Path| {
            file::create_dir(path.parent().unwrap(), 0o700)?;
            file::write(path, b"", 0o600, file::Durability::Process)
        };
        let written = self.files.write(&resource(name), &id(), put);
        written.unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory
            .path()
            .join(format!("devinfo/dp/intel.com-{name}-{VF}-device.json"))
    }

    fn clean(&self, held: bool) {
        let mut allocated = Allocated::new();
        if held {
            allocated
                .entry("intel.com/net".to_owned())
                .or_default()
                .insert(VF.parse().unwrap());
        }
        self.files.clean(&[resource("net")], &allocated).unwrap();
    }

    /// Makes the file older than any pod needs to show up.
    fn age(&self, name: &str) {
        let old = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let file = std::fs::OpenOptions::new()
            .read(true)
            .open(self.path(name))
            .unwrap();
        file.set_modified(old).unwrap();
    }
}

#[test]
fn g8_a_file_stays_until_its_pod_was_seen_and_is_gone() {
    let fixture = Fixture::new();
    fixture.write("net");
    fixture.clean(false);
    assert!(
        fixture.path("net").exists(),
        "the kubelet shows a pod only some time after Allocate"
    );
    fixture.clean(true);
    assert!(fixture.path("net").exists());
    assert!(fixture.files.is_waiting());
    fixture.clean(false);
    assert!(!fixture.path("net").exists());
    assert!(!fixture.files.is_waiting());
}

#[test]
fn g8_after_a_restart_the_file_of_a_running_pod_stays_and_goes_with_the_pod() {
    let mut fixture = Fixture::new();
    fixture.write("net");
    fixture.age("net");
    fixture.files = files(fixture.directory.path());
    fixture.clean(true);
    assert!(fixture.path("net").exists());
    fixture.clean(false);
    assert!(!fixture.path("net").exists());
}

#[test]
fn an_old_file_whose_pod_never_came_is_removed() {
    let fixture = Fixture::new();
    fixture.write("net");
    fixture.age("net");
    fixture.clean(false);
    assert!(!fixture.path("net").exists());
}

#[test]
fn files_of_other_resources_stay() {
    let fixture = Fixture::new();
    fixture.write("net-b");
    fixture.age("net-b");
    fixture.clean(false);
    assert!(fixture.path("net-b").exists());
}

#[test]
fn a_file_written_for_the_next_pod_while_the_last_pods_is_cleaned_up_stays() {
    let fixture = Fixture::new();
    let key = (resource("net"), id());
    let is_done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                fixture.clean(true);
                fixture.clean(false);
            }
        });
        let lost = (0..3000).any(|_| {
            fixture.write("net");
            let seen = fixture.files.seen();
            seen.get(&key) == Some(&false) && !fixture.path("net").exists()
        });
        is_done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(!lost, "the pod that just got the device has no file");
    });
}

#[test]
fn devices_that_pods_hold_are_told_once() {
    let fixture = Fixture::new();
    let held = Allocated::from([("intel.com/net".to_owned(), [id()].into())]);
    let pool = [resource("net")];
    assert_eq!(
        fixture.files.clean(&pool, &held).unwrap(),
        [(resource("net"), id())]
    );
    assert_eq!(fixture.files.clean(&pool, &held).unwrap(), []);
    fixture.files.clean(&pool, &Allocated::new()).unwrap();
    fixture.write("net");
    assert_eq!(
        fixture.files.clean(&pool, &held).unwrap(),
        [],
        "its file was written by this process"
    );
}

#[test]
fn g8_files_of_a_pool_that_is_gone_are_removed_only_where_all_are_ours_and_nobody_holds_the_device()
{
    let directory = tempfile::tempdir().unwrap();
    let make = |exclusive| HeldFiles::new(directory.path(), ("x-", ".json"), exclusive);
    let path = make(true).path(&resource("gone"), &id());
    let foreign = directory.path().join("other.json");
    for path in [&path, &foreign] {
        file::write(path, b"", 0o600, file::Durability::Process).unwrap();
        let old = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(old).unwrap();
    }
    let held = Allocated::from([("intel.com/gone".to_owned(), [id()].into())]);
    make(true).clean(&[], &held).unwrap();
    make(false).clean(&[], &Allocated::new()).unwrap();
    assert!(path.exists());
    make(true).clean(&[], &Allocated::new()).unwrap();
    assert!(!path.exists() && foreign.exists());
}
