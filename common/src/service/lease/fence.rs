//! Keeps a leader that missed its deadline from sending anything more.
//!
//! Some seconds (five by default) pass between a leader's deadline and the moment at which another
//! candidate may lead. In this time, requests that are already sent arrive.

use std::time::Duration;

use http::{Method, Request, Response};
use jiff::{SignedDuration, Timestamp};
use kube::{Client, client::Body};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tower::BoxError;

/// Whether this process may still act as leader. A fence is for one term of leadership: work that
/// is left from a term that ended stays refused, even if the same process leads again.
#[derive(Clone, Debug)]
pub struct LeaderFence(Option<watch::Receiver<LeaseRenewal>>);

/// Nothing was sent: this process does not lead, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not leading: nothing is sent")]
pub struct NotLeading;

/// When the last renewal began. The wall clock is recorded, too, because the monotonic clock stops
/// while a virtual machine is suspended.
#[derive(Clone, Copy, Debug)]
struct LeaseRenewal {
    at: Instant,
    wall: Timestamp,
    /// The time from the renewal to the end of the term.
    deadline: Duration,
}

impl LeaseRenewal {
    fn is_in_force(self, now: Instant, wall: Timestamp) -> bool {
        let deadline = SignedDuration::try_from(self.deadline).unwrap_or(SignedDuration::MAX);
        now.duration_since(self.at) < self.deadline && wall.duration_since(self.wall) < deadline
    }
}

/// One term of leadership; it ends when this is dropped.
pub(super) struct LeaderTerm(watch::Sender<LeaseRenewal>);

impl LeaderTerm {
    /// A term that a write acquired which began at `begun`. The term ends `deadline` after its last
    /// renewal.
    pub(super) fn begin_term(begun: Instant, deadline: Duration) -> (Self, LeaderFence) {
        let (sender, receiver) = watch::channel(new_renewal(begun, deadline));
        (Self(sender), LeaderFence(Some(receiver)))
    }

    pub(super) fn extend_term(&self, begun: Instant) {
        let deadline = self.0.borrow().deadline;
        self.0.send_replace(new_renewal(begun, deadline));
    }

    pub(super) fn last_renewal(&self) -> Instant {
        self.0.borrow().at
    }

    pub(super) fn term_deadline(&self) -> Instant {
        let renewed = *self.0.borrow();
        renewed.at + renewed.deadline
    }
}

fn new_renewal(begun: Instant, deadline: Duration) -> LeaseRenewal {
    let ago = SignedDuration::try_from(begun.elapsed()).unwrap_or(SignedDuration::MAX);
    LeaseRenewal {
        at: begun,
        wall: Timestamp::now()
            .checked_sub(ago)
            .unwrap_or(Timestamp::UNIX_EPOCH),
        deadline,
    }
}

impl LeaderFence {
    /// A fence that refuses nothing, for a process without competitors.
    pub fn new_open() -> Self {
        Self(None)
    }

    pub fn is_leading(&self) -> bool {
        let Some(term) = &self.0 else {
            return true;
        };
        let renewed = *term.borrow();
        term.has_changed().is_ok() && renewed.is_in_force(Instant::now(), Timestamp::now())
    }

    /// Call this before each effect that does not go through [`LeaderFence::fenced_client`].
    pub fn check_leading(&self) -> Result<(), NotLeading> {
        self.is_leading().then_some(()).ok_or(NotLeading)
    }

    /// Ends when the term does.
    async fn await_term_end(mut self) {
        let Some(term) = &mut self.0 else {
            return std::future::pending().await;
        };
        loop {
            let renewed = *term.borrow_and_update();
            if !renewed.is_in_force(Instant::now(), Timestamp::now()) {
                return;
            }
            tokio::select! {
                () = sleep_until(renewed.at + renewed.deadline) => {}
                changed = term.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// A client that refuses all but reads once the term has ended. A request that is running then
    /// is dropped, so that it is not repeated.
    #[must_use]
    pub fn fenced_client(&self, client: &Client) -> Client {
        if self.0.is_none() {
            return client.clone();
        }
        let namespace = client.default_namespace().to_owned();
        let (fence, client) = (self.clone(), client.clone());
        let service = tower::service_fn(move |request: Request<Body>| {
            let (fence, client) = (fence.clone(), client.clone());
            async move { fence.send_fenced(&client, request).await }
        });
        Client::new(service, namespace)
    }

    async fn send_fenced(
        self,
        client: &Client,
        request: Request<Body>,
    ) -> Result<Response<Body>, BoxError> {
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            return Ok(client.send(request).await?);
        }
        self.check_leading()?;
        tokio::select! {
            biased;
            () = self.await_term_end() => Err(NotLeading.into()),
            response = client.send(request) => Ok(response?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(7);

    fn ago(seconds: u64) -> Instant {
        Instant::now() - Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn a_term_holds_until_its_deadline_and_longer_with_each_renewal() {
        let (term, fence) = LeaderTerm::begin_term(ago(6), DEADLINE);
        assert_eq!(fence.check_leading(), Ok(()));
        term.extend_term(ago(1));
        assert!(fence.is_leading() && term.last_renewal().elapsed() < Duration::from_secs(2));
        term.extend_term(ago(7));
        assert_eq!(fence.check_leading(), Err(NotLeading));
        fence.await_term_end().await;
    }

    #[tokio::test]
    async fn a_term_that_ended_stays_ended() {
        let (term, fence) = LeaderTerm::begin_term(Instant::now(), DEADLINE);
        drop(term);
        assert!(!fence.is_leading());
        let (_next, fresh) = LeaderTerm::begin_term(Instant::now(), DEADLINE);
        assert!(fresh.is_leading() && !fence.is_leading());
        fence.await_term_end().await;
    }

    #[test]
    fn a_suspended_machine_has_missed_its_deadline() {
        let (at, wall) = (Instant::now(), Timestamp::now());
        let deadline = DEADLINE;
        let renewed = LeaseRenewal { at, wall, deadline };
        let later = |seconds| wall + SignedDuration::from_secs(seconds);
        assert!(renewed.is_in_force(at, later(6)));
        assert!(!renewed.is_in_force(at, later(7)));
        assert!(
            renewed.is_in_force(at, later(-60)),
            "a clock set back says nothing"
        );
    }

    #[test]
    fn an_open_fence_refuses_nothing() {
        assert!(LeaderFence::new_open().is_leading());
    }
}
