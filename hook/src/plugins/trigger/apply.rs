//! Applies decisions. Every effect is tried, and each may be repeated: a delivery that is acted on
//! twice has its effects once.

use common::{
    github::{CommitStatus, IssueComment},
    prowjob::{JobKey, ProwJob, event_name, new_prowjob},
};
use futures::future::join_all;
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    PluginError, PluginOutcome,
    decision::{
        InRepoConfigReport, InRepoConfigStatus, NewProwJob, TriggerDecision, TriggerEffect,
    },
    messages,
};
use crate::{
    DispatchContext, inbox::ClaimedDelivery, prowjobs::PullRequestKey, webhook::RepositoryRef,
};

/// What effects apply to.
#[derive(Clone, Copy)]
pub(super) struct EffectTarget<'a> {
    pub(super) shared: &'a DispatchContext,
    pub(super) delivery: &'a ClaimedDelivery,
    /// Distinguishes the events of one delivery.
    pub(super) event: &'static str,
    /// The number of the pull request.
    pub(super) number: u64,
}

/// Most jobs that are started at once.
const MAX_CONCURRENT_STARTS: usize = 16;

/// Applies the effects in order, and starts jobs concurrently. An effect that fails does not keep
/// the others from being tried.
pub(super) async fn apply_decision(
    decision: TriggerDecision,
    target: EffectTarget<'_>,
) -> PluginOutcome {
    let mut handled = PluginOutcome {
        reasons: decision.reasons,
        ..PluginOutcome::default()
    };
    if target.shared.settings.dry_run {
        for effect in &decision.effects {
            let delivery = &target.delivery.guid;
            tracing::info!(delivery, "dry run, not done: {}", describe_effect(effect));
        }
        return handled;
    }
    let is_run = |effect: &TriggerEffect| matches!(effect, TriggerEffect::Run(_));
    let steps = decision.effects.chunk_by(|a, b| is_run(a) && is_run(b));
    for step in steps.flat_map(|step| step.chunks(MAX_CONCURRENT_STARTS)) {
        handled.acted = true;
        let mut tries = Vec::new();
        for effect in step {
            tries.push(target.apply_effect(effect));
        }
        for error in join_all(tries).await.into_iter().filter_map(Result::err) {
            handled.error = Some(match handled.error {
                Some(earlier) => earlier.most_retryable(error),
                None => error,
            });
        }
    }
    handled
}

/// One line for a dry run.
fn describe_effect(effect: &TriggerEffect) -> String {
    match effect {
        TriggerEffect::Abort => "abort the unfinished jobs of the pull request".into(),
        TriggerEffect::AddLabel(label) => format!("add the label {label}"),
        TriggerEffect::RemoveLabel(label) => format!("remove the label {label}"),
        TriggerEffect::Run(run) => format!("start {}", run.spec.job),
        TriggerEffect::PruneHelp => "remove earlier help comments".into(),
        TriggerEffect::Comment(text) => format!("comment {text:?}"),
        TriggerEffect::Report(report) if report.mistakes.is_some() => {
            "tell what is wrong with the in-repo configuration".into()
        }
        TriggerEffect::Report(_) => "tell that the in-repo configuration can be used".into(),
    }
}

