//! Event objects about pods, for `kubectl describe` and `kubectl events`.
//!
//! A repeated event is one object with a count, as in kubelet. Events are written in the background
//! and never delay a pod. If there are more events than can be written, the rest is dropped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::mpsc;

use super::NODE_NAME;

/// The component that reports the events.
const COMPONENT: &str = "kubelet";
/// Events that wait to be written, at most.
const EVENT_QUEUE_LENGTH: usize = 1024;
/// Events that are written at the same time, at most.
const CONCURRENT_WRITES: usize = 8;
/// Events that are recognised when they are repeated, at most.
const MAX_REMEMBERED_EVENTS: usize = 4096;
/// The longest message that Kubernetes accepts.
const MESSAGE_CHARS: usize = 1024;
/// How much of a pod's name fits in the name of its event.
const NAME_CHARS: usize = 230;

/// The type of an event, as in Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventType {
    Normal,
    Warning,
}

/// Queues events for writing.
#[derive(Clone, Debug)]
pub(crate) struct EventRecorder {
    names: Arc<Mutex<EventNames>>,
    events: mpsc::Sender<Event>,
}

/// The names of events. A repeated event keeps its name. A new one gets a name that sorts after all
/// others of its pod.
#[derive(Debug, Default)]
struct EventNames {
    given: HashMap<[String; 4], String>,
    last: i64,
}

/// A recorder, and the future that writes its events. The future ends with the last clone of the
/// recorder.
pub(crate) fn make_recorder(client: Client) -> (EventRecorder, impl Future<Output = ()>) {
    let (sender, receiver) = mpsc::channel(EVENT_QUEUE_LENGTH);
    let recorder = EventRecorder {
        names: Arc::default(),
        events: sender,
    };
    (recorder, write_events(client, receiver))
}

impl EventRecorder {
    pub(crate) fn record_event(
        &self,
        about: ObjectReference,
        kind: EventType,
        reason: &str,
        message: &str,
    ) {
        let now = Timestamp::now();
        let mut event = build_event(about, kind, reason, message, now);
        let name = self
            .names
            .lock()
            .expect("no holder panics")
            .event_name(&event, now);
        event.metadata.name = Some(name);
        if self.events.try_send(event).is_err() {
            tracing::debug!(
                reason,
                message,
                "more events than can be written; one is left out"
            );
        }
    }
}

impl EventNames {
    fn event_name(&mut self, event: &Event, now: Timestamp) -> String {
        let about = &event.involved_object;
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        let said = [
            text(&about.uid),
            text(&about.field_path),
            text(&event.reason),
            text(&event.message),
        ];
        if let Some(name) = self.given.get(&said) {
            return name.clone();
        }
        // Events that are forgotten here start again with a count of one.
        if self.given.len() >= MAX_REMEMBERED_EVENTS {
            self.given.clear();
        }
        let number = i64::try_from(now.as_nanosecond()).unwrap_or_default();
        self.last = number.max(self.last + 1);
        let of: String = text(&about.name).chars().take(NAME_CHARS).collect();
        let name = format!("{of}.{:016x}", self.last);
        self.given.insert(said, name.clone());
        name
    }
}

fn build_event(
    about: ObjectReference,
    kind: EventType,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> Event {
    let kind = match kind {
        EventType::Normal => "Normal",
        EventType::Warning => "Warning",
    };
    let message: String = message.chars().take(MESSAGE_CHARS).collect();
    Event {
        metadata: ObjectMeta {
            namespace: about.namespace.clone(),
            ..ObjectMeta::default()
        },
        involved_object: about,
        type_: Some(kind.to_owned()),
        reason: Some(reason.to_owned()),
        message: Some(message),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        count: Some(1),
        source: Some(EventSource {
            component: Some(COMPONENT.to_owned()),
            host: Some(NODE_NAME.to_owned()),
        }),
        reporting_component: Some(COMPONENT.to_owned()),
        reporting_instance: Some(NODE_NAME.to_owned()),
        ..Event::default()
    }
}

async fn write_events(client: Client, receiver: mpsc::Receiver<Event>) {
    let events = futures::stream::unfold(receiver, async |mut receiver| {
        Some((receiver.recv().await?, receiver))
    });
    let write = async |event: Event| {
        let name = event.metadata.name.clone().unwrap_or_default();
        if let Err(error) = write_event(&client, event).await {
            tracing::debug!(event = name, %error, "an event is not written");
        }
    };
    futures::StreamExt::for_each_concurrent(events, CONCURRENT_WRITES, write).await;
}

async fn write_event(client: &Client, event: Event) -> kube::Result<()> {
    let namespace = event.metadata.namespace.as_deref().unwrap_or_default();
    let api = Api::<Event>::namespaced(client.clone(), namespace);
    match api.create(&PostParams::default(), &event).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        done => return done.map(drop),
    }
    let name = event.metadata.name.as_deref().unwrap_or_default();
    let before = api.get(name).await?;
    let again = json!({
        "count": before.count.unwrap_or(1) + 1, "lastTimestamp": event.last_timestamp,
    });
    api.patch(name, &PatchParams::default(), &Patch::Merge(again))
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(uid: &str) -> ObjectReference {
        ObjectReference {
            name: Some("p".repeat(253)),
            namespace: Some("ns".to_owned()),
            uid: Some(uid.to_owned()),
            ..ObjectReference::default()
        }
    }

    #[test]
    fn the_same_again_has_the_same_name_and_anything_else_a_later_one() {
        let mut names = EventNames::default();
        let mut name = |uid: &str, reason: &str, message: &str, second: i64| {
            let now = Timestamp::from_second(second).unwrap();
            names.event_name(
                &build_event(about(uid), EventType::Normal, reason, message, now),
                now,
            )
        };
        let first = name("1", "Started", "c", 2);
        assert!(first.len() <= 253, "as long as a name may be");
        let mut before = first.clone();
        for (uid, reason, message) in [
            ("1", "Created", "c"),
            ("1", "Started", "d"),
            ("2", "Started", "c"),
        ] {
            // The clock stands still, or goes back.
            let next = name(uid, reason, message, 1);
            assert!(next > before, "{uid} {reason} {message}");
            before = next;
        }
        assert_eq!(name("1", "Started", "c", 9), first);
    }
}
