use std::collections::BTreeMap;

use serde_json::json;

use super::*;

fn refused(text: &str) -> String {
    GoTemplate::parse_for_jobs(text).unwrap_err().to_string()
}

#[test]
fn a_mistake_is_shown_with_its_place() {
    for (text, message) in [
        (
            "a\n {{.Spec.Rfes.Org}}",
            "line 2, column 4: a ProwJobSpec has no field Rfes; did you mean Refs?",
        ),
        ("{{if .Spec}}", "line 1, column 1: {{if}} has no {{end}}"),
        ("{{.Spec", "line 1, column 8: unclosed action"),
        (
            "{{nope .Spec.Job}}",
            "line 1, column 3: function \"nope\" is not defined",
        ),
        (
            "é{{$x}}",
            "line 1, column 4: variable \"$x\" is not defined",
        ),
        (
            "{{$x = 1}}",
            "line 1, column 3: variable \"$x\" is not defined",
        ),
        (
            "{{if true}}{{$x := 1}}{{end}}{{$x}}",
            "line 1, column 32: variable \"$x\" is not defined",
        ),
        (
            "{{template \"t\"}}",
            "line 1, column 3: template \"t\" is not defined",
        ),
        (
            "{{.Spec.Refs}}",
            "a struct cannot be printed, only its fields",
        ),
        (
            "{{call .Spec \"Job\"}}",
            "line 1, column 3: function \"call\" is not defined",
        ),
    ] {
        assert_eq!(refused(text), message, "{text}");
    }
}

#[test]
fn data_of_ones_own_has_fields_too() {
    let template =
        GoTemplate::parse_template("Hi {{.AuthorLogin}}, {{range .Labels}}<{{.}}>{{end}}").unwrap();
    let data = json!({"AuthorLogin": "ada", "Labels": ["a", "b"]});
    assert_eq!(template.render_data(&data).unwrap(), "Hi ada, <a><b>");
    let error = template
        .render_data(&json!({"AuthorLogn": "ada"}))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 1, column 6: the data has no field AuthorLogin; did you mean AuthorLogn?"
    );
}

/// Each template ends at once, in bounded memory.
#[test]
fn no_template_hangs() {
    let deep = format!("{{{{{}1{}}}}}", "(".repeat(10_000), ")".repeat(10_000));
    let nested = "{{if true}}".repeat(2_000) + &"{{end}}".repeat(2_000);
    let chain = "{{if false}}".to_owned() + &"{{else if false}}".repeat(1_500) + "{{end}}";
    let doubling = "{{$x := \"aa\"}}{{range 100}}{{$x = printf \"%s%s\" $x $x}}{{end}}";
    let piped = format!("{{{{\"a\"{}}}}}", " | printf \"%[1]s%[1]s\"".repeat(900));
    let wide = "{{printf \"%999999999d\" 1}}".to_owned();
    let long = "{{range 4000}}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{{end}}";
    let calls = "{{define \"a\"}}{{template \"b\"}}{{template \"b\"}}{{end}}{{define \"b\"}}{{end}}{{template \"a\"}}";
    for text in [
        &deep,
        &nested,
        &chain,
        doubling,
        &piped,
        &wide,
        long,
        calls,
        "{{range 99999999}}{{end}}",
        "{{range 99999}}{{range 99999}}{{end}}{{end}}",
        "{{define \"a\"}}{{template \"a\"}}{{end}}{{template \"a\"}}",
        &"x".repeat(MAX_TEXT + 1),
    ] {
        let shown: String = text.chars().take(60).collect();
        assert!(GoTemplate::parse_for_jobs(text).is_err(), "{shown}");
    }
}

/// What `text/template` of Go 1.26 printed over upstream's `ProwJob` type (`jobs.json`), for all
/// templates of four production configurations and one for each construct.
#[test]
fn as_go_renders() {
    let jobs: BTreeMap<String, ProwJob> = serde_json::from_str(include_str!("jobs.json")).unwrap();
    let welcome = json!({"Org": "acme", "Repo": "app", "AuthorLogin": "ada", "AuthorName": ""});
    let mut wrong = Vec::new();
    for line in include_str!("go.jsonl").lines() {
        let line: Line = serde_json::from_str(line).unwrap();
        let template = match GoTemplate::parse_template(&line.template) {
            Ok(template) if line.refused.is_empty() => template,
            Ok(_) => {
                wrong.push(format!(
                    "{}: Go refuses it: {}",
                    line.template, line.refused
                ));
                continue;
            }
            Err(_) if !line.refused.is_empty() => continue,
            // The error comes before rendering, in Go while rendering.
            Err(_) if line.text.is_empty() => continue,
            Err(error) => {
                wrong.push(format!("{}: {error}", line.template));
                continue;
            }
        };
        let rendered = |name: &str| match jobs.get(name) {
            Some(job) => template.render_job(job),
            None => template.render_data(&welcome),
        };
        for (name, text) in &line.text {
            let found = rendered(name);
            // Go prints the fields of a struct; here that is refused.
            let refused =
                |error: &GoTemplateError| error.message.starts_with("a struct cannot be printed");
            if found.as_ref() != Ok(text) && !found.as_ref().is_err_and(refused) {
                wrong.push(format!(
                    "{} on {name}: {found:?}, not {text:?}",
                    line.template
                ));
            }
        }
        for (name, error) in &line.error {
            if let Ok(text) = rendered(name) {
                wrong.push(format!(
                    "{} on {name}: {text:?}, but Go: {error}",
                    line.template
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[derive(serde::Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Line {
    template: String,
    /// Why Go cannot parse it.
    refused: String,
    /// By job.
    text: BTreeMap<String, String>,
    /// By job.
    error: BTreeMap<String, String>,
}