impl EffectTarget<'_> {
    async fn apply_effect(self, effect: &TriggerEffect) -> Result<(), PluginError> {
        let RepositoryRef { org, repo } = &self.delivery.identity;
        let github = &self.shared.github;
        match effect {
            TriggerEffect::Abort => {
                let pull = PullRequestKey {
                    org,
                    repo,
                    number: self.number,
                };
                self.shared
                    .prowjobs
                    .abort_presubmits(pull, &self.delivery.guid)
                    .await?;
            }
            TriggerEffect::AddLabel(label) => {
                github.add_label(org, repo, self.number, label).await?
            }
            TriggerEffect::RemoveLabel(label) => {
                github.remove_label(org, repo, self.number, label).await?;
            }
            TriggerEffect::Run(run) => self.start_job(run).await?,
            TriggerEffect::PruneHelp => self.prune_help_comments().await?,
            TriggerEffect::Comment(text) => self.comment_once(text).await?,
            TriggerEffect::Report(report) => self.report_in_repo_config(report).await?,
        }
        Ok(())
    }

    async fn start_job(self, run: &NewProwJob) -> Result<(), PluginError> {
        let job = self.build_prowjob(run, Timestamp::now());
        self.shared.prowjobs.create_prowjob(&job).await?;
        tracing::info!(
            prowjob = job.metadata.name,
            job = job.spec.job,
            delivery = self.delivery.guid,
            org = self.delivery.identity.org,
            repo = self.delivery.identity.repo,
            pr = self.number,
            "job started"
        );
        Ok(())
    }

    fn build_prowjob(self, run: &NewProwJob, now: Timestamp) -> ProwJob {
        let RepositoryRef { org, repo } = &self.delivery.identity;
        let name = event_name(&JobKey {
            installation: self.shared.installation,
            delivery: &self.delivery.guid,
            job_type: run.spec.job_type,
            repo: &format!("{org}/{repo}"),
            refs: &run.subject,
            job: &run.spec.job,
        });
        new_prowjob(
            name,
            self.shared.prowjobs.namespace(),
            run.spec.clone(),
            &run.labels,
            &run.annotations,
            self.shared.config.borrow().prow.scheduler.first_state(),
            now,
        )
    }

    /// Comments once per event: a hidden marker names the event.
    async fn comment_once(self, text: &str) -> Result<(), PluginError> {
        let RepositoryRef { org, repo } = &self.delivery.identity;
        // The sender chose the id; a UUID made of it cannot end the HTML comment.
        let delivery = Uuid::new_v5(&Uuid::NAMESPACE_URL, self.delivery.guid.as_bytes());
        let mark = format!("<!-- prow: {} of {delivery} -->", self.event);
        if self
            .bot_comments()
            .await?
            .iter()
            .any(|own| own.body.ends_with(&mark))
        {
            return Ok(());
        }
        let body = format!("{text}\n{mark}");
        let github = &self.shared.github;
        github.create_comment(org, repo, self.number, &body).await?;
        Ok(())
    }

    async fn prune_help_comments(self) -> Result<(), PluginError> {
        let RepositoryRef { org, repo } = &self.delivery.identity;
        for comment in self.bot_comments().await? {
            if comment.body.contains(messages::HELP_MARKER) {
                let github = &self.shared.github;
                github.delete_comment(org, repo, comment.id).await?;
            }
        }
        Ok(())
    }

    /// Updates the one comment about the repository's own configuration, and the status that links
    /// to it.
    async fn report_in_repo_config(self, report: &InRepoConfigReport) -> Result<(), PluginError> {
        let comment = self.update_comment(report.mistakes.as_deref()).await?;
        match &report.verdict {
            Some(verdict) => self.update_status(verdict, comment).await,
            None => Ok(()),
        }
    }

    /// Returns the comment's id, if there is one.
    async fn update_comment(self, mistakes: Option<&str>) -> Result<Option<u64>, PluginError> {
        let RepositoryRef { org, repo } = &self.delivery.identity;
        let github = &self.shared.github;
        let there = self
            .bot_comments()
            .await?
            .into_iter()
            .find(|own| own.body.starts_with(messages::REPORT_MARKER));
        match (there, mistakes) {
            (None, None) => Ok(None),
            (None, Some(text)) => Ok(github.create_comment(org, repo, self.number, text).await?),
            (Some(there), mistakes) => {
                let text = mistakes.map_or_else(messages::in_repo_mended, str::to_owned);
                if there.body.trim() != text.trim() {
                    github.edit_comment(org, repo, there.id, &text).await?;
                }
                Ok(Some(there.id))
            }
        }
    }

    /// Sets the status unless the commit has it already: GitHub takes a thousand per context.
    async fn update_status(
        self,
        verdict: &InRepoConfigStatus,
        comment: Option<u64>,
    ) -> Result<(), PluginError> {
        let RepositoryRef { org, repo } = &self.delivery.identity;
        let github = &self.shared.github;
        let all = github.get_combined_status(org, repo, &verdict.sha).await?;
        let known = all
            .iter()
            .find(|known| known.context == verdict.status.context);
        let is_due = verdict.is_due || comment.is_some();
        let stands = known.map_or(!is_due, |known| {
            (known.state, &known.description) == (verdict.status.state, &verdict.status.description)
        });
        if stands {
            return Ok(());
        }
        let target_url = comment.map(|id| format!("{}#issuecomment-{id}", verdict.page));
        let status = CommitStatus {
            target_url: target_url.unwrap_or_default(),
            ..verdict.status.clone()
        };
        github
            .create_status(org, repo, &verdict.sha, &status)
            .await?;
        Ok(())
    }

    async fn bot_comments(self) -> Result<Vec<IssueComment>, PluginError> {
        let RepositoryRef { org, repo } = &self.delivery.identity;
        let github = &self.shared.github;
        let bot = github.bot_login().await?;
        let mut comments = github.list_comments(org, repo, self.number).await?;
        comments.retain(|comment| comment.user.login.eq_ignore_ascii_case(&bot));
        Ok(comments)
    }
}
