//! The one comment with the failed jobs of a pull request: its text, and the changes to the
//! comments that are there. Pure.
//!
//! The format is Prow's, so that each can go on with the other's comment.

use std::collections::BTreeSet;

use common::{
    github::IssueComment,
    prowjob::{ProwJob, ProwJobState, ProwJobType, labels},
    untrusted_text,
};

use super::{
    digest::markdown::{DigestBlock, parse_blocks, render_digest_section},
    quote::{MAX_TEXT, MAX_URL},
};

mod outdated;

pub use outdated::{PresubmitOrigin, find_outdated_candidates, find_outdated_rows};

/// Tells such a comment from others of the bot.
pub const MARKER: &str = "<!-- test report -->";

const HEADER: &str = "Test name | Commit | Details | Required | Rerun command";
const RULE: &str = "--- | --- | --- | --- | ---";
const CELL: &str = " | ";
const ABOUT: &str = "This comment is kept up to date: a test that passes leaves it, and when none \
                     is left, it goes.";
/// Most bytes of a body's table, and of a body; GitHub takes 65,536 characters.
const MAX_TABLE: usize = 48 << 10;
const MAX_BODY: usize = 60 << 10;

/// What is to be reported about one pull request.
#[derive(Clone, Debug)]
pub struct CommentReport<'a> {
    /// Jobs that have ended, oldest first; never empty.
    pub jobs: &'a [&'a ProwJob],
    /// There must be a comment, even when all jobs passed.
    pub sums_up: bool,
    /// Why some of these jobs failed, as far as that is known.
    pub digests: &'a [DigestBlock],
    /// The text of the report template.
    pub note: &'a str,
    /// Rows to remove whatever these jobs say: nobody could run their jobs any more.
    pub outdated: &'a BTreeSet<String>,
}

/// A change of the pull request's comments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommentChange {
    Create(String),
    Edit(u64, String),
    Delete(u64),
}

impl CommentChange {
    pub fn describe_change(&self) -> &'static str {
        match self {
            Self::Create(_) => "creating the comment",
            Self::Edit(..) => "editing the comment",
            Self::Delete(_) => "deleting a comment",
        }
    }
}

/// Whether this job has ended and belongs in the comment.
pub fn belongs_in_comment(job: &ProwJob, types: &[ProwJobType]) -> bool {
    is_reported_presubmit(job, types) && has_ended(job)
}

/// Whether this job belongs in the comment once it has ended.
pub fn is_reported_presubmit(job: &ProwJob, types: &[ProwJobType]) -> bool {
    let refs = job.spec.refs.as_ref();
    job.spec.job_type == ProwJobType::Presubmit
        && types.contains(&job.spec.job_type)
        && job.spec.report
        && refs.is_some_and(|refs| refs.pulls.len() == 1)
}

/// An aborted job counts while its pod still ends: it has nothing more to report.
pub fn has_ended(job: &ProwJob) -> bool {
    job.is_complete() || job.state() == ProwJobState::Aborted
}

/// The changes that leave one comment, up to date. `comments` are the pull request's, oldest first;
/// those of others and those without the marker are left alone.
pub fn plan_comments(
    comments: &[IssueComment],
    bot: &str,
    report: &CommentReport<'_>,
) -> Vec<CommentChange> {
    let ours: Vec<&IssueComment> = own_comments(comments, bot).collect();
    let rows = merge_rows(&ours, report);
    let digests = merge_digests(&ours, &rows, report);
    let aborted = |job: &&ProwJob| job.state() == ProwJobState::Aborted;
    let wanted = !rows.is_empty() || (report.sums_up && !report.jobs.iter().any(aborted));
    let (latest, older) = match ours.split_last() {
        Some((latest, older)) => (Some(*latest), older),
        None => (None, &[][..]),
    };
    let mut actions = Vec::new();
    match (latest, wanted) {
        (None, false) => {}
        (None, true) => actions.push(CommentChange::Create(format_body(&rows, &digests, report))),
        (Some(latest), false) => actions.push(CommentChange::Delete(latest.id)),
        (Some(latest), true) => {
            let body = format_body(&rows, &digests, report);
            // GitHub may return a body with other line ends.
            if latest.body.replace("\r\n", "\n").trim_end() != body {
                actions.push(CommentChange::Edit(latest.id, body));
            }
        }
    }
    actions.extend(
        older
            .iter()
            .map(|comment| CommentChange::Delete(comment.id)),
    );
    actions
}

fn own_comments<'a>(
    comments: &'a [IssueComment],
    bot: &str,
) -> impl Iterator<Item = &'a IssueComment> {
    comments
        .iter()
        .filter(move |comment| comment.user.login.eq_ignore_ascii_case(bot))
        .filter(|comment| comment.body.contains(MARKER))
}

