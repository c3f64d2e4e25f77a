//! What trigger decides to do, as values. Only [`super::apply`] does it.

use common::{
    github::CommitStatus,
    prowjob::{ProwJobSpec, StringMap},
};

/// What to do about an event, and why.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TriggerDecision {
    /// In the order they are applied: effects that do no harm when repeated come first.
    pub(crate) effects: Vec<TriggerEffect>,
    pub(crate) reasons: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TriggerEffect {
    /// Ends the unfinished presubmits of the pull request that earlier events started.
    Abort,
    AddLabel(&'static str),
    RemoveLabel(&'static str),
    /// Starts a job, once per delivery.
    Run(Box<NewProwJob>),
    /// Removes the bot's earlier help comments.
    PruneHelp,
    Comment(String),
    /// Reports whether the repository's own configuration can be used.
    Report(Box<InRepoConfigReport>),
}

/// A report on the repository's own configuration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InRepoConfigReport {
    /// What is wrong; `None` when the configuration can be used.
    pub(crate) mistakes: Option<String>,
    /// The commit status, if the operator wants one.
    pub(crate) verdict: Option<InRepoConfigStatus>,
}

impl InRepoConfigReport {
    /// Whether a pull request that has no report yet gets this one.
    pub(crate) fn is_news(&self) -> bool {
        self.mistakes.is_some() || self.verdict.as_ref().is_some_and(|verdict| verdict.is_due)
    }
}

/// The commit status about the configuration, which links to the comment about it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InRepoConfigStatus {
    pub(crate) sha: String,
    /// Without a `target_url`: it depends on the comment.
    pub(crate) status: CommitStatus,
    /// The page that has the comment.
    pub(crate) page: String,
    /// Whether it is set even where there was none before.
    pub(crate) is_due: bool,
}

/// A job to start.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewProwJob {
    pub(crate) spec: ProwJobSpec,
    pub(crate) labels: StringMap,
    pub(crate) annotations: StringMap,
    /// The part of the `ProwJob`'s name that stands for the refs: of a pull request without the
    /// commits, which may have moved when the delivery is acted on again; of a push with its commit.
    pub(crate) subject: String,
}

impl TriggerDecision {
    /// A decision to do nothing.
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
