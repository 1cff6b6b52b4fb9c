use super::*;

fn pod(policy: &str) -> Pod {
    let containers = json!([{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]);
    serde_json::from_value(json!({"spec": {"restartPolicy": policy, "containers": containers}}))
        .unwrap()
}

fn running() -> ContainerStatus {
    ContainerStatus {
        id: "1".into(),
        state: ContainerState::ContainerRunning.into(),
        ..ContainerStatus::default()
    }
}

fn exited(exit_code: i32) -> ContainerStatus {
    ContainerStatus {
        state: ContainerState::ContainerExited.into(),
        exit_code,
        ..running()
    }
}

fn status(pod: &Pod, of_containers: [Option<ContainerStatus>; 2]) -> Value {
    let containers = &pod.spec.as_ref().unwrap().containers;
    let main: Vec<Seen<'_>> = containers
        .iter()
        .zip(of_containers)
        .map(|(container, status)| Seen {
            container,
            status,
            waiting: None,
            health: Health::default(),
        })
        .collect();
    compose(
        &json!({"phase": "Pending", "qosClass": "BestEffort"}),
        pod,
        &Doing {
            init: Vec::new(),
            main,
        },
        &["10.0.0.2".to_owned()],
        "127.0.0.1",
    )
}

#[test]
fn the_phase_follows_containers_and_policy() {
    let phase = |policy: &str, containers| status(&pod(policy), containers)["phase"].clone();
    assert_eq!(phase("Always", [Some(running()), None]), "Pending");
    assert_eq!(
        phase("Always", [Some(running()), Some(running())]),
        "Running"
    );
    assert_eq!(
        phase("Always", [Some(exited(0)), Some(exited(1))]),
        "Running"
    );
    assert_eq!(
        phase("OnFailure", [Some(exited(0)), Some(exited(1))]),
        "Running"
    );
    assert_eq!(
        phase("OnFailure", [Some(exited(0)), Some(exited(0))]),
        "Succeeded"
    );
    assert_eq!(phase("Never", [Some(exited(0)), Some(exited(1))]), "Failed");
    assert_eq!(
        phase("Never", [Some(exited(0)), Some(running())]),
        "Running"
    );
}

#[test]
fn a_running_pod_is_ready_and_has_addresses() {
    let status = status(&pod("Always"), [Some(running()), Some(running())]);
    assert_eq!(status["podIP"], "10.0.0.2");
    assert_eq!(status["podIPs"], json!([{"ip": "10.0.0.2"}]));
    assert_eq!(
        status["containerStatuses"][0]["containerID"],
        "containerd://1"
    );
    assert_eq!(status["qosClass"], "BestEffort");
    let ready = status["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["type"] == "Ready")
        .unwrap();
    assert_eq!(ready["status"], "True");
}

#[test]
fn a_rejected_pod_has_failed_for_a_reason() {
    let rejection = Rejection {
        reason: "UnexpectedAdmissionError",
        message: "why".into(),
    };
    let status = rejected(&json!({}), &rejection);
    assert_eq!(
        (status["phase"].as_str(), status["reason"].as_str()),
        (Some("Failed"), Some("UnexpectedAdmissionError"))
    );
    assert_eq!(status["message"], "Pod was rejected: why");
}

#[test]
fn the_parsed_status_is_one_that_clients_understand() {
    let status = status(&pod("Never"), [Some(exited(137)), None]);
    let typed: k8s_openapi::api::core::v1::PodStatus = serde_json::from_value(status).unwrap();
    let containers = typed.container_statuses.unwrap();
    assert_eq!(
        containers[0]
            .state
            .as_ref()
            .unwrap()
            .terminated
            .as_ref()
            .unwrap()
            .exit_code,
        137
    );
    let waiting = containers[1]
        .state
        .as_ref()
        .unwrap()
        .waiting
        .as_ref()
        .unwrap();
    assert_eq!(waiting.reason.as_deref(), Some("ContainerCreating"));
}

#[test]
fn init_containers_come_before_the_others() {
    let mut manifest = serde_json::to_value(pod("Always")).unwrap();
    manifest["spec"]["initContainers"] = json!([{"name": "i", "image": "i"}]);
    let of_init = |policy: &str, init: ContainerStatus| {
        let mut pod: Pod = serde_json::from_value(manifest.clone()).unwrap();
        pod.spec.as_mut().unwrap().restart_policy = Some(policy.to_owned());
        let spec = pod.spec.as_ref().unwrap();
        let seen = |container, status| Seen {
            container,
            status,
            waiting: None,
            health: Health::default(),
        };
        let doing = Doing {
            init: vec![seen(&spec.init_containers.as_ref().unwrap()[0], Some(init))],
            main: spec.containers.iter().map(|one| seen(one, None)).collect(),
        };
        let status = compose(&json!({}), &pod, &doing, &[], "127.0.0.1");
        (
            status["phase"].clone(),
            status["initContainerStatuses"][0]["ready"].clone(),
            status["conditions"][1]["status"].clone(),
        )
    };
    let (no, yes) = (json!("False"), json!("True"));
    assert_eq!(
        of_init("Always", running()),
        (json!("Pending"), json!(false), no.clone())
    );
    assert_eq!(
        of_init("Always", exited(0)),
        (json!("Pending"), json!(true), yes)
    );
    assert_eq!(
        of_init("Always", exited(1)),
        (json!("Pending"), json!(false), no.clone())
    );
    assert_eq!(
        of_init("Never", exited(1)),
        (json!("Failed"), json!(false), no)
    );
}

#[test]
fn a_container_that_runs_and_does_not_serve_is_not_ready() {
    let pod = pod("Always");
    let containers = &pod.spec.as_ref().unwrap().containers;
    let of = |health: Health| {
        let main = containers.iter().map(|container| Seen {
            container,
            status: Some(running()),
            waiting: None,
            health,
        });
        let doing = Doing {
            init: Vec::new(),
            main: main.collect(),
        };
        compose(
            &json!({}),
            &pod,
            &doing,
            &["10.0.0.2".to_owned()],
            "127.0.0.1",
        )
    };
    let unready = of(Health {
        started: true,
        ready: false,
    });
    assert_eq!(unready["phase"], "Running");
    assert_eq!(unready["containerStatuses"][0]["ready"], false);
    assert_eq!(unready["containerStatuses"][0]["started"], true);
    let ready = |status: &Value| {
        let conditions = status["conditions"].as_array().unwrap();
        let found = conditions
            .iter()
            .find(|one| one["type"] == "Ready")
            .unwrap();
        found["status"].clone()
    };
    assert_eq!(ready(&unready), "False");
    assert_eq!(ready(&of(Health::default())), "True");
}
