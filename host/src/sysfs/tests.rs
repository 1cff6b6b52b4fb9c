use crate::error::Kind;
use crate::testing::sysfs::FakeSysfs;

#[test]
fn every_error_names_what_was_tried_and_where() {
    let fake = FakeSysfs::new();
    fake.file("here/number", "many\n");
    let entry = fake.sysfs().entry("here");
    let root = fake.root().display();
    let missing = entry.read("missing").unwrap_err();
    assert_eq!(missing.to_string(), format!("read {root}/here/missing"));
    assert_eq!(missing.kind(), Kind::NotFound);
    let junk = entry.parse::<u32>("number", "a number of VFs").unwrap_err();
    assert_eq!(
        junk.to_string(),
        format!("{root}/here/number holds \"many\", expected a number of VFs")
    );
    assert_eq!(junk.kind(), Kind::Invalid);
    let write = entry.write("missing", "1").unwrap_err();
    assert_eq!(write.to_string(), format!("write {root}/here/missing"));
}

#[test]
fn an_attribute_is_read_without_its_line_end_and_may_be_absent() {
    let fake = FakeSysfs::new();
    fake.file("here/name", " vfio-noiommu\n");
    let entry = fake.sysfs().entry("here");
    assert_eq!(entry.read("name").unwrap(), "vfio-noiommu");
    assert_eq!(entry.read_optional("missing").unwrap(), None);
    assert_eq!(entry.list().unwrap().unwrap(), ["name"]);
    assert_eq!(entry.child("missing").list().unwrap(), None);
}

#[test]
fn a_dangling_link_exists_and_is_read() {
    let fake = FakeSysfs::new();
    fake.link("here/driver", "../nowhere/iavf");
    let entry = fake.sysfs().entry("here");
    assert!(entry.has("driver"));
    assert_eq!(entry.link("driver").unwrap().as_deref(), Some("iavf"));
    assert_eq!(entry.link("physfn").unwrap(), None);
}

#[test]
fn a_hexadecimal_number_may_have_a_prefix() {
    let fake = FakeSysfs::new();
    fake.file("here/a", "0x8086\n")
        .file("here/b", "8086\n")
        .file("here/c", "0xzz\n");
    let entry = fake.sysfs().entry("here");
    assert_eq!(entry.parse_hex("a", "an id").unwrap(), 0x8086);
    assert_eq!(entry.parse_hex("b", "an id").unwrap(), 0x8086);
    assert!(entry.parse_hex("c", "an id").is_err());
}
