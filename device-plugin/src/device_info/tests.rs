//! G7 and G8 of spec/device-plugin.md §8.7, for PCI devices.
#![expect(clippy::disallowed_methods, reason = "tests read files")]

use std::os::unix::fs::PermissionsExt;

use super::*;

const VF: &str = "0000:3b:02.0";

fn resource(name: &str) -> ResourceName {
    ResourceName::new("intel.com", name, Path::new("/")).unwrap()
}

struct Fixture {
    directory: tempfile::TempDir,
    files: DeviceInfoFiles,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let files = DeviceInfoFiles::new(directory.path().join("devinfo/dp"));
        Self { directory, files }
    }

    fn write(&self, name: &str, rdma: &[&str]) {
        let rdma: Vec<String> = rdma.iter().map(|name| (*name).to_owned()).collect();
        self.files
            .write(&resource(name), &VF.parse().unwrap(), &rdma)
            .unwrap();
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
fn g7_the_file_of_a_pci_device() {
    let fixture = Fixture::new();
    fixture.write("net", &[]);
    let path = fixture.path("net");
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        r#"{"type":"pci","version":"1.1.0","pci":{"pci-address":"0000:3b:02.0"}}"#
    );
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o444
    );
}

#[test]
fn g7_rdma_devices_are_named_and_a_second_allocation_overwrites() {
    let fixture = Fixture::new();
    fixture.write("net", &[]);
    fixture.write("net", &["mlx5_7", "mlx5_8"]);
    assert_eq!(
        std::fs::read_to_string(fixture.path("net")).unwrap(),
        r#"{"type":"pci","version":"1.1.0","pci":{"pci-address":"0000:3b:02.0","rdma-device":"mlx5_7,mlx5_8"}}"#
    );
}

#[test]
fn g8_a_file_stays_until_its_pod_was_seen_and_is_gone() {
    let fixture = Fixture::new();
    fixture.write("net", &[]);
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
    fixture.write("net", &[]);
    fixture.age("net");
    fixture.files = DeviceInfoFiles::new(fixture.directory.path().join("devinfo/dp"));
    fixture.clean(true);
    assert!(fixture.path("net").exists());
    fixture.clean(false);
    assert!(!fixture.path("net").exists());
}

#[test]
fn an_old_file_whose_pod_never_came_is_removed() {
    let fixture = Fixture::new();
    fixture.write("net", &[]);
    fixture.age("net");
    fixture.clean(false);
    assert!(!fixture.path("net").exists());
}

#[test]
fn files_of_other_resources_stay() {
    let fixture = Fixture::new();
    fixture.write("net-b", &[]);
    fixture.age("net-b");
    fixture.clean(false);
    assert!(fixture.path("net-b").exists());
}

#[test]
fn a_file_written_for_the_next_pod_while_the_last_pods_is_cleaned_up_stays() {
    let fixture = Fixture::new();
    let key = (resource("net"), VF.parse().unwrap());
    let is_done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                fixture.clean(true);
                fixture.clean(false);
            }
        });
        let lost = (0..3000).any(|_| {
            fixture.write("net", &[]);
            let seen = fixture.files.seen();
            seen.get(&key) == Some(&false) && !fixture.path("net").exists()
        });
        is_done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(!lost, "the pod that just got the device has no file");
    });
}
