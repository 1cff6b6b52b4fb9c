//! Following changes.

use futures::{StreamExt, TryStreamExt};
use kube::api::{WatchEvent, WatchParams};
use kube::core::PartialObjectMeta;
use kube::runtime::{WatchStreamExt, reflector, watcher};

use super::*;

#[tokio::test]
async fn a_watch_goes_on_where_the_list_ended() {
    let (_server, client) = cluster().await;
    let pods: Api<Pod> = Api::default_namespaced(client);
    create(&pods, "before", "n").await;
    let version = pods
        .list(&ListParams::default())
        .await
        .unwrap()
        .metadata
        .resource_version
        .unwrap();
    let params = WatchParams::default().fields("spec.nodeName=n");
    let mut events = pods.watch(&params, &version).await.unwrap().boxed();
    create(&pods, "elsewhere", "m").await;
    create(&pods, "a", "n").await;
    pods.patch("a", &PatchParams::default(), &annotate(&json!({"k": "v"})))
        .await
        .unwrap();
    pods.delete("a", &DeleteParams::default().grace_period(0))
        .await
        .unwrap();
    let added = next(&mut events).await.unwrap();
    assert!(
        matches!(&added, WatchEvent::Added(pod) if pod.name_any() == "a"),
        "{added:?}"
    );
    let modified = next(&mut events).await.unwrap();
    assert!(
        matches!(&modified, WatchEvent::Modified(pod) if pod.annotations()["k"] == "v"),
        "{modified:?}"
    );
    assert!(matches!(
        next(&mut events).await.unwrap(),
        WatchEvent::Deleted(_)
    ));
}

#[tokio::test]
async fn a_watch_ends_when_its_time_is_over_with_a_bookmark() {
    let (_server, client) = cluster().await;
    let pods: Api<Pod> = Api::default_namespaced(client);
    create(&pods, "a", "n").await;
    let params = WatchParams::default().timeout(1);
    let events: Vec<WatchEvent<Pod>> = pods
        .watch(&params, "0")
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert!(
        matches!(
            events.as_slice(),
            [WatchEvent::Added(_), WatchEvent::Bookmark(_)]
        ),
        "{events:?}"
    );
}

#[tokio::test]
async fn a_watch_from_forgotten_history_is_told_to_list_again() {
    let (server, client) = cluster().await;
    let pods: Api<Pod> = Api::default_namespaced(client);
    create(&pods, "a", "n").await;
    let mut watcher = watcher(pods.clone(), watcher::Config::default())
        .applied_objects()
        .boxed();
    assert_eq!(next(&mut watcher).await.unwrap().name_any(), "a");
    server.store().compact();
    let events = pods.watch(&WatchParams::default(), "1").await;
    assert_eq!(refusal(events.map(|_| ())), (410, "Expired".into()));
    create(&pods, "b", "n").await;
    assert_eq!(next(&mut watcher).await.unwrap().name_any(), "b");
}

#[tokio::test]
async fn a_reflector_holds_what_the_server_holds() {
    for config in [
        watcher::Config::default(),
        watcher::Config::default().streaming_lists(),
    ] {
        let (_server, client) = cluster().await;
        let pods: Api<Pod> = Api::default_namespaced(client);
        create(&pods, "a", "n").await;
        let (reader, writer) = reflector::store();
        let mut stream = reflector(writer, watcher(pods.clone(), config))
            .default_backoff()
            .boxed();
        while !matches!(next(&mut stream).await.unwrap(), watcher::Event::InitDone) {}
        assert_eq!(reader.state().len(), 1);
        create(&pods, "b", "n").await;
        assert!(matches!(
            next(&mut stream).await.unwrap(),
            watcher::Event::Apply(_)
        ));
        pods.delete("a", &DeleteParams::default().grace_period(0))
            .await
            .unwrap();
        assert!(matches!(
            next(&mut stream).await.unwrap(),
            watcher::Event::Delete(_)
        ));
        assert_eq!(reader.state()[0].name_any(), "b");
    }
}

#[tokio::test]
async fn metadata_alone_can_be_watched() {
    let (_server, client) = cluster().await;
    create(&Api::default_namespaced(client.clone()), "a", "n").await;
    let pods: Api<PartialObjectMeta<Pod>> = Api::default_namespaced(client);
    let mut stream = watcher(pods, watcher::Config::default().fields("spec.nodeName=n"))
        .applied_objects()
        .boxed();
    let meta = next(&mut stream).await.unwrap();
    assert_eq!(meta.annotations()["k8s.v1.cni.cncf.io/networks"], "net");
}

#[tokio::test]
async fn a_watcher_survives_a_restart_of_the_server() {
    let (server, client) = cluster().await;
    let pods: Api<Pod> = Api::default_namespaced(client);
    create(&pods, "a", "n").await;
    let mut stream = watcher(pods.clone(), watcher::Config::default())
        .default_backoff()
        .applied_objects()
        .boxed();
    assert_eq!(next(&mut stream).await.unwrap().name_any(), "a");
    let (address, store) = (server.address(), server.store().clone());
    server.stop();
    drop(server);
    let again = loop {
        match ApiServer::serve(address, store.clone()).await {
            Ok(server) => break server,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    create(&pods, "b", "n").await;
    loop {
        if next(&mut stream)
            .await
            .is_ok_and(|pod| pod.name_any() == "b")
        {
            break;
        }
    }
    drop(again);
}
