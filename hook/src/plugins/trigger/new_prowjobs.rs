//! Makes new `ProwJob`s from a job and an event.

use common::{
    config::{
        Postsubmit, Presubmit, postsubmit_labels, postsubmit_spec, presubmit_labels, presubmit_spec,
    },
    github::GithubPullRequest,
    prowjob::{Pull, Refs, labels},
};

use super::{decision::NewProwJob, lookups::TriggerContext};
use crate::event::PushEvent;

/// A run of `job` on a pull request that is merged into `base_sha`.
pub(crate) fn new_presubmit(
    job: &Presubmit,
    pull: &GithubPullRequest,
    base_sha: &str,
    retest: bool,
    scene: TriggerContext<'_>,
) -> NewProwJob {
    let mut labels = presubmit_labels(job);
    labels.insert(labels::EVENT_GUID.into(), labels::event_guid(scene.guid));
    if retest {
        labels.insert(labels::RETEST.into(), "true".into());
    }
    NewProwJob {
        spec: presubmit_spec(job, pull_refs(pull, base_sha, scene)),
        labels,
        annotations: job.base.annotations.clone(),
        subject: format!("{},{}", pull.base.git_ref, pull.number),
    }
}

fn pull_refs(pull: &GithubPullRequest, base_sha: &str, scene: TriggerContext<'_>) -> Refs {
    let repo_link = base_link(pull, scene);
    let author_link = if pull.user.html_url.is_empty() {
        format!("{}/{}", link_url(scene), pull.user.login)
    } else {
        pull.user.html_url.clone()
    };
    let link = pull_link(pull, scene);
    Refs {
        org: scene.identity.org.clone(),
        repo: scene.identity.repo.clone(),
        base_link: format!("{repo_link}/commit/{base_sha}"),
        repo_link,
        base_ref: pull.base.git_ref.clone(),
        base_sha: base_sha.to_owned(),
        pulls: vec![Pull {
            number: pull.number,
            author: pull.user.login.clone(),
            sha: pull.head.sha.clone(),
            title: pull.title.clone(),
            head_ref: pull.head.git_ref.clone(),
            commit_link: format!("{link}/commits/{}", pull.head.sha),
            link,
            author_link,
            ..Pull::default()
        }],
        ..Refs::default()
    }
}

/// A run of `job` on a pushed commit.
pub(crate) fn new_postsubmit(
    job: &Postsubmit,
    push: &PushEvent,
    branch: &str,
    scene: TriggerContext<'_>,
) -> NewProwJob {
    let mut labels = postsubmit_labels(job);
    labels.insert(labels::EVENT_GUID.into(), labels::event_guid(scene.guid));
    let refs = Refs {
        org: scene.identity.org.clone(),
        repo: scene.identity.repo.clone(),
        repo_link: match push.repository.html_url.as_str() {
            "" => repo_link(scene),
            link => link.to_owned(),
        },
        base_ref: branch.to_owned(),
        base_sha: push.commit_sha().to_owned(),
        base_link: push.compare.clone(),
        ..Refs::default()
    };
    NewProwJob {
        subject: refs.to_string(),
        spec: postsubmit_spec(job, refs),
        labels,
        annotations: job.base.annotations.clone(),
    }
}

/// The page of a pull request's base repository.
fn base_link(pull: &GithubPullRequest, scene: TriggerContext<'_>) -> String {
    match &pull.base.repo {
        Some(repo) if !repo.html_url.is_empty() => repo.html_url.clone(),
        _ => repo_link(scene),
    }
}

/// The page of a pull request.
pub(crate) fn pull_link(pull: &GithubPullRequest, scene: TriggerContext<'_>) -> String {
    if pull.html_url.is_empty() {
        format!("{}/pull/{}", base_link(pull, scene), pull.number)
    } else {
        pull.html_url.clone()
    }
}

fn repo_link(scene: TriggerContext<'_>) -> String {
    format!("{}/{}", link_url(scene), scene.org_repo())
}

fn link_url<'a>(scene: TriggerContext<'a>) -> &'a str {
    scene.config.prow.github.link_url.trim_end_matches('/')
}
