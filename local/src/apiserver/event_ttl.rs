//! Deletes Event objects: an hour after they were last written, as in a cluster, and the oldest
//! beyond [`MAX_EVENTS`].

use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::ApiServerInner;
use super::lifecycle;
use super::object::{ApiObject, ObjectKey};

const EVENT_TTL: SignedDuration = SignedDuration::from_hours(1);
const MAX_EVENTS: usize = 5000;
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// Deletes old events at each [`SWEEP_INTERVAL`], until the API ends.
pub(super) async fn sweep_events(api: Weak<ApiServerInner>) {
    while let Some(api) = api.upgrade() {
        let now = Timestamp::now();
        let events: Vec<_> = {
            let state = api.store.read_state();
            state
                .list_objects(&Arc::from("events"), None, None)
                .cloned()
                .collect()
        };
        let old = find_expired_events(&events, now);
        if !old.is_empty() {
            let remove = move |txn: &mut super::store::Txn<'_>| {
                let objects: Vec<_> = old.iter().filter_map(|key| txn.get(key)).collect();
                let mut objects = objects.iter();
                objects
                    .try_for_each(|object| lifecycle::remove_with_dependents(txn, object).map(drop))
            };
            if let Err(error) = api.store.submit_write(now, false, remove).await {
                tracing::warn!(%error, "old events stay in the embedded API");
            }
        }
        drop(api);
        tokio::time::sleep(SWEEP_INTERVAL).await;
    }
}

/// Lists the events to delete.
fn find_expired_events(events: &[Arc<ApiObject>], now: Timestamp) -> Vec<ObjectKey> {
    let mut by_age: Vec<_> = events
        .iter()
        .map(|event| (last_written(&event.to_value()), &event.key))
        .collect();
    by_age.sort_unstable();
    let too_many = by_age.len().saturating_sub(MAX_EVENTS);
    let is_old = |at: Timestamp| now.duration_since(at) > EVENT_TTL;
    let old = by_age
        .iter()
        .enumerate()
        .take_while(|(index, (at, _))| *index < too_many || is_old(*at));
    old.map(|(_, (_, key))| ObjectKey::clone(key)).collect()
}

fn last_written(event: &Value) -> Timestamp {
    let times = [
        &event["metadata"]["creationTimestamp"],
        &event["eventTime"],
        &event["lastTimestamp"],
        &event["series"]["lastObservedTime"],
    ];
    let times = times
        .into_iter()
        .filter_map(|time| time.as_str()?.parse().ok());
    times.max().unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(name: usize, created: i64, last: Option<i64>) -> Arc<ApiObject> {
        let at = |second| Timestamp::from_second(second).unwrap().to_string();
        let event = json!({
            "metadata": {"uid": name.to_string(), "creationTimestamp": at(created)}, "lastTimestamp": last.map(at),
        });
        let key = ObjectKey::new(&Arc::from("events"), "default", &name.to_string());
        Arc::new(ApiObject::parse_json(key, event.to_string().into()).unwrap())
    }

    fn gone(events: &[Arc<ApiObject>], now: i64) -> Vec<String> {
        let now = Timestamp::from_second(now).unwrap();
        find_expired_events(events, now)
            .into_iter()
            .map(|key| key.name)
            .collect()
    }

    #[test]
    fn an_event_goes_an_hour_after_it_was_last_written() {
        let events = [
            event(0, 0, None),
            event(1, 0, Some(5000)),
            event(2, 3000, None),
        ];
        assert_eq!(gone(&events, 3600), [""; 0]);
        assert_eq!(gone(&events, 3601), ["0"]);
        assert_eq!(gone(&events, 6601), ["0", "2"]);
    }

    #[test]
    fn of_very_many_the_oldest_go() {
        let events: Vec<_> = (0..MAX_EVENTS + 2)
            .map(|name| event(name, name as i64, None))
            .collect();
        assert_eq!(gone(&events, 3600), ["0", "1"]);
    }
}
