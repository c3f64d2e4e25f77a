//! Renders Markdown as on GitHub, without anything that a browser would obey.
//!
//! Of HTML in it the [`ALLOWED_TAGS`] stay, without attributes and always closed. Comments are
//! removed, everything else becomes text. A link leads to `http`, `https` or `mailto`; an image
//! becomes a link.

use std::{fmt::Write as _, mem};

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

/// GitHub's limit for a comment. A description may be as long.
const LONGEST: usize = 65_536;

const ALLOWED_TAGS: [&str; 29] = [
    "b",
    "blockquote",
    "br",
    "code",
    "del",
    "details",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "kbd",
    "li",
    "ol",
    "p",
    "pre",
    "s",
    "strong",
    "sub",
    "summary",
    "sup",
    "table",
    "td",
    "th",
    "tr",
];

/// Tags without content.
const VOID_TAGS: [&str; 2] = ["br", "hr"];

pub(super) fn to_html(text: &str) -> String {
    let end = text
        .char_indices()
        .nth(LONGEST)
        .map_or(text.len(), |(end, _)| end);
    let mut markup = HtmlSanitizer::default();
    // The HTML of one block comes in several events, line by line.
    let mut block: Option<String> = None;
    let mut events = Vec::new();
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    for event in Parser::new_ext(&text[..end], options) {
        match event {
            Event::Start(Tag::HtmlBlock) => block = Some(String::new()),
            Event::End(TagEnd::HtmlBlock) => {
                let html = block.take().unwrap_or_default();
                events.push(Event::Html(markup.sanitize_html(&html).into()));
            }
            Event::Html(part) => match &mut block {
                Some(block) => block.push_str(&part),
                None => events.push(Event::Html(markup.sanitize_html(&part).into())),
            },
            Event::InlineHtml(part) => {
                events.push(Event::InlineHtml(markup.sanitize_html(&part).into()))
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                events.push(Event::InlineHtml(anchor_tag(&dest_url)));
            }
            Event::End(TagEnd::Link | TagEnd::Image) => {
                events.push(Event::InlineHtml("</a>".into()));
            }
            // In comments GitHub keeps the author's line breaks.
            Event::SoftBreak => events.push(Event::HardBreak),
            other => events.push(other),
        }
    }
    let mut page = String::new();
    html::push_html(&mut page, events.into_iter());
    page.push_str(&markup.close_open_tags());
    page
}

/// Without `href` if the target is not allowed.
fn anchor_tag(target: &str) -> CowStr<'static> {
    let lower = target.trim().to_ascii_lowercase();
    let is_known = ["http://", "https://", "mailto:", "#"]
        .iter()
        .any(|scheme| lower.starts_with(scheme));
    if !is_known {
        return "<a>".into();
    }
    let mut tag = String::from("<a rel=\"nofollow noreferrer\" href=\"");
    escape_attribute(target.trim(), &mut tag);
    tag.push_str("\">");
    tag.into()
}

/// Keeps track of the author's open tags.
#[derive(Default)]
struct HtmlSanitizer {
    open: Vec<&'static str>,
}

impl HtmlSanitizer {
    fn sanitize_html(&mut self, html: &str) -> String {
        let mut admitted = String::with_capacity(html.len());
        let mut rest = html;
        while let Some(start) = rest.find('<') {
            escape_text(&rest[..start], &mut admitted);
            rest = &rest[start..];
            if let Some(comment) = rest.strip_prefix("<!--") {
                rest = comment.split_once("-->").map_or("", |(_, after)| after);
                continue;
            }
            let tag = rest.find('>').map(|end| &rest[1..end]);
            match tag.and_then(|tag| self.sanitize_tag(tag)) {
                Some(known) => {
                    admitted.push_str(&known);
                    rest = &rest[tag.map_or(0, str::len) + 2..];
                }
                None => {
                    admitted.push_str("&lt;");
                    rest = &rest[1..];
                }
            }
        }
        escape_text(rest, &mut admitted);
        admitted
    }

