//! Lists and watches.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, WatchEvent, WatchParams},
    runtime::watcher::{self, watcher},
};
use serde_json::json;

use super::{Cluster, refused};

impl Cluster {
    /// Five maps with a label and one without.
    async fn six_maps(&self) {
        for (name, colour) in [
            ("a", "red"),
            ("b", "red"),
            ("c", "blue"),
            ("d", "blue"),
            ("e", "green"),
        ] {
            let labels = json!({"colour": colour, "test": "yes"});
            self.map(json!({"name": name, "labels": labels})).await;
        }
        self.map(json!({"name": "f", "labels": {"test": "yes"}}))
            .await;
    }

    /// The current version of the namespace's maps.
    async fn version(&self) -> String {
        let list = self.maps().list(&ListParams::default()).await.unwrap();
        list.metadata.resource_version.unwrap()
    }

    async fn label(&self, name: &str, colour: &str) {
        let patch = Patch::Merge(json!({"metadata": {"labels": {"colour": colour}}}));
        self.maps()
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn selectors_choose() {
    let cluster = Cluster::start().await;
    cluster.six_maps().await;
    for (selector, expected) in [
        ("colour=red", "ab"),
        ("colour==red", "ab"),
        ("colour!=red,test=yes", "cdef"),
        ("colour in (red, green)", "abe"),
        ("colour notin (red),test", "cdef"),
        ("colour", "abcde"),
        ("!colour,test=yes", "f"),
        ("colour=violet", ""),
    ] {
        let params = ListParams::default().labels(selector);
        let list = cluster.maps().list(&params).await.unwrap();
        let names: Vec<_> = list.iter().map(ResourceExt::name_any).collect();
        assert_eq!(names.concat(), expected, "{selector}");
    }
    let one = ListParams::default().fields("metadata.name=c");
    assert_eq!(cluster.maps().list(&one).await.unwrap().items.len(), 1);
    let wrong = ListParams::default().labels("colour=(");
    assert_eq!(
        refused(cluster.maps().list(&wrong).await).unwrap_err().code,
        400
    );
    let wrong = ListParams::default().fields("data.colour=red");
    assert_eq!(
        refused(cluster.maps().list(&wrong).await).unwrap_err().code,
        400
    );
}

#[tokio::test]
async fn a_list_comes_in_pages() {
    let cluster = Cluster::start().await;
    cluster.six_maps().await;
    let of = ListParams::default().fields("metadata.name!=kube-root-ca.crt");
    let mut params = of.limit(4);
    let first = cluster.maps().list(&params).await.unwrap();
    assert_eq!(first.items.len(), 4);
    let next = first.metadata.continue_.clone().unwrap();
    params = params.continue_token(&next);
    let second = cluster.maps().list(&params).await.unwrap();
    assert_eq!(second.metadata.continue_.as_deref().unwrap_or_default(), "");
    let names = first.iter().chain(second.iter());
    let names: Vec<_> = names.map(ResourceExt::name_any).collect();
    assert_eq!(names.concat(), "abcdef");
    assert_eq!(
        second.metadata.resource_version, first.metadata.resource_version,
        "one list, of one time"
    );

    let wrong = ListParams::default().limit(4).continue_token("???");
    assert_eq!(
        refused(cluster.maps().list(&wrong).await).unwrap_err().code,
        400
    );
}

#[tokio::test]
async fn a_watch_tells_what_enters_and_leaves_its_selection_and_where_it_is() {
    let cluster = Cluster::start().await;
    cluster.map(json!({"name": "m"})).await;
    let version = cluster.version().await;
    for colour in ["red", "green", "blue", "red"] {
        cluster.label("m", colour).await;
    }
    cluster
        .maps()
        .delete("m", &DeleteParams::default())
        .await
        .unwrap();
    let params = WatchParams::default()
        .labels("colour in (red,green)")
        .timeout(4);
    let events = cluster.maps().watch(&params, &version).await.unwrap();
    // Two seconds before the end the API sends a bookmark, if there were changes that it did not
    // send.
    cluster.map(json!({"name": "other"})).await;
    let events: Vec<String> = events
        .map_ok(|event: WatchEvent<ConfigMap>| match event {
            WatchEvent::Added(map) => format!("added {}", map.labels()["colour"]),
            WatchEvent::Modified(map) => format!("modified {}", map.labels()["colour"]),
            WatchEvent::Deleted(map) => format!("deleted {}", map.labels()["colour"]),
            WatchEvent::Bookmark(_) => "bookmark".into(),
            WatchEvent::Error(error) => error.message,
        })
        .try_collect()
        .await
        .unwrap();
    let (bookmarks, changes): (Vec<_>, Vec<_>) =
        events.iter().partition(|event| *event == "bookmark");
    assert_eq!(
        changes,
        [
            "added red",
            "modified green",
            // The last state in the selection.
            "deleted green",
            "added red",
            "deleted red"
        ]
    );
    assert!(!bookmarks.is_empty());
}

#[tokio::test]
async fn a_watcher_gets_what_is_there_and_what_comes_however_it_lists() {
    let cluster = Cluster::start().await;
    cluster.six_maps().await;
    for (config, late) in [
        (watcher::Config::default(), "late-1"),
        (watcher::Config::default().streaming_lists(), "late-2"),
    ] {
        let config = config.labels("test=yes");
        let events = watcher(cluster.maps(), config);
        futures::pin_mut!(events);
        let mut names = Vec::new();
        let patience = Duration::from_secs(20);
        tokio::time::timeout(patience, async {
            loop {
                match events.next().await.unwrap().unwrap() {
                    watcher::Event::InitApply(map) => names.push(map.name_any()),
                    watcher::Event::InitDone => break,
                    _ => {}
                }
            }
        })
        .await
        .expect("the list ends");
        names.sort();
        assert!(names.concat().starts_with("abcdef"), "{names:?}");
        cluster
            .map(json!({"name": late, "labels": {"test": "yes"}}))
            .await;
        let event = tokio::time::timeout(patience, events.next())
            .await
            .expect("a change is told");
        assert!(
            matches!(event, Some(Ok(watcher::Event::Apply(map))) if map.name_any() == late),
            "{late}"
        );
    }
}
