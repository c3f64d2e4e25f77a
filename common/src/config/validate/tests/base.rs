//! Rules for the fields that every type of job has.

use super::{check, presubmit};

#[test]
fn names() {
    check([
        (
            "job-name",
            "presubmits:\n  org/repo:\n  - spec: {containers: [{}]}\n".into(),
            r#"jobs.yaml:3:5: presubmits."org/repo"[0].name: the job has no name"#,
        ),
        (
            "job-name",
            "presubmits:\n  org/repo:\n  - name: unit test\n    spec: {containers: [{}]}\n".into(),
            r#"jobs.yaml:3:5: presubmits."org/repo"[0].name: found "unit test", expected letters, digits, '-', '.' and '_' only"#,
        ),
        (
            "job-name",
            "presubmits:\n  org/repo:\n  - name: folder/unit.\n    agent: jenkins\n".into(),
            r#"jobs.yaml:3:5: presubmits."org/repo"[0].name: found "folder/unit.", expected letters, digits, '-', '.', '_' and '/' between them"#,
        ),
    ]);
}

#[test]
fn limits() {
    check([
        (
            "max-concurrency",
            presubmit("max_concurrency: -1\nspec: {containers: [{}]}"),
            r#"jobs.yaml:4:5: presubmits."org/repo"[0].max_concurrency: found -1, expected 0 (no limit) or more"#,
        ),
        (
            "job-queue-name",
            presubmit("job_queue_name: slwo\nspec: {containers: [{}]}"),
            r#"jobs.yaml:4:5: presubmits."org/repo"[0].job_queue_name: the queue "slwo" is not in plank.job_queue_capacities; did you mean "slow"?"#,
        ),
        (
            "job-queue-name",
            presubmit("job_queue_name: elsewhere\nspec: {containers: [{}]}"),
            r#"jobs.yaml:4:5: presubmits."org/repo"[0].job_queue_name: the queue "elsewhere" is not in plank.job_queue_capacities"#,
        ),
    ]);
}

#[test]
fn labels_and_annotations() {
    check([
        (
            "reserved-label",
            presubmit("labels: {prow.k8s.io/type: x}\nspec: {containers: [{}]}"),
            r#"jobs.yaml:4:14: presubmits."org/repo"[0].labels."prow.k8s.io/type": the label prow.k8s.io/type is set by Prow"#,
        ),
        (
            "label-name",
            presubmit("labels:\n  -app: x\nspec: {containers: [{}]}"),
            r#"jobs.yaml:5:7: presubmits."org/repo"[0].labels.-app: "-app" is no name here: at most 63 letters, digits, '-', '.' and '_', beginning and ending with a letter or digit; before it there may be a DNS name and a '/'"#,
        ),
        (
            "label-value",
            presubmit("labels:\n  app: two words\nspec: {containers: [{}]}"),
            r#"jobs.yaml:5:7: presubmits."org/repo"[0].labels.app: "two words" is no label value: at most 63 letters, digits, '-', '.' and '_', beginning and ending with a letter or digit"#,
        ),
        (
            "annotation-name",
            presubmit("annotations: {a/b/c: x}\nspec: {containers: [{}]}"),
            r#"jobs.yaml:4:19: presubmits."org/repo"[0].annotations."a/b/c": "a/b/c" is no name here: at most 63 letters, digits, '-', '.' and '_', beginning and ending with a letter or digit; before it there may be a DNS name and a '/'"#,
        ),
    ]);
}

#[test]
fn who_may_start_it_again() {
    check([(
        "rerun-auth-config",
        presubmit(
            "rerun_auth_config:\n  allow_anyone: true\n  github_users: [me]\nspec: {containers: [{}]}",
        ),
        r#"jobs.yaml:5:7: presubmits."org/repo"[0].rerun_auth_config.allow_anyone: allow_anyone and lists of people exclude each other"#,
    )]);
}

#[test]
fn where_sources_come_from() {
    check([
        (
            "clone-uri",
            presubmit("clone_uri: https://git hub.com/o/r\nspec: {containers: [{}]}"),
            r#"jobs.yaml:4:5: presubmits."org/repo"[0].clone_uri: "https://git hub.com/o/r" is no URL: its host has a character that no host has"#,
        ),
        (
            "clone-uri",
            presubmit(
                "extra_refs:\n- {org: o, repo: r, clone_uri: ':o/r'}\nspec: {containers: [{}]}",
            ),
            r#"jobs.yaml:5:25: presubmits."org/repo"[0].extra_refs[0].clone_uri: ":o/r" is no URL: its scheme is missing"#,
        ),
        (
            "clone-uri-scheme",
            presubmit(
                "clone_uri: git@github.com:o/r.git\ndecorate: true\ndecoration_config: {oauth_token_secret: {name: s, key: k}}\nspec: {containers: [{command: [make]}]}",
            ),
            r#"jobs.yaml:4:5: presubmits."org/repo"[0].clone_uri: "git@github.com:o/r.git" cannot be cloned with oauth_token_secret: expected http:// or https://"#,
        ),
    ]);
}
