//! Leader election on `coordination.k8s.io/v1` Leases: one of several replicas works.
//!
//! ```text
//! Lease object ─► next_step ─► acquire, renew ─► LeaderFence ─► clients that send, or refuse to
//! ```
//!
//! The protocol is client-go's, so it is fair to a replica of Prow's own service: another holder's
//! lease has expired once its record has not changed for its lease duration, on this process's
//! clock. No other machine's clock is trusted. It needs only the verbs `get`, `create` and
//! `update`, which Prow's roles grant for the name of its lock.
//!
//! This is our own code because kube has no leader election, and the crates that have one (kubert,
//! kube-leader-election, kube-lease-manager) compare another machine's time with this one's and
//! have no fence.

mod fence;
mod step;
mod timing;

use std::{future::Future, time::Duration};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use uuid::Uuid;

use super::ServiceReadiness;

use fence::LeaderTerm;
pub use fence::{LeaderFence, NotLeading};
use step::{LeaseState, LeaseStep, next_step};
pub use timing::LeaderElectionOptions;

/// The lease duration that client-go writes when it releases a lease.
const RELEASED_LEASE_DURATION: Duration = Duration::from_secs(1);

/// A process that competes for leases, and its timing.
#[derive(Clone, Debug)]
pub struct LeaderCandidate {
    /// Unique among all candidates: one with the holder's identity takes the lease over at once.
    pub identity: String,
    pub timing: LeaderElectionOptions,
}

impl LeaderCandidate {
    /// A candidate whose identity no other process has: host name and a random id, as client-go's.
    pub fn new(timing: LeaderElectionOptions) -> Self {
        let host = nix::unistd::gethostname()
            .ok()
            .and_then(|name| name.into_string().ok())
            .unwrap_or_default();
        let identity = format!("{host}_{}", Uuid::new_v4());
        Self { identity, timing }
    }
}

/// Leader election for one candidate and one lease.
#[derive(Clone)]
pub struct LeaderElector {
    api: Api<Lease>,
    name: &'static str,
    candidate: LeaderCandidate,
    or_without: bool,
}

