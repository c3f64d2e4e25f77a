//! The current state of a pull request, when its event is acted on.
//!
//! An event may be late: hook was down, GitHub delivered it again, or an earlier delivery of its
//! ordering key was retried. Then its payload is out of date, and acting on it would undo what
//! later events did. So hook asks GitHub, and the newer of payload and answer counts, by
//! `updated_at`: GitHub's answers may lag behind its own webhooks.

use common::github::GithubPullRequest;

use super::lookups::{MissingLookup, TriggerLookups};

/// The pull request, and how it has changed since its event.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CurrentPull {
    pub(super) pull: GithubPullRequest,
    /// Another commit was pushed after the event. That push has its own event.
    pub(super) moved_on: bool,
    /// GitHub's answer is newer than the event.
    pub(super) is_later: bool,
}

impl CurrentPull {
    pub(super) fn from_lookups(
        event: &GithubPullRequest,
        facts: &TriggerLookups,
    ) -> Result<Self, MissingLookup> {
        Ok(choose_newer(event, facts.current_pull(event.number)?))
    }

    /// Why the event may no longer start anything.
    pub(super) fn is_over(&self) -> Option<&'static str> {
        if self.moved_on {
            Some("the pull request has moved on to another commit, whose own event counts")
        } else if self.pull.state == "closed" {
            Some("the pull request is closed by now")
        } else if self.pull.base.git_ref.is_empty() || self.pull.head.sha.is_empty() {
            Some("GitHub does not say which commits the pull request is of")
        } else {
            None
        }
    }
}

fn choose_newer(event: &GithubPullRequest, found: Option<&GithubPullRequest>) -> CurrentPull {
    let Some(found) = found else {
        // Labels grant trust, and nothing confirms those of the payload.
        return CurrentPull {
            pull: GithubPullRequest {
                labels: Vec::new(),
                ..event.clone()
            },
            moved_on: false,
            is_later: false,
        };
    };
    if found.updated_at > event.updated_at {
        return CurrentPull {
            pull: found.clone(),
            moved_on: !event.head.sha.is_empty() && event.head.sha != found.head.sha,
            is_later: true,
        };
    }
    let same_commits = found.head.sha == event.head.sha && found.base.git_ref == event.base.git_ref;
    CurrentPull {
        pull: GithubPullRequest {
            labels: found.labels.clone(),
            mergeable: found.mergeable.filter(|_| same_commits),
            ..event.clone()
        },
        moved_on: false,
        is_later: false,
    }
}

#[cfg(test)]
mod tests {
    use common::github::PullRequestBranch;
    use proptest::prelude::*;

    use super::*;

    fn pull(second: i64, head: &str, labels: &[&str]) -> GithubPullRequest {
        GithubPullRequest {
            number: 7,
            state: "open".into(),
            updated_at: jiff::Timestamp::from_second(second).ok(),
            labels: labels.iter().map(ToString::to_string).collect(),
            head: branch("topic", head),
            base: branch("main", "base"),
            ..GithubPullRequest::default()
        }
    }

    fn branch(git_ref: &str, sha: &str) -> PullRequestBranch {
        PullRequestBranch {
            git_ref: git_ref.into(),
            sha: sha.into(),
            repo: None,
        }
    }

    #[test]
    fn the_newer_of_event_and_answer_counts() {
        let event = pull(10, "new", &["needs-ok-to-test"]);
        for (name, found, head, labels, moved_on) in [
            ("GitHub does not have it yet", None, "new", &[][..], false),
            (
                "GitHub lags",
                Some(pull(9, "old", &["ok-to-test"])),
                "new",
                &["ok-to-test"],
                false,
            ),
            (
                "the same second",
                Some(pull(10, "new", &["ok-to-test"])),
                "new",
                &["ok-to-test"],
                false,
            ),
            (
                "the same second, another commit",
                Some(pull(10, "old", &[])),
                "new",
                &[],
                false,
            ),
            (
                "a label since",
                Some(pull(11, "new", &["ok-to-test"])),
                "new",
                &["ok-to-test"],
                false,
            ),
            (
                "a push since",
                Some(pull(11, "newer", &[])),
                "newer",
                &[],
                true,
            ),
        ] {
            let now = choose_newer(&event, found.as_ref());
            assert_eq!(now.pull.head.sha, head, "{name}");
            assert_eq!(now.pull.labels, labels, "{name}");
            assert_eq!(
                (now.moved_on, now.is_over().is_some()),
                (moved_on, moved_on),
                "{name}"
            );
        }
    }

    fn any_pull() -> impl Strategy<Value = GithubPullRequest> {
        let labels = proptest::sample::subsequence(vec!["ok-to-test", "needs-ok-to-test"], 0..=2);
        let head = proptest::sample::select(vec!["", "a", "b"]);
        let state = proptest::sample::select(vec!["", "open", "closed"]);
        let flags = (any::<bool>(), any::<Option<bool>>());
        (proptest::option::of(0_i64..4), head, labels, state, flags).prop_map(
            |(second, head, labels, state, (draft, mergeable))| GithubPullRequest {
                state: state.into(),
                draft,
                mergeable,
                updated_at: second.and_then(|second| jiff::Timestamp::from_second(second).ok()),
                ..pull(0, head, &labels)
            },
        )
    }

    proptest! {
        #[test]
        fn labels_and_mergeability_are_never_the_payloads(
            event in any_pull(), found in proptest::option::of(any_pull()),
        ) {
            let now = choose_newer(&event, found.as_ref());
            let labels = found.as_ref().map(|found| found.labels.clone()).unwrap_or_default();
            prop_assert_eq!(&now.pull.labels, &labels);
            if let Some(mergeable) = now.pull.mergeable.filter(|_| found.is_some()) {
                prop_assert_eq!(Some(mergeable), found.as_ref().unwrap().mergeable);
            }
        }

        #[test]
        fn an_event_is_passed_over_only_for_a_later_push(
            event in any_pull(), found in proptest::option::of(any_pull()),
        ) {
            let now = choose_newer(&event, found.as_ref());
            let later = found.as_ref().is_some_and(|found| found.updated_at > event.updated_at);
            prop_assert_eq!(now.is_later, later);
            prop_assert!(!now.moved_on || later && now.pull.head.sha != event.head.sha);
            if !later {
                prop_assert_eq!(&now.pull.head, &event.head);
                prop_assert_eq!((&now.pull.state, now.pull.draft), (&event.state, event.draft));
            }
        }
    }
}
