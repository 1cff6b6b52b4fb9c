use tempfile::TempDir;

use super::*;
use crate::record::{Mode, Original, Phase};

fn record(container: &str, ifname: &str, vf: &str) -> Record {
    Record {
        format: FORMAT,
        attachment: Attachment {
            container_id: container.to_owned(),
            ifname: ifname.to_owned(),
        },
        network: "net".to_owned(),
        owner: None,
        vf: vf.parse().unwrap(),
        pf: None,
        mode: Mode::Kernel,
        phase: Phase::Intent,
        original: Original {
            attributes: None,
            netdev: None,
        },
        attributes: Vec::new(),
        address: None,
        mac_pinned: None,
        reset_function: false,
        ipam: None,
    }
}

fn found(entry: Entry) -> Option<Record> {
    match entry {
        Entry::Record(record) => Some(*record),
        _ => None,
    }
}

const VF: &str = "0000:3b:02.1";

#[test]
fn a_record_is_found_by_attachment_and_by_vf() {
    let state = TempDir::new().unwrap();
    let ledger = Ledger::new(state.path());
    let vf = VF.parse().unwrap();
    assert!(found(ledger.of_vf(vf).unwrap()).is_none());
    // An interface name may have an @, a container id may not.
    let record = record("c1", "net@1", VF);
    ledger.enter(&record).unwrap();
    assert_eq!(
        found(ledger.get(&record.attachment).unwrap()).as_ref(),
        Some(&record)
    );
    assert_eq!(found(ledger.of_vf(vf).unwrap()).as_ref(), Some(&record));
    assert_eq!(ledger.all().unwrap(), std::slice::from_ref(&record));
    ledger.remove(&record.attachment, vf).unwrap();
    assert!(ledger.all().unwrap().is_empty());
    assert_eq!(ledger.holder(vf).unwrap(), None);
}

#[test]
fn names_with_hyphens_do_not_collide() {
    let state = TempDir::new().unwrap();
    let ledger = Ledger::new(state.path());
    ledger.enter(&record("a-b", "c", VF)).unwrap();
    ledger.enter(&record("a", "b-c", "0000:3b:02.2")).unwrap();
    assert_eq!(ledger.all().unwrap().len(), 2);
}

#[test]
fn a_removed_record_does_not_take_the_vf_from_its_new_owner() {
    let state = TempDir::new().unwrap();
    let ledger = Ledger::new(state.path());
    let (old, new) = (record("c1", "net1", VF), record("c2", "net1", VF));
    ledger.enter(&old).unwrap();
    ledger.enter(&new).unwrap();
    ledger.remove(&old.attachment, old.vf).unwrap();
    assert_eq!(found(ledger.of_vf(new.vf).unwrap()), Some(new));
}

#[test]
fn a_record_that_moved_to_another_vf_is_not_found_by_the_first() {
    let state = TempDir::new().unwrap();
    let ledger = Ledger::new(state.path());
    let mut record = record("c1", "net1", VF);
    ledger.enter(&record).unwrap();
    let first = record.vf;
    record.vf = "0000:3b:02.2".parse().unwrap();
    ledger.enter(&record).unwrap();
    assert!(found(ledger.of_vf(first).unwrap()).is_none());
}

#[test]
fn torn_records_and_those_of_other_formats_are_told_and_never_trusted() {
    let state = TempDir::new().unwrap();
    let ledger = Ledger::new(state.path());
    let mut record = record("c1", "net1", VF);
    ledger.enter(&record).unwrap();
    let path = state.path().join("ledger/c1@net1");
    for torn in ["", "{", "{}"] {
        file::write(&path, torn.as_bytes(), file::PRIVATE, Durability::Process).unwrap();
        assert!(
            matches!(ledger.get(&record.attachment).unwrap(), Entry::Torn(_)),
            "{torn}"
        );
        assert!(ledger.all().unwrap().is_empty());
    }
    record.format = 2;
    ledger.update(&record).unwrap();
    let Entry::Torn(error) = ledger.get(&record.attachment).unwrap() else {
        panic!("trusted")
    };
    assert!(
        error.to_string().contains("expected a record of format 1"),
        "{error}"
    );
}

#[test]
fn files_are_0600_and_directories_0700() {
    use std::os::unix::fs::PermissionsExt;
    let state = TempDir::new().unwrap();
    let ledger = Ledger::new(&state.path().join("sriov"));
    ledger.enter(&record("c1", "net1", VF)).unwrap();
    let mode = |path: &str| {
        state
            .path()
            .join(path)
            .metadata()
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    };
    assert_eq!(mode("sriov/ledger/c1@net1"), 0o600);
    for directory in ["sriov", "sriov/ledger", "sriov/ledger/pci"] {
        assert_eq!(mode(directory), 0o700, "{directory}");
    }
}
