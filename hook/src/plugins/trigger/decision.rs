//! What trigger wants done, as values. [`super::apply`] is the one place that does it.

use common::prowjob::{ProwJobSpec, StringMap};

/// What to do about an event, and why.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Decision {
    /// In the order they are applied: what may be repeated without harm goes first.
    pub(crate) effects: Vec<Effect>,
    pub(crate) reasons: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Ends the unfinished presubmits of the pull request that earlier events started.
    Abort,
    AddLabel(&'static str),
    RemoveLabel(&'static str),
    /// Starts a job, once a delivery.
    Run(Box<Run>),
    /// Removes the bot's earlier help comments.
    PruneHelp,
    Comment(String),
    /// What is wrong with the repository's own configuration; nothing when it is mended.
    Report(Option<String>),
}

/// A job to start.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    pub(crate) spec: ProwJobSpec,
    pub(crate) labels: StringMap,
    pub(crate) annotations: StringMap,
    /// What the job's name is made of, beside the delivery and the job: the refs without the
    /// commits, which may have moved when the delivery is acted on again.
    pub(crate) subject: String,
}

impl Decision {
    /// Nothing is to be done.
    pub(crate) fn nothing(reason: impl Into<String>) -> Self {
        let mut decision = Self::default();
        decision.because(reason);
        decision
    }

    pub(crate) fn because(&mut self, reason: impl Into<String>) {
        self.reasons.push(reason.into());
    }

    pub(crate) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }
}
