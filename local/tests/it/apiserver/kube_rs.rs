//! kube's runtime on the in-process client: `Controller`, `reflector`, watches, leases, logs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{
    Api, DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams, WatchEvent,
    WatchParams,
};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use local::apiserver::LogSource;
use serde_json::json;

use super::{Cluster, PODS, pod};

#[tokio::test]
async fn a_controller_reconciles_what_was_there_and_what_comes() {
    let cluster = Cluster::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client.clone());
    let make = async |name: String| {
        let map = ConfigMap {
            metadata: kube::api::ObjectMeta {
                name: Some(name),
                ..Default::default()
            },
            ..Default::default()
        };
        maps.create(&PostParams::default(), &map).await.unwrap();
    };
    for index in 0..50 {
        make(format!("before-{index}")).await;
    }
    let done = Arc::new(AtomicUsize::new(0));
    let reconcile = async |map: Arc<ConfigMap>,
                           (api, done): &(Api<ConfigMap>, Arc<AtomicUsize>)| {
        if map.data.is_none() {
            let name = map.metadata.name.as_deref().unwrap();
            let patch = json!({"data": {"seen": "yes"}});
            api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
                .await?;
            done.fetch_add(1, Ordering::SeqCst);
        }
        Ok::<_, kube::Error>(Action::await_change())
    };
    let context = Arc::new((maps.clone(), done.clone()));
    let controller = Controller::new(maps.clone(), watcher::Config::default())
        .run(
            move |map, context| {
                let reconcile = reconcile;
                async move { reconcile(map, &context).await }
            },
            |_, _, _| Action::requeue(Duration::from_millis(50)),
            context,
        )
        .for_each(async |_| ());
    let running = tokio::spawn(controller);
    for index in 0..50 {
        make(format!("after-{index}")).await;
    }
    tokio::time::timeout(Duration::from_secs(20), async {
        while done.load(Ordering::SeqCst) < 100 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("100 objects reconciled");
    running.abort();
}

#[tokio::test]
async fn a_reflector_holds_what_the_api_holds() {
    let cluster = Cluster::start().await;
    for config in [
        watcher::Config::default(),
        watcher::Config::default().streaming_lists(),
    ] {
        cluster.create(PODS, pod("a")).await;
        let (store, writer) = reflector::store();
        let stream = reflector(writer, watcher(cluster.pods(), config)).applied_objects();
        let running = tokio::spawn(stream.for_each(async |_| ()));
        store.wait_until_ready().await.unwrap();
        assert_eq!(store.state().len(), 1);
        cluster.create(PODS, pod("b")).await;
        cluster
            .pods()
            .delete("a", &DeleteParams::default())
            .await
            .unwrap();
        tokio::time::timeout(Duration::from_secs(5), async {
            while store
                .state()
                .iter()
                .map(|pod| pod.metadata.name.clone().unwrap())
                .collect::<Vec<_>>()
                != ["b"]
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("the reflector follows");
        running.abort();
        cluster
            .pods()
            .delete("b", &DeleteParams::default())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_watch_tells_what_enters_and_leaves_its_selection() {
    let cluster = Cluster::start().await;
    let pods = cluster.pods();
    cluster.create(PODS, pod("a")).await;
    let version = pods
        .list(&ListParams::default())
        .await
        .unwrap()
        .metadata
        .resource_version
        .unwrap();
    let label = async |value: &str| {
        let patch = json!({"metadata": {"labels": {"app": value}}});
        pods.patch("a", &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
    };
    for value in ["in", "in2", "out", "in"] {
        label(value).await;
    }
    pods.delete("a", &DeleteParams::default()).await.unwrap();
    let params = WatchParams::default().labels("app in (in,in2)").timeout(2);
    let events: Vec<String> = pods
        .watch(&params, &version)
        .await
        .unwrap()
        .map_ok(|event: WatchEvent<Pod>| match event {
            WatchEvent::Added(_) => "added".to_owned(),
            WatchEvent::Modified(_) => "modified".to_owned(),
            WatchEvent::Deleted(_) => "deleted".to_owned(),
            WatchEvent::Bookmark(_) => "bookmark".to_owned(),
            WatchEvent::Error(error) => error.message,
        })
        .try_collect()
        .await
        .unwrap();
    assert_eq!(
        events,
        [
            "added", "modified", "deleted", "added", "deleted", "bookmark"
        ]
    );
}

/// Writes more than the API keeps for watchers to replay.
async fn write_a_lot(cluster: &Cluster) {
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client.clone());
    let big = "x".repeat(1 << 20);
    for index in 0..40 {
        let map = json!({"metadata": {"name": format!("m{index}")}, "data": {"big": big}});
        let map: ConfigMap = serde_json::from_value(map).unwrap();
        maps.create(&PostParams::default(), &map).await.unwrap();
    }
}

#[tokio::test]
async fn a_version_that_is_too_old_is_gone() {
    let cluster = Cluster::start().await;
    write_a_lot(&cluster).await;
    let old = cluster
        .pods()
        .watch(&WatchParams::default(), "1")
        .await
        .unwrap();
    let events: Vec<WatchEvent<Pod>> = old.try_collect().await.unwrap();
    assert!(
        matches!(events.as_slice(), [WatchEvent::Error(status)] if status.code == 410),
        "{events:?}"
    );
}

#[tokio::test]
async fn a_watcher_that_does_not_read_is_cut_off() {
    let cluster = Cluster::start().await;
    let version = cluster
        .pods()
        .list(&ListParams::default())
        .await
        .unwrap()
        .metadata
        .resource_version
        .unwrap();
    let slow = cluster
        .pods()
        .watch(&WatchParams::default(), &version)
        .await
        .unwrap();
    write_a_lot(&cluster).await;
    let events: Vec<WatchEvent<Pod>> = slow.try_collect().await.unwrap();
    assert!(
        matches!(events.as_slice(), [WatchEvent::Error(status)] if status.code == 410),
        "{events:?}"
    );
}

#[tokio::test]
async fn of_two_leaders_one_wins() {
    let cluster = Cluster::start().await;
    let leases: Api<Lease> = Api::default_namespaced(cluster.client.clone());
    let lease: Lease = serde_json::from_value(json!({
        "metadata": {"name": "plank"}, "spec": {"holderIdentity": "none", "leaseDurationSeconds": 15},
    }))
    .unwrap();
    let lease = leases.create(&PostParams::default(), &lease).await.unwrap();
    let take = async |holder: &str| {
        let mut mine = lease.clone();
        mine.spec.as_mut().unwrap().holder_identity = Some(holder.to_owned());
        leases.replace("plank", &PostParams::default(), &mine).await
    };
    let (one, other) = (take("one").await, take("other").await);
    assert!(one.is_ok());
    assert!(matches!(other, Err(kube::Error::Api(status)) if status.code == 409));
}

#[tokio::test]
async fn a_followed_log_ends_with_its_container() {
    let cluster = Cluster::start().await;
    let created = cluster.create(PODS, pod("a")).await;
    let source = LogSource::new(
        cluster.folder.path(),
        "default",
        created["metadata"]["uid"].as_str().unwrap(),
        "test",
    );
    let params = LogParams {
        follow: true,
        ..LogParams::default()
    };
    let early = cluster.pods().logs("a", &LogParams::default()).await;
    assert!(
        matches!(early, Err(kube::Error::Api(status)) if status.code == 400 && status.message.contains("waiting"))
    );

    std::fs::create_dir_all(source.path().parent().unwrap()).unwrap();
    std::fs::write(source.path(), "one\n").unwrap();
    let mut lines = cluster
        .pods()
        .log_stream("a", &params)
        .await
        .unwrap()
        .lines();
    assert_eq!(lines.try_next().await.unwrap().as_deref(), Some("one"));
    std::fs::write(source.path(), "one\ntwo\n").unwrap();
    assert_eq!(lines.try_next().await.unwrap().as_deref(), Some("two"));
    let status = json!({"status": {"phase": "Succeeded"}});
    cluster
        .pods()
        .patch_status("a", &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
    assert_eq!(lines.try_next().await.unwrap(), None);
}
