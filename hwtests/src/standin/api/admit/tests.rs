use super::*;

fn pod() -> Value {
    json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
}

fn created(object: Value) -> Result<Value, ApiError> {
    create(Resource::Pods, "default", object, "abcdef-1")
}

#[test]
fn a_new_pod_is_pending_and_complete() {
    let pod = created(pod()).unwrap();
    assert_eq!(text(&pod, "/status/phase"), "Pending");
    assert_eq!(text(&pod, "/metadata/namespace"), "default");
    assert_eq!(pod["spec"]["terminationGracePeriodSeconds"], 30);
    assert_eq!(text(&pod, "/kind"), "Pod");
}

#[test]
fn a_name_is_made_from_its_prefix() {
    let mut event = json!({"metadata": {"generateName": "x-"}});
    event = create(Resource::Events, "default", event, "abcdef-1").unwrap();
    assert_eq!(object::name(&event), "x-abcde");
}

#[test]
fn pods_that_a_server_refuses_are_refused() {
    let mut nameless = pod();
    nameless["metadata"] = json!({});
    assert_eq!(created(nameless).unwrap_err().code, 422);
    let mut upper = pod();
    upper["metadata"]["name"] = json!("P");
    assert_eq!(created(upper).unwrap_err().code, 422);
    let mut elsewhere = pod();
    elsewhere["metadata"]["namespace"] = json!("other");
    assert_eq!(created(elsewhere).unwrap_err().code, 400);
    let mut empty = pod();
    empty["spec"]["containers"] = json!([]);
    assert_eq!(created(empty).unwrap_err().code, 422);
    let mut numbers = pod();
    numbers["metadata"]["annotations"] = json!({"a": 1});
    assert_eq!(created(numbers).unwrap_err().code, 400);
}

#[test]
fn an_extended_resource_needs_its_limit() {
    let mut only_request = pod();
    only_request["spec"]["containers"][0]["resources"] =
        json!({"requests": {"intel.com/sriov_net": "1"}});
    assert_eq!(created(only_request).unwrap_err().code, 422);
    let mut only_limit = pod();
    only_limit["spec"]["containers"][0]["resources"] =
        json!({"limits": {"intel.com/sriov_net": "1"}});
    let stored = created(only_limit).unwrap();
    assert_eq!(
        stored["spec"]["containers"][0]["resources"]["requests"]["intel.com/sriov_net"],
        "1"
    );
    let mut unequal = pod();
    unequal["spec"]["containers"][0]["resources"] =
        json!({"limits": {"a.b/c": "2"}, "requests": {"a.b/c": "1"}});
    assert_eq!(created(unequal).unwrap_err().code, 422);
}

#[test]
fn a_status_update_keeps_the_specification_and_takes_annotations() {
    let current = created(pod()).unwrap();
    let mut wanted = current.clone();
    wanted["spec"]["hostNetwork"] = json!(true);
    wanted["status"]["phase"] = json!("Running");
    wanted["metadata"]["annotations"] = json!({"k": "v"});
    let next = update(Resource::Pods, Part::Status, &current, &wanted).unwrap();
    assert_eq!(next["spec"], current["spec"]);
    assert_eq!(text(&next, "/status/phase"), "Running");
    assert_eq!(text(&next, "/metadata/annotations/k"), "v");
}

#[test]
fn a_main_update_keeps_the_status_and_refuses_another_specification() {
    let current = created(pod()).unwrap();
    let mut wanted = current.clone();
    wanted["status"]["phase"] = json!("Running");
    wanted["metadata"]["labels"] = json!({"k": "v"});
    let next = update(Resource::Pods, Part::Main, &current, &wanted).unwrap();
    assert_eq!(text(&next, "/status/phase"), "Pending");
    assert_eq!(text(&next, "/metadata/labels/k"), "v");
    wanted["spec"]["hostNetwork"] = json!(true);
    assert_eq!(
        update(Resource::Pods, Part::Main, &current, &wanted)
            .unwrap_err()
            .code,
        422
    );
}

#[test]
fn a_network_attachment_holds_its_configuration_as_text() {
    let nad = |config: Value| json!({"metadata": {"name": "n"}, "spec": {"config": config}});
    let stored = |config| create(Resource::NetworkAttachments, "default", nad(config), "u");
    assert!(stored(json!("not even JSON")).is_ok());
    assert_eq!(stored(json!({"type": "macvlan"})).unwrap_err().code, 422);
}
