//! Writes one log line per delivery: `kubectl logs` shows what came and what became of it.
//!
//! Anybody may send what is refused, so the lines about refusals are limited, for each status
//! separately: bad signatures of strangers do not hide that the disk is full.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;

use super::{RepositoryClaim, RepositoryRef, WebhookRefusal, header_text};
use crate::{event::PayloadHeader, inbox::AcceptOutcome};

/// Lines of one status that may come at once.
const BURST: u32 = 10;

/// After that, one more line per interval.
const REFILL_INTERVAL: Duration = Duration::from_secs(6);

/// The longest name in a line, in characters. A stranger chooses the names of what is refused.
const MAX_NAME: usize = 100;

/// What is known about a delivery by the time it is answered.
#[derive(Debug, Default)]
pub(super) struct DeliveryLogFields {
    event: String,
    guid: String,
    /// In a refusal: as the payload claims.
    identity: RepositoryRef,
    /// The number of the issue or pull request, once the payload is verified.
    pub(super) number: Option<u64>,
    body: Bytes,
}

impl DeliveryLogFields {
    pub(super) fn record_headers(&mut self, headers: &HeaderMap) {
        let text = |name| header_text(headers, name).unwrap_or_default().to_owned();
        self.event = text("x-github-event");
        self.guid = text("x-github-delivery");
    }

    pub(super) fn record_claim(&mut self, claim: &RepositoryClaim, body: &Bytes) {
        if let RepositoryClaim::Payload(identity) | RepositoryClaim::Broken(identity) = claim {
            self.identity = identity.clone();
        }
        self.body = body.clone();
    }
}

/// Writes the lines.
#[derive(Debug, Default)]
pub(crate) struct DeliveryLog {
    refusals: Mutex<HashMap<StatusCode, LogRateLimiter>>,
}

impl DeliveryLog {
    pub(super) fn log_accepted(&self, known: &DeliveryLogFields, accepted: AcceptOutcome) {
        let message = match accepted {
            AcceptOutcome::New => "delivery taken",
            AcceptOutcome::Known => "delivery came again: already taken care of",
            AcceptOutcome::Revived => "delivery came again: it had failed and is queued again",
        };
        tracing::info!(
            delivery = log_field(&known.guid),
            event = log_field(&known.event),
            org = log_field(&known.identity.org),
            repo = log_field(&known.identity.repo),
            pr = known.number,
            "{message}"
        );
    }

    /// `cause` is for the operator alone.
    pub(super) fn log_refused(
        &self,
        known: &DeliveryLogFields,
        refusal: WebhookRefusal,
        cause: Option<&anyhow::Error>,
    ) {
        let WebhookRefusal(status, text) = refusal;
        let Some(left_out) = self.admit_line(status, Instant::now()) else {
            return;
        };
        tracing::warn!(
            delivery = log_field(&known.guid),
            event = log_field(&known.event),
            org = log_field(&known.identity.org),
            repo = log_field(&known.identity.repo),
            pr = known
                .number
                .or_else(|| PayloadHeader::parse_payload(&known.body).issue_number()),
            code = status.as_u16(),
            error = cause.map(|error| format!("{error:#}")),
            lines_left_out = (left_out > 0).then_some(left_out),
            "delivery refused: {text}"
        );
    }

    fn admit_line(&self, status: StatusCode, now: Instant) -> Option<u64> {
        let mut taps = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        taps.entry(status)
            .or_insert_with(|| LogRateLimiter::new(now))
            .admit_line(now)
    }
}

/// `None` for what is not known.
fn log_field(name: &str) -> Option<&str> {
    let end = name.char_indices().nth(MAX_NAME);
    let short = end.map_or(name, |(end, _)| &name[..end]);
    (!short.is_empty()).then_some(short)
}

/// Allows a burst of lines, then one per interval.
#[derive(Debug)]
struct LogRateLimiter {
    left: u32,
    /// The time up to which lines were refilled.
    filled: Instant,
    left_out: u64,
}

impl LogRateLimiter {
    fn new(now: Instant) -> Self {
        Self {
            left: BURST,
            filled: now,
            left_out: 0,
        }
    }

    /// `None` when there may be no line, else how many were left out since the one before.
    fn admit_line(&mut self, now: Instant) -> Option<u64> {
        let passed = now.saturating_duration_since(self.filled);
        let more =
            u32::try_from(passed.as_millis() / REFILL_INTERVAL.as_millis()).unwrap_or(u32::MAX);
        if more >= BURST - self.left {
            (self.left, self.filled) = (BURST, now);
        } else {
            self.left += more;
            self.filled += REFILL_INTERVAL * more;
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Some(std::mem::take(&mut self.left_out))
            }
            None => {
                self.left_out += 1;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_leaves_a_few_lines_and_says_how_many_it_lacks() {
        let start = Instant::now();
        let mut tap = LogRateLimiter::new(start);
        let flood = |tap: &mut LogRateLimiter, second| {
            let now = start + Duration::from_secs(second);
            (0..1000)
                .filter_map(|_| tap.admit_line(now))
                .collect::<Vec<_>>()
        };
        assert_eq!(flood(&mut tap, 0), [0; 10]);
        assert_eq!(flood(&mut tap, 5), [0; 0]);
        assert_eq!(flood(&mut tap, 6), [1990]);
        assert_eq!(flood(&mut tap, 19), [999, 0]);
        // The second that was left over counts.
        assert_eq!(flood(&mut tap, 24), [998]);
        assert_eq!(flood(&mut tap, 10_000).len(), 10);
    }

    #[test]
    fn each_status_has_lines_of_its_own() {
        let (log, now) = (DeliveryLog::default(), Instant::now());
        while log.admit_line(StatusCode::FORBIDDEN, now).is_some() {}
        assert_eq!(
            log.admit_line(StatusCode::INTERNAL_SERVER_ERROR, now),
            Some(0)
        );
    }

    #[test]
    fn names_are_cut_between_characters() {
        assert_eq!(log_field("acme"), Some("acme"));
        assert_eq!(log_field(&"ä".repeat(1000)), Some("ä".repeat(100).as_str()));
        assert_eq!(log_field(""), None);
    }
}
