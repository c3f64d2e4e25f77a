use ::base64::Engine as _;
use ::base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use crate::censor::Censor;

use super::*;

fn censor(secret: &str) -> Censor {
    Censor::new(secret_variants(secret.as_bytes(), 0)).unwrap()
}

#[test]
fn what_is_no_secret() {
    for (raw, minimum, too_short) in [
        ("", 0, false),
        (" \n", 4, false),
        ("true", 0, false),
        ("False\n", 6, false),
        ("abc", 4, true),
        ("abc \n", 4, true),
    ] {
        assert!(
            secret_variants(raw.as_bytes(), minimum).is_empty(),
            "{raw:?}"
        );
        assert_eq!(is_too_short(raw.as_bytes(), minimum), too_short, "{raw:?}");
    }
    assert!(!secret_variants(b"abcd\n", 4).is_empty());
    assert!(!is_too_short(b"abcd\n", 4));
}

/// Each variant is written out: one that the code under test made would prove nothing.
#[test]
fn every_shape_is_hidden() {
    let plain = r#"a&b<c>d"e'f/g+h=i j$k"#;
    let unicode = "pä\u{2028}ss€😀\tword1";
    for (secret, shapes) in [
        (
            plain,
            &[
                // As it is, and in URLs.
                plain,
                "a%26b%3Cc%3Ed%22e%27f%2Fg%2Bh%3Di%20j%24k",
                "a%26b%3cc%3ed%22e%27f%2fg%2bh%3di%20j%24k",
                "a%26b%3Cc%3Ed%22e%27f%2Fg%2Bh%3Di+j%24k",
                "a%26b%3Cc%3Ed%22e'f%2Fg%2Bh%3Di%20j%24k",
                "a%26b%3Cc%3Ed%22e%27f/g%2Bh%3Di%20j%24k",
                "a&b%3Cc%3Ed%22e%27f%2Fg+h=i%20j$k",
                "a&b%3Cc%3Ed%22e'f/g+h=i%20j$k",
                // JSON: serde's, Go's, PHP's, Gson's, .NET's; JSON in JSON.
                r#"a&b<c>d\"e'f/g+h=i j$k"#,
                r#"a\u0026b\u003cc\u003ed\"e'f/g+h=i j$k"#,
                r#"a\u0026b\u003Cc\u003Ed\"e'f/g+h=i j$k"#,
                r#"a&b<c>d\"e'f\/g+h=i j$k"#,
                r#"a\u0026b\u003cc\u003ed\"e\u0027f/g+h\u003di j$k"#,
                r#"a\u0026b\u003Cc\u003Ed\u0022e\u0027f/g\u002Bh=i j$k"#,
                r#"a\\u0026b\\u003cc\\u003ed\\\"e'f/g+h=i j$k"#,
                // Shell quotes and HTML, in JSON.
                r#"a\u0026b\u003cc\u003ed\"e'\\''f/g+h=i j$k"#,
                r#"a\u0026amp;b\u0026lt;c\u0026gt;d\u0026#34;e\u0026#39;f/g+h=i j$k"#,
                // Shells: '…', "…", \, $'…', and a Python word.
                r#"a&b<c>d"e'\''f/g+h=i j$k"#,
                r#"a&b<c>d"e'"'"'f/g+h=i j$k"#,
                r#"a&b<c>d\"e'f/g+h=i j\$k"#,
                r#"a\&b\<c\>d\"e\'f/g+h=i\ j\$k"#,
                r#"a&b<c>d"e\'f/g+h=i j$k"#,
                // HTML and XML.
                r#"a&amp;b&lt;c&gt;d"e'f/g+h=i j$k"#,
                "a&amp;b&lt;c&gt;d&#34;e&#39;f/g+h=i j$k",
                "a&amp;b&lt;c&gt;d&#34;e&#39;f/g&#43;h=i j$k",
                "a&amp;b&lt;c&gt;d&quot;e&#39;f/g+h=i j$k",
                "a&amp;b&lt;c&gt;d&quot;e&apos;f/g+h=i j$k",
                "a&amp;b&lt;c&gt;d&quot;e&#x27;f/g+h=i j$k",
                "a&amp;b&lt;c&gt;d&#34;e'f/g+h=i j$k",
                "a&amp;b&lt;c>d&quot;e'f/g&#43;h=i j$k",
                // Hexadecimal.
                "6126623c633e64226527662f672b683d69206a246b",
                "6126623C633E64226527662F672B683D69206A246B",
            ][..],
        ),
        (
            unicode,
            &[
                r"pä\u2028ss€😀\tword1",
                r"p\u00e4\u2028ss\u20ac\ud83d\ude00\tword1",
                r"p\u00E4\u2028ss\u20AC\uD83D\uDE00\tword1",
                "p\u{e4}\u{2028}ss\u{20ac}\u{1f600}\\u0009word1",
                r"p\303\244\342\200\250ss\342\202\254\360\237\230\200\tword1",
                r"p\xc3\xa4\xe2\x80\xa8ss\xe2\x82\xac\xf0\x9f\x98\x80\tword1",
                "p%C3%A4%E2%80%A8ss%E2%82%AC%F0%9F%98%80%09word1",
            ],
        ),
        (
            "first 1\nsecond 2",
            &[
                r"first 1\nsecond 2",
                r"first 1\\nsecond 2",
                "first 1\r\nsecond 2",
                "first%201%0Asecond%202",
                "first+1%0Asecond+2",
                "first 1&#xA;second 2",
                "first 1&#10;second 2",
            ],
        ),
    ] {
        let censor = censor(&format!("{secret}\n"));
        for shape in shapes {
            let masked = censor.mask_text(&format!("«{shape}»"));
            assert_eq!(masked, format!("«{}»", "X".repeat(shape.len())), "{shape}");
        }
    }
}

