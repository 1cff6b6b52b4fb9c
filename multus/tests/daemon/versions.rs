//! A plugin of another release asks the real daemon, and the planner of a node without daemon.

use serde_json::{Value, json};

use super::node::{Node, report};

/// A request and a report as no release makes them yet.
fn unknown() -> Value {
    json!({"version": 2, "sandbox": {"id": "c1"}, "wishes": []})
}

#[tokio::test]
async fn i7_a_plugin_of_a_newer_release_is_told_so_whatever_else_its_documents_say() {
    let node = Node::new().await;
    let daemon = node.start().await;
    let mut known = node.request("p", Some(""));
    known["version"] = 2.into();
    let mut done = report("p");
    done["version"] = 2.into();
    for (path, document) in [
        ("/plan", &unknown()),
        ("/plan", &known),
        ("/report", &unknown()),
        ("/report", &done),
    ] {
        let answer = daemon.ask("POST", path, &document.to_string()).await;
        assert_eq!(answer.code, 503, "{}", answer.text);
        let text = answer.refused("DaemonNotReady");
        assert!(
            text.contains("plugin speaks version 2") && text.contains("daemon version 1"),
            "{text}"
        );
        assert_eq!(answer.json()["code"], 11);
    }
    // Whoever speaks its version is served meanwhile, with keys of later, too.
    let mut newer = node.request("p", Some(""));
    newer["a_key_of_later"] = json!({"x": 1});
    daemon.plan(&newer).await.ok();
}

#[tokio::test]
async fn i7_a_planner_left_by_an_older_release_says_so_to_the_plugin() {
    let node = Node::new().await;
    for verb in ["plan", "report"] {
        let output = node.one_shot(verb, &[], &unknown()).await;
        assert!(!output.status.success());
        let error: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (&error["code"], &error["details"]),
            (&json!(11), &json!("DaemonNotReady"))
        );
        let text = error["msg"].as_str().unwrap();
        assert!(text.contains("plugin speaks version 2"), "{text}");
    }
}
