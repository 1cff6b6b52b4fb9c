//! The committed manifests on the stand-ins: what is applied a second time changes nothing, another image goes round.
#![expect(clippy::disallowed_methods, reason = "boundary: writes a kubeconfig")]

use hwtests::guest::cluster::Client as AdminClient;
use hwtests::scenario::deploy::install::Installation;
use hwtests::standin::api::{Resource, Selection, object};
use hwtests::standin::controllers::Controllers;

use super::*;

/// Waits for a condition; only a hang exceeds the time.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited 10 s until {what}");
}

#[tokio::test]
async fn manifests_applied_again_restart_nothing_and_another_image_goes_round() {
    let (server, _client) = cluster().await;
    let store = server.store().clone();
    let node =
        json!({"metadata": {"name": "n", "labels": {"kubernetes.io/os": "linux"}}, "spec": {}});
    store.create(Resource::Nodes, "", node).unwrap();
    let service = server.secure(([127, 0, 0, 1], 0).into()).await.unwrap();
    let _controllers = Controllers::start(store.clone(), &service);
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, server.kubeconfig()).unwrap();
    let client = AdminClient::from_kubeconfig(&kubeconfig).await.unwrap();

    let pools = json!({"resourceList": []});
    let mut manifests = Installation::new("localhost/ferrovia:1", &pools).unwrap();
    manifests.apply(&client).await.unwrap();
    let pods = || store.list(Resource::Pods, &Selection::default()).0;
    until("each set has its pod", || pods().len() == 2).await;
    let sets = || store.list(Resource::DaemonSets, &Selection::default()).0;
    let templates = || -> Vec<String> {
        let all = sets();
        all.iter()
            .map(|set| set["spec"]["template"].to_string())
            .collect()
    };
    let before = templates();
    manifests.apply(&client).await.unwrap();
    assert_eq!(templates(), before);
    assert!(sets().iter().all(|set| set["metadata"]["generation"] == 1));
    assert!(pods().iter().all(|pod| !object::is_terminating(pod)));

    manifests.set_image("localhost/ferrovia:2").unwrap();
    manifests.apply(&client).await.unwrap();
    let of_image = |image: &str| {
        let all = pods();
        let of = all
            .iter()
            .filter(|pod| pod["spec"]["containers"][0]["image"] == image);
        of.count()
    };
    // No kubelet is here: the old pods never became ready, so both go, and the device plugin's successor waits for that.
    until("one is new", || of_image("localhost/ferrovia:2") == 1).await;
    until("the old ones are to go", || {
        let all = pods();
        let going = all.iter().filter(|pod| object::is_terminating(pod));
        going.count() == 2
    })
    .await;
    assert_eq!(pods().len(), 3);
}
