//! What a decision rests on beyond the event. A decision that misses a fact says so
//! ([`Need`]), the fact is fetched, and the decision is made again: no call is made for a fact
//! that nothing depends on.

use std::{collections::BTreeMap, sync::Arc};

use common::{
    config::{Config, inrepo::InRepo, plugins::Trigger},
    github::{PullRequest, Status},
};

use crate::{event::Rerun, inrepo::Problem, webhook::Identity};

/// A fact that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// The login the client acts under.
    Bot,
    Member {
        org: String,
        user: String,
    },
    Collaborator(String),
    Pull(u64),
    /// Which pull request has this newest commit; `prowjob` is a run on it.
    PullAt {
        sha: String,
        prowjob: String,
    },
    /// The commit a base branch points at now.
    BaseSha(String),
    ChangedFiles(u64),
    Statuses(String),
    /// The repository's own jobs at a commit, with a pull request's head merged into it or not.
    InRepo {
        base_sha: String,
        head: Option<Head>,
    },
}

/// The newest commit of a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) number: u64,
    pub(crate) sha: String,
}

/// What is known from the start.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) identity: &'a Identity,
    /// The delivery's id.
    pub(crate) guid: &'a str,
    pub(crate) config: &'a Config,
    pub(crate) trigger: &'a Trigger,
}

impl Scene<'_> {
    pub(crate) fn org_repo(&self) -> String {
        format!("{}/{}", self.identity.org, self.identity.repo)
    }

    pub(crate) fn in_repo_enabled(&self) -> bool {
        let Identity { org, repo } = self.identity;
        self.config.prow.in_repo_config.is_enabled(org, repo)
    }
}

/// The repository's own jobs, or why there are none.
pub(crate) type Own = Result<Arc<InRepo>, Problem>;

/// What was found out so far about one event.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) bot: Option<String>,
    /// By organisation and user.
    pub(crate) members: BTreeMap<(String, String), bool>,
    pub(crate) collaborators: BTreeMap<String, bool>,
    pub(crate) pull: Option<PullRequest>,
    /// `Some(None)`: nothing is known of that commit.
    pub(crate) pull_at: Option<Option<u64>>,
    pub(crate) base_sha: Option<String>,
    pub(crate) changed_files: Option<Vec<String>>,
    pub(crate) statuses: Option<Vec<Status>>,
    pub(crate) own_at_base: Option<Own>,
    pub(crate) own_merged: Option<Own>,
}

impl Facts {
    pub(crate) fn bot(&self) -> Result<&str, Need> {
        self.bot.as_deref().ok_or(Need::Bot)
    }

    pub(crate) fn is_member(&self, org: &str, user: &str) -> Result<bool, Need> {
        let key = (org.to_owned(), user.to_owned());
        self.members.get(&key).copied().ok_or(Need::Member {
            org: key.0,
            user: key.1,
        })
    }

    pub(crate) fn is_collaborator(&self, user: &str) -> Result<bool, Need> {
        self.collaborators
            .get(user)
            .copied()
            .ok_or_else(|| Need::Collaborator(user.to_owned()))
    }

    pub(crate) fn pull(&self, number: u64) -> Result<&PullRequest, Need> {
        self.pull.as_ref().ok_or(Need::Pull(number))
    }

    /// The pull request whose check runs are asked for again.
    pub(crate) fn pull_at(&self, rerun: &Rerun) -> Result<Option<u64>, Need> {
        self.pull_at.ok_or_else(|| Need::PullAt {
            sha: rerun.head_sha.clone(),
            prowjob: rerun.prowjob.clone(),
        })
    }

    pub(crate) fn base_sha(&self, base_ref: &str) -> Result<&str, Need> {
        self.base_sha
            .as_deref()
            .ok_or_else(|| Need::BaseSha(base_ref.to_owned()))
    }

    pub(crate) fn changed_files(&self, number: u64) -> Result<&[String], Need> {
        self.changed_files
            .as_deref()
            .ok_or(Need::ChangedFiles(number))
    }

    pub(crate) fn statuses(&self, sha: &str) -> Result<&[Status], Need> {
        self.statuses
            .as_deref()
            .ok_or_else(|| Need::Statuses(sha.to_owned()))
    }

    /// The repository's own jobs at a commit of its own.
    pub(crate) fn own_at(&self, sha: &str) -> Result<&Own, Need> {
        self.own_at_base.as_ref().ok_or_else(|| Need::InRepo {
            base_sha: sha.to_owned(),
            head: None,
        })
    }

    /// The repository's own jobs as a pull request would leave them.
    pub(crate) fn own_merged(&self, pull: &PullRequest) -> Result<&Own, Need> {
        let base_sha = self.base_sha(&pull.base.git_ref)?;
        self.own_merged.as_ref().ok_or_else(|| Need::InRepo {
            base_sha: base_sha.to_owned(),
            head: Some(Head {
                number: pull.number,
                sha: pull.head.sha.clone(),
            }),
        })
    }
}
