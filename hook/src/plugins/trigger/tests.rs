//! The acceptance cases of the trigger plugin, each under its name in the reference.

use std::{collections::BTreeMap, sync::Arc};

use common::{
    config::{
        Brancher, Config, ConfigErrors, Diagnostic, GoRegexp, JobBase, Postsubmit, Presubmit,
        RegexpChangeMatcher, inrepo::InRepoJobs,
    },
    github::{CommitStatus, GithubPullRequest, GithubUser, PullRequestBranch, StatusState},
};
use serde_json::json;

use super::{
    decision::{NewProwJob, TriggerEffect},
    lookups::InRepoResult,
    *,
};
use crate::{
    event::{CommentAction, GenericCommentEvent, PullRequestEvent, PushEvent},
    inrepo::{InRepoConfigError, PullRequestHead},
    webhook::RepositoryRef,
};

mod comments;
mod conflicts;
mod in_repo;
mod late;
mod nulls;
mod pull_requests;
mod pushes;
mod reruns;

/// `A` always runs, `O` is optional and manual, `M` is required and manual, `R` depends on files
/// that changed, `X` on files that did not, `B` runs on another branch.
fn presubmits() -> Vec<Presubmit> {
    let job = |name: &str| Presubmit {
        base: JobBase {
            name: name.into(),
            ..JobBase::default()
        },
        trigger: GoRegexp::new(&format!(r"(?m)^/test( | .* ){name},?($|\s.*)")).unwrap(),
        rerun_command: format!("/test {name}"),
        context: name.into(),
        ..Presubmit::default()
    };
    let if_changed = |pattern: &str| RegexpChangeMatcher {
        run_if_changed: Some(GoRegexp::new(pattern).unwrap()),
        ..RegexpChangeMatcher::default()
    };
    vec![
        Presubmit {
            always_run: true,
            ..job("A")
        },
        Presubmit {
            optional: true,
            ..job("O")
        },
        job("M"),
        Presubmit {
            changes: if_changed(r"\.go$"),
            ..job("R")
        },
        Presubmit {
            changes: if_changed(r"\.md$"),
            ..job("X")
        },
        Presubmit {
            always_run: true,
            brancher: Brancher {
                branches: vec![GoRegexp::new("^release$").unwrap()],
                ..Brancher::default()
            },
            ..job("B")
        },
    ]
}

/// Everything that a case may vary. `ann` is a member, `eve` a stranger, `prow` the bot.
struct Case {
    author: &'static str,
    labels: Vec<&'static str>,
    draft: bool,
    mergeable: Option<bool>,
    statuses: Vec<(&'static str, StatusState)>,
    presubmits: Vec<Presubmit>,
    postsubmits: Vec<Postsubmit>,
    trigger: TriggerConfig,
    status_context: Option<&'static str>,
    /// The in-repo configuration at the base and in the merge; `None` when it is off.
    own: Option<(InRepoResult, InRepoResult)>,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            author: "ann",
            labels: Vec::new(),
            draft: false,
            mergeable: None,
            statuses: Vec::new(),
            presubmits: presubmits(),
            postsubmits: Vec::new(),
            trigger: TriggerConfig::default(),
            status_context: None,
            own: None,
        }
    }
}

impl Case {
    fn stranger() -> Self {
        Self {
            author: "eve",
            ..Self::default()
        }
    }

