//! For any text: a parser with the rules of the sink finds the text in it and nothing else.

mod commonmark;

use proptest::{collection::vec, prelude::*};

use self::commonmark::{Inline, blocks, cells, decoded, inlines};
use super::{hidden::truncate_chars, *};

/// Random text in which special characters and words are frequent.
fn hostile() -> impl Strategy<Value = String> {
    let words = [
        "`",
        "``",
        "```",
        "~~~",
        "\n",
        "\r\n",
        "\r",
        "\t",
        " ",
        "    ",
        "\\",
        "|",
        "\\|",
        "@all",
        "@org/team",
        "#1",
        "org/repo#1",
        "GH-7",
        "<!--",
        "-->",
        "<b>",
        "</details>",
        "&lt;",
        "&#64;",
        "&",
        "http://e.example/x",
        "www.e.example",
        "[a](b)",
        "![](x)",
        "*b*",
        "_i_",
        "~s~",
        "- ",
        "1. ",
        "# ",
        "> ",
        "---",
        "===",
        "/lgtm",
        "/test all",
        "<!channel>",
        "<@U1>",
        "\u{1b}[31m",
        "\u{1b}]0;t\u{7}",
        "\u{9b}",
        "\u{202e}",
        "\u{200b}",
        "\u{2028}",
        "\u{0}",
        "é",
        "x",
        "unit_test",
        "$x$",
        ":",
        "\"",
        "'",
    ];
    let word = prop_oneof![
        4 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{0,6}",
        1 => "`{1,120}",
        1 => any::<char>().prop_map(String::from),
    ];
    vec(word, 0..40).prop_map(|words| words.concat())
}

/// The limits that are tried: zero, small ones, and one longer than the text.
fn limit() -> impl Strategy<Value = usize> {
    prop_oneof![0..20usize, Just(100_000)]
}

/// The invisible character that separates.
const GAP: char = '\u{200b}';

/// The text as it is when marks of Prow's comments are broken.
fn unmarked(text: &str) -> String {
    text.replace("<!--", &format!("<{GAP}!--"))
}