impl LeaderElector {
    pub fn new(
        client: Client,
        namespace: &str,
        name: &'static str,
        candidate: LeaderCandidate,
    ) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name,
            candidate,
            or_without: false,
        }
    }

    fn timing(&self) -> LeaderElectionOptions {
        self.candidate.timing
    }

    fn identity(&self) -> &str {
        &self.candidate.identity
    }

    /// For a service that has no lease in Prow, so that Prow's Role grants no permission for one:
    /// if the API refuses it from the start, the service works without a lease, as Prow's does.
    #[must_use]
    pub fn or_without_lease(self) -> Self {
        Self {
            or_without: true,
            ..self
        }
    }

    /// Runs `work` whenever the lease is held, until `shutdown` or until the work ends by itself.
    ///
    /// When the lease is lost, the work is dropped at once and this process competes again; the
    /// work's remaining requests are refused by its [`LeaderFence`]. On `shutdown` the work is
    /// awaited and the lease released, so that another candidate leads at once. A standby is ready,
    /// because it does all that is expected of it. While the API does not answer, it is asked again
    /// without limit.
    pub async fn run_while_leading<W, F>(
        &self,
        ready: &ServiceReadiness,
        shutdown: &CancellationToken,
        mut work: W,
    ) -> anyhow::Result<()>
    where
        W: FnMut(LeaderFence) -> F,
        F: Future<Output = anyhow::Result<()>>,
    {
        let mut may_do_without = self.or_without;
        loop {
            let acquired = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                acquired = self.acquire_lease(ready, may_do_without) => acquired,
            };
            let Some((seen, begun)) = acquired else {
                tracing::warn!(
                    lease = self.name,
                    "no right to the lease: working without, which is safe for one replica only"
                );
                return work(LeaderFence::new_open()).await;
            };
            may_do_without = false;
            tracing::info!(lease = self.name, identity = self.identity(), "leading");
            let (term, fence) = LeaderTerm::begin_term(begun, self.timing().renew_deadline());
            // A separate task, so that work that blocks its thread does not lose the lease.
            let mut renewals =
                AbortOnDropHandle::new(tokio::spawn(self.clone().renew_until_lost(seen, term)));
            tokio::select! {
                result = work(fence) => {
                    drop(renewals);
                    self.release_lease().await;
                    return result;
                }
                _ = &mut renewals => {
                    tracing::warn!(lease = self.name, "no longer leading: all work stops");
                }
            }
        }
    }

    /// Waits for the lease. Returns the observed record and when the write that acquired it began;
    /// `None` if the permission is missing and the work may do without.
    async fn acquire_lease(
        &self,
        ready: &ServiceReadiness,
        may_do_without: bool,
    ) -> Option<(ObservedLeaseRecord, Instant)> {
        let mut memory = ObservedLeaseRecord::default();
        let mut told = false;
        loop {
            let begun = Instant::now();
            match timeout(
                self.timing().request_timeout(),
                self.try_acquire_or_renew(&mut memory, None),
            )
            .await
            {
                Ok(Ok(LeaseStep::Acquire)) => return Some((memory, begun)),
                Ok(Err(kube::Error::Api(status))) if may_do_without && status.code == 403 => {
                    return None;
                }
                Ok(Ok(_)) => {
                    if !told {
                        tracing::info!(lease = self.name, "standing by: another leads");
                        told = true;
                    }
                    ready.set_ready(true);
                }
                Ok(Err(error)) => {
                    tracing::warn!(lease = self.name, "the lease cannot be had: {error}");
                }
                Err(_) => tracing::warn!(lease = self.name, "the API does not answer in time"),
            }
            sleep(self.timing().retry_period()).await;
        }
    }

    /// Ends when the lease is lost.
    async fn renew_until_lost(self, mut memory: ObservedLeaseRecord, term: LeaderTerm) {
        loop {
            let renewed = self.await_renewal(&mut memory, &term);
            match timeout_at(term.term_deadline(), renewed).await {
                Ok(Some(begun)) => term.extend_term(begun),
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// When the next successful renewal began; `None` if another candidate holds the lease.
    async fn await_renewal(
        &self,
        memory: &mut ObservedLeaseRecord,
        term: &LeaderTerm,
    ) -> Option<Instant> {
        loop {
            sleep(self.timing().retry_period()).await;
            let begun = Instant::now();
            let renewed = term.last_renewal().elapsed();
            match timeout(
                self.timing().request_timeout(),
                self.try_acquire_or_renew(memory, Some(renewed)),
            )
            .await
            {
                Ok(Ok(LeaseStep::Lost)) => return None,
                Ok(Ok(_)) => return Some(begun),
                Ok(Err(error)) => {
                    tracing::warn!(lease = self.name, "the lease is not renewed: {error}");
                }
                Err(_) => tracing::warn!(lease = self.name, "the API does not answer in time"),
            }
        }
    }

    /// Reads the lease and takes the step that is due. `renewed` is set while leading.
    async fn try_acquire_or_renew(
        &self,
        memory: &mut ObservedLeaseRecord,
        renewed: Option<Duration>,
    ) -> Result<LeaseStep, kube::Error> {
        let there = self.api.get_opt(self.name).await?;
        let spec = there.as_ref().and_then(|lease| lease.spec.as_ref());
        let unchanged = memory.observe_record(spec, Instant::now());
        let due = next_step(
            &LeaseState::from_spec(spec, unchanged, renewed, self.timing()),
            self.identity(),
        );
        if matches!(due, LeaseStep::Acquire | LeaseStep::Renew) {
            let held = held_record(spec, &self.candidate, Timestamp::now());
            let written = self.write_lease(there, held).await?;
            memory.observe_record(written.spec.as_ref(), Instant::now());
        }
        Ok(due)
    }

    /// Releases the lease if it is still held. If that fails, the next leader has to wait.
    async fn release_lease(&self) {
        let release = async {
            let there = self.api.get_opt(self.name).await?;
            let spec = there.as_ref().and_then(|lease| lease.spec.as_ref());
            if let Some(spec) = spec.filter(|spec| is_holder(spec, self.identity())) {
                let released = released_record(spec, Timestamp::now());
                self.write_lease(there, released).await?;
            }
            Ok::<_, kube::Error>(())
        };
        match timeout(self.timing().request_timeout(), release).await {
            Ok(Ok(())) => tracing::info!(lease = self.name, "the lease is given up"),
            Ok(Err(error)) => tracing::warn!(lease = self.name, "giving up the lease: {error}"),
            Err(_) => tracing::warn!(lease = self.name, "the API does not answer in time"),
        }
    }

    /// Creates the lease, or replaces it with its `resourceVersion`, so that one of two
    /// simultaneous writes is refused.
    async fn write_lease(
        &self,
        there: Option<Lease>,
        spec: LeaseSpec,
    ) -> Result<Lease, kube::Error> {
        let params = PostParams::default();
        match there {
            Some(mut lease) => {
                lease.spec = Some(spec);
                self.api.replace(self.name, &params, &lease).await
            }
            None => {
                let lease = Lease {
                    metadata: ObjectMeta {
                        name: Some(self.name.to_owned()),
                        ..ObjectMeta::default()
                    },
                    spec: Some(spec),
                };
                self.api.create(&params, &lease).await
            }
        }
    }
}

/// The record as last observed, and since when.
#[derive(Default)]
struct ObservedLeaseRecord(Option<(LeaseSpec, Instant)>);

impl ObservedLeaseRecord {
    /// How long the record has been unchanged.
    fn observe_record(&mut self, spec: Option<&LeaseSpec>, now: Instant) -> Duration {
        match (&self.0, spec) {
            (Some((last, since)), Some(spec)) if last == spec => now.duration_since(*since),
            _ => {
                self.0 = spec.map(|spec| (spec.clone(), now));
                Duration::ZERO
            }
        }
    }
}

impl<'a> LeaseState<'a> {
    fn from_spec(
        spec: Option<&'a LeaseSpec>,
        unchanged: Duration,
        renewed: Option<Duration>,
        timing: LeaderElectionOptions,
    ) -> Self {
        let promised = spec.and_then(|spec| spec.lease_duration_seconds);
        Self {
            holder: spec.map(|spec| spec.holder_identity.as_deref().unwrap_or_default()),
            duration: promised
                .and_then(|seconds| u64::try_from(seconds).ok())
                .map_or(timing.lease_duration(), Duration::from_secs),
            unchanged,
            renewed,
            deadline: timing.renew_deadline(),
        }
    }
}

fn is_holder(spec: &LeaseSpec, identity: &str) -> bool {
    spec.holder_identity.as_deref() == Some(identity)
}

/// The record of a holder: it keeps the time of the takeover, and counts a change of holders.
fn held_record(
    before: Option<&LeaseSpec>,
    candidate: &LeaderCandidate,
    now: Timestamp,
) -> LeaseSpec {
    let before = before.cloned().unwrap_or_default();
    let stays = is_holder(&before, &candidate.identity);
    let transitions = before.lease_transitions.unwrap_or_default();
    LeaseSpec {
        holder_identity: Some(candidate.identity.clone()),
        lease_duration_seconds: Some(whole_seconds(candidate.timing.lease_duration())),
        acquire_time: before
            .acquire_time
            .clone()
            .filter(|_| stays)
            .or(Some(MicroTime(now))),
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(if stays || before == LeaseSpec::default() {
            transitions
        } else {
            transitions.saturating_add(1)
        }),
        ..before
    }
}

/// The record that client-go writes when it releases a lease.
fn released_record(before: &LeaseSpec, now: Timestamp) -> LeaseSpec {
    LeaseSpec {
        holder_identity: Some(String::new()),
        lease_duration_seconds: Some(whole_seconds(RELEASED_LEASE_DURATION)),
        acquire_time: Some(MicroTime(now)),
        renew_time: Some(MicroTime(now)),
        ..before.clone()
    }
}

fn whole_seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn candidate(identity: &str) -> LeaderCandidate {
        LeaderCandidate {
            identity: identity.into(),
            timing: LeaderElectionOptions::default(),
        }
    }

    #[test]
    fn the_record_counts_holders_and_keeps_when_each_began() {
        let first = held_record(None, &candidate("a"), at(1));
        let renewed = held_record(Some(&first), &candidate("a"), at(3));
        let given_up = released_record(&renewed, at(5));
        let other = held_record(Some(&given_up), &candidate("b"), at(6));
        let record = |spec: &LeaseSpec| {
            (
                spec.holder_identity.clone().unwrap(),
                spec.lease_duration_seconds.unwrap(),
                spec.acquire_time.as_ref().unwrap().0.as_second(),
                spec.renew_time.as_ref().unwrap().0.as_second(),
                spec.lease_transitions.unwrap(),
            )
        };
        assert_eq!(record(&first), ("a".into(), 15, 1, 1, 0));
        assert_eq!(record(&renewed), ("a".into(), 15, 1, 3, 0));
        assert_eq!(record(&given_up), (String::new(), 1, 5, 5, 0));
        assert_eq!(record(&other), ("b".into(), 15, 6, 6, 1));
    }

    #[test]
    fn only_a_change_of_the_record_starts_the_wait_anew() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let record = held_record(None, &candidate("a"), at(1));
        let mut memory = ObservedLeaseRecord::default();
        assert_eq!(memory.observe_record(Some(&record), start), Duration::ZERO);
        assert_eq!(memory.observe_record(Some(&record), after(4)).as_secs(), 4);
        // The clock of the machine that wrote the record does not matter.
        let renewed = held_record(Some(&record), &candidate("a"), at(-9_000));
        assert_eq!(
            memory.observe_record(Some(&renewed), after(6)),
            Duration::ZERO
        );
        assert_eq!(memory.observe_record(Some(&renewed), after(9)).as_secs(), 3);
        assert_eq!(memory.observe_record(None, after(10)), Duration::ZERO);
        assert_eq!(
            memory.observe_record(Some(&renewed), after(12)),
            Duration::ZERO
        );
    }

    #[test]
    fn no_two_processes_have_one_identity() {
        let identity = || LeaderCandidate::new(LeaderElectionOptions::default()).identity;
        assert_ne!(identity(), identity());
    }
}
