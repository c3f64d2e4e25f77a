//! `/badge.svg`: the newest runs of some jobs in one small picture, as in Prow.

use common::prowjob::ProwJobState;

/// Names that a failing badge lists before it says "...".
const MAX_NAMES: usize = 3;

/// `newest` is the newest run of each job, by name.
pub(crate) fn render_badge(newest: &[(&str, ProwJobState)]) -> String {
    let mut failing: Vec<&str> = newest
        .iter()
        .filter(|(_, state)| *state == ProwJobState::Failure)
        .map(|(job, _)| *job)
        .collect();
    failing.sort_unstable();
    let (status, color) = match (newest, failing.as_slice()) {
        ([], _) => ("no results".to_owned(), "#555"),
        (_, []) => ("passing".to_owned(), "#4c1"),
        (_, names) => {
            let more = if names.len() > MAX_NAMES { "..." } else { "" };
            let shown = names[..names.len().min(MAX_NAMES)].join(", ");
            (format!("failing {shown}{more}"), "#e05d44")
        }
    };
    render_svg("build", &status, color)
}

/// Widths are estimated as in Prow: 13, and 6 per character.
fn render_svg(subject: &str, status: &str, color: &str) -> String {
    let width = |text: &str| 13 + 6 * text.chars().count();
    let (left, right) = (width(subject), width(status));
    let total = left + right;
    let (subject, status) = (escape_xml(subject), escape_xml(status));
    let text = |center: usize, text: &str| {
        format!(
            r##"<text x="{center}" y="15" fill="#010101" fill-opacity=".3">{text}</text><text x="{center}" y="14">{text}</text>"##
        )
    };
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="20" role="img" aria-label="{subject}: {status}"><title>{subject}: {status}</title><clipPath id="r"><rect width="{total}" height="20" rx="3"/></clipPath><g clip-path="url(#r)"><rect width="{left}" height="20" fill="#555"/><rect x="{left}" width="{right}" height="20" fill="{color}"/></g><g fill="#fff" text-anchor="middle" font-family="DejaVu Sans,Verdana,Geneva,sans-serif" font-size="11">{}{}</g></svg>"##,
        text(left / 2, &subject),
        text(left + right / 2, &status),
    )
}

fn escape_xml(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_prow_says() {
        use ProwJobState::{Aborted, Error, Failure, Pending, Success};
        for (newest, expected, color) in [
            (vec![], "build: no results", "#555"),
            (
                vec![("a", Success), ("b", Pending), ("c", Error), ("d", Aborted)],
                "build: passing",
                "#4c1",
            ),
            (
                vec![("b", Failure), ("a", Failure), ("c", Success)],
                "build: failing a, b",
                "#e05d44",
            ),
            (
                vec![
                    ("d", Failure),
                    ("c", Failure),
                    ("b", Failure),
                    ("a", Failure),
                ],
                "build: failing a, b, c...",
                "#e05d44",
            ),
            (
                vec![("<b>&\"", Failure)],
                "build: failing &lt;b&gt;&amp;&quot;",
                "#e05d44",
            ),
        ] {
            let svg = render_badge(&newest);
            assert!(svg.contains(&format!("<title>{expected}</title>")), "{svg}");
            assert!(svg.contains(&format!("fill=\"{color}\"")), "{svg}");
        }
    }
}
