//! Applies the changes of [`comment::plan_comments`] to the comments of a pull request.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use common::{
    config::Config,
    github::{GithubError, IssueComment},
    kube::DeserializeGuard,
    prowjob::{ProwJob, ProwJobState, labels},
    template::GoTemplate,
};
use kube::{Api, ResourceExt, api::ListParams};

use super::GithubJobReporter;
use crate::crier::{
    comment::{self, CommentChange},
    digest::markdown::DigestBlock,
    pull_queue::PullKey,
    quote,
    reporter::ReportError,
    state_change::JobStateChange,
};

/// `ProwJob`s of a pull request in one page of the API's answer.
const PAGE_SIZE: u32 = 500;

impl GithubJobReporter {
    /// Reports all these jobs together. What GitHub refuses for good is given up.
    pub(super) async fn update_comments(
        &self,
        pull: &PullKey,
        mut all: Vec<Arc<JobStateChange>>,
    ) -> Result<(), ReportError> {
        all.sort_by_key(|news| news.job.creation_timestamp());
        let Some(last) = all.last() else {
            return Ok(());
        };
        match self
            .workers
            .run_limited(self.try_update_comments(pull, &all))
            .await
        {
            Err(ReportError::GitHub(
                error @ (GithubError::NotFound(_)
                | GithubError::Forbidden(_)
                | GithubError::Invalid(_)),
            )) => {
                tracing::warn!(
                    prowjob = last.job.name_any(),
                    job = last.job.spec.job,
                    org = pull.org,
                    repo = pull.repo,
                    pr = pull.number,
                    "giving up on a comment: {error}"
                );
                Ok(())
            }
            done => done,
        }
    }

    async fn try_update_comments(
        &self,
        pull: &PullKey,
        all: &[Arc<JobStateChange>],
    ) -> Result<(), ReportError> {
        let Some(first) = all.first() else {
            return Ok(());
        };
        let config = Arc::clone(&self.ctx.config.borrow());
        let sums_up = config
            .prow
            .github_reporter
            .uses_summary_comment(&pull.org, &pull.repo);
        let of_pull = if sums_up {
            match newest_finished_runs(self.runs_of_pull(&first.job).await?) {
                Some(jobs) => jobs,
                // The last one of them makes the summary.
                None => return Ok(()),
            }
        } else {
            Vec::new()
        };
        let jobs: Vec<&ProwJob> = if sums_up {
            of_pull.iter().collect()
        } else {
            all.iter().map(|news| &*news.job).collect()
        };
        if jobs.is_empty() {
            return Ok(());
        }
        let template = config.prow.plank.report_template_for(&first.job.spec);
        let note = render_note(template, first).await?;
        let (github, org, repo) = (&self.ctx.github, pull.org.as_str(), pull.repo.as_str());
        let bot = github.bot_login().await?;
        let comments = github
            .list_comments_of(org, repo, pull.number, &bot)
            .await?;
        let outdated = self
            .find_outdated_rows(&config, &comments, &bot, &jobs)
            .await?;
        let digests = collect_digests(all).await;
        let report = comment::CommentReport {
            jobs: &jobs,
            digests: &digests,
            sums_up,
            note: &note,
            outdated: &outdated,
        };
        for action in comment::plan_comments(&comments, &bot, &report) {
            let (what, number) = (action.describe_change(), pull.number);
            tracing::info!(org, repo, pr = number, jobs = jobs.len(), "{what}");
            match action {
                CommentChange::Create(body) => {
                    github.create_comment(org, repo, number, &body).await?;
                }
                CommentChange::Edit(id, body) => github.edit_comment(org, repo, id, &body).await?,
                CommentChange::Delete(id) => github.delete_comment(org, repo, id).await?,
            }
        }
        Ok(())
    }