fn is_clean(text: &str) -> bool {
    !text.chars().any(is_hidden)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn code_is_one_span_with_the_text_in_it(text in hostile(), limit in limit()) {
        let line = format!("a {} b", escape_code_span(&text, limit));
        let shown = match unmarked(&escape_plain(&text, limit)) {
            shown if shown.is_empty() => " ".to_owned(),
            shown => shown,
        };
        let expected = [
            Inline::Text("a ".into()),
            Inline::Code(shown),
            Inline::Text(" b".into()),
        ];
        prop_assert_eq!(inlines(&line), expected);
        prop_assert!(is_clean(&line.replace(GAP, "")) && !line.contains("<!--"));
    }

    #[test]
    fn code_in_a_row_is_one_span_in_one_cell(text in hostile(), limit in limit()) {
        let row = format!("a | {} | b", escape_code_cell(&text, limit));
        let cells = cells(&row);
        prop_assert_eq!(cells.len(), 3, "{}", row);
        let shown = match unmarked(&escape_plain(&text, limit).replace("\\|", "\\ |")) {
            shown if shown.is_empty() => " ".to_owned(),
            shown => shown,
        };
        prop_assert_eq!(inlines(&cells[1]), [Inline::Code(shown)]);
    }

    #[test]
    fn a_fence_ends_where_we_end_it(text in hostile(), limit in limit()) {
        let page = format!("before\n\n{}after\n", escape_code_block(&text, limit));
        let read = blocks(&page);
        prop_assert_eq!(read.len(), 3, "{}", page);
        prop_assert_eq!(&read[0].text, "before\n");
        prop_assert!(read[1].is_code && !read[2].is_code);
        prop_assert_eq!(&read[2].text, "after\n");
        // No line begins with the text, because commands are looked for there.
        let block = escape_code_block(&text, limit);
        prop_assert!(block.lines().all(|line| line.starts_with(' ')));
        prop_assert!(block.replace(GAP, "").lines().all(is_clean_but_for_tabs));
        prop_assert!(!block.contains("<!--"));
    }

    #[test]
    fn markdown_is_the_text_and_nothing_else(text in hostile(), limit in limit()) {
        let written = escape_markdown(&text, limit);
        let (read, bare) = decoded(&written);
        let expected = escape_plain(&text, limit);
        prop_assert_eq!(read.replace(GAP, ""), expected.trim());
        prop_assert!(!bare.contains(['*', '[', ']', '<', '>', '`', '|', '~', '!', '\\', '"', '\'', '$',
            '&', '#', '@']), "{}", written);
        prop_assert!(!bare.starts_with(['-', '+', '=', '/', ':', '_', '.', ')']), "{}", written);
        let lower = read.to_lowercase();
        for link in ["://", "@a", "@o", "#1"] {
            prop_assert!(!lower.contains(link), "{}", written);
        }
        let words = lower.split(|c: char| !(c.is_alphanumeric() || ".-".contains(c)));
        for word in words {
            prop_assert!(!word.starts_with("www.e") && !word.starts_with("gh-7"), "{}", written);
        }
        let around: Vec<char> = bare.chars().collect();
        for (at, _) in around.iter().enumerate().filter(|(_, c)| **c == '_') {
            let is_word = |at: Option<&char>| at.is_some_and(|c| c.is_alphanumeric());
            prop_assert!(is_word(around.get(at - 1)) && is_word(around.get(at + 1)), "{}", written);
        }
        let shown = expected.chars().count();
        prop_assert!(written.len() <= shown * MAX_GROWTH);
    }

    #[test]
    fn html_is_text(text in hostile(), limit in limit()) {
        let written = escape_html(&text, limit);
        prop_assert!(!written.contains(['<', '>', '"', '\'']) && is_clean(&written));
        let read = ["&lt;", "&gt;", "&quot;", "&#39;", "&amp;"].iter().zip(["<", ">", "\"", "'", "&"]);
        let read = read.fold(written, |text, (entity, character)| text.replace(entity, character));
        prop_assert_eq!(read, escape_plain(&text, limit));
    }

    #[test]
    fn slack_sees_no_mention_no_link_and_no_style(text in hostile(), limit in limit()) {
        let written = escape_slack(&text, limit);
        prop_assert!(!written.contains(['<', '>', '*', '~', '`']), "{}", written);
        let bare = ["&amp;", "&lt;", "&gt;"].iter().fold(written.clone(), |text, entity| {
            text.replace(entity, "")
        });
        prop_assert!(!bare.contains('&'), "{}", written);
        for mention in ["@all", "#1", "://", " _i", "\u{1b}", "\n"] {
            prop_assert!(!written.contains(mention), "{}", written);
        }
    }

    #[test]
    fn a_terminal_obeys_nothing(text in hostile(), limit in limit()) {
        prop_assert!(is_clean(&escape_terminal(&text, limit)));
        prop_assert!(escape_terminal_lines(&text, limit).split('\n').all(is_clean));
        prop_assert!(is_clean(&escape_plain(&text, limit)));
        let line = serde_json::json!({"msg": text, "other": [text]}).to_string();
        let written = escape_json(&line);
        prop_assert!(is_clean(&written));
        let read: serde_json::Value = serde_json::from_str(&written).unwrap();
        prop_assert_eq!(read.to_string(), line);
    }

    #[test]
    fn a_target_stays_between_its_parentheses(text in hostile(), limit in limit()) {
        let written = escape_link_target(&format!("https://deck/{text}"), limit);
        let takes = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#%&=+$,;".contains(c);
        prop_assert!(written.chars().all(takes), "{}", written);
        prop_assert!(written.is_empty() || written.starts_with("https://deck/"));
    }

    #[test]
    fn nothing_is_longer_than_its_limit(text in hostile(), limit in 0..60usize) {
        prop_assert!(truncate_chars(&text, limit).count() <= limit + 1);
        let whole = text.chars().count() <= limit;
        prop_assert_eq!(truncate_chars(&text, limit).count() > limit, !whole);
    }
}

