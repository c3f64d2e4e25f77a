//! Finds in a pod's events the Secrets and `ConfigMap`s that its volumes lack: the kubelet reports
//! them nowhere else.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::{Api, api::ListParams};

use super::BuildCluster;

/// Events of one pod that are read.
const MAX_EVENTS: u32 = 100;

/// A Secret or a `ConfigMap` that a pod's volumes need and that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MissingReference {
    pub(crate) message: String,
    /// When the kubelet first missed it.
    pub(crate) since: Option<Timestamp>,
}

impl BuildCluster {
    /// The missing reference of this pod, if there is one; none where events may not be read.
    pub(crate) async fn find_missing_reference(&self, pod_uid: &str) -> Option<MissingReference> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let of_pod = ListParams::default()
            .fields(&format!("involvedObject.uid={pod_uid}"))
            .limit(MAX_EVENTS);
        match api.list(&of_pod).await {
            Ok(events) => parse_missing_reference(&events.items),
            Err(error) => {
                tracing::warn!(
                    pod_uid,
                    "the events of a pod that does not start are not read: {error}"
                );
                None
            }
        }
    }
}

/// The kubelet repeats the event with every try, and goes on to the images once nothing is missing.
fn parse_missing_reference(events: &[Event]) -> Option<MissingReference> {
    let missing = events.iter().filter(|event| {
        let message = event.message.as_deref();
        message.is_some_and(tells_missing_reference)
    });
    let latest = missing.max_by_key(|event| last_seen(event))?;
    let goes_on = |event: &Event| {
        let reason = event.reason.as_deref();
        matches!(reason, Some("Pulling" | "Pulled" | "Created" | "Started"))
    };
    if events
        .iter()
        .any(|event| goes_on(event) && last_seen(event) > last_seen(latest))
    {
        return None;
    }
    Some(MissingReference {
        message: latest.message.clone().unwrap_or_default(),
        since: first_seen(latest),
    })
}

fn first_seen(event: &Event) -> Option<Timestamp> {
    let first = event.first_timestamp.as_ref().map(|time| time.0);
    first.or(event.event_time.as_ref().map(|time| time.0))
}

fn last_seen(event: &Event) -> Option<Timestamp> {
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    let series = event
        .series
        .as_ref()
        .and_then(|it| it.last_observed_time.as_ref());
    last.or(series.map(|time| time.0))
        .or_else(|| first_seen(event))
}

/// `MountVolume.SetUp failed for volume "v" : secret "s" not found`, and of keys:
/// `references non-existent secret key: k`.
fn tells_missing_reference(message: &str) -> bool {
    let names = |kind: &str| message.contains(&format!("{kind} \""));
    let object = (names("secret") || names("configmap")) && message.contains("not found");
    object || message.contains("references non-existent")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(reason: &str, message: &str, first: &str, last: &str) -> Value {
        json!({
            "metadata": {}, "involvedObject": {}, "reason": reason, "message": message,
            "firstTimestamp": first, "lastTimestamp": last,
        })
    }

    #[test]
    fn what_was_missing_once_is_not_when_the_kubelet_has_gone_on() {
        let missing = r#"MountVolume.SetUp failed for volume "v" : secret "s" not found"#;
        let early = ["2026-08-01T00:00:00Z", "2026-08-01T00:00:16Z"];
        let mount = event("FailedMount", missing, early[0], early[1]);
        let scheduled = event("Scheduled", "", early[0], early[0]);
        let pulling = |at| event("Pulling", "Pulling image", at, at);
        for (name, events, expected) in [
            ("still", json!([scheduled, mount]), Some(early[0])),
            (
                "no longer",
                json!([mount, pulling("2026-08-01T00:00:20Z")]),
                None,
            ),
            (
                "again",
                json!([pulling("2026-08-01T00:00:01Z"), mount]),
                Some(early[0]),
            ),
            ("never", json!([scheduled]), None),
        ] {
            let events: Vec<Event> = serde_json::from_value(events).unwrap();
            let found = parse_missing_reference(&events).map(|it| (it.message, it.since));
            let expected = expected.map(|at| (missing.to_owned(), Some(at.parse().unwrap())));
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn only_missing_references_count() {
        for (message, missing) in [
            (
                r#"MountVolume.SetUp failed for volume "v" : secret "s" not found"#,
                true,
            ),
            (
                r#"MountVolume.SetUp failed for volume "v" : configmap "c" not found"#,
                true,
            ),
            (
                r#"MountVolume.SetUp failed for volume "v" : references non-existent secret key: k"#,
                true,
            ),
            (
                r#"MountVolume.SetUp failed for volume "v" : timed out waiting for the condition"#,
                false,
            ),
            (r#"Failed to pull image "secret": not found"#, false),
            ("Successfully assigned test-pods/pj to node", false),
        ] {
            assert_eq!(tells_missing_reference(message), missing, "{message}");
        }
    }
}
