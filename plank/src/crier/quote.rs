//! Escapes a job's texts in an operator's template: the template is the operator's, what it inserts
//! may be a stranger's.

use common::untrusted_text;

/// Most characters of a text, and of an address.
pub(super) const MAX_TEXT: usize = 1_000;
pub(super) const MAX_URL: usize = 2_000;

/// For [`common::template::GoTemplate::render_job_as`], where the text goes to GitHub.
pub(super) fn for_github(field: &str, text: &str) -> String {
    match field {
        field if is_address(field) => untrusted_text::escape_link_target(text, MAX_URL),
        field if is_plain_name(field, text) => text.to_owned(),
        // Meant to be typed, so it keeps the slash of a command.
        "rerun_command" => match text.strip_prefix('/') {
            Some(rest) => format!("/{}", untrusted_text::escape_markdown(rest, MAX_TEXT)),
            None => untrusted_text::escape_markdown(text, MAX_TEXT),
        },
        _ => untrusted_text::escape_markdown(text, MAX_TEXT),
    }
}

/// The same for Slack.
pub(super) fn for_slack(field: &str, text: &str) -> String {
    match field {
        field if is_address(field) => untrusted_text::escape_link_target(text, MAX_URL),
        field if is_plain_name(field, text) => text.to_owned(),
        _ => untrusted_text::escape_slack(text, MAX_TEXT),
    }
}

/// An organisation's or a repository's name as GitHub allows it; templates compare these.
fn is_plain_name(field: &str, text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    matches!(field, "org" | "repo") && text.len() <= MAX_TEXT && text.bytes().all(is_plain)
}

/// Fields of a `ProwJob` that hold an address.
fn is_address(field: &str) -> bool {
    field == "url" || field == "link" || field.ends_with("_link")
}

#[cfg(test)]
mod tests {
    use common::{
        prowjob::{ProwJob, ProwJobStatus, Pull, Refs},
        template::GoTemplate,
    };

    use super::*;

    /// A job in which every text that a stranger chooses is hostile.
    fn job() -> ProwJob {
        let hostile = "[x](http://evil.example) @all #1 <!-- test report --> <!channel>\n/lgtm";
        let mut job = ProwJob::new("pj", Default::default());
        job.metadata.annotations = Some([("a".into(), hostile.into())].into());
        job.spec.job = hostile.into();
        job.spec.rerun_command = "/test unit".into();
        job.spec.extra_refs = vec![Refs {
            org: hostile.into(),
            clone_uri: hostile.into(),
            ..Refs::default()
        }];
        job.spec.refs = Some(Refs {
            base_ref: hostile.into(),
            pulls: vec![Pull {
                title: hostile.into(),
                author: hostile.into(),
                head_ref: hostile.into(),
                link: "https://github.com/o/r/pull/7".into(),
                ..Pull::default()
            }],
            ..Refs::default()
        });
        job.status = Some(ProwJobStatus {
            description: hostile.into(),
            url: "https://deck/?a=1&b=2|x> @all".into(),
            ..ProwJobStatus::default()
        });
        job
    }

    const ALL: &str = "{{.Spec.Job}}|{{.Status.Description}}|{{.Status.URL}}|\
        {{range .Spec.Refs.Pulls}}{{.Title}}{{.Author}}{{.HeadRef}} {{.Link}}{{end}}|\
        {{range .Spec.ExtraRefs}}{{.Org}}{{.CloneURI}}{{end}}|{{.Spec.Refs.BaseRef}}|\
        {{index .Annotations \"a\"}}|`{{.Spec.RerunCommand}}`";

    #[test]
    fn an_operators_template_inserts_nothing_but_text() {
        let template = GoTemplate::parse_template(ALL).unwrap();
        let github = template.render_job_as(&job(), for_github).unwrap();
        for hostile in ["[x]", "@all", "#1", "<!", "evil.example)", "://evil", "\n"] {
            let found = github.replace("(http&#58;\u{200b}//evil.example)", "");
            assert!(!found.contains(hostile), "{hostile} in {found}");
        }
        let slack = template.render_job_as(&job(), for_slack).unwrap();
        for hostile in ["<!channel>", "@all", "#1", "://evil", "\n"] {
            assert!(!slack.contains(hostile), "{hostile} in {slack}");
        }
        for text in [&github, &slack] {
            assert!(
                text.contains("https://deck/?a=1&b=2%7Cx%3E%20%40all"),
                "{text}"
            );
            assert!(text.contains("https://github.com/o/r/pull/7"), "{text}");
            assert!(text.contains("`/test unit`"), "{text}");
        }
    }
}
