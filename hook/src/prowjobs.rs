//! Creates and aborts `ProwJob`s: each call may be repeated and has its effect once.

use anyhow::bail;
use common::{
    kube::DeserializeGuard,
    prowjob::{ProwJob, ProwJobState, ProwJobType, labels},
};
use futures::StreamExt as _;
use kube::{
    Api, Client, ResourceExt as _,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::webhook::RepositoryRef;

/// Objects per page of a list.
const PAGE_SIZE: u32 = 500;

/// Attempts at a patch while somebody else writes the same object.
const CONFLICT_TRIES: usize = 10;

/// Writes the `ProwJob`s of one namespace.
#[derive(Clone)]
pub(crate) struct ProwJobClient {
    client: Client,
    namespace: String,
}

/// The pull request whose jobs are aborted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PullRequestKey<'a> {
    pub(crate) org: &'a str,
    pub(crate) repo: &'a str,
    pub(crate) number: u64,
}

impl ProwJobClient {
    pub(crate) fn new(client: Client, namespace: String) -> Self {
        Self { client, namespace }
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Creates a `ProwJob`. One of its name from the same delivery and job counts as created.
    pub(crate) async fn create_prowjob(&self, job: &ProwJob) -> anyhow::Result<()> {
        let api: Api<ProwJob> = Api::namespaced(self.client.clone(), &self.namespace);
        match api.create(&PostParams::default(), job).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                let there = api.get(&job.name_any()).await?;
                let delivery = |job: &ProwJob| job.labels().get(labels::EVENT_GUID).cloned();
                if there.spec.job != job.spec.job || delivery(&there) != delivery(job) {
                    bail!("the name {} is taken by another ProwJob", job.name_any());
                }
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Aborts the unfinished presubmits of a pull request, except those that `delivery` itself
    /// started. Returns how many were aborted.
    ///
    /// Plank ends their pods and completes them.
    pub(crate) async fn abort_presubmits(
        &self,
        pull: PullRequestKey<'_>,
        delivery: &str,
    ) -> anyhow::Result<usize> {
        let mut aborted = 0;
        let api: Api<DeserializeGuard<ProwJob>> =
            Api::namespaced(self.client.clone(), &self.namespace);
        let mut params = ListParams::default()
            .labels(&presubmit_selector(pull))
            .limit(PAGE_SIZE);
        loop {
            let page = api.list(&params).await?;
            let next = page.metadata.continue_.filter(|next| !next.is_empty());
            let ours: Vec<_> = page
                .items
                .into_iter()
                .filter_map(|job| job.0.ok())
                .filter(|job| is_unfinished_of(job, pull, delivery))
                .collect();
            let results: Vec<_> = futures::stream::iter(ours)
                .map(|job| self.abort_prowjob(job))
                .buffer_unordered(8)
                .collect()
                .await;
            for result in results {
                aborted += usize::from(result?);
            }
            match next {
                Some(next) => params = params.continue_token(&next),
                None => return Ok(aborted),
            }
        }
    }

    /// The pull request with this newest commit, as its jobs say: `prowjob` if it ran on that
    /// commit, else any presubmit of the repository.
    pub(crate) async fn find_pull_at(
        &self,
        identity: &RepositoryRef,
        sha: &str,
        prowjob: &str,
    ) -> anyhow::Result<Option<u64>> {
        let api: Api<DeserializeGuard<ProwJob>> =
            Api::namespaced(self.client.clone(), &self.namespace);
        let mut terms = vec![format!("{}={}", labels::TYPE, ProwJobType::Presubmit)];
        terms.extend(repo_terms(&identity.org, &identity.repo));
        let mut params = ListParams::default()
            .labels(&terms.join(","))
            .limit(PAGE_SIZE);
        let mut found = None;
        loop {
            let page = api.list(&params).await?;
            let next = page.metadata.continue_.filter(|next| !next.is_empty());
            for job in page.items.into_iter().filter_map(|job| job.0.ok()) {
                let Some(number) = pull_number_at(&job, identity, sha) else {
                    continue;
                };
                if job.name_any() == prowjob {
                    return Ok(Some(number));
                }
                found = found.or(Some(number));
            }
            match next {
                Some(next) => params = params.continue_token(&next),
                None => return Ok(found),
            }
        }
    }

    /// Returns whether the job was still unfinished. When somebody else wrote the object meanwhile,
    /// it is read again.
    async fn abort_prowjob(&self, mut job: ProwJob) -> anyhow::Result<bool> {
        let api: Api<ProwJob> = Api::namespaced(self.client.clone(), &self.namespace);
        for _ in 0..CONFLICT_TRIES {
            let patch = json!({
                "metadata": { "resourceVersion": job.resource_version() },
                "status": {
                    "state": ProwJobState::Aborted,
                    "description": "Aborted: the pull request has moved on.",
                },
            });
            let name = job.name_any();
            match api
                .patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
                .await
            {
                Ok(_) => {
                    tracing::info!(prowjob = name, job = job.spec.job, "aborted");
                    return Ok(true);
                }
                Err(kube::Error::Api(status)) if status.code == 409 => {
                    match api.get_opt(&name).await? {
                        Some(fresh) if is_unfinished(&fresh) => job = fresh,
                        _ => return Ok(false),
                    }
                }
                Err(kube::Error::Api(status)) if status.code == 404 => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        bail!("{} is written by others again and again", job.name_any())
    }
}

/// Names that fit into labels are selected by label. Otherwise all presubmits of that pull request
/// number are selected.
fn presubmit_selector(pull: PullRequestKey<'_>) -> String {
    let mut terms = vec![
        format!("{}={}", labels::TYPE, ProwJobType::Presubmit),
        format!("{}={}", labels::PULL, pull.number),
    ];
    terms.extend(repo_terms(pull.org, pull.repo));
    terms.join(",")
}

fn repo_terms<'a>(org: &'a str, repo: &'a str) -> impl Iterator<Item = String> + use<'a> {
    [(labels::ORG, org), (labels::REPO, repo)]
        .into_iter()
        .filter(|(_, value)| labels::is_label_value(value))
        .map(|(label, value)| format!("{label}={value}"))
}

/// The pull request that a presubmit of the repository ran on, if it was at this commit.
fn pull_number_at(job: &ProwJob, identity: &RepositoryRef, sha: &str) -> Option<u64> {
    let refs = job.spec.refs.as_ref()?;
    let own = refs.org == identity.org && refs.repo == identity.repo;
    let pull = refs.pulls.iter().find(|pull| pull.sha == sha)?;
    (own && job.spec.job_type == ProwJobType::Presubmit).then_some(pull.number)
}

/// A job's author can set labels, so only the spec decides.
fn is_unfinished_of(job: &ProwJob, pull: PullRequestKey<'_>, delivery: &str) -> bool {
    let of_pull = job.spec.refs.as_ref().is_some_and(|refs| {
        refs.org == pull.org
            && refs.repo == pull.repo
            && refs.pulls.iter().any(|it| it.number == pull.number)
    });
    let own = job
        .labels()
        .get(labels::EVENT_GUID)
        .is_some_and(|guid| *guid == labels::event_guid(delivery));
    job.spec.job_type == ProwJobType::Presubmit && of_pull && !own && is_unfinished(job)
}

fn is_unfinished(job: &ProwJob) -> bool {
    !job.is_complete() && job.state() != ProwJobState::Aborted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selector_uses_what_fits_into_labels() {
        let of = |repo| PullRequestKey {
            org: "o",
            repo,
            number: 7,
        };
        assert_eq!(
            presubmit_selector(of("r")),
            "prow.k8s.io/type=presubmit,prow.k8s.io/refs.pull=7,prow.k8s.io/refs.org=o,prow.k8s.io/refs.repo=r"
        );
        assert_eq!(
            presubmit_selector(of(".github")),
            "prow.k8s.io/type=presubmit,prow.k8s.io/refs.pull=7,prow.k8s.io/refs.org=o"
        );
    }
}
