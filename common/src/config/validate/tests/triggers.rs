//! Rules for triggering and reporting.

use super::{check, periodic, postsubmit, presubmit};

#[test]
fn changed_files() {
    check([
        (
            "always-run",
            presubmit("always_run: true\nrun_if_changed: go$\nspec: {containers: [{}]}"),
            r#"jobs.yaml:5:5: presubmits."org/repo"[0].run_if_changed: run_if_changed and always_run: true exclude each other"#,
        ),
        (
            "always-run",
            presubmit("always_run: true\nskip_if_only_changed: md$\nspec: {containers: [{}]}"),
            r#"jobs.yaml:5:5: presubmits."org/repo"[0].skip_if_only_changed: skip_if_only_changed and always_run: true exclude each other"#,
        ),
        (
            "always-run",
            postsubmit("always_run: true\nrun_if_changed: go$\nspec: {containers: [{}]}"),
            r#"jobs.yaml:5:5: postsubmits."org/repo"[0].run_if_changed: run_if_changed and always_run: true exclude each other"#,
        ),
        (
            "changed-files",
            presubmit("run_if_changed: go$\nskip_if_only_changed: md$\nspec: {containers: [{}]}"),
            r#"jobs.yaml:5:5: presubmits."org/repo"[0].skip_if_only_changed: run_if_changed and skip_if_only_changed exclude each other"#,
        ),
        (
            "changed-files",
            postsubmit("run_if_changed: go$\nskip_if_only_changed: md$\nspec: {containers: [{}]}"),
            r#"jobs.yaml:5:5: postsubmits."org/repo"[0].skip_if_only_changed: run_if_changed and skip_if_only_changed exclude each other"#,
        ),
    ]);
}

#[test]
fn comments() {
    check([
        (
            "trigger-and-rerun-command",
            presubmit("trigger: /test\nspec: {containers: [{}]}"),
            r#"jobs.yaml:4:5: presubmits."org/repo"[0].trigger: trigger and rerun_command are given together or not at all"#,
        ),
        (
            "trigger-and-rerun-command",
            presubmit("rerun_command: /test unit\nspec: {containers: [{}]}"),
            r#"jobs.yaml:4:5: presubmits."org/repo"[0].rerun_command: trigger and rerun_command are given together or not at all"#,
        ),
        (
            "rerun-command",
            presubmit(
                "trigger: ^/check unit$\nrerun_command: /test unit\nspec: {containers: [{}]}",
            ),
            r#"jobs.yaml:5:5: presubmits."org/repo"[0].rerun_command: "/test unit" does not match the job's trigger "^/check unit$""#,
        ),
    ]);
}

#[test]
fn patterns() {
    check([
        (
            "regexp",
            presubmit("trigger: (unit\nrerun_command: /test unit\nspec: {containers: [{}]}"),
            r#"jobs.yaml:4:5: presubmits."org/repo"[0].trigger: "(unit" is no regular expression: missing closing )"#,
        ),
        (
            "regexp",
            presubmit("branches:\n- main\n- '*'\nspec: {containers: [{}]}"),
            r#"jobs.yaml:6:7: presubmits."org/repo"[0].branches[1]: "*" is no regular expression: missing argument to repetition operator: `*`"#,
        ),
        (
            "regexp",
            presubmit("skip_branches: ['release-(?!1)']\nspec: {containers: [{}]}"),
            r#"jobs.yaml:4:21: presubmits."org/repo"[0].skip_branches[0]: "release-(?!1)" is no regular expression: invalid or unsupported Perl syntax: `(?!`: there is no looking ahead or behind"#,
        ),
        (
            "regexp",
            presubmit("run_if_changed: a{1001}\nspec: {containers: [{}]}"),
            r#"jobs.yaml:4:5: presubmits."org/repo"[0].run_if_changed: "a{1001}" is no regular expression: invalid repeat count: `{1001}`"#,
        ),
        (
            "regexp",
            postsubmit("skip_if_only_changed: '[z-a]'\nspec: {containers: [{}]}"),
            r#"jobs.yaml:4:5: postsubmits."org/repo"[0].skip_if_only_changed: "[z-a]" is no regular expression: invalid character class range: `z-a`"#,
        ),
    ]);
}

