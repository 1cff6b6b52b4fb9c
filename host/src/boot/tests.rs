use super::*;
use crate::error::Kind;
use crate::file::Durability;

#[test]
fn the_boot_id_is_read_without_its_line_end() {
    let proc = tempfile::tempdir().unwrap();
    let path = proc.path().join("sys/kernel/random/boot_id");
    file::create_dir(path.parent().unwrap(), file::PRIVATE_DIR).unwrap();
    let write = |text: &str| {
        file::write(&path, text.as_bytes(), file::PRIVATE, Durability::Process).unwrap();
    };
    write("6b8d1f0e-0000-4000-8000-000000000001\n");
    assert_eq!(
        boot_id(proc.path()).unwrap(),
        "6b8d1f0e-0000-4000-8000-000000000001"
    );
    write("\n");
    assert_eq!(boot_id(proc.path()).unwrap_err().kind(), Kind::Invalid);
}

#[test]
fn this_kernel_has_a_boot_id_that_stays() {
    let proc = Path::new("/proc");
    assert_eq!(boot_id(proc).unwrap(), boot_id(proc).unwrap());
}

#[test]
fn a_missing_procfs_is_told_with_the_file() {
    let empty = tempfile::tempdir().unwrap();
    let error = boot_id(empty.path()).unwrap_err().to_string();
    assert!(
        error.contains("sys/kernel/random/boot_id holds \"\", expected the id of this boot"),
        "{error}"
    );
}
