//! Leader election on `coordination.k8s.io/v1` Leases: of several replicas one works.
//!
//! ```text
//! Lease object ─► step::step ─► acquire, renew ─► Fence ─► clients that send, or refuse to
//! ```
//!
//! The protocol is client-go's, so a replica of Prow's own service competes fairly: another's
//! lease has expired once its record was not seen to change for as long as it promises, on this
//! process's clock. No other machine's clock is trusted. Reading and writing need the verbs
//! `get`, `create` and `update` only, which is what Prow's roles grant on its lock's name.
//!
//! Own code because kube has no leader election and the crates that have one (kubert,
//! kube-leader-election, kube-lease-manager) compare another machine's time with this one's, and
//! none has a fence.

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

/// What client-go writes when it gives a lease up.
const RELEASED_LEASE_DURATION: Duration = Duration::from_secs(1);

/// Who competes for leases, and at what pace.
#[derive(Clone, Debug)]
pub struct LeaderCandidate {
    /// Unique among all candidates: one of the same identity takes a lease over at once.
    pub identity: String,
    pub timing: LeaderElectionOptions,
}

impl LeaderCandidate {
    /// Of an identity that no other process has: the host's name and a random id, as client-go's.
    pub fn new(timing: LeaderElectionOptions) -> Self {
        let host = nix::unistd::gethostname()
            .ok()
            .and_then(|name| name.into_string().ok())
            .unwrap_or_default();
        let identity = format!("{host}_{}", Uuid::new_v4());
        Self { identity, timing }
    }
}

/// One candidate's view of one lease.
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

    /// For a service that has no lease in Prow, so that Prow's Role grants no right to one: where
    /// the API refuses that from the start, the service works without, as Prow's does.
    #[must_use]
    pub fn or_without_lease(self) -> Self {
        Self {
            or_without: true,
            ..self
        }
    }

    /// Does `work` whenever the lease is held, until `shutdown` or until the work ends by itself.
    ///
    /// When the lease is lost, the work is dropped where it stands and this process competes
    /// again; what the work still has under way elsewhere is refused by its [`LeaderFence`]. On
    /// `shutdown` the work is waited for and the lease given up, so that another leads at once.
    /// A standby is ready: it does all that is wanted of it. Where the API does not answer, it
    /// is asked again for as long as it takes.
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
            // A task of its own: work that keeps its thread busy does not lose the lease.
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

    /// Waits for the lease. Returns what was seen of it and when the write that got it began;
    /// none when there is no right to it and the work may do without.
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

    /// When the next renewal that succeeded was begun; none when the lease is another's.
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

    /// Looks at the lease and takes the step that is due. `renewed` is set while leading.
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

    /// Gives the lease up, when it is still held. A failure costs the next leader a wait.
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

    /// Creates the lease, or replaces what was read of it: the resourceVersion is sent back, so
    /// of two that write at once one is refused.
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

/// The record as last seen, and since when.
#[derive(Default)]
struct ObservedLeaseRecord(Option<(LeaseSpec, Instant)>);

impl ObservedLeaseRecord {
    /// How long the record has been as it is.
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

/// The record of a holder: when it took over is kept, a change of holders is counted.
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

/// The record that client-go leaves behind when it gives a lease up.
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
        // The clock of the machine that wrote it is of no interest.
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
