//! How soon another candidate leads when a leader is gone.

use std::time::Duration;

use anyhow::ensure;

use crate::duration::GoDuration;

/// The durations of a lease. The defaults are controller-runtime's, which Prow does not change. The
/// flags have the names of Kubernetes' own components.
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(skip)]
pub struct LeaderElectionOptions {
    /// How long a standby waits for a leader that does not renew. Whole seconds. Not Prow's.
    #[arg(
        long = "leader-elect-lease-duration",
        value_name = "DURATION",
        default_value = "15s"
    )]
    pub lease_duration: GoDuration,
    /// A leader that has not renewed for this long sends nothing more. Not Prow's.
    #[arg(
        long = "leader-elect-renew-deadline",
        value_name = "DURATION",
        default_value = "10s"
    )]
    pub renew_deadline: GoDuration,
    /// Between two checks of the lease, and between two renewals. Not Prow's.
    #[arg(
        long = "leader-elect-retry-period",
        value_name = "DURATION",
        default_value = "2s"
    )]
    pub retry_period: GoDuration,
}

impl Default for LeaderElectionOptions {
    fn default() -> Self {
        Self {
            lease_duration: GoDuration::from_secs(15),
            renew_deadline: GoDuration::from_secs(10),
            retry_period: GoDuration::from_secs(2),
        }
    }
}

impl LeaderElectionOptions {
    /// Refuses values with which two candidates could lead at once, or none for long.
    pub fn validate_flags(&self) -> anyhow::Result<()> {
        let (lease, deadline) = (self.lease_duration(), self.renew_deadline());
        ensure!(
            lease > deadline && lease.as_secs() >= 1 && lease.subsec_nanos() == 0,
            "--leader-elect-lease-duration={}: must be whole seconds, and more than \
             --leader-elect-renew-deadline={}",
            self.lease_duration,
            self.renew_deadline
        );
        ensure!(
            !self.retry_period().is_zero() && deadline > self.retry_period().mul_f64(JITTER_FACTOR),
            "--leader-elect-renew-deadline={}: must be more than {JITTER_FACTOR} times \
             --leader-elect-retry-period={}, which must be more than 0",
            self.renew_deadline,
            self.retry_period
        );
        Ok(())
    }

    pub(super) fn lease_duration(&self) -> Duration {
        self.lease_duration.to_std()
    }

    pub(super) fn renew_deadline(&self) -> Duration {
        self.renew_deadline.to_std()
    }

    pub(super) fn retry_period(&self) -> Duration {
        self.retry_period.to_std()
    }

    /// The time limit of one check or renewal, so that a stalled one leaves time for another.
    pub(super) fn request_timeout(&self) -> Duration {
        self.renew_deadline().saturating_sub(self.retry_period()) / 2
    }
}

/// client-go's limit on the part of the deadline that a retry may take.
const JITTER_FACTOR: f64 = 1.2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::flags;

    fn read(line: &str) -> LeaderElectionOptions {
        flags::parse_flags("plank", line.split_whitespace().map(Into::into)).unwrap()
    }

    #[test]
    fn the_defaults_are_controller_runtimes() {
        let timing = read("");
        let seconds = [
            timing.lease_duration(),
            timing.renew_deadline(),
            timing.retry_period(),
        ];
        assert_eq!(seconds.map(|it| it.as_secs()), [15, 10, 2]);
        timing.validate_flags().unwrap();
        let read = read("--leader-elect-lease-duration=60s -leader-elect-renew-deadline 40s");
        assert_eq!(read.lease_duration().as_secs(), 60);
        read.validate_flags().unwrap();
    }

    #[test]
    fn times_by_which_two_could_lead_are_refused() {
        for (line, word) in [
            ("--leader-elect-lease-duration=10s", "lease-duration=10s"),
            ("--leader-elect-lease-duration=15500ms", "whole seconds"),
            ("--leader-elect-retry-period=9s", "renew-deadline=10s"),
            ("--leader-elect-retry-period=0s", "more than 0"),
        ] {
            let error = read(line).validate_flags().unwrap_err().to_string();
            assert!(error.contains(word), "{line}: {error}");
        }
    }
}