#[test]
fn reports() {
    check([(
        "skip-report",
        presubmit(
            "skip_report: true\nlabels: {prow.k8s.io/gerrit-report-label: Verified}\nspec: {containers: [{}]}",
        ),
        r#"jobs.yaml:4:5: presubmits."org/repo"[0].skip_report: skip_report and the label prow.k8s.io/gerrit-report-label exclude each other"#,
    )]);
}

#[test]
fn schedules() {
    check([
        (
            "missing-schedule",
            periodic("spec: {containers: [{}]}"),
            "jobs.yaml:2:3: periodics[0].name: a periodic needs one of cron, interval and minimum_interval",
        ),
        (
            "several-schedules",
            periodic("cron: '@daily'\ninterval: 1h\nspec: {containers: [{}]}"),
            "jobs.yaml:4:3: periodics[0].interval: found cron and interval, expected only one of cron, interval and minimum_interval",
        ),
        (
            "cron",
            periodic("cron: 0 25 * * *\nspec: {containers: [{}]}"),
            r#"jobs.yaml:3:3: periodics[0].cron: the hour "25": 25 is too large, expected 0 to 23"#,
        ),
        (
            "value",
            periodic("interval: 1 day\nspec: {containers: [{}]}"),
            r#"jobs.yaml:3:3: periodics[0].interval: "1 day" is not a duration: expected numbers with units, as in 300ms, 1h30m or 10s"#,
        ),
        (
            "value",
            periodic("minimum_interval: 5\nspec: {containers: [{}]}"),
            r#"jobs.yaml:3:3: periodics[0].minimum_interval: "5" is not a duration: expected numbers with units, as in 300ms, 1h30m or 10s"#,
        ),
        (
            "retry-interval",
            periodic("interval: 1h\nretry: {attempts: 2}\nspec: {containers: [{}]}"),
            "jobs.yaml:4:3: periodics[0].retry.interval: a retry needs an interval, as in 10m",
        ),
    ]);
}

#[test]
fn jobs_that_would_be_mistaken_for_each_other() {
    check([
        (
            "duplicate-job",
            "presubmits:\n  org/repo:\n  - {name: a, spec: {containers: [{}]}}\n  - {name: a, spec: {containers: [{}]}, branches: [main], context: b}\n".into(),
            r#"jobs.yaml:4:6: presubmits."org/repo"[1].name: two jobs named "a" run on one branch, the other is presubmits."org/repo"[0] in jobs.yaml"#,
        ),
        (
            "duplicate-job",
            "postsubmits:\n  org/repo:\n  - {name: a, spec: {containers: [{}]}, branches: [main]}\n  - {name: a, spec: {containers: [{}]}, skip_branches: [rel]}\n".into(),
            r#"jobs.yaml:4:6: postsubmits."org/repo"[1].name: two jobs named "a" run on one branch, the other is postsubmits."org/repo"[0] in jobs.yaml"#,
        ),
        (
            "duplicate-job",
            "periodics:\n- {name: a, interval: 1h, spec: {containers: [{}]}}\n- {name: a, interval: 1h, spec: {containers: [{}]}}\n".into(),
            r#"jobs.yaml:3:4: periodics[1].name: the periodic "a" is there twice, the first time as periodics[0] in jobs.yaml"#,
        ),
        (
            "duplicate-context",
            "presubmits:\n  org/repo:\n  - {name: a, context: ci, spec: {containers: [{}]}}\n  - {name: b, context: ci, spec: {containers: [{}]}}\n".into(),
            r#"jobs.yaml:4:15: presubmits."org/repo"[1].context: the jobs "b" and "a" write one status context "ci" on one branch, the other is presubmits."org/repo"[0] in jobs.yaml"#,
        ),
        (
            "duplicate-context",
            "postsubmits:\n  org/repo:\n  - {name: a, spec: {containers: [{}]}}\n  - {name: b, context: a, spec: {containers: [{}]}}\n".into(),
            r#"jobs.yaml:4:15: postsubmits."org/repo"[1].context: the jobs "b" and "a" write one status context "a" on one branch, the other is postsubmits."org/repo"[0] in jobs.yaml"#,
        ),
    ]);
}
