//! Makes the comments of a pull request as [`comment::plan`] wants them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use common::{
    config::Config,
    github::{Error as GitHubError, IssueComment},
    kube::DeserializeGuard,
    prowjob::{ProwJob, ProwJobState, labels},
    template::Template,
};
use kube::{Api, ResourceExt, api::ListParams};

use super::GithubReporter;
use crate::crier::{
    comment::{self, Action},
    digest::markdown::Block,
    news::News,
    pull_queue::Pull,
    quote,
    reporter::Error,
};

/// `ProwJob`s of a pull request that are looked at in one answer of the API.
const PAGE: u32 = 500;

impl GithubReporter {
    /// Tells of all these jobs in one go. What GitHub will never take is given up.
    pub(super) async fn update_comments(
        &self,
        pull: &Pull,
        mut all: Vec<Arc<News>>,
    ) -> Result<(), Error> {
        all.sort_by_key(|news| news.job.creation_timestamp());
        let Some(last) = all.last() else {
            return Ok(());
        };
        match self.workers.run(self.try_update(pull, &all)).await {
            Err(Error::GitHub(
                error @ (GitHubError::NotFound(_)
                | GitHubError::Forbidden(_)
                | GitHubError::Invalid(_)),
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

    async fn try_update(&self, pull: &Pull, all: &[Arc<News>]) -> Result<(), Error> {
        let Some(first) = all.first() else {
            return Ok(());
        };
        let config = Arc::clone(&self.ctx.config.borrow());
        let sums_up = config.prow.github_reporter.sums_up(&pull.org, &pull.repo);
        let of_pull = if sums_up {
            match all_of_pull(self.runs_of_pull(&first.job).await?) {
                Some(jobs) => jobs,
                // The last one of them sums up.
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
        let note = note(template, first).await?;
        let (github, org, repo) = (&self.ctx.github, pull.org.as_str(), pull.repo.as_str());
        let bot = github.bot_login().await?;
        let comments = github.comments_of(org, repo, pull.number, &bot).await?;
        let outdated = self.outdated(&config, &comments, &bot, &jobs).await?;
        let digests = digests(all).await;
        let report = comment::Report {
            jobs: &jobs,
            digests: &digests,
            sums_up,
            note: &note,
            outdated: &outdated,
        };
        for action in comment::plan(&comments, &bot, &report) {
            let (what, number) = (action.name(), pull.number);
            tracing::info!(org, repo, pr = number, jobs = jobs.len(), "{what}");
            match action {
                Action::Create(body) => {
                    github.create_comment(org, repo, number, &body).await?;
                }
                Action::Edit(id, body) => github.edit_comment(org, repo, id, &body).await?,
                Action::Delete(id) => github.delete_comment(org, repo, id).await?,
            }
        }
        Ok(())
    }

    /// Names of the rows that nobody could run any more. Most often there is none to look into.
    async fn outdated(
        &self,
        config: &Config,
        comments: &[IssueComment],
        bot: &str,
        jobs: &[&ProwJob],
    ) -> Result<BTreeSet<String>, Error> {
        let refs = jobs.first().and_then(|job| job.spec.refs.as_ref());
        let refs = refs.cloned().unwrap_or_default();
        let central = config.presubmits_for(&refs.org_repo());
        let in_repo = &config.prow.in_repo_config;
        let of_branch = central
            .iter()
            .filter(|job| job.brancher.runs_on(&refs.base_ref));
        let origin = comment::Origin {
            central: &of_branch.map(|job| &**job).collect::<Vec<_>>(),
            may_have_others: central.is_empty() || in_repo.is_enabled(&refs.org, &refs.repo),
        };
        let suspects = comment::suspects(comments, bot, jobs, &origin);
        let runs = match jobs.first() {
            Some(job) if !suspects.is_empty() => self.runs_of_pull(job).await?,
            _ => return Ok(suspects),
        };
        Ok(comment::outdated(suspects, &runs, &origin))
    }

    /// The runs of the pull request that are there, without what nobody looks at here.
    async fn runs_of_pull(&self, job: &ProwJob) -> Result<Vec<ProwJob>, Error> {
        let own = |key: &str| job.labels().get(key).map_or("", String::as_str);
        let selector = [labels::ORG, labels::REPO, labels::PULL]
            .map(|key| format!("{key}={}", own(key)))
            .join(",");
        let namespace = job.namespace().unwrap_or_default();
        let api: Api<DeserializeGuard<ProwJob>> =
            Api::namespaced(self.ctx.clusters.infra().clone(), &namespace);
        let mut params = ListParams::default().labels(&selector).limit(PAGE);
        let mut runs = Vec::new();
        loop {
            let page = api.list(&params).await?;
            let types = &self.ctx.config.borrow().prow.github_reporter;
            for mut job in page.items.into_iter().filter_map(|job| job.0.ok()) {
                job.spec.pod_spec = None;
                if comment::is_of_pull(&job, &types.job_types_to_report) {
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

/// The newest run of each job of the pull request; `None` while one of them runs.
fn all_of_pull(runs: Vec<ProwJob>) -> Option<Vec<ProwJob>> {
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
async fn digests(all: &[Arc<News>]) -> Vec<Block> {
    let mut blocks = Vec::new();
    for news in all {
        let job = &news.job;
        if job.state() != ProwJobState::Failure {
            continue;
        }
        let prepared = news.prepared().await;
        if let Some(digest) = &prepared.digest {
            let url = job.status.as_ref().map_or("", |status| &status.url);
            let context = &job.spec.context;
            blocks.push(Block::new(context, url, digest, &prepared.losses));
        }
    }
    blocks
}

/// What the installation's template says; nothing when it cannot.
async fn note(template: &str, news: &News) -> Result<String, Error> {
    if template.is_empty() {
        return Ok(String::new());
    }
    let Some(job) = news.whole().await? else {
        return Ok(String::new());
    };
    let rendered = Template::parse(template)
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
