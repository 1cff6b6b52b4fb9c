//! Bad input: one clear error, and an event that says the same.

use super::node::{MACVLAN, Node};

#[tokio::test]
async fn bad_nads_and_annotations_are_refused_with_a_reason_and_told_by_an_event() {
    let node = Node::new().await;
    node.api.nad("d/no-json", "{\"type\":", None);
    node.api.nad(
        "d/no-type",
        r#"{"cniVersion":"1.0.0","master":"eth1"}"#,
        None,
    );
    node.api
        .nad("d/slash", r#"{"type":"../../tmp/evil"}"#, None);
    node.api.nad("d/null", "null", None);
    node.api.nad("d/a", MACVLAN, None);
    let daemon = node.start().await;
    for (networks, reason, words) in [
        ("missing", "NetworkNotFound", ["d/missing", "create it"]),
        ("no-json", "NetworkInvalid", ["d/no-json", "correct"]),
        ("no-type", "NetworkInvalid", ["d/no-type", "type"]),
        ("slash", "NetworkInvalid", ["d/slash", "../../tmp/evil"]),
        ("null", "NetworkInvalid", ["d/null", "correct"]),
        ("a@x@y", "AnnotationInvalid", ["d/p", "a@x@y"]),
        (
            "a@much_too_long_a_name",
            "AnnotationInvalid",
            ["d/p", "much_too_long"],
        ),
    ] {
        let text = daemon
            .plan(&node.request("p", Some(networks)))
            .await
            .refused(reason);
        for word in words {
            assert!(text.contains(word), "{word:?} is missing in: {text}");
        }
        let state = node.api.state();
        drop(state);
        node.api
            .until(&format!("event for {networks}"), |state| {
                state
                    .events
                    .iter()
                    .any(|event| event["message"] == text.as_str())
            })
            .await;
        let state = node.api.state();
        let event = state
            .events
            .iter()
            .find(|e| e["message"] == text.as_str())
            .unwrap();
        assert_eq!(event["reason"], reason);
        assert_eq!(event["type"], "Warning");
        assert_eq!(event["involvedObject"]["uid"], "uid-of-p");
        assert_eq!(event["source"]["component"], "multus");
    }
}

#[tokio::test]
async fn a_request_that_makes_no_sense_is_refused_and_the_daemon_lives_on() {
    let node = Node::new().await;
    let daemon = node.start().await;
    for body in ["", "{", "[]", "null", r#"{"version":1}"#] {
        let answer = daemon.ask("POST", "/plan", body).await;
        assert_eq!(answer.code, 400, "{body}");
        assert_eq!(answer.json()["code"], 6);
    }
    let mut request = node.request("p", Some(""));
    request["config"] = serde_json::json!({"name": "n", "type": "multus"});
    let text = daemon.plan(&request).await.refused("NetworkInvalid");
    assert!(text.contains("clusterNetwork"), "{text}");
    daemon.plan(&node.request("p", Some(""))).await.ok();
}

#[tokio::test]
async fn a_failing_pod_that_is_tried_again_makes_one_event() {
    let node = Node::new().await;
    node.api.nad("d/a", MACVLAN, None);
    let daemon = node.start().await;
    for _ in 0..3 {
        daemon
            .plan(&node.request("p", Some("missing")))
            .await
            .refused("NetworkNotFound");
    }
    daemon
        .plan(&node.request("p", Some("a@x@y")))
        .await
        .refused("AnnotationInvalid");
    node.api.until_event("AnnotationInvalid").await;
    let state = node.api.state();
    let told = state
        .events
        .iter()
        .filter(|e| e["reason"] == "NetworkNotFound")
        .count();
    assert_eq!(told, 1);
}
