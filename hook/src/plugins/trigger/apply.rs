//! Does what was decided. Every effect is tried, each may be repeated: a delivery that is acted
//! on twice has its effects once.

use common::{
    github::{IssueComment, Status},
    prowjob::{Identity as JobIdentity, ProwJob, event_name, new_prowjob},
};
use futures::future::join_all;
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Error, Handled,
    decision::{Decision, Effect, Report, Run, Verdict},
    texts,
};
use crate::{Shared, inbox::Delivery, prowjobs::PullOf, webhook::Identity};

/// What effects are about.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) shared: &'a Shared,
    pub(super) delivery: &'a Delivery,
    /// Tells the events of one delivery apart.
    pub(super) event: &'static str,
    /// Of the pull request.
    pub(super) number: u64,
}

/// Jobs started at once.
const STARTS: usize = 16;

/// Applies the effects in their order, jobs side by side. One that fails does not keep the
/// others from being tried.
pub(super) async fn apply(decision: Decision, target: Target<'_>) -> Handled {
    let mut handled = Handled {
        reasons: decision.reasons,
        ..Handled::default()
    };
    if target.shared.settings.dry_run {
        for effect in &decision.effects {
            let delivery = &target.delivery.guid;
            tracing::info!(delivery, "dry run, not done: {}", describe(effect));
        }
        return handled;
    }
    let is_run = |effect: &Effect| matches!(effect, Effect::Run(_));
    let steps = decision.effects.chunk_by(|a, b| is_run(a) && is_run(b));
    for step in steps.flat_map(|step| step.chunks(STARTS)) {
        handled.acted = true;
        let mut tries = Vec::new();
        for effect in step {
            tries.push(target.apply(effect));
        }
        for error in join_all(tries).await.into_iter().filter_map(Result::err) {
            handled.error = Some(match handled.error {
                Some(earlier) => earlier.or(error),
                None => error,
            });
        }
    }
    handled
}

/// One line for a dry run.
fn describe(effect: &Effect) -> String {
    match effect {
        Effect::Abort => "abort the unfinished jobs of the pull request".into(),
        Effect::AddLabel(label) => format!("add the label {label}"),
        Effect::RemoveLabel(label) => format!("remove the label {label}"),
        Effect::Run(run) => format!("start {}", run.spec.job),
        Effect::PruneHelp => "remove earlier help comments".into(),
        Effect::Comment(text) => format!("comment {text:?}"),
        Effect::Report(report) if report.mistakes.is_some() => {
            "tell what is wrong with the in-repo configuration".into()
        }
        Effect::Report(_) => "tell that the in-repo configuration can be used".into(),
    }
}

impl Target<'_> {
    async fn apply(self, effect: &Effect) -> Result<(), Error> {
        let Identity { org, repo } = &self.delivery.identity;
        let github = &self.shared.github;
        match effect {
            Effect::Abort => {
                let pull = PullOf {
                    org,
                    repo,
                    number: self.number,
                };
                self.shared
                    .prowjobs
                    .abort(pull, &self.delivery.guid)
                    .await?;
            }
            Effect::AddLabel(label) => github.add_label(org, repo, self.number, label).await?,
            Effect::RemoveLabel(label) => {
                github.remove_label(org, repo, self.number, label).await?;
            }
            Effect::Run(run) => self.start(run).await?,
            Effect::PruneHelp => self.prune_help().await?,
            Effect::Comment(text) => self.comment(text).await?,
            Effect::Report(report) => self.report(report).await?,
        }
        Ok(())
    }

    async fn start(self, run: &Run) -> Result<(), Error> {
        let job = self.prowjob(run, Timestamp::now());
        self.shared.prowjobs.create(&job).await?;
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

    fn prowjob(self, run: &Run, now: Timestamp) -> ProwJob {
        let Identity { org, repo } = &self.delivery.identity;
        let name = event_name(&JobIdentity {
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

    /// Comments once an event: a hidden mark says which one this is for.
    async fn comment(self, text: &str) -> Result<(), Error> {
        let Identity { org, repo } = &self.delivery.identity;
        // The id is the sender's text; a UUID made of it cannot end the HTML comment.
        let delivery = Uuid::new_v5(&Uuid::NAMESPACE_URL, self.delivery.guid.as_bytes());
        let mark = format!("<!-- prow: {} of {delivery} -->", self.event);
        if self
            .own_comments()
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

    async fn prune_help(self) -> Result<(), Error> {
        let Identity { org, repo } = &self.delivery.identity;
        for comment in self.own_comments().await? {
            if comment.body.contains(texts::HELP_MARKER) {
                let github = &self.shared.github;
                github.delete_comment(org, repo, comment.id).await?;
            }
        }
        Ok(())
    }

    /// Keeps the one comment about the repository's own configuration up to date, and the status
    /// that leads to it.
    async fn report(self, report: &Report) -> Result<(), Error> {
        let comment = self.keep_comment(report.mistakes.as_deref()).await?;
        match &report.verdict {
            Some(verdict) => self.keep_status(verdict, comment).await,
            None => Ok(()),
        }
    }

    /// The comment's id, if there is one.
    async fn keep_comment(self, mistakes: Option<&str>) -> Result<Option<u64>, Error> {
        let Identity { org, repo } = &self.delivery.identity;
        let github = &self.shared.github;
        let there = self
            .own_comments()
            .await?
            .into_iter()
            .find(|own| own.body.starts_with(texts::REPORT_MARKER));
        match (there, mistakes) {
            (None, None) => Ok(None),
            (None, Some(text)) => Ok(github.create_comment(org, repo, self.number, text).await?),
            (Some(there), mistakes) => {
                let text = mistakes.map_or_else(texts::in_repo_mended, str::to_owned);
                if there.body.trim() != text.trim() {
                    github.edit_comment(org, repo, there.id, &text).await?;
                }
                Ok(Some(there.id))
            }
        }
    }

    /// Sets the status unless the commit has it already: GitHub takes a thousand a context.
    async fn keep_status(self, verdict: &Verdict, comment: Option<u64>) -> Result<(), Error> {
        let Identity { org, repo } = &self.delivery.identity;
        let github = &self.shared.github;
        let all = github.combined_status(org, repo, &verdict.sha).await?;
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
        let status = Status {
            target_url: target_url.unwrap_or_default(),
            ..verdict.status.clone()
        };
        github
            .create_status(org, repo, &verdict.sha, &status)
            .await?;
        Ok(())
    }

    async fn own_comments(self) -> Result<Vec<IssueComment>, Error> {
        let Identity { org, repo } = &self.delivery.identity;
        let github = &self.shared.github;
        let bot = github.bot_login().await?;
        let mut comments = github.comments(org, repo, self.number).await?;
        comments.retain(|comment| comment.user.login.eq_ignore_ascii_case(&bot));
        Ok(comments)
    }
}