/// The rows that stay, then those of the jobs; one per context, its last.
fn merge_rows(ours: &[&IssueComment], report: &CommentReport<'_>) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    let forget = |rows: &mut Vec<String>, name: &str| {
        rows.retain(|row| row_name(row) != name);
    };
    for row in ours.iter().flat_map(|comment| table_rows(&comment.body)) {
        forget(&mut rows, row_name(row));
        rows.push(row.to_owned());
    }
    rows.retain(|row| !report.outdated.contains(row_name(row)));
    for job in report.jobs {
        forget(&mut rows, &job.spec.context);
        forget(&mut rows, &format_cell(&job.spec.context));
        let is_outdated = report.outdated.contains(&format_cell(&job.spec.context));
        if job.state() == ProwJobState::Failure && !is_outdated {
            rows.push(format_row(job));
        }
    }
    rows
}

/// The digests of the rows: those that stay, then the new ones.
fn merge_digests(
    ours: &[&IssueComment],
    rows: &[String],
    report: &CommentReport<'_>,
) -> Vec<DigestBlock> {
    let is_told = |block: &DigestBlock| {
        let told = |job: &&ProwJob| format_cell(&job.spec.context) == block.name;
        report.jobs.iter().any(told)
    };
    let is_listed = |block: &DigestBlock| rows.iter().any(|row| row_name(row) == block.name);
    let mut all: Vec<DigestBlock> = Vec::new();
    let there = ours.iter().flat_map(|comment| parse_blocks(&comment.body));
    let new = report.digests.iter().cloned();
    // A summary reports all jobs, but only the newest digests are available.
    let kept = there.filter(|block| report.sums_up || !is_told(block));
    for block in kept.chain(new).filter(is_listed) {
        all.retain(|other| other.name != block.name);
        all.push(block);
    }
    all
}

/// The lines of a body's first table.
fn table_rows(body: &str) -> impl Iterator<Item = &str> {
    body.lines()
        .map(str::trim)
        .skip_while(|line| !line.starts_with("--- | "))
        .skip(1)
        .take_while(|line| !line.is_empty())
}

fn row_name(row: &str) -> &str {
    row.split(CELL).next().unwrap_or(row)
}

fn format_row(job: &ProwJob) -> String {
    let refs = job.spec.refs.as_ref();
    let pull = refs.and_then(|refs| refs.pulls.first());
    let url = job.status.as_ref().map_or("", |status| &status.url);
    [
        format_cell(&job.spec.context),
        format_cell(pull.map_or("", |pull| &pull.sha)),
        format!(
            "[link]({})",
            untrusted_text::escape_link_target(url, MAX_URL)
        ),
        required_text(job).to_owned(),
        untrusted_text::escape_code_cell(&job.spec.rerun_command, MAX_TEXT),
    ]
    .join(CELL)
}

/// A name in the table. Prow finds its row by it, so usual names stay as they are.
pub(super) fn format_cell(name: &str) -> String {
    untrusted_text::escape_markdown(name, MAX_TEXT)
}

fn required_text(job: &ProwJob) -> &'static str {
    let labels = job.metadata.labels.as_ref();
    match labels.and_then(|labels| labels.get(labels::IS_OPTIONAL)) {
        // Parsed as Go parses a boolean.
        Some(text) => match text.as_str() {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => "false",
            "0" | "f" | "F" | "FALSE" | "false" | "False" => "true",
            _ => "unknown",
        },
        None => "unknown",
    }
}

fn format_body(rows: &[String], digests: &[DigestBlock], report: &CommentReport<'_>) -> String {
    let refs = report.jobs.first().and_then(|job| job.spec.refs.as_ref());
    let pull = refs.and_then(|refs| refs.pulls.first());
    let author = untrusted_text::sanitize_login(pull.map_or("", |pull| &pull.author), MAX_TEXT);
    let mut lines = if rows.is_empty() {
        vec![format!("@{author}: all tests **passed!**"), String::new()]
    } else {
        let plural = if rows.len() > 1 { "s" } else { "" };
        let head = format!(
            "@{author}: The following test{plural} **failed**, say `/retest` to rerun all failed \
             tests or `/retest-required` to rerun all mandatory failed tests:"
        );
        vec![head, String::new(), HEADER.into(), RULE.into()]
    };
    let shown = fitting_rows(rows);
    lines.extend(shown.iter().cloned());
    if shown.len() < rows.len() {
        let more = rows.len() - shown.len();
        lines.extend([
            String::new(),
            format!("{more} earlier ones do not fit here."),
        ]);
    }
    let digests = render_digest_section(digests);
    if !digests.is_empty() {
        lines.extend([String::new(), digests.trim_end().to_owned()]);
    }
    let tail = ["", "<details>", "", ABOUT, "</details>", MARKER].join("\n");
    let length = lines.iter().map(String::len).sum::<usize>() + lines.len() + tail.len();
    // All of it or nothing: a half may end in the middle of an HTML element.
    if !report.note.is_empty() && length + report.note.len() < MAX_BODY {
        lines.extend([String::new(), report.note.replace(MARKER, "")]);
    }
    lines.push(tail);
    lines.join("\n")
}

/// The last rows that fit.
fn fitting_rows(rows: &[String]) -> &[String] {
    let mut length = 0;
    let fits = |row: &&String| {
        length += row.len() + 1;
        length <= MAX_TABLE
    };
    let count = rows.iter().rev().take_while(fits).count();
    &rows[rows.len() - count..]
}

#[cfg(test)]
mod tests;