    /// Names of the rows whose jobs nobody could run any more. Most often there is no candidate.
    async fn find_outdated_rows(
        &self,
        config: &Config,
        comments: &[IssueComment],
        bot: &str,
        jobs: &[&ProwJob],
    ) -> Result<BTreeSet<String>, ReportError> {
        let refs = jobs.first().and_then(|job| job.spec.refs.as_ref());
        let refs = refs.cloned().unwrap_or_default();
        let central = config.presubmits_for(&refs.org_repo());
        let in_repo = &config.prow.in_repo_config;
        let of_branch = central
            .iter()
            .filter(|job| job.brancher.runs_on(&refs.base_ref));
        let origin = comment::PresubmitOrigin {
            central: &of_branch.map(|job| &**job).collect::<Vec<_>>(),
            may_have_others: central.is_empty() || in_repo.is_enabled(&refs.org, &refs.repo),
        };
        let suspects = comment::find_outdated_candidates(comments, bot, jobs, &origin);
        let runs = match jobs.first() {
            Some(job) if !suspects.is_empty() => self.runs_of_pull(job).await?,
            _ => return Ok(suspects),
        };
        Ok(comment::find_outdated_rows(suspects, &runs, &origin))
    }

    /// The existing runs of the pull request, without the fields that are not read here.
    async fn runs_of_pull(&self, job: &ProwJob) -> Result<Vec<ProwJob>, ReportError> {
        let own = |key: &str| job.labels().get(key).map_or("", String::as_str);
        let selector = [labels::ORG, labels::REPO, labels::PULL]
            .map(|key| format!("{key}={}", own(key)))
            .join(",");
        let namespace = job.namespace().unwrap_or_default();
        let api: Api<DeserializeGuard<ProwJob>> =
            Api::namespaced(self.ctx.clusters.infra().clone(), &namespace);
        let mut params = ListParams::default().labels(&selector).limit(PAGE_SIZE);
        let mut runs = Vec::new();
        loop {
            let page = api.list(&params).await?;
            let types = &self.ctx.config.borrow().prow.github_reporter;
            for mut job in page.items.into_iter().filter_map(|job| job.0.ok()) {
                job.spec.pod_spec = None;
                if comment::is_reported_presubmit(&job, &types.job_types_to_report) {
                    runs.push(job);
                }
            }
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                return Ok(runs);
            }
        }
    }
}

/// The newest run of each job of the pull request; `None` while one of them is unfinished.
fn newest_finished_runs(runs: Vec<ProwJob>) -> Option<Vec<ProwJob>> {
    let mut newest: BTreeMap<String, ProwJob> = BTreeMap::new();
    for job in runs {
        if !comment::has_ended(&job) {
            return None;
        }
        let known = newest.get(&job.spec.job);
        if known.is_none_or(|known| known.creation_timestamp() < job.creation_timestamp()) {
            newest.insert(job.spec.job.clone(), job);
        }
    }
    Some(newest.into_values().collect())
}

/// Why those of them failed that are in the table.
async fn collect_digests(all: &[Arc<JobStateChange>]) -> Vec<DigestBlock> {
    let mut blocks = Vec::new();
    for news in all {
        let job = &news.job;
        if job.state() != ProwJobState::Failure {
            continue;
        }
        let prepared = news.report_details().await;
        if let Some(digest) = &prepared.digest {
            let url = job.status.as_ref().map_or("", |status| &status.url);
            let context = &job.spec.context;
            blocks.push(DigestBlock::new(context, url, digest, &prepared.losses));
        }
    }
    blocks
}

/// The text of the installation's template; empty when it cannot be rendered.
async fn render_note(template: &str, news: &JobStateChange) -> Result<String, ReportError> {
    if template.is_empty() {
        return Ok(String::new());
    }
    let Some(job) = news.read_full_job().await? else {
        return Ok(String::new());
    };
    let rendered = GoTemplate::parse_template(template)
        .and_then(|template| template.render_job_as(&job, quote::for_github));
    Ok(rendered.unwrap_or_else(|error| {
        let job = &news.job;
        tracing::warn!(
            prowjob = job.name_any(),
            job = job.spec.job,
            "plank.report_templates gives this job no text: {error}"
        );
        String::new()
    }))
}
