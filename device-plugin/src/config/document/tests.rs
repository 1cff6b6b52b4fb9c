//! Both forms give the same values, and errors that say where.

use super::*;

fn read(text: &str) -> Node<'_> {
    Node::document(text.as_bytes()).unwrap()
}

#[track_caller]
fn assert_refused(text: &str, expected: &str) {
    let problem = Node::document(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(problem, expected);
}

/// One value with all kinds in it, as text.
fn show(node: &Node<'_>) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Flag(flag) => flag.to_string(),
        Value::Number => "number".to_owned(),
        Value::Text(text) | Value::Plain(text) => format!("{text:?}"),
        Value::List(items) => items.iter().map(|item| show(item) + ";").collect(),
        Value::Object(members) => {
            let show = |(key, value): &(String, Node<'_>)| [key, "=", &show(value), ","].concat();
            members.iter().map(show).collect()
        }
    }
}

const VALUES: &str = r#"a="x";"8086";,b=null,c=d="0000:3b:02.1",,"#;

#[test]
fn strict_json_is_read() {
    let text = r#"{"a":["x","8086"],"b":null,"c":{"d":"0000:3b:02.1"}}"#;
    assert_eq!(show(&read(text)), VALUES);
}

#[test]
fn json_with_comments_and_trailing_commas_is_read() {
    let text = "// pools\n{ \"a\": [\"x\", /* id */ \"8086\",], \"b\": null,\n  c: {\"d\": '0000:3b:02.1',}, }\n";
    assert_eq!(show(&read(text)), VALUES);
}

#[test]
fn yaml_is_read_and_ids_without_quotes_stay_text() {
    for text in [
        "a: [x, 8086]\nb:\nc:\n  d: 0000:3b:02.1\n",
        "---\n# pools\na:\n- x\n- 8086\nb: ~\nc: {d: '0000:3b:02.1'}\n",
        "{a: [x, 8086], # with a comment of YAML\n b: null, c: {d: 0000:3b:02.1}}",
    ] {
        assert_eq!(show(&read(text)), VALUES, "{text}");
    }
}

#[test]
fn switches_and_numbers_of_both_forms() {
    for (text, flag, number) in [
        (r#"{"f":true,"n":16}"#, true, 16),
        ("f: True\nn: 16\n", true, 16),
        ("f: false\nn: 0\n", false, 0),
    ] {
        let node = read(text);
        let members = node.members().unwrap();
        assert_eq!(members.get("f").unwrap().boolean(), Ok(flag));
        assert_eq!(members.get("N").unwrap().number(), Ok(number));
    }
    for text in [r#"{"n":-1}"#, r#"{"n":1.5}"#, r#"{"n":"1"}"#, "n: many"] {
        let node = read(text);
        let problem = node.members().unwrap().get("n").unwrap().number();
        let problem = problem.unwrap_err().to_string();
        assert!(problem.contains("expected a whole number"), "{problem}");
    }
}

#[test]
fn a_value_knows_line_column_and_path_in_both_forms() {
    for (text, expected) in [
        (
            "{\n  \"ä\": [\"ü\", 7]}",
            "line 2, column 14, ä[1]: expected a string, found a number",
        ),
        (
            "ä:\n  - ü\n  - [x]\n",
            "line 3, column 5, ä[1]: expected a string, found a list",
        ),
    ] {
        let node = read(text);
        let list = node.members().unwrap().get("ä").unwrap();
        let problem = list.items().unwrap()[1].string().unwrap_err();
        assert_eq!(problem.to_string(), expected);
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    assert_refused("", "line 1, column 1: the document is empty");
    assert_refused(" \n\n", "line 1, column 1: the document is empty");
    assert_refused("# nothing\n", "line 1, column 1: the document is empty");
    assert_refused(
        "a: &x [1]\nb: *x\n",
        "line 2, column 4: not YAML as it is read here: an alias (*name): write the value out",
    );
    assert_refused(
        "a: 1\n---\nb: 2\n",
        "line 2, column 1: not YAML as it is read here: a second document: write one only",
    );
    let deep = "[".repeat(2000);
    assert!(Node::document(deep.as_bytes()).is_err());
    let deep = "- ".repeat(2000);
    assert!(Node::document(deep.as_bytes()).is_err());
}
