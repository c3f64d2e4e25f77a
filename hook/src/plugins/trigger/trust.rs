//! Decides who may have code run.

use common::github::GithubPullRequest;

use super::lookups::{MissingLookup, TriggerContext, TriggerLookups};

pub(crate) const OK_TO_TEST: &str = "ok-to-test";
pub(crate) const NEEDS_OK_TO_TEST: &str = "needs-ok-to-test";

/// Whether a user or a pull request is trusted, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrustDecision {
    pub(crate) granted: bool,
    pub(crate) why: String,
}

/// Trusted users are the bot itself, the repository's owner, members of the organisation,
/// collaborators of the repository (unless only members count), listed Apps, and members of the
/// trusted organisation.
pub(crate) fn trusted_user(
    login: &str,
    scene: TriggerContext<'_>,
    facts: &TriggerLookups,
) -> Result<TrustDecision, MissingLookup> {
    let org = scene.identity.org.as_str();
    let settings = scene.trigger;
    let yes = |why: &str| {
        Ok(TrustDecision {
            granted: true,
            why: format!("{login} is {why}"),
        })
    };
    if is_bot(login, facts)? {
        return yes("the bot itself");
    }
    if login.eq_ignore_ascii_case(org) {
        return yes("the owner");
    }
    let mut missing = vec![format!("no member of {org}")];
    if facts.is_member(org, login)? {
        return yes(&format!("a member of {org}"));
    }
    if !settings.only_org_members {
        if facts.is_collaborator(login)? {
            return yes(&format!("a collaborator of {}", scene.org_repo()));
        }
        missing.push(format!("no collaborator of {}", scene.org_repo()));
    }
    if let Some(app) = login.strip_suffix("[bot]")
        && settings
            .trusted_apps
            .iter()
            .any(|trusted| trusted.strip_suffix("[bot]").unwrap_or(trusted) == app)
    {
        return yes("a trusted App");
    }
    let friends = settings.trusted_org.as_str();
    if !friends.is_empty() && friends != org {
        if facts.is_member(friends, login)? {
            return yes(&format!("a member of {friends}"));
        }
        missing.push(format!("no member of {friends}"));
    }
    Ok(TrustDecision {
        granted: false,
        why: format!("{login} is {}", missing.join(", ")),
    })
}

/// A pull request is trusted when its author is, or when it has the label `ok-to-test`.
pub(crate) fn trusted_pull_request(
    pull: &GithubPullRequest,
    scene: TriggerContext<'_>,
    facts: &TriggerLookups,
) -> Result<TrustDecision, MissingLookup> {
    let author = trusted_user(&pull.user.login, scene, facts)?;
    if author.granted || !has_label(pull, OK_TO_TEST) {
        return Ok(author);
    }
    Ok(TrustDecision {
        granted: true,
        why: format!("it has the label {OK_TO_TEST}"),
    })
}

pub(crate) fn has_label(pull: &GithubPullRequest, label: &str) -> bool {
    pull.labels
        .iter()
        .any(|have| have.eq_ignore_ascii_case(label))
}

/// Whether a login is the one that this service acts as. A person with the App's name is not: the
/// App's own login ends in `[bot]`, which no person's can.
pub(crate) fn is_bot(login: &str, facts: &TriggerLookups) -> Result<bool, MissingLookup> {
    Ok(facts.bot_login()?.eq_ignore_ascii_case(login))
}

#[cfg(test)]
mod tests {
    use common::config::{Config, plugins::TriggerConfig};

    use super::*;
    use crate::webhook::RepositoryRef;

    #[test]
    fn trust_is_asked_for_in_order() {
        let facts = TriggerLookups {
            bot: Some("prow[bot]".into()),
            members: [("o", "ann", true), ("friends", "fay", true)]
                .into_iter()
                .chain(
                    [
                        "bob",
                        "eve",
                        "fay",
                        "dependabot[bot]",
                        "x[bot]",
                        "dependabot",
                        "prow",
                    ]
                    .map(|user| ("o", user, false)),
                )
                .chain(
                    ["eve", "x[bot]", "bob", "dependabot", "prow"]
                        .map(|user| ("friends", user, false)),
                )
                .map(|(org, user, is)| ((org.to_owned(), user.to_owned()), is))
                .collect(),
            collaborators: [("bob", true)]
                .into_iter()
                .chain(
                    [
                        "eve",
                        "fay",
                        "dependabot[bot]",
                        "x[bot]",
                        "dependabot",
                        "prow",
                    ]
                    .map(|user| (user, false)),
                )
                .map(|(user, is)| (user.to_owned(), is))
                .collect(),
            ..TriggerLookups::default()
        };
        let open = TriggerConfig {
            trusted_apps: vec!["dependabot".into()],
            trusted_org: "friends".into(),
            ..TriggerConfig::default()
        };
        let members_only = TriggerConfig {
            only_org_members: true,
            ..open.clone()
        };
        for (name, user, trigger, granted) in [
            ("the bot", "prow[bot]", &open, true),
            ("a person called like the bot", "prow", &open, false),
            ("the owner of a personal repository", "o", &open, true),
            ("a member", "ann", &open, true),
            ("a collaborator", "bob", &open, true),
            (
                "a collaborator where only members count",
                "bob",
                &members_only,
                false,
            ),
            ("a trusted App", "dependabot[bot]", &open, true),
            ("a user of an App's name", "dependabot", &open, false),
            ("another App", "x[bot]", &open, false),
            (
                "a member of the trusted organisation",
                "fay",
                &members_only,
                true,
            ),
            ("a stranger", "eve", &open, false),
        ] {
            let (identity, config) = (
                RepositoryRef {
                    org: "o".into(),
                    repo: "r".into(),
                },
                Config::default(),
            );
            let scene = TriggerContext {
                identity: &identity,
                guid: "g",
                config: &config,
                trigger,
                status_context: None,
            };
            let trust = trusted_user(user, scene, &facts).unwrap();
            assert_eq!(trust.granted, granted, "{name}: {}", trust.why);
        }
    }
}