#[test]
fn base64_is_hidden_alone_and_behind_a_name() {
    for secret in ["hunter22", "p>ss?w<rd~~~12", "twelve bytes"] {
        let censor = censor(&format!("{secret}\n"));
        for value in [secret.to_owned(), format!("{secret}\n")] {
            let padded = STANDARD.encode(&value);
            for shape in [
                padded.trim_end_matches('=').to_owned(),
                URL_SAFE_NO_PAD.encode(&value),
                padded,
            ] {
                assert_eq!(censor.mask_text(&shape), "X".repeat(shape.len()), "{shape}");
            }
        }
        for before in ["u:", "us:", "usr:", "user:", "{\"auth\":\""] {
            for behind in ["", "\n", "@host", "\"}"] {
                let value = format!("{before}{secret}{behind}");
                for shape in [STANDARD.encode(&value), URL_SAFE_NO_PAD.encode(&value)] {
                    let hidden = censor.mask_text(&shape).matches('X').count();
                    // Two characters may depend on the neighbours, too.
                    assert!(hidden + 2 >= secret.len() * 4 / 3, "{value}: {hidden}");
                }
            }
        }
    }
}

#[test]
fn base64_of_a_file_is_hidden_however_its_lines_are_broken() {
    let secret = format!("{}\n", "0123456789 a key of many bytes ".repeat(8));
    let censor = censor(&secret);
    let encoded = STANDARD.encode(&secret);
    for columns in [64, 76] {
        let lines: Vec<&[u8]> = encoded.as_bytes().chunks(columns).collect();
        let text = String::from_utf8(lines.join(&b'\n')).unwrap();
        assert_eq!(censor.mask_text(&text), "X".repeat(text.len()), "{columns}");
    }
}

#[test]
fn a_key_is_hidden_whole_and_line_by_line() {
    let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n}}\nk3y\n-----END PRIVATE KEY-----\n");
    let censor = censor(&pem);
    let trimmed = pem.trim();
    assert_eq!(censor.mask_text(trimmed), "X".repeat(trimmed.len()));
    for shape in [
        format!("+ {body}\r\n"),
        pem.replace('\n', "\\n"),
        pem.replace('\n', " "),
    ] {
        assert!(!censor.mask_text(&shape).contains("MIIE"), "{shape}");
    }
    assert_eq!(censor.mask_text("fn main() {\n}\n"), "fn main() {\n}\n");
}

#[test]
fn a_key_within_json_is_hidden_as_it_is_used() {
    let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\nab+/1w==\n-----END PRIVATE KEY-----\n");
    let account = serde_json::json!({"type": "account", "private_key": pem, "id": "12ab34"});
    let censor = censor(&serde_json::to_string_pretty(&account).unwrap());
    for (text, expected) in [
        (pem.trim_end().to_owned(), "X".repeat(pem.trim_end().len())),
        (format!("> {body}"), format!("> {}", "X".repeat(64))),
        ("> ab+/1w==".to_owned(), "> XXXXXXXX".to_owned()),
        ("id=12ab34".to_owned(), "id=XXXXXX".to_owned()),
        ("type account".to_owned(), "type account".to_owned()),
    ] {
        assert_eq!(censor.mask_text(&text), expected);
    }
}

#[test]
fn short_lines_obey_the_minimum() {
    let secret = b"a longer line\nshort12\n";
    let hidden = |minimum| {
        let censor = Censor::new(secret_variants(secret, minimum)).unwrap();
        censor.mask_text("short12")
    };
    assert_eq!(hidden(7), "XXXXXXX");
    assert_eq!(hidden(8), "short12");
}

proptest! {
    /// Any secret, as JSON, a shell, HTML and URLs would print it.
    #[test]
    fn whatever_the_text_no_plain_shape_is_left(
        secret in r#"[ -~äß€\u{2028}]{4,40}(\n[ -~]{0,80}){0,4}"#,
        before in "[a-z: ]{0,7}",
        newline in any::<bool>(),
    ) {
        let trimmed = secret.trim_ascii();
        prop_assume!(trimmed.len() >= 4 && trimmed.len() <= 128 && !is_blank_or_bool(trimmed.as_bytes()));
        let end = if newline { "\n" } else { "" };
        let censor = Censor::new(secret_variants(format!("{secret}{end}").as_bytes(), 4)).unwrap();
        let json = serde_json::to_string(trimmed).unwrap();
        for shape in [
            trimmed.to_owned(),
            json[1..json.len() - 1].to_owned(),
            trimmed.replace('\'', r"'\''"),
            trimmed.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
            url_form(trimmed),
        ] {
            let text = format!("{before}{shape}");
            let masked = censor.mask_bytes(text.clone().into_bytes());
            prop_assert_eq!(masked.len(), text.len());
            prop_assert!(masked[before.len()..].iter().all(|byte| *byte == b'X'), "{}", shape);
        }
        let encoded = STANDARD.encode(format!("{before}{trimmed}"));
        let hidden = censor.mask_text(&encoded).matches('X').count();
        prop_assert!(hidden + 2 >= trimmed.len() * 4 / 3, "{}", encoded);
    }
}

fn url_form(text: &str) -> String {
    ::url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
