//! What strangers wrote, as it may stand in texts of ours: nobody is notified by it, and no
//! table, link, comment or marker of ours is broken by it.

use common::prowjob::{ProwJob, Refs};

/// Longest text taken from a job, in characters.
const MAX: usize = 1000;

/// A cell of a GitHub table.
pub(super) fn cell(text: &str) -> String {
    mapped(text, |c| match c {
        '|' => Some("&#124;"),
        c => harmless(c),
    })
}

/// Code in a cell of a GitHub table, without the backticks around it.
pub(super) fn code(text: &str) -> String {
    // A backslash before the one that hides a pipe would take its place.
    let text = text.replace("\\|", "|");
    mapped(&text, |c| match c {
        '`' => Some("'"),
        '|' => Some("\\|"),
        _ => None,
    })
}

/// The target of a link in a cell of a GitHub table.
pub(super) fn link(url: &str) -> String {
    mapped(url, |c| match c {
        ' ' => Some("%20"),
        '(' => Some("%28"),
        ')' => Some("%29"),
        '<' => Some("%3C"),
        '>' => Some("%3E"),
        '|' => Some("%7C"),
        '\\' => Some("%5C"),
        _ => None,
    })
}

/// A user to be notified: nothing that is no part of a login.
pub(super) fn login(text: &str) -> String {
    let is_part = |c: &char| c.is_ascii_alphanumeric() || "-_[]".contains(*c);
    text.chars().filter(is_part).take(100).collect()
}

/// The job for a template whose text goes to GitHub: what strangers chose is harmless in it.
pub(super) fn for_github(job: &ProwJob) -> ProwJob {
    with_texts(job, |text| mapped(text, harmless))
}

/// The same for Slack.
pub(super) fn for_slack(job: &ProwJob) -> ProwJob {
    with_texts(job, |text| {
        mapped(text, |c| match c {
            '&' => Some("&amp;"),
            '<' => Some("&lt;"),
            '>' => Some("&gt;"),
            _ => None,
        })
    })
}

/// What GitHub would act on.
fn harmless(c: char) -> Option<&'static str> {
    match c {
        '@' => Some("@\u{200b}"),
        '<' => Some("&lt;"),
        '&' => Some("&amp;"),
        _ => None,
    }
}

/// The text on one line, some characters replaced, cut where it is too long.
fn mapped(text: &str, replace: impl Fn(char) -> Option<&'static str>) -> String {
    let mut all = String::with_capacity(text.len());
    for c in text.chars().take(MAX) {
        match replace(c) {
            Some(text) => all.push_str(text),
            None if c.is_control() => all.push(' '),
            None => all.push(c),
        }
    }
    all
}

/// A job with other texts where the author of a pull request had the choice.
fn with_texts(job: &ProwJob, map: impl Fn(&str) -> String) -> ProwJob {
    let mut job = job.clone();
    let spec = &mut job.spec;
    for text in [&mut spec.job, &mut spec.context, &mut spec.rerun_command] {
        *text = map(text);
    }
    for refs in spec.refs.iter_mut().chain(&mut spec.extra_refs) {
        let Refs {
            base_ref, pulls, ..
        } = refs;
        *base_ref = map(base_ref);
        for pull in pulls {
            for text in [
                &mut pull.author,
                &mut pull.title,
                &mut pull.git_ref,
                &mut pull.head_ref,
            ] {
                *text = map(text);
            }
        }
    }
    if let Some(status) = &mut job.status {
        status.description = map(&status.description);
    }
    job
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_stays_one_and_notifies_nobody() {
        for (text, expected) in [
            ("pull-unit_test", "pull-unit_test"),
            ("a | b", "a &#124; b"),
            ("a\\|b", "a\\&#124;b"),
            ("a\n\n--- | x", "a  --- &#124; x"),
            ("@org/team", "@\u{200b}org/team"),
            ("&#64;org/team", "&amp;#64;org/team"),
            ("<!-- test report -->", "&lt;!-- test report -->"),
        ] {
            assert_eq!(cell(text), expected);
        }
        assert_eq!(cell(&"x".repeat(5000)).len(), MAX);
    }

    #[test]
    fn code_and_links_end_where_they_should() {
        assert_eq!(code("/test `a` | b"), "/test 'a' \\| b");
        assert_eq!(code("a\\|b"), "a\\|b");
        assert_eq!(link("http://d/x) [y](z|\n"), "http://d/x%29%20[y]%28z%7C ");
        assert_eq!(login("eve\n@org/all"), "eveorgall");
        assert_eq!(login("dependabot[bot]"), "dependabot[bot]");
    }
}