    /// The replacement for `<tag>`. `None` if the tag is not allowed.
    fn sanitize_tag(&mut self, tag: &str) -> Option<String> {
        let (closes, tag) = match tag.strip_prefix('/') {
            Some(tag) => (true, tag),
            None => (false, tag),
        };
        let end = tag
            .find(|letter: char| !letter.is_ascii_alphanumeric())
            .unwrap_or(tag.len());
        let name = tag[..end].to_ascii_lowercase();
        let name = *ALLOWED_TAGS.iter().find(|known| **known == name)?;
        if VOID_TAGS.contains(&name) {
            return Some(format!("<{name}>"));
        }
        if !closes {
            self.open.push(name);
            return Some(format!("<{name}>"));
        }
        // An end tag that was never opened must not close one of ours.
        let Some(at) = self.open.iter().rposition(|open| *open == name) else {
            return Some(String::new());
        };
        Some(end_tags(self.open.split_off(at)))
    }

    fn close_open_tags(&mut self) -> String {
        end_tags(mem::take(&mut self.open))
    }
}

fn end_tags(open: Vec<&str>) -> String {
    open.iter().rev().fold(String::new(), |mut tags, name| {
        write!(tags, "</{name}>").expect("a String takes everything");
        tags
    })
}

/// Entities are kept, since they are only characters.
fn escape_text(text: &str, into: &mut String) {
    for letter in text.chars() {
        match letter {
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            other => into.push(other),
        }
    }
}

fn escape_attribute(text: &str, into: &mut String) {
    for letter in text.chars() {
        match letter {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            other => into.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_looks_as_at_github() {
        for (text, html) in [
            ("one\ntwo", "<p>one<br />\ntwo</p>\n"),
            (
                "**b** `c` ~~d~~",
                "<p><strong>b</strong> <code>c</code> <del>d</del></p>\n",
            ),
            (
                "[x](http://a/?b=1&c=\")",
                "<p><a rel=\"nofollow noreferrer\" href=\"http://a/?b=1&amp;c=&quot;\">x</a></p>\n",
            ),
            (
                "![alt](https://a/b.png)",
                "<p><a rel=\"nofollow noreferrer\" href=\"https://a/b.png\">alt</a></p>\n",
            ),
            (
                "<details>\n<summary>s</summary>\n\n- a\n\n</details>",
                "<details>\n<summary>s</summary>\n<ul>\n<li>a</li>\n</ul>\n</details>",
            ),
            ("a <kbd class=x>K</kbd>", "<p>a <kbd>K</kbd></p>\n"),
            ("a<!-- mark -->b", "<p>ab</p>\n"),
        ] {
            assert_eq!(to_html(text), html, "{text}");
        }
        assert!(to_html("a | b\n--|--\n1 | 2").contains("<td>1</td>"));
    }

    #[test]
    fn nothing_an_author_writes_is_obeyed() {
        for text in [
            "<script>alert(1)</script>",
            "<ScRiPt src=x>",
            "<img src=x onerror=alert(1)>",
            "<details onclick=alert(1)>x",
            "<div style=position:fixed>",
            "<b\nonclick=alert(1)>",
            "<svg/onload=alert(1)>",
            "<style>*{display:none}</style>",
            "</main></body><iframe src=x>",
            "[x](javascript:alert(1))",
            "[x](\tJaVaScRiPt:alert(1))",
            "[x](data:text/html,x)",
            "[x](http://a\"onclick=alert(1))",
            "<http://a\"onclick=alert(1)>",
            "![x](javascript:alert(1))",
            "```\"><script>\nx\n```",
            "<!-- <script> -->",
            "<!-- never ends <script>",
            "<a href=javascript:x>y</a>",
        ] {
            let html = to_html(text);
            for forbidden in [
                "<script",
                "<img",
                "<div",
                "<svg",
                "<style",
                "<iframe",
                "</main",
                "</body",
                "href=\"javascript",
                "href=\"data",
                "<details ",
                "<b\n",
                "href=\"http://a\"",
            ] {
                assert!(
                    !html.to_ascii_lowercase().contains(forbidden),
                    "{text}: {html}"
                );
            }
        }
    }

    #[test]
    fn what_an_author_opens_ends_with_the_comment() {
        for (text, end) in [
            ("<details><b>never closed", "</b></details>"),
            ("<code>x", "</code>"),
            ("x</details></code>", "<p>x</p>\n"),
            ("<b><code></b></code>", "<p><b><code></code></b></p>\n"),
        ] {
            let html = to_html(text);
            assert!(html.ends_with(end), "{text}: {html}");
        }
    }

    #[test]
    fn a_long_text_is_cut_and_a_deep_one_is_borne() {
        assert!(to_html(&"ä".repeat(200_000)).len() < 140_000);
        to_html(&"> ".repeat(30_000));
        to_html(&"<b>".repeat(20_000));
        to_html(&"[".repeat(60_000));
    }
}
