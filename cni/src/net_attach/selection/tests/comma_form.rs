//! Vectors of spec/multus.md §2.1, comma form, and corrections M9.

use super::*;

fn parts(text: &str) -> (String, String, Option<String>) {
    let selection = one(text);
    (selection.namespace, selection.name, selection.interface)
}

#[test]
fn namespace_and_interface_are_optional() {
    let s = str::to_owned;
    assert_eq!(parts("net1"), (s("pod-ns"), s("net1"), None));
    assert_eq!(parts("default/net1"), (s("default"), s("net1"), None));
    assert_eq!(
        parts("net1@my_interface"),
        (s("pod-ns"), s("net1"), Some(s("my_interface")))
    );
    assert_eq!(
        parts("default/net1@my_interface"),
        (s("default"), s("net1"), Some(s("my_interface")))
    );
}

#[test]
fn blanks_around_items_do_not_count() {
    let parsed = parse(" a , b/c@d\t", "ns").unwrap();
    assert_eq!(parsed.elements.len(), 2);
    assert_eq!(parsed.elements[1].interface.as_deref(), Some("d"));
}

#[test]
fn an_empty_namespace_or_interface_counts_as_none() {
    assert_eq!(parts("/net1"), ("pod-ns".into(), "net1".into(), None));
    assert_eq!(parts("net1@"), ("pod-ns".into(), "net1".into(), None));
}

#[test]
fn more_than_one_slash_or_at_is_refused() {
    for text in [
        "root@someIP/root@someOtherIP/root@thirdIP",
        "root@someIP/root@someOtherIP@garbagevalue",
        "root@someIP/root@someOtherIP",
        "a/b/c",
        "a@b@c",
    ] {
        assert!(
            error(text).starts_with("element 0 of the network annotation: "),
            "{text}"
        );
    }
    assert_eq!(
        error("a/b/c"),
        "element 0 of the network annotation: \"a/b/c\" has more than one \"/\""
    );
    assert_eq!(
        error("x,a@b@c"),
        "element 1 of the network annotation: \"a@b@c\" has more than one \"@\""
    );
}

#[test]
fn names_that_are_no_labels_are_refused() {
    for text in [
        "Net1",
        "net_1",
        "-net1",
        "net1-",
        "net.1",
        "ns_x/net1",
        "a b",
        "nét",
        "@eth1",
    ] {
        assert!(parse(text, "ns").is_err(), "{text}");
    }
    assert!(error("net.1").contains("other names need the JSON form"));
    assert!(parse("a-b-0", "ns").is_ok());
}

#[test]
fn interfaces_that_the_kernel_refuses_are_refused() {
    for text in [
        "default/net1@myIfc Name",
        "default/net1@very_long_interface_name",
        "net1@a\tb",
        "net1@a\u{b}b",
        "net1@a\u{c}b",
        "net1@a\nb",
        "net1@a\rb",
        "net1@a:b",
        "net1@..",
    ] {
        assert!(error(text).contains("interface name"), "{text}");
    }
    assert!(parse("net1@exactly15bytes_", "ns").is_ok());
}

#[test]
fn empty_items_and_blank_annotations_are_refused_at_once() {
    for (text, index) in [("net1,", 1), (",net1", 0), ("a,,b", 1), ("  ", 0), (",", 0)] {
        assert!(
            error(text).starts_with(&format!(
                "element {index} of the network annotation: it is empty"
            )),
            "{text}"
        );
    }
}
