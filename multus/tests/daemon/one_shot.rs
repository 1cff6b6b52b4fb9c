//! `multus-daemon plan` and `multus-daemon report`: the same planner without a daemon.

use std::process::Output;

use serde_json::{Value, json};

use super::node::{MACVLAN, Node, report};

fn document(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let log = String::from_utf8_lossy(&output.stderr);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}\n{log}"))
}

fn kubeconfig(node: &Node) -> Value {
    json!(node.path("kubeconfig"))
}

#[tokio::test]
async fn a_plan_is_made_with_the_kubeconfig_of_the_plugins_configuration() {
    let node = Node::new().await;
    node.api.nad("d/a", MACVLAN, None);
    node.api
        .pod("p", &json!({"k8s.v1.cni.cncf.io/networks": "a"}));
    let mut request = node.request("p", None);
    request["config"]["kubeconfig"] = kubeconfig(&node);
    let output = node.one_shot("plan", &[], &request).await;
    assert!(output.status.success(), "{output:?}");
    let plan = document(&output);
    assert_eq!(plan["attachments"][1]["name"], "d/a");
    assert_eq!(plan["attachments"][1]["ifname"], "net1");
}

#[tokio::test]
async fn row_30_a_refusal_is_a_cni_error_on_stdout_and_its_event_is_sent_before_the_end() {
    let node = Node::new().await;
    let mut request = node.request("p", Some("missing"));
    request["config"]["kubeconfig"] = kubeconfig(&node);
    let output = node.one_shot("plan", &[], &request).await;
    assert_eq!(output.status.code(), Some(1));
    let error = document(&output);
    assert_eq!(
        (&error["code"], &error["details"]),
        (&json!(7), &json!("NetworkNotFound"))
    );
    let state = node.api.state();
    assert_eq!(state.events.len(), 1);
    assert_eq!(state.events[0]["reason"], "NetworkNotFound");
}

#[tokio::test]
async fn a_report_is_written_before_the_end() {
    let node = Node::new().await;
    node.api.pod("p", &json!({}));
    let kubeconfig = node.path("kubeconfig").display().to_string();
    let output = node
        .one_shot("report", &["--kubeconfig", &kubeconfig], &report("p"))
        .await;
    assert!(output.status.success(), "{output:?}");
    let status: Value = serde_json::from_str(&node.api.status("p").unwrap()).unwrap();
    assert_eq!(status.as_array().unwrap().len(), 2);
    assert_eq!(node.api.state().events.len(), 2);
}

#[tokio::test]
async fn a_report_names_the_kubeconfig_of_the_plugins_configuration() {
    let node = Node::new().await;
    node.api.pod("p", &json!({}));
    let mut report = report("p");
    report["kubeconfig"] = kubeconfig(&node);
    let output = node.one_shot("report", &[], &report).await;
    assert!(output.status.success(), "{output:?}");
    assert!(node.api.status("p").is_some());
}

#[tokio::test]
async fn a_report_finds_the_kubeconfig_of_the_installed_configuration() {
    let node = Node::new().await;
    node.api.pod("p", &json!({}));
    let conf = node.conf(&json!({"kubeconfig": kubeconfig(&node)}));
    node.write("net.d/00-multus.conf", &conf.to_string());
    let output = node.one_shot("report", &[], &report("p")).await;
    assert!(output.status.success(), "{output:?}");
    assert!(node.api.status("p").is_some());
}

#[tokio::test]
async fn a_report_that_the_api_server_does_not_take_fails() {
    let node = Node::new().await;
    node.api.pod("p", &json!({}));
    node.api.set_down(true);
    let kubeconfig = node.path("kubeconfig").display().to_string();
    let output = node
        .one_shot("report", &["--kubeconfig", &kubeconfig], &report("p"))
        .await;
    assert_eq!(output.status.code(), Some(1));
    let error = document(&output);
    assert_eq!(
        (&error["code"], &error["details"]),
        (&json!(11), &json!("DaemonNotReady"))
    );
}

#[tokio::test]
async fn without_an_api_server_annotations_of_the_runtime_and_files_suffice() {
    let node = Node::new().await;
    node.write(
        "conf.d/a.conf",
        r#"{"cniVersion":"1.0.0","name":"extra","type":"macvlan"}"#,
    );
    let mut request = node.request("p", Some(""));
    request["config"]["defaultNetworks"] = json!(["extra"]);
    let output = node.one_shot("plan", &[], &request).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(document(&output)["attachments"][1]["name"], "extra");
    let unknown = node.one_shot("plan", &[], &node.request("p", None)).await;
    assert_eq!(document(&unknown)["details"], "DaemonNotReady");
}

#[tokio::test]
async fn bad_input_is_an_error_and_no_crash() {
    let node = Node::new().await;
    for verb in ["plan", "report"] {
        for input in [json!(null), json!({}), json!([])] {
            let output = node.one_shot(verb, &[], &input).await;
            assert_eq!(output.status.code(), Some(1), "{verb} {input}");
            assert_eq!(document(&output)["code"], 6);
        }
    }
}
