//! What trigger wants done, as values. [`super::apply`] is the one place that does it.

use common::{
    github::CommitStatus,
    prowjob::{ProwJobSpec, StringMap},
};

/// What to do about an event, and why.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TriggerDecision {
    /// In the order they are applied: what may be repeated without harm goes first.
    pub(crate) effects: Vec<TriggerEffect>,
    pub(crate) reasons: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TriggerEffect {
    /// Ends the unfinished presubmits of the pull request that earlier events started.
    Abort,
    AddLabel(&'static str),
    RemoveLabel(&'static str),
    /// Starts a job, once a delivery.
    Run(Box<NewProwJob>),
    /// Removes the bot's earlier help comments.
    PruneHelp,
    Comment(String),
    /// How the repository's own configuration stands.
    Report(Box<InRepoConfigReport>),
}

/// What there is to tell about the repository's own configuration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InRepoConfigReport {
    /// What is wrong; nothing when it is mended.
    pub(crate) mistakes: Option<String>,
    /// Where the operator wants one.
    pub(crate) verdict: Option<InRepoConfigStatus>,
}

impl InRepoConfigReport {
    /// Whether a pull request that was never told of anything hears of it.
    pub(crate) fn is_news(&self) -> bool {
        self.mistakes.is_some() || self.verdict.as_ref().is_some_and(|verdict| verdict.is_due)
    }
}

/// The configuration as a commit status, which leads to the comment about it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InRepoConfigStatus {
    pub(crate) sha: String,
    /// Leads nowhere: that is the comment's to say.
    pub(crate) status: CommitStatus,
    /// The page that the comment is on.
    pub(crate) page: String,
    /// Whether it is set also where none was before.
    pub(crate) is_due: bool,
}

/// A job to start.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewProwJob {
    pub(crate) spec: ProwJobSpec,
    pub(crate) labels: StringMap,
    pub(crate) annotations: StringMap,
    /// What the job's name is made of, beside the delivery and the job: the refs without the
    /// commits, which may have moved when the delivery is acted on again.
    pub(crate) subject: String,
}

impl TriggerDecision {
    /// Nothing is to be done.
    pub(crate) fn without_effects(reason: impl Into<String>) -> Self {
        let mut decision = Self::default();
        decision.add_reason(reason);
        decision
    }

    pub(crate) fn add_reason(&mut self, reason: impl Into<String>) {
        self.reasons.push(reason.into());
    }

    pub(crate) fn push_effect(&mut self, effect: TriggerEffect) {
        self.effects.push(effect);
    }
}
