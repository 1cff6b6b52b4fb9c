use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::error::Kind;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_file_is_replaced_and_nothing_else_is_left() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record");
    for (content, durability) in [("one", Durability::Process), ("two", Durability::PowerCut)] {
        write(&path, content.as_bytes(), PRIVATE, durability).unwrap();
        assert_eq!(read_text(&path).unwrap().as_deref(), Some(content));
    }
    assert_eq!(all_names(directory.path()).unwrap(), ["record"]);
}

#[test]
fn a_file_has_exactly_the_mode_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    for wanted in [0o600, 0o666, 0o755] {
        let path = directory.path().join(format!("{wanted:o}"));
        write(&path, b"", wanted, Durability::Process).unwrap();
        assert_eq!(mode(&path), wanted);
    }
}

#[test]
fn a_failed_write_leaves_the_old_content_and_no_temporary_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record");
    fs::create_dir_all(path.join("in the way")).unwrap();
    let error = write(&path, b"new", PRIVATE, Durability::Process).unwrap_err();
    assert_eq!(error.to_string(), format!("replace {}", path.display()));
    assert_eq!(all_names(directory.path()).unwrap(), ["record"]);
    let nowhere = directory.path().join("missing/record");
    assert_eq!(
        write(&nowhere, b"", PRIVATE, Durability::Process)
            .unwrap_err()
            .kind(),
        Kind::NotFound
    );
}

#[test]
fn what_does_not_exist_is_none_or_empty() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("missing");
    assert_eq!(read(&path).unwrap(), None);
    assert_eq!(read_record::<u32>(&path).unwrap(), None);
    assert!(!remove(&path).unwrap());
    assert!(list(&path).unwrap().is_empty());
}

#[test]
fn a_record_comes_back_as_it_was_and_a_torn_one_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record");
    write_record(&path, &vec!["a", "b"], Durability::Process).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(
        read_record::<Vec<String>>(&path).unwrap().unwrap(),
        ["a", "b"]
    );
    fs::write(&path, "[\"a\",").unwrap();
    let error = read_record::<Vec<String>>(&path).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert_eq!(
        error.to_string(),
        format!("parse record {}", path.display())
    );
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("line 1 column 5"), "{cause}");
}

#[test]
fn a_list_is_sorted_and_hides_temporary_files() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["b", "a", ".a.17-0.tmp", ".hidden"] {
        fs::write(directory.path().join(name), "").unwrap();
    }
    assert_eq!(list(directory.path()).unwrap(), [".hidden", "a", "b"]);
}

#[test]
fn temporary_files_of_a_crash_are_removed_when_they_are_old() {
    let directory = tempfile::tempdir().unwrap();
    let left = directory.path().join(".record.17-0.tmp");
    fs::write(&left, "").unwrap();
    write(
        &directory.path().join("record"),
        b"",
        PRIVATE,
        Durability::Process,
    )
    .unwrap();
    assert_eq!(
        remove_temporary(directory.path(), Duration::from_hours(1)).unwrap(),
        0
    );
    assert_eq!(
        remove_temporary(directory.path(), Duration::ZERO).unwrap(),
        1
    );
    assert_eq!(all_names(directory.path()).unwrap(), ["record"]);
}

#[test]
fn new_directories_get_the_mode_and_old_ones_keep_theirs() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("a/b");
    create_dir(&inner, PRIVATE_DIR).unwrap();
    assert_eq!(
        (mode(&inner), mode(inner.parent().unwrap())),
        (0o700, 0o700)
    );
    create_dir(&inner, 0o755).unwrap();
    assert_eq!(mode(&inner), 0o700);
    fs::write(directory.path().join("file"), "").unwrap();
    let error = create_dir(&directory.path().join("file/x"), PRIVATE_DIR)
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("create directory "), "{error}");
}

#[test]
fn writers_at_the_same_time_leave_one_complete_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record");
    std::thread::scope(|scope| {
        for letter in ["a", "b", "c", "d"] {
            let path = &path;
            scope.spawn(move || {
                for _ in 0..50 {
                    write(
                        path,
                        letter.repeat(5000).as_bytes(),
                        PRIVATE,
                        Durability::Process,
                    )
                    .unwrap();
                    let text = read_text(path).unwrap().unwrap();
                    assert!(
                        text.len() == 5000 && text.bytes().all(|byte| byte == text.as_bytes()[0])
                    );
                }
            });
        }
    });
    assert_eq!(all_names(directory.path()).unwrap(), ["record"]);
}

#[test]
fn a_missing_directory_is_made_when_it_is_needed() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("state/ledger");
    let path = directory.join("record");
    let put = || write(&path, b"one", PRIVATE, Durability::Process);
    with_dir(&directory, put).unwrap();
    assert_eq!(read(&path).unwrap().as_deref(), Some(&b"one"[..]));
    assert_eq!(mode(&directory), 0o700);
    with_dir(&directory, put).unwrap();
}

#[test]
fn a_directory_that_go_made_without_any_permission_is_opened_to_its_owner_and_to_nobody_else() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("dp");
    assert!(!admit_owner(&directory).unwrap());
    fs::create_dir(&directory).unwrap();
    for (was, is) in [(0o000, 0o700), (0o600, 0o700), (0o055, 0o755)] {
        fs::set_permissions(&directory, fs::Permissions::from_mode(was)).unwrap();
        assert!(admit_owner(&directory).unwrap());
        assert_eq!(mode(&directory), is);
        assert!(!admit_owner(&directory).unwrap());
    }
    let link = root.path().join("link");
    std::os::unix::fs::symlink(&directory, &link).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o000)).unwrap();
    assert!(!admit_owner(&link).unwrap());
    std::os::unix::fs::chown(&directory, Some(12), None).unwrap();
    assert!(!admit_owner(&directory).unwrap());
    assert_eq!(mode(&directory), 0);
}
