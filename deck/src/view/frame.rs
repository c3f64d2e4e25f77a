//! The layout around every page: the version in the URLs of style sheets and scripts, and a banner
//! about the configuration.

use common::config::LoadStatus;
use jiff::Timestamp;

use super::TimeView;

/// Number of mistakes that are shown; further ones are counted.
const MAX_SHOWN: usize = 5;
/// Maximum characters of one mistake.
const MAX_LENGTH: usize = 500;

#[derive(Clone, Debug)]
pub(crate) struct DeckLayout {
    /// Hash of all style sheets and scripts.
    pub(crate) version: String,
    pub(crate) trouble: Option<ConfigBanner>,
}

/// Configuration files that cannot be used. Everybody sees this banner: it names a file, a position
/// in it and the mistake there.
#[derive(Clone, Debug)]
pub(crate) struct ConfigBanner {
    pub(crate) since: TimeView,
    /// `file:line:column: path: message`
    pub(crate) problems: Vec<String>,
    pub(crate) more: usize,
}

impl ConfigBanner {
    pub(crate) fn from_status(status: &LoadStatus, now: Timestamp) -> Option<Self> {
        let failure = status.failure.as_ref()?;
        let all = &failure.errors.0;
        let shown = all.iter().take(MAX_SHOWN);
        Some(Self {
            since: TimeView::from_time(failure.since, now),
            problems: shown
                .map(|problem| truncate_text(&problem.to_string()))
                .collect(),
            more: all.len().saturating_sub(MAX_SHOWN),
        })
    }
}

fn truncate_text(text: &str) -> String {
    match text.char_indices().nth(MAX_LENGTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use common::config::{ConfigErrors, Diagnostic, LoadFailure};

    use super::*;

    #[test]
    fn a_few_mistakes_are_shown_and_the_others_counted() {
        assert!(ConfigBanner::from_status(&LoadStatus::default(), Timestamp::now()).is_none());
        let problem = |message: String| Diagnostic::in_file("yaml", "a.yaml", message);
        let mut problems = vec![problem("x".repeat(1000))];
        problems.extend((1..=6).map(|number| problem(format!("mistake {number}"))));
        let failure = LoadFailure {
            since: Timestamp::UNIX_EPOCH,
            errors: Arc::new(ConfigErrors(problems)),
        };
        let status = LoadStatus {
            failure: Some(failure),
            ..LoadStatus::default()
        };
        let trouble = ConfigBanner::from_status(&status, Timestamp::now()).unwrap();
        assert_eq!((trouble.problems.len(), trouble.more), (MAX_SHOWN, 2));
        assert_eq!(trouble.problems[0].chars().count(), MAX_LENGTH + 1);
        assert_eq!(trouble.problems[1], "a.yaml: mistake 1");
    }
}
