//! A pull request as a page, so that a person sees the green check.

use std::fmt::Write as _;

use axum::{
    extract::{Path, State},
    response::{Html, IntoResponse as _},
};
use http::{HeaderName, HeaderValue, header};

use super::{
    Context,
    answer::{Error, Reply},
    pulls,
    routes::latest,
    store::{Comment, Pull, PullState, Status},
};

const STYLE: &str = "
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 50rem; margin: 2rem auto; padding: 0 1rem }
.quiet { opacity: .7 }
article { border: 1px solid #8886; border-radius: .4rem; margin: 1rem 0; padding: .5rem 1rem }
article pre { white-space: pre-wrap; overflow-wrap: anywhere; font: inherit; margin: .5rem 0 }
table { border-collapse: collapse; width: 100% }
td { border-top: 1px solid #8886; padding: .4rem }
.success { color: light-dark(#1a7f37, #3fb950) }
.failure, .error { color: light-dark(#cf222e, #f85149) }
.pending { color: light-dark(#9a6700, #d29922) }
";

/// Anybody may look, so private repositories are not shown.
pub(crate) async fn pull(
    State(context): State<Context>,
    Path((owner, name, number)): Path<(String, String, i64)>,
) -> Reply {
    let repo = context
        .store
        .repo_by_name(&owner, &name)
        .await?
        .filter(|repo| !repo.private)
        .ok_or(Error::NotFound)?;
    let pull = pulls::load(&context, repo.id, number).await?;
    let statuses = latest(context.store.statuses(repo.id, &pull.head_sha).await?);
    let comments = context.store.comments(&repo, number).await?;
    let mut response = Html(render(&pull, &statuses, &comments)).into_response();
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, policy);
    response.headers_mut().insert(
        HeaderName::from_static("refresh"),
        HeaderValue::from_static("5"),
    );
    Ok(response)
}

fn render(pull: &Pull, statuses: &[Status], comments: &[Comment]) -> String {
    let title = escape(&pull.title);
    let state = match (pull.merged(), pull.state, pull.draft) {
        (true, ..) => "Merged",
        (_, PullState::Closed, _) => "Closed",
        (_, _, true) => "Draft",
        _ => "Open",
    };
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{title} · #{number}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style>\n<main>\n\
         <h1>{title} <span class=\"quiet\">#{number}</span></h1>\n\
         <p><strong>{state}</strong> · {author} wants to merge <code>{head}</code> into <code>{base}</code> \
         <span class=\"quiet\">at {sha}</span></p>\n",
        number = pull.number,
        author = escape(&pull.author.login),
        head = escape(&format!("{}:{}", pull.head_repo.owner.login, pull.head_ref)),
        base = escape(&pull.base_ref),
        sha = pull.head_sha.get(..12).unwrap_or_default(),
    );
    if !pull.labels.is_empty() {
        let names: Vec<String> = pull
            .labels
            .iter()
            .map(|label| escape(&label.name))
            .collect();
        push(
            &mut html,
            format_args!("<p>Labels: {}</p>\n", names.join(", ")),
        );
    }
    if let Some(body) = pull.body.as_deref().filter(|body| !body.is_empty()) {
        push(
            &mut html,
            format_args!("<article><pre>{}</pre></article>\n", escape(body)),
        );
    }
    push(&mut html, format_args!("<h2>Checks</h2>\n"));
    render_statuses(&mut html, statuses);
    push(&mut html, format_args!("<h2>Comments</h2>\n"));
    for comment in comments {
        let (author, body) = (escape(&comment.author.login), escape(&comment.body));
        let (id, time) = (comment.id, &comment.created_at);
        push(
            &mut html,
            format_args!(
                "<article id=\"issuecomment-{id}\"><span class=\"quiet\">{author}, {time}</span><pre>{body}</pre></article>\n"
            ),
        );
    }
    if comments.is_empty() {
        push(
            &mut html,
            format_args!("<p class=\"quiet\">None yet.</p>\n"),
        );
    }
    html.push_str("</main></html>\n");
    html
}

fn render_statuses(html: &mut String, statuses: &[Status]) {
    if statuses.is_empty() {
        push(html, format_args!("<p class=\"quiet\">None yet.</p>\n"));
        return;
    }
    html.push_str("<table>\n");
    for status in statuses {
        let (sign, state) = match status.state.as_str() {
            "success" => ("✓", "success"),
            "failure" => ("✗", "failure"),
            "error" => ("✗", "error"),
            _ => ("●", "pending"),
        };
        let context = escape(&status.context);
        let description = escape(status.description.as_deref().unwrap_or_default());
        // The route takes http(s) addresses only.
        let link = status
            .target_url
            .as_ref()
            .map(|url| format!("<a href=\"{}\">Details</a>", escape(url)));
        push(
            html,
            format_args!(
                "<tr><td class=\"{state}\">{sign} {state}<td>{context}<td>{description}<td>{}</tr>\n",
                link.unwrap_or_default()
            ),
        );
    }
    html.push_str("</table>\n");
}

fn push(html: &mut String, text: std::fmt::Arguments<'_>) {
    html.write_fmt(text).expect("a String takes everything");
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
