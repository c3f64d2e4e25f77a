//! The variants in which a secret is found.

use super::*;

#[tokio::test]
async fn t04_base64_and_url_encoded() {
    let (pod, options) = pod_with(&[("token", "p&ss/w<rd 12\n")]);
    expect_everywhere(
        &pod,
        &options,
        &[
            "alone «cCZzcy93PHJkIDEy»",
            "with the line's end «cCZzcy93PHJkIDEyCg==»",
            "without padding «cCZzcy93PHJkIDEyCg»",
            // user:, usr:, us: before it.
            "basic dXNlcjp«wJnNzL3c8cmQgMT»I=",
            "basic dXNyOn«Amc3MvdzxyZCAxM»g==",
            "basic dXM6«cCZzcy93PHJkIDEy»",
            "query «p%26ss%2Fw%3Crd%2012» and «p%26ss%2fw%3crd%2012» and «p%26ss%2Fw%3Crd+12»",
            "path «p&ss%2Fw%3Crd%2012»",
        ],
    )
    .await;
}

#[tokio::test]
async fn t06_a_key_of_many_lines_whole_and_line_by_line() {
    let first = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    let second = "fn7HMEhSJzKUgRXQ0nfd3zvzQlqgAvvgKM2ZxWvLZ1Mb7uaHtzqCVYdE3kYmQkd2";
    let key = format!(
        "-----BEGIN PRIVATE KEY-----\n{first}\n}}\n{second}\nk3yEnd==\n-----END PRIVATE KEY-----"
    );
    let (pod, options) = pod_with(&[("key.pem", &format!("{key}\n"))]);
    expect_everywhere(
        &pod,
        &options,
        &[
            &format!("whole: «{key}»"),
            &format!("a line «{first}» of it"),
            "the last line «k3yEnd==» of it",
            &format!("in JSON {{\"key\": \"«{}»\\n\"}}", key.replace('\n', "\\n")),
            "fn main() {",
            "}",
            "-----BEGIN CERTIFICATE-----",
        ],
    )
    .await;
}

#[tokio::test]
async fn t07_one_secret_is_the_beginning_of_another() {
    let (pod, options) = pod_with(&[
        ("a", "swordfish"),
        ("b", "swordfish-and-more"),
        ("c", "more-of-it"),
    ]);
    expect_everywhere(
        &pod,
        &options,
        &[
            "the short one «swordfish».",
            "the long one «swordfish-and-more».",
            "half of the long one «swordfish»-and",
            "two that overlap «swordfish-and-more-of-it».",
        ],
    )
    .await;
}

#[tokio::test]
async fn t09_escaped_in_json_and_by_others() {
    let (pod, options) = pod_with(&[("token", "a\"b&c<d>e'f\\g/h\nsecond lin€\n")]);
    expect_everywhere(
        &pod,
        &options,
        &[
            r#"serde «a\"b&c<d>e'f\\g/h\nsecond lin€»"#,
            r#"Go «a\"b\u0026c\u003cd\u003ee'f\\g/h\nsecond lin€»"#,
            r#"Python «a\"b&c<d>e'f\\g/h\nsecond lin\u20ac»"#,
            r#"PHP «a\"b&c<d>e'f\\g\/h\nsecond lin\u20ac»"#,
            r#"Java «a\"b&c<d>e'f\\g/h\nsecond lin\u20AC»"#,
            r#".NET «a\u0022b\u0026c\u003Cd\u003Ee\u0027f\\g/h\nsecond lin\u20AC»"#,
            r#"JSON in JSON «a\\\"b&c<d>e'f\\\\g/h\\nsecond lin€»"#,
            r#"set -x $'«a"b&c<d>e\'f\\g/h\nsecond lin€»'"#,
            r#"set -x '«a"b&c<d>e'\''f\g/h»"#,
            r#"HTML «a&#34;b&amp;c&lt;d&gt;e&#39;f\g/h»"#,
            r#"XML «a&quot;b&amp;c&lt;d&gt;e&apos;f\g/h»"#,
            "harmless a&b, c<d>e",
        ],
    )
    .await;
}

#[tokio::test]
async fn t12_true_and_false_are_no_secrets() {
    let (pod, options) = pod_with(&[
        ("debug", "true"),
        ("verbose", "False\n"),
        ("token", "hunter22"),
    ]);
    expect_everywhere(
        &pod,
        &options,
        &["true or false, True or False", "dHJ1ZQ== is «hunter22»"],
    )
    .await;
}
