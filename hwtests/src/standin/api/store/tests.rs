use super::super::subscription::Event;
use super::*;

fn pod(name: &str, node: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}})
}

fn with_pod(node: &str) -> Store {
    let store = Store::new();
    store
        .create(Resource::Pods, "default", pod("p", node))
        .unwrap();
    store
}

fn set_phase(store: &Store, phase: &str) -> Arc<Value> {
    let change = |current: &Value| {
        let mut next = current.clone();
        next["status"]["phase"] = json!(phase);
        Ok(next)
    };
    store
        .update(Resource::Pods, "default", "p", Part::Status, change)
        .unwrap()
}

fn delete(store: &Store, how: &DeleteOptions) -> Result<Arc<Value>, ApiError> {
    store.delete(Resource::Pods, "default", "p", how)
}

fn words(subscription: &mut Subscription) -> Vec<&'static str> {
    std::iter::from_fn(|| subscription.take().unwrap().map(|event| event.word())).collect()
}

#[test]
fn versions_rise_and_an_update_without_change_is_none() {
    let store = with_pod("n");
    let before = store.version();
    assert_eq!(
        set_phase(&store, "Pending").pointer("/status/phase"),
        Some(&json!("Pending"))
    );
    assert_eq!(store.version(), before);
    assert_eq!(object::version(&set_phase(&store, "Running")), before + 1);
}

#[test]
fn an_object_needs_its_namespace_and_a_free_name() {
    let store = with_pod("n");
    assert_eq!(
        store
            .create(Resource::Pods, "nowhere", pod("p", "n"))
            .unwrap_err()
            .code,
        404
    );
    assert_eq!(
        store
            .create(Resource::Pods, "default", pod("p", "n"))
            .unwrap_err()
            .reason,
        "AlreadyExists"
    );
}

#[test]
fn a_bound_pod_waits_for_its_kubelet() {
    let store = with_pod("n");
    let marked = delete(&store, &DeleteOptions::default()).unwrap();
    assert_eq!(
        marked.pointer("/metadata/deletionGracePeriodSeconds"),
        Some(&json!(30))
    );
    let shorter = delete(
        &store,
        &DeleteOptions {
            grace: Some(5),
            ..DeleteOptions::default()
        },
    )
    .unwrap();
    assert_eq!(
        shorter.pointer("/metadata/deletionGracePeriodSeconds"),
        Some(&json!(5))
    );
    let longer = delete(
        &store,
        &DeleteOptions {
            grace: Some(50),
            ..DeleteOptions::default()
        },
    )
    .unwrap();
    assert_eq!(longer, shorter);
    delete(
        &store,
        &DeleteOptions {
            grace: Some(0),
            ..DeleteOptions::default()
        },
    )
    .unwrap();
    assert!(
        store
            .get(Resource::Pods, "default", "p")
            .unwrap_err()
            .is_not_found()
    );
}

#[test]
fn a_pod_without_node_or_with_its_end_behind_it_goes_at_once() {
    let unbound = with_pod("");
    delete(&unbound, &DeleteOptions::default()).unwrap();
    assert!(unbound.get(Resource::Pods, "default", "p").is_err());
    let ended = with_pod("n");
    set_phase(&ended, "Succeeded");
    delete(&ended, &DeleteOptions::default()).unwrap();
    assert!(ended.get(Resource::Pods, "default", "p").is_err());
}

#[test]
fn a_finalizer_holds_an_object() {
    let store = Store::new();
    let nad = json!({"metadata": {"name": "a", "finalizers": ["x/y"]}, "spec": {"config": "{}"}});
    store
        .create(Resource::NetworkAttachments, "default", nad)
        .unwrap();
    store
        .delete(
            Resource::NetworkAttachments,
            "default",
            "a",
            &DeleteOptions::default(),
        )
        .unwrap();
    assert!(object::is_terminating(
        &store
            .get(Resource::NetworkAttachments, "default", "a")
            .unwrap()
    ));
    let release = |current: &Value| {
        let mut next = current.clone();
        metadata(&mut next).remove("finalizers");
        Ok(next)
    };
    store
        .update(
            Resource::NetworkAttachments,
            "default",
            "a",
            Part::Main,
            release,
        )
        .unwrap();
    assert!(
        store
            .get(Resource::NetworkAttachments, "default", "a")
            .is_err()
    );
}

#[test]
fn preconditions_guard_a_deletion() {
    let store = with_pod("n");
    let other = DeleteOptions {
        uid: Some("other".into()),
        ..DeleteOptions::default()
    };
    assert_eq!(delete(&store, &other).unwrap_err().reason, "Conflict");
    let stale = DeleteOptions {
        version: Some("1".into()),
        ..DeleteOptions::default()
    };
    assert_eq!(delete(&store, &stale).unwrap_err().code, 409);
}

#[test]
fn a_subscription_sees_what_enters_and_leaves_its_selection() {
    let store = with_pod("n");
    let running = Selection::default()
        .with_fields(Resource::Pods, "status.phase=Running")
        .unwrap();
    let mut subscription = store
        .subscribe(Resource::Pods, running, Start::Existing)
        .unwrap();
    assert!(words(&mut subscription).is_empty());
    set_phase(&store, "Running");
    set_phase(&store, "Failed");
    assert_eq!(words(&mut subscription), ["ADDED", "DELETED"]);
}

#[test]
fn a_subscription_goes_on_where_a_list_ended() {
    let store = with_pod("n");
    let (_, version) = store.list(Resource::Pods, &Selection::default());
    set_phase(&store, "Running");
    delete(
        &store,
        &DeleteOptions {
            grace: Some(0),
            ..DeleteOptions::default()
        },
    )
    .unwrap();
    let mut subscription = store
        .subscribe(Resource::Pods, Selection::default(), Start::After(version))
        .unwrap();
    assert_eq!(words(&mut subscription), ["MODIFIED", "DELETED"]);
    assert_eq!(subscription.reached(), store.version());
}

#[test]
fn history_that_is_forgotten_is_gone() {
    let store = with_pod("n");
    let mut behind = store
        .subscribe(Resource::Pods, Selection::default(), Start::After(0))
        .unwrap();
    store.compact();
    assert_eq!(behind.take().unwrap_err().code, 410);
    let refused = store
        .subscribe(Resource::Pods, Selection::default(), Start::After(1))
        .unwrap_err();
    assert_eq!(refused.reason, "Expired");
}

#[tokio::test]
async fn waiting_for_an_event_ends_when_it_happens() {
    let store = with_pod("n");
    let (_, version) = store.list(Resource::Pods, &Selection::default());
    let mut subscription = store
        .subscribe(Resource::Pods, Selection::default(), Start::After(version))
        .unwrap();
    let other = store.clone();
    let waiting = tokio::spawn(async move { subscription.next().await.unwrap() });
    other
        .create(Resource::Namespaces, "", json!({"metadata": {"name": "x"}}))
        .unwrap();
    set_phase(&other, "Running");
    assert!(matches!(waiting.await.unwrap(), Event::Modified(_)));
}