    fn labelled(self, labels: &[&'static str]) -> Self {
        Self {
            labels: labels.to_vec(),
            ..self
        }
    }

    fn pull(&self) -> GithubPullRequest {
        GithubPullRequest {
            number: 7,
            title: "t".into(),
            state: "open".into(),
            draft: self.draft,
            mergeable: self.mergeable,
            user: user(self.author),
            labels: self.labels.iter().map(ToString::to_string).collect(),
            base: branch("main", "base-then"),
            head: branch("topic", "head"),
            html_url: "https://gh/o/r/pull/7".into(),
            ..GithubPullRequest::default()
        }
    }

    fn config(&self) -> Config {
        let arcs = |jobs: &[Presubmit]| jobs.iter().cloned().map(Arc::new).collect::<Vec<_>>();
        let mut config = Config::default();
        let key = "o/r".to_owned();
        config.jobs.presubmits = BTreeMap::from([(key.clone(), arcs(&self.presubmits))]);
        let postsubmits = self.postsubmits.iter().cloned().map(Arc::new).collect();
        config.jobs.postsubmits = BTreeMap::from([(key, postsubmits)]);
        if self.own.is_some() {
            config.prow.in_repo_config.enabled.insert("*".into(), true);
        }
        config
    }

    fn facts(&self) -> TriggerLookups {
        let is = |user: &str, is| (("o".to_owned(), user.to_owned()), is);
        let (at_base, merged) = self.own.clone().unzip();
        let head = |trusted| {
            Some(PullRequestHead {
                number: 7,
                sha: "head".into(),
                trusted,
            })
        };
        let own = [
            (None, at_base),
            (head(true), merged.clone()),
            (head(false), merged),
        ];
        TriggerLookups {
            bot: Some("prow[bot]".into()),
            members: [
                is("ann", true),
                is("bob", true),
                is("eve", false),
                is("sam", false),
            ]
            .into(),
            collaborators: ["eve", "sam"].map(|user| (user.to_owned(), false)).into(),
            pull: Some(self.pull()),
            pull_now: Some(Some(self.pull())),
            pull_at: Some(Some(7)),
            base_shas: [("main".to_owned(), "base-now".to_owned())].into(),
            changed_files: Some(vec!["main.go".into()]),
            statuses: Some(
                self.statuses
                    .iter()
                    .map(|(context, state)| CommitStatus {
                        state: *state,
                        context: (*context).into(),
                        description: String::new(),
                        target_url: String::new(),
                    })
                    .collect(),
            ),
            own: own
                .into_iter()
                .filter_map(|(head, own)| Some((("base-now".to_owned(), head), own?)))
                .collect(),
        }
    }

    fn decide(&self, event: &WebhookEvent) -> TriggerDecision {
        self.decide_with(event, &self.facts())
    }

    fn decide_with(&self, event: &WebhookEvent, facts: &TriggerLookups) -> TriggerDecision {
        let identity = RepositoryRef {
            org: "o".into(),
            repo: "r".into(),
        };
        let config = self.config();
        let scene = TriggerContext {
            identity: &identity,
            guid: "guid",
            config: &config,
            trigger: &self.trigger,
            status_context: self.status_context,
        };
        decide_event(event, scene, facts).expect("every fact is given")
    }

    /// The effects of a change of the pull request, in short form.
    fn on(&self, action: &str) -> String {
        self.on_event(json!({ "action": action }))
    }

    fn on_event(&self, mut event: serde_json::Value) -> String {
        event["pull_request"] =
            json!({"number": 7, "base": {"ref": "x", "sha": ""}, "head": {"ref": "x", "sha": ""}});
        let mut event: PullRequestEvent = serde_json::from_value(event).unwrap();
        event.pull_request = self.pull();
        short(&self.decide(&WebhookEvent::PullRequest(Box::new(event))))
    }

    /// The effects of a comment, in short form.
    fn says(&self, user: &str, body: &str) -> String {
        short(&self.decide(&WebhookEvent::Comment(comment(user, body))))
    }
}

fn user(login: &str) -> GithubUser {
    GithubUser {
        login: login.into(),
        ..GithubUser::default()
    }
}

fn branch(git_ref: &str, sha: &str) -> PullRequestBranch {
    PullRequestBranch {
        git_ref: git_ref.into(),
        sha: sha.into(),
        repo: None,
    }
}

fn comment(user_name: &str, body: &str) -> GenericCommentEvent {
    GenericCommentEvent {
        action: CommentAction::Created,
        number: 7,
        is_pull: true,
        is_open: true,
        body: body.into(),
        html_url: "https://gh/o/r/pull/7#1".into(),
        author: user(user_name),
    }
}

/// Effects as one line: `+label`, `-label`, `run JOB`, `abort`, `say <first words>`.
fn short(decision: &TriggerDecision) -> String {
    let says = [
        ("Thanks for your pull request", "welcome"),
        ("is a draft", "draft"),
        ("Jobs cannot be started", "refused"),
        ("Only members of", "refused"),
        ("take `/ok-to-test` back", "cannot cancel"),
        ("it conflicts with `main`", "conflict"),
        (messages::HELP_MARKER, "help"),
    ];
    assert!(!decision.reasons.is_empty(), "every decision has a reason");
    let effects: Vec<_> = decision
        .effects
        .iter()
        .filter_map(|effect| {
            Some(match effect {
                TriggerEffect::Abort => "abort".to_owned(),
                TriggerEffect::AddLabel(label) => format!("+{label}"),
                TriggerEffect::RemoveLabel(label) => format!("-{label}"),
                TriggerEffect::Run(run) => format!("run {}", run.spec.job),
                TriggerEffect::PruneHelp => return None,
                TriggerEffect::Comment(text) => {
                    let said = says.iter().find(|(part, _)| text.contains(part));
                    format!("say {}", said.expect("a text of ours").1)
                }
                TriggerEffect::Report(report) => {
                    let verdict = report.verdict.as_ref();
                    let state = verdict.map_or(String::new(), |verdict| {
                        format!(" {:?}", verdict.status.state).to_lowercase()
                    });
                    format!("report {}{state}", report.mistakes.is_some())
                }
            })
        })
        .collect();
    effects.join(", ")
}

/// The jobs a decision starts.
fn runs(decision: &TriggerDecision) -> Vec<&NewProwJob> {
    let effects = decision.effects.iter();
    effects
        .filter_map(|effect| match effect {
            TriggerEffect::Run(run) => Some(&**run),
            _ => None,
        })
        .collect()
}
