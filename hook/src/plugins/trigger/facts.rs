//! What a decision rests on beyond the event. A decision that misses a fact says so
//! ([`Need`]), the fact is fetched, and the decision is made again: no call is made for a fact
//! that nothing depends on.

use std::{collections::BTreeMap, sync::Arc};

use common::{
    config::{Config, inrepo::InRepo, plugins::Trigger},
    github::{PullRequest, Status},
};

use crate::{
    event::Rerun,
    inrepo::{Head, Problem},
    webhook::Identity,
};

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
    /// The pull request of an event, which GitHub may not have yet.
    PullNow(u64),
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

/// What is known from the start.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) identity: &'a Identity,
    /// The delivery's id.
    pub(crate) guid: &'a str,
    pub(crate) config: &'a Config,
    pub(crate) trigger: &'a Trigger,
    /// Of the commit status about the repository's own configuration; `None` for no status.
    pub(crate) status_context: Option<&'a str>,
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
    /// `Some(None)`: GitHub does not have it.
    pub(crate) pull_now: Option<Option<PullRequest>>,
    /// `Some(None)`: nothing is known of that commit.
    pub(crate) pull_at: Option<Option<u64>>,
    /// By branch.
    pub(crate) base_shas: BTreeMap<String, String>,
    pub(crate) changed_files: Option<Vec<String>>,
    pub(crate) statuses: Option<Vec<Status>>,
    /// By base commit and what is merged into it.
    pub(crate) own: BTreeMap<(String, Option<Head>), Own>,
}

impl Facts {
    /// Adds what was found out beside.
    pub(crate) fn merge(&mut self, found: Self) {
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

    /// The pull request of an event as GitHub has it now.
    pub(crate) fn pull_now(&self, number: u64) -> Result<Option<&PullRequest>, Need> {
        let found = self.pull_now.as_ref().ok_or(Need::PullNow(number))?;
        Ok(found.as_ref())
    }

    /// The pull request whose check runs are asked for again.
    pub(crate) fn pull_at(&self, rerun: &Rerun) -> Result<Option<u64>, Need> {
        self.pull_at.ok_or_else(|| Need::PullAt {
            sha: rerun.head_sha.clone(),
            prowjob: rerun.prowjob.clone(),
        })
    }

    pub(crate) fn base_sha(&self, base_ref: &str) -> Result<&str, Need> {
        let found = self.base_shas.get(base_ref).map(String::as_str);
        found.ok_or_else(|| Need::BaseSha(base_ref.to_owned()))
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
        self.own(sha, None)
    }

    /// The repository's own jobs as a pull request would leave them.
    pub(crate) fn own_merged(&self, pull: &PullRequest, trusted: bool) -> Result<&Own, Need> {
        let head = Head {
            number: pull.number,
            sha: pull.head.sha.clone(),
            trusted,
        };
        self.own(self.base_sha(&pull.base.git_ref)?, Some(head))
    }

    fn own(&self, base_sha: &str, head: Option<Head>) -> Result<&Own, Need> {
        let key = (base_sha.to_owned(), head);
        self.own.get(&key).ok_or(Need::InRepo {
            base_sha: key.0,
            head: key.1,
        })
    }
}
