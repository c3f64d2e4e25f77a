//! Asks GitHub again for deliveries that it could not deliver: GitHub does not retry by itself.
//!
//! It asks after the start, for what came while hook was down, and whenever hook had to refuse what
//! may have been good: the disk was full, or too much came at once. Only an App can ask.
//!
//! GitHub's list of deliveries → `choose_missed` (pure) → redelivery → the webhook, like any other.

mod choose;

use std::{sync::Arc, time::Duration};

use common::github::{self, HookDelivery};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{HookSettings, inbox::Inbox};
use choose::choose_missed;

/// GitHub redelivers nothing older.
const REDELIVERY_WINDOW: SignedDuration = SignedDuration::from_hours(3 * 24);

/// How far a check goes back beyond the last one, for attempts that were under way.
const RECHECK_OVERLAP: SignedDuration = SignedDuration::from_mins(15);

/// Pages of a hundred deliveries that one check reads.
const MAX_PAGES: usize = 50;

/// Redeliveries that one check asks for, oldest first. The next check asks for the others.
const MAX_REDELIVERIES: usize = 500;

/// The wait before a check whether redeliveries arrived; doubled each time that some did not.
const FIRST_WAIT: Duration = Duration::from_secs(60);
const LONGEST_WAIT: Duration = Duration::from_secs(30 * 60);

pub(crate) struct MissedDeliveries {
    pub(crate) github: github::GithubClient,
    pub(crate) inbox: Inbox,
    pub(crate) settings: HookSettings,
    /// Notified when a delivery was refused that may have been good (5xx, 408).
    pub(crate) refused: Arc<Notify>,
}

impl MissedDeliveries {
    /// Checks after the start, and again after refusals, until `shutdown`.
    pub(crate) async fn run_redelivery(self, shutdown: CancellationToken) {
        if self.github.is_app() {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.redeliver_repeatedly() => {}
            }
        } else {
            tracing::info!(
                "what GitHub cannot deliver is lost: only a GitHub App can ask for it again \
                 (--github-app-id)"
            );
        }
    }

    async fn redeliver_repeatedly(&self) {
        let mut since = Timestamp::now() - REDELIVERY_WINDOW;
        let mut wait = self.settings.ask_after;
        loop {
            tokio::time::sleep(wait).await;
            let (mut begin, mut pause) = (Timestamp::now(), FIRST_WAIT);
            while !self.try_redeliver_since(since).await {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_WAIT);
                begin = Timestamp::now();
            }
            since = begin - RECHECK_OVERLAP;
            self.refused.notified().await;
            wait = self.settings.ask_again_after;
        }
    }

    /// Asks again for what failed since then. Returns whether nothing is left to ask for.
    async fn try_redeliver_since(&self, since: Timestamp) -> bool {
        // GitHub keeps nothing older.
        let since = since.max(Timestamp::now() - REDELIVERY_WINDOW);
        match self.redeliver_since(since).await {
            Ok(0) => true,
            Ok(_) if self.settings.dry_run => true,
            Ok(_) => false,
            Err(error) => {
                tracing::warn!("what GitHub could not deliver cannot be asked for yet: {error:#}");
                false
            }
        }
    }

    /// Returns how many are being redelivered, or still have to be asked for.
    async fn redeliver_since(&self, since: Timestamp) -> anyhow::Result<usize> {
        let listed = self.list_deliveries_since(since).await?;
        let mut missed = Vec::new();
        for delivery in choose_missed(&listed) {
            if !self.inbox.knows_delivery(&delivery.guid).await? {
                missed.push(delivery);
            }
        }
        let (now, later) = missed.split_at(missed.len().min(MAX_REDELIVERIES));
        let mut open = later.len();
        for delivery in now {
            open += usize::from(self.request_redelivery(delivery).await?);
        }
        Ok(open)
    }

    /// GitHub's attempts to deliver, newest first, back to `since`.
    async fn list_deliveries_since(
        &self,
        since: Timestamp,
    ) -> github::GithubResult<Vec<HookDelivery>> {
        let mut all: Vec<HookDelivery> = Vec::new();
        let mut cursor = None;
        for _ in 0..MAX_PAGES {
            let page = self.github.list_hook_deliveries(cursor.as_deref()).await?;
            let reached = page
                .deliveries
                .iter()
                .any(|delivery| delivery.delivered_at < since);
            all.extend(page.deliveries);
            cursor = page.next;
            if reached || cursor.is_none() {
                all.retain(|delivery| delivery.delivered_at >= since);
                return Ok(all);
            }
        }
        let oldest = all.last().map(|delivery| delivery.delivered_at.to_string());
        tracing::warn!(
            "GitHub was asked for what it could not deliver since {} only, its list is too long: \
             older ones can be redelivered on the App's page",
            oldest.unwrap_or_default()
        );
        Ok(all)
    }

    /// Returns whether the delivery may arrive now.
    async fn request_redelivery(&self, delivery: &HookDelivery) -> github::GithubResult<bool> {
        let (guid, event) = (&delivery.guid, &delivery.event);
        let (code, status) = (delivery.status_code, &delivery.status);
        if self.settings.dry_run {
            tracing::info!(
                delivery = guid,
                event,
                code,
                "would ask for a missed delivery: {status}"
            );
            return Ok(true);
        }
        match self.github.redeliver_webhook(delivery.id).await {
            Ok(()) => {
                tracing::info!(
                    delivery = guid,
                    event,
                    code,
                    "asked for a missed delivery: {status}"
                );
                Ok(true)
            }
            // GitHub no longer has it, or may not send it again.
            Err(error @ (github::GithubError::NotFound(_) | github::GithubError::Invalid(_))) => {
                tracing::warn!(
                    delivery = guid,
                    event,
                    code,
                    "a missed delivery is lost: {error}"
                );
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}
