//! The texts that trigger writes on pull requests.

use std::{fmt::Write as _, sync::Arc};

use common::{
    config::{ChangedFiles, ConfigErrors, Diagnostic, Presubmit},
    github::GithubPullRequest,
    repo_names,
    untrusted_text::{
        escape_code_block, escape_code_span, escape_link_target, escape_plain, sanitize_login,
    },
};

use super::lookups::TriggerContext;
use crate::event::GenericCommentEvent;

/// In every help comment, so that the next one can replace it.
pub(crate) const HELP_MARKER: &str = "<!-- prow: trigger help -->";

/// In the comment about the repository's own configuration, so that there is only one.
pub(crate) const REPORT_MARKER: &str = "<!-- prow: in-repo configuration -->";

pub(crate) fn draft_comment(pull: &GithubPullRequest) -> String {
    format!(
        "Hi @{}. This pull request is a draft, so its jobs do not run by themselves. \
         Mark it as ready for review, or start a job with `/test <job>`.",
        sanitize_login(&pull.user.login, MAX_NAME)
    )
}

pub(crate) fn welcome_comment(pull: &GithubPullRequest, scene: TriggerContext<'_>) -> String {
    let orgs = trusted_orgs(scene);
    let mut text = format!(
        "Hi @{}. Thanks for your pull request.\n\n",
        sanitize_login(&pull.user.login, MAX_NAME)
    );
    if scene.trigger.ignore_ok_to_test {
        let _ = write!(
            text,
            "Jobs run by themselves once its author is a member of {orgs}. Until then a member \
             may start them with `/test <job>`."
        );
    } else {
        let _ = write!(
            text,
            "A member of {orgs} has to look at it before any of its code runs. They comment \
             `/ok-to-test`, and jobs run for this commit and all later ones. Until then they may \
             start single jobs with `/test <job>`."
        );
    }
    text.push_str(&join_org_hint(scene));
    text
}

pub(crate) fn untrusted_comment(
    comment: &GenericCommentEvent,
    scene: TriggerContext<'_>,
) -> String {
    let orgs = trusted_orgs(scene);
    let way = if scene.trigger.ignore_ok_to_test {
        format!("Only members of {orgs} may start jobs on this pull request.")
    } else {
        format!(
            "Jobs cannot be started on this pull request yet: neither you nor its author are \
             trusted here. A member of {orgs} may comment `/ok-to-test` after looking at the code."
        )
    };
    reply_to_comment(comment, &format!("{way}{}", join_org_hint(scene)))
}

pub(crate) fn cannot_cancel(comment: &GenericCommentEvent) -> String {
    reply_to_comment(comment, "Only trusted users may take `/ok-to-test` back.")
}

/// The organisations whose members are trusted.
fn trusted_orgs(scene: TriggerContext<'_>) -> String {
    let org = &scene.identity.org;
    match scene.trigger.trusted_org.as_str() {
        "" => org.clone(),
        friends if repo_names::is_same_name(friends, org) => org.clone(),
        friends => format!("{org} or {friends}"),
    }
}

fn join_org_hint(scene: TriggerContext<'_>) -> String {
    match scene.trigger.join_org_url.as_str() {
        "" => String::new(),
        url => format!("\n\nHow to become a member: {url}"),
    }
}

/// Why a user gets help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HelpNote {
    Asked,
    BareTest,
    RetestNamed,
    NothingToTest,
    UnknownTarget,
}

impl HelpNote {
    pub(crate) const fn note_text(self) -> &'static str {
        match self {
            Self::Asked => "",
            Self::BareTest => "`/test` needs the name of a job.\n\n",
            Self::RetestNamed => {
                "`/retest` takes no name: it runs what failed. A single job starts with `/test`.\n\n"
            }
            Self::NothingToTest => "`/test all` found no job that runs by itself here.\n\n",
            Self::UnknownTarget => "No such job runs on this branch.\n\n",
        }
    }
}

/// Most characters of a name, and of a command or a sentence that has names in it.
const MAX_NAME: usize = 200;
const MAX_WORDS: usize = 500;

/// Most files in conflict that a comment names.
const MAX_FILES: usize = 20;

/// Why nothing runs on a pull request, and what to do about it.
pub(crate) fn conflict_message(base_ref: &str, files: &[String]) -> String {
    let base = escape_code_span(base_ref, MAX_NAME);
    let mut text = format!("No job can run on this pull request: it conflicts with {base}");
    if files.is_empty() {
        text.push_str(". GitHub names the files at the end of its page.\n\n");
    } else {
        text.push_str(" in\n\n");
        for file in files.iter().take(MAX_FILES) {
            let _ = writeln!(text, "- {}", escape_code_span(file, MAX_NAME));
        }
        if files.len() > MAX_FILES {
            text.push_str("- and more\n");
        }
        text.push('\n');
    }
    let _ = write!(
        text,
        "Rebase it on {base}, or merge {base} into it, and push. What runs by itself starts \
         then.\n\n"
    );
    text
}

/// An answer to a comment. The next answer replaces it.
pub(crate) fn replaceable_answer(comment: &GenericCommentEvent, message: &str) -> String {
    format!(
        "{}\n{HELP_MARKER}",
        reply_to_comment(comment, message.trim_end())
    )
}

