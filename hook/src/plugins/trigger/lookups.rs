//! What a decision needs to know beyond the event. A decision that misses a lookup returns it
//! ([`MissingLookup`]); then the lookup is resolved, and the decision is made again. So no call is
//! made that no decision depends on.

use std::{collections::BTreeMap, sync::Arc};

use common::{
    config::{Config, inrepo::InRepoJobs, plugins::TriggerConfig},
    github::{CommitStatus, GithubPullRequest},
};

use crate::{
    event::RerunEvent,
    inrepo::{InRepoConfigError, PullRequestHead},
    webhook::RepositoryRef,
};

/// A lookup that is not resolved yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MissingLookup {
    /// The login that the client acts as.
    Bot,
    Member {
        org: String,
        user: String,
    },
    Collaborator(String),
    Pull(u64),
    /// The current pull request of an event, which GitHub may not have yet.
    PullNow(u64),
    /// The pull request with this newest commit; `prowjob` ran on it.
    PullAt {
        sha: String,
        prowjob: String,
    },
    /// The commit that a base branch points to now.
    BaseSha(String),
    ChangedFiles(u64),
    Statuses(String),
    /// The repository's own jobs at a commit, with a pull request's head merged into it or not.
    InRepo {
        base_sha: String,
        head: Option<PullRequestHead>,
    },
}

/// What is known from the start.
#[derive(Clone, Copy)]
pub(crate) struct TriggerContext<'a> {
    pub(crate) identity: &'a RepositoryRef,
    /// The delivery's id.
    pub(crate) guid: &'a str,
    pub(crate) config: &'a Config,
    pub(crate) trigger: &'a TriggerConfig,
    /// The context of the commit status about the repository's own configuration; `None` for none.
    pub(crate) status_context: Option<&'a str>,
}

impl TriggerContext<'_> {
    pub(crate) fn org_repo(&self) -> String {
        format!("{}/{}", self.identity.org, self.identity.repo)
    }

    pub(crate) fn in_repo_enabled(&self) -> bool {
        let RepositoryRef { org, repo } = self.identity;
        self.config.prow.in_repo_config.is_enabled(org, repo)
    }
}

/// The repository's own jobs, or why there are none.
pub(crate) type InRepoResult = Result<Arc<InRepoJobs>, InRepoConfigError>;

/// The lookups that are resolved so far for one event.
#[derive(Clone, Debug, Default)]
pub(crate) struct TriggerLookups {
    pub(crate) bot: Option<String>,
    /// By organisation and user.
    pub(crate) members: BTreeMap<(String, String), bool>,
    pub(crate) collaborators: BTreeMap<String, bool>,
    pub(crate) pull: Option<GithubPullRequest>,
    /// `Some(None)`: GitHub does not have it.
    pub(crate) pull_now: Option<Option<GithubPullRequest>>,
    /// `Some(None)`: nothing is known about that commit.
    pub(crate) pull_at: Option<Option<u64>>,
    /// By branch.
    pub(crate) base_shas: BTreeMap<String, String>,
    pub(crate) changed_files: Option<Vec<String>>,
    pub(crate) statuses: Option<Vec<CommitStatus>>,
    /// By base commit and what is merged into it.
    pub(crate) own: BTreeMap<(String, Option<PullRequestHead>), InRepoResult>,
}

impl TriggerLookups {
    /// Adds lookups that were resolved together.
    pub(crate) fn merge_lookups(&mut self, found: Self) {
        self.bot = self.bot.take().or(found.bot);
        self.members.extend(found.members);
        self.collaborators.extend(found.collaborators);
        self.pull = self.pull.take().or(found.pull);
        self.pull_now = self.pull_now.take().or(found.pull_now);
        self.pull_at = self.pull_at.or(found.pull_at);
        self.base_shas.extend(found.base_shas);
        self.changed_files = self.changed_files.take().or(found.changed_files);
        self.statuses = self.statuses.take().or(found.statuses);
        self.own.extend(found.own);
    }

    pub(crate) fn bot_login(&self) -> Result<&str, MissingLookup> {
        self.bot.as_deref().ok_or(MissingLookup::Bot)
    }

    pub(crate) fn is_member(&self, org: &str, user: &str) -> Result<bool, MissingLookup> {
        let key = (org.to_owned(), user.to_owned());
        self.members
            .get(&key)
            .copied()
            .ok_or(MissingLookup::Member {
                org: key.0,
                user: key.1,
            })
    }

    pub(crate) fn is_collaborator(&self, user: &str) -> Result<bool, MissingLookup> {
        self.collaborators
            .get(user)
            .copied()
            .ok_or_else(|| MissingLookup::Collaborator(user.to_owned()))
    }

    pub(crate) fn pull_request(&self, number: u64) -> Result<&GithubPullRequest, MissingLookup> {
        self.pull.as_ref().ok_or(MissingLookup::Pull(number))
    }

    /// The pull request of an event as GitHub has it now.
    pub(crate) fn current_pull(
        &self,
        number: u64,
    ) -> Result<Option<&GithubPullRequest>, MissingLookup> {
        let found = self
            .pull_now
            .as_ref()
            .ok_or(MissingLookup::PullNow(number))?;
        Ok(found.as_ref())
    }

    /// The pull request whose check runs are to run again.
    pub(crate) fn pull_number_at(&self, rerun: &RerunEvent) -> Result<Option<u64>, MissingLookup> {
        self.pull_at.ok_or_else(|| MissingLookup::PullAt {
            sha: rerun.head_sha.clone(),
            prowjob: rerun.prowjob.clone(),
        })
    }

    pub(crate) fn base_sha(&self, base_ref: &str) -> Result<&str, MissingLookup> {
        let found = self.base_shas.get(base_ref).map(String::as_str);
        found.ok_or_else(|| MissingLookup::BaseSha(base_ref.to_owned()))
    }

    pub(crate) fn changed_files(&self, number: u64) -> Result<&[String], MissingLookup> {
        self.changed_files
            .as_deref()
            .ok_or(MissingLookup::ChangedFiles(number))
    }

    pub(crate) fn commit_statuses(&self, sha: &str) -> Result<&[CommitStatus], MissingLookup> {
        self.statuses
            .as_deref()
            .ok_or_else(|| MissingLookup::Statuses(sha.to_owned()))
    }

    /// The repository's own jobs at one of its commits.
    pub(crate) fn in_repo_at(&self, sha: &str) -> Result<&InRepoResult, MissingLookup> {
        self.lookup_in_repo(sha, None)
    }

    /// The repository's own jobs as a pull request would leave them.
    pub(crate) fn in_repo_merged(
        &self,
        pull: &GithubPullRequest,
        trusted: bool,
    ) -> Result<&InRepoResult, MissingLookup> {
        let head = PullRequestHead {
            number: pull.number,
            sha: pull.head.sha.clone(),
            trusted,
        };
        self.lookup_in_repo(self.base_sha(&pull.base.git_ref)?, Some(head))
    }

    fn lookup_in_repo(
        &self,
        base_sha: &str,
        head: Option<PullRequestHead>,
    ) -> Result<&InRepoResult, MissingLookup> {
        let key = (base_sha.to_owned(), head);
        self.own.get(&key).ok_or(MissingLookup::InRepo {
            base_sha: key.0,
            head: key.1,
        })
    }
}