fn is_clean_but_for_tabs(line: &str) -> bool {
    !line.chars().any(|c| c != '\t' && is_hidden(c))
}

#[test]
fn names_stay_as_they_are() {
    for name in [
        "pull-unit_test.go",
        "ci/prow/e2e (arm64), 2",
        "high-5-www-a.b",
        "Größe 3%",
    ] {
        assert_eq!(escape_markdown(name, 100), name);
        assert_eq!(escape_slack(name, 100), name);
        assert_eq!(escape_terminal(name, 100), name);
    }
}

#[test]
fn one_row_for_each_sink() {
    let text = "[x](y) `a`|@all #1\n<!-- \u{1b}[31m\u{202e}";
    for (sink, written, expected) in [
        (
            "code",
            escape_code_span(text, 100),
            "``[x](y) `a`|@all #1 <\u{200b}!-- \\u{1b}[31m\\u{202e}``",
        ),
        ("cell", escape_code_cell("a|b\\|c", 100), "`a\\|b\\ \\|c`"),
        ("cut", escape_code_span(text, 3), "`[x]…`"),
        ("ticks", escape_code_span("`a`", 9), "`` `a` ``"),
        ("empty", escape_code_span("", 9), "` `"),
        (
            "fence",
            escape_code_block("/lgtm\n```\n", 99),
            " ````\n /lgtm\n ```\n ````\n",
        ),
        (
            "markdown",
            escape_markdown(text, 21),
            "&#91;x&#93;(y) &#96;a&#96;&#124;&#64;\u{200b}all &#35;\u{200b}1 &#60;&#33;…",
        ),
        ("item", escape_markdown("1. a", 9), "1&#46; a"),
        (
            "link",
            escape_markdown("http://a www.b GH-1", 99),
            "http&#58;\u{200b}//a www.\u{200b}b GH-\u{200b}1",
        ),
        (
            "html",
            escape_html("<a b='c'> & \"", 99),
            "&lt;a b=&#39;c&#39;&gt; &amp; &quot;",
        ),
        (
            "slack",
            escape_slack("<!here> *b* _i_ @x", 99),
            "&lt;!here&gt; ∗b∗ ＿i＿ @\u{200b}x",
        ),
        (
            "terminal",
            escape_terminal("a\n\u{1b}[2J", 99),
            "a\\n\\u{1b}[2J",
        ),
        (
            "lines",
            escape_terminal_lines("a\n\u{1b}[2J", 99),
            "a\n\\u{1b}[2J",
        ),
        ("plain", escape_plain("a\nb\u{202e}", 99), "a b\\u{202e}"),
        (
            "target",
            escape_link_target("http://d/x) [y](z|\n", 99),
            "http://d/x%29%20%5By%5D%28z%7C%0A",
        ),
        (
            "no target",
            escape_link_target("javascript:alert(1)", 99),
            "",
        ),
        ("long target", escape_link_target("http://deck/", 5), ""),
        ("login", sanitize_login("eve\n@org/[all]", 99), "eveorgall"),
        (
            "bot",
            sanitize_login("dependabot[bot]", 99),
            "dependabot[bot]",
        ),
    ] {
        assert_eq!(written, expected, "{sink}");
    }
}

#[test]
fn more_backticks_than_githubs_parser_counts() {
    let runs: String = (1..300).map(|n| "`".repeat(n) + " ").collect();
    assert_eq!(inlines(&escape_code_span(&runs, usize::MAX)).len(), 1);
    let block = escape_code_block(&"`".repeat(1_000), usize::MAX);
    assert_eq!(blocks(&block).len(), 1);
    assert!(block.starts_with(" ```\n"));
}