/// The jobs one can ask for on `base_ref`. Without `changed_files`, jobs that depend on them are
/// listed as part of `/test all`.
pub(crate) fn help_comment(
    note: &str,
    comment: &GenericCommentEvent,
    jobs: &[Arc<Presubmit>],
    base_ref: &str,
    org_repo: &str,
    changed_files: Option<&[String]>,
) -> String {
    let here: Vec<_> = jobs
        .iter()
        .filter(|job| job.brancher.runs_on(base_ref))
        .collect();
    let mut text = note.to_owned();
    if here.is_empty() {
        let _ = write!(
            text,
            "No presubmit jobs are available for {}.",
            escape_code_span(&format!("{org_repo}@{base_ref}"), 2 * MAX_NAME)
        );
    } else {
        let list = |title: &str, wanted: &dyn Fn(&Presubmit) -> bool, text: &mut String| {
            let commands: Vec<_> = here.iter().filter(|job| wanted(job)).collect();
            if !commands.is_empty() {
                let _ = writeln!(text, "{title}\n");
                for job in commands {
                    text.push_str(&escape_code_block(&job.rerun_command, MAX_NAME));
                }
                text.push('\n');
            }
        };
        list("Required jobs:", &|job| !job.optional, &mut text);
        list("Optional jobs:", &|job| job.optional, &mut text);
        let changes = changed_files.map(ChangedFiles::new);
        let all = here.iter().filter(|job| {
            job.always_run
                || (job.changes.is_set()
                    && changes
                        .as_ref()
                        .is_none_or(|changes| job.changes.runs_against_changes(changes)))
        });
        let names = all.map(|job| format!("- {}", escape_code_span(&job.base.name, MAX_NAME)));
        let names: Vec<_> = names.collect();
        if names.is_empty() {
            text.push_str("`/test all` starts none of them.");
        } else {
            let _ = write!(
                text,
                "`/test all` starts, as far as the changed files ask for them:\n\n{}",
                names.join("\n")
            );
        }
    }
    replaceable_answer(comment, &text)
}

/// Most characters of a comment that its answer quotes. GitHub refuses texts over 65,536.
const MAX_QUOTE: usize = 2_000;
/// Most mistakes that the comment lists one by one.
const MAX_PROBLEMS: usize = 20;
/// Bytes after which it lists no more of them: escaped characters are longer than the original, and
/// GitHub takes 65,536 characters.
const MAX_LIST: usize = 50_000;

/// A message to the author of a comment, which quotes the comment.
fn reply_to_comment(comment: &GenericCommentEvent, message: &str) -> String {
    format!(
        "@{}: {message}\n\n<details>\n\nIn answer to [this]({}):\n\n{}\n</details>",
        sanitize_login(&comment.author.login, MAX_NAME),
        escape_link_target(&comment.html_url, MAX_QUOTE),
        escape_code_block(&comment.body, MAX_QUOTE)
    )
}

/// The comment about mistakes in a repository's own configuration.
pub(crate) fn in_repo_errors(org_repo: &str, errors: &ConfigErrors) -> String {
    let mut text = format!(
        "{REPORT_MARKER}\nThe job configuration that this pull request would bring to {org_repo} \
         cannot be used. Jobs that are configured centrally run all the same.\n\n"
    );
    let mut told = 0;
    for problem in errors.0.iter().take(MAX_PROBLEMS) {
        if text.len() > MAX_LIST {
            break;
        }
        told += 1;
        let Diagnostic {
            rule: _,
            file,
            line,
            column,
            path,
            message,
            hint,
        } = problem;
        let place = match line {
            0 => file.clone(),
            _ => format!("{file}, line {line}, column {column}"),
        };
        let _ = write!(text, "- **{}**", escape_code_span(&place, MAX_WORDS));
        if !path.is_empty() {
            let _ = write!(text, " ({})", escape_code_span(path, MAX_WORDS));
        }
        let _ = writeln!(text, ": {}", escape_code_span(message, MAX_WORDS));
        if let Some(hint) = hint {
            let _ = writeln!(
                text,
                "  How to mend it: {}",
                escape_code_span(hint, MAX_WORDS)
            );
        }
    }
    let more = errors.0.len() - told;
    if more > 0 {
        let _ = writeln!(text, "- and {more} more");
    }
    text.push_str("\nThis comment is kept up to date with every push.");
    text
}

/// The comment about a repository that git cannot read. Git's own message is in hook's log.
pub(crate) fn in_repo_unreadable(org_repo: &str, why: &str) -> String {
    format!(
        "{REPORT_MARKER}\nThe job configuration that this pull request would bring to {org_repo} \
         could not be read: {}. Jobs that are configured centrally \
         run all the same.\n\nThe next push tries again. If this goes on, whoever runs this \
         Prow finds the reason in hook's log.",
        escape_code_span(why, MAX_WORDS)
    )
}

/// GitHub's limit for the description of a status, in characters.
const MAX_DESCRIPTION: usize = 140;

pub(crate) const USABLE: &str = "The job configuration can be used.";
pub(crate) const UNREADABLE: &str = "The job configuration could not be read.";

/// The first mistake with its position, and how many more there are.
pub(crate) fn first_mistake(errors: &ConfigErrors) -> String {
    let Some(Diagnostic {
        file,
        line,
        message,
        ..
    }) = errors.0.first()
    else {
        return "The job configuration cannot be used.".to_owned();
    };
    let place = match line {
        0 => file.clone(),
        _ => format!("{file}:{line}"),
    };
    let more = match errors.0.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let room = MAX_DESCRIPTION - more.len() - 1;
    let mut text = escape_plain(&format!("{place}: {message}"), room);
    // An escaped character takes several.
    if let Some((end, _)) = text.char_indices().nth(room) {
        text.truncate(end);
        text.push('…');
    }
    text + &more
}

/// What the comment becomes when the configuration can be used again.
pub(crate) fn in_repo_mended() -> String {
    format!("{REPORT_MARKER}\nThe job configuration of this pull request can be used now.")
}
