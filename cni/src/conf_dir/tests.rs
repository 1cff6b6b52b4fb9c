use tempfile::TempDir;

use super::*;
use crate::error::chain;

fn dir(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn types(list: &NetworkList) -> Vec<&str> {
    list.plugins().iter().map(Plugin::plugin_type).collect()
}

#[test]
fn a_configuration_is_found_by_its_name_not_its_files() {
    let dir = dir(&[
        ("10-a.conf", r#"{"name":"other","type":"a"}"#),
        ("20-b.json", r#"{"name":"net","type":"b"}"#),
        ("30-c.txt", r#"{"name":"net","type":"c"}"#),
    ]);
    assert_eq!(types(&find(dir.path(), "net").unwrap()), ["b"]);
}

#[test]
fn the_first_file_wins_but_a_conflist_wins_over_a_conf() {
    let dir = dir(&[
        ("1.conf", r#"{"name":"net","type":"a"}"#),
        ("2.conflist", r#"{"name":"net","plugins":[{"type":"b"}]}"#),
        ("3.conflist", r#"{"name":"net","plugins":[{"type":"c"}]}"#),
    ]);
    assert_eq!(types(&find(dir.path(), "net").unwrap()), ["b"]);
}

#[test]
fn a_broken_file_is_told_only_if_nothing_else_fits() {
    let dir = dir(&[("1.conf", "{"), ("2.conf", r#"{"name":"net","type":"a"}"#)]);
    assert_eq!(types(&find(dir.path(), "net").unwrap()), ["a"]);
    let error = chain(&find(dir.path(), "none").unwrap_err());
    assert!(
        error.starts_with("configuration file ") && error.contains("1.conf: "),
        "{error}"
    );
}

#[test]
fn a_name_that_no_file_has_is_missing() {
    let empty = dir(&[]);
    let gone = empty.path().join("gone");
    for dir in [empty.path(), &gone] {
        let error = find(dir, "net").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("no configuration named \"net\" in {}", dir.display())
        );
    }
}

#[test]
fn a_file_with_the_name_but_without_plugins_is_told() {
    let dir = dir(&[
        ("1.conf", r#"{"name":"net"}"#),
        ("2.conflist", r#"{"name":"l","plugins":[]}"#),
    ]);
    assert!(
        chain(&find(dir.path(), "net").unwrap_err()).contains("neither \"type\" nor \"plugins\"")
    );
    assert!(chain(&find(dir.path(), "l").unwrap_err()).contains("empty list of plugins"));
}

#[test]
fn the_first_file_of_a_folder_is_loaded() {
    let dir = dir(&[
        ("b.conf", r#"{"name":"b","type":"b"}"#),
        ("a.conflist", r#"{"name":"a","plugins":[{"type":"a"}]}"#),
    ]);
    assert_eq!(first(dir.path()).unwrap().name(), "a");
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(
        first(empty.path()),
        Err(ConfDirError::Empty { .. })
    ));
}

#[test]
fn row_61_a_conflist_gets_the_plugins_of_its_folder() {
    let dir = dir(&[
        ("net.conflist", r#"{"name":"net","plugins":[{"type":"a"}]}"#),
        ("net/20.conf", r#"{"type":"c"}"#),
        ("net/10.conf", r#"{"type":"b"}"#),
        ("net/30.conflist", r#"{"type":"d"}"#),
    ]);
    assert_eq!(
        types(&load(&dir.path().join("net.conflist")).unwrap()),
        ["a", "b", "c"]
    );
    assert_eq!(types(&find(dir.path(), "net").unwrap()), ["a"]);
}

#[test]
fn row_32_load_only_inlined_plugins_leaves_the_folder_alone() {
    let dir = dir(&[
        (
            "a.conflist",
            r#"{"name":"net","loadOnlyInlinedPlugins":true,"plugins":[{"type":"a"}]}"#,
        ),
        ("b.conflist", r#"{"name":"net"}"#),
        (
            "c.conflist",
            r#"{"name":"net","loadOnlyInlinedPlugins":"true","plugins":[]}"#,
        ),
        ("net/10.conf", r#"{"type":"b"}"#),
    ]);
    assert_eq!(types(&load(&dir.path().join("a.conflist")).unwrap()), ["a"]);
    assert_eq!(types(&load(&dir.path().join("b.conflist")).unwrap()), ["b"]);
    assert!(load(&dir.path().join("c.conflist")).is_err());
}

#[test]
fn a_list_name_cannot_lead_out_of_the_folder() {
    let dir = dir(&[
        (
            "in/a.conflist",
            r#"{"name":"../out","plugins":[{"type":"a"}]}"#,
        ),
        ("out/10.conf", r#"{"type":"b"}"#),
    ]);
    let error = chain(&load(&dir.path().join("in/a.conflist")).unwrap_err());
    assert!(
        error.contains("network name \"../out\" is invalid"),
        "{error}"
    );
}

#[test]
fn a_broken_plugin_file_is_named() {
    let dir = dir(&[
        ("net.conflist", r#"{"name":"net","plugins":[]}"#),
        ("net/1.conf", "{}"),
    ]);
    let error = chain(&load(&dir.path().join("net.conflist")).unwrap_err());
    assert!(error.contains("net/1.conf"), "{error}");
    let error = load(&dir.path().join("none.conf")).unwrap_err();
    assert!(error.to_string().starts_with("read "), "{error}");
}
