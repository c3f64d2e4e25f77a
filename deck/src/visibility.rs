//! Decides whether a viewer may see a run, by the statements about that run.
//!
//! Nothing is read here: [`crate::run_lookup`] gathers the statements.

mod hidden;

use std::fmt;

use crate::access::Viewer;

pub(crate) use hidden::{HiddenRepos, RepoSegment};

/// Who makes a statement about a run, in the order in which statements are considered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum VisibilitySource {
    /// The `ProwJob`, while there is one.
    ProwJob,
    /// All configured jobs of the run's name.
    Configuration,
    /// `prowjob.json`, which any process in the run's pod may have written.
    StoredProwJob,
    /// `started.json`, which such a process may have written, too.
    Started,
    /// The segment of the path that names the repository.
    Segment,
}

impl fmt::Display for VisibilitySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ProwJob => "its ProwJob",
            Self::Configuration => "the configured jobs of its name",
            Self::StoredProwJob => "prowjob.json",
            Self::Started => "started.json",
            Self::Segment => "the repository in its path",
        })
    }
}

/// What one source says about a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VisibilityStatement {
    pub(crate) witness: VisibilitySource,
    /// The job is hidden, or one of its repositories.
    pub(crate) hidden: bool,
    /// The tenant of each job, empty for none; no item from a source that does not know.
    pub(crate) tenants: Vec<String>,
}

/// Why a run is shown or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VisibilityVerdict {
    pub(crate) shown: bool,
    /// The source that decided; `None`: there was no statement.
    pub(crate) by: Option<VisibilitySource>,
}

impl fmt::Display for VisibilityVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = if self.shown { "shown" } else { "hidden" };
        match self.by {
            Some(witness) => write!(f, "{shown} by {witness}"),
            None => write!(f, "{shown}, as nothing is known of it"),
        }
    }
}

/// The decision. `words` are in the order of their sources. Each may hide what those before it
/// would show; none shows what one of them hides.
///
/// Without any statement, the viewer sees as much as of a hidden run, if anything is hidden here at
/// all (`any_hidden`).
pub(crate) fn decide_visibility(
    viewer: &Viewer,
    any_hidden: bool,
    words: &[VisibilityStatement],
) -> VisibilityVerdict {
    let mut hidden = false;
    let mut tenants: Vec<&str> = Vec::new();
    for word in words {
        hidden |= word.hidden;
        tenants.extend(word.tenants.iter().map(String::as_str));
        if !viewer.may_view_job(hidden, &tenants) {
            return VisibilityVerdict {
                shown: false,
                by: Some(word.witness),
            };
        }
    }
    VisibilityVerdict {
        shown: !words.is_empty() || viewer.may_view_job(any_hidden, &[]),
        by: words.last().map(|word| word.witness),
    }
}

#[cfg(test)]
mod tests;
