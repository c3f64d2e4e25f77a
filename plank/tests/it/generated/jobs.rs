//! Jobs with several of their fields set: triggers, branches, changes, reports, refs, schedules;
//! one job or two of one name.

use super::{Input, Seed, base_config};

const COUNT: usize = 2_000;

type Values = (&'static str, &'static [&'static str]);

/// Fields of every kind of job.
const COMMON: [Values; 22] = [
    (
        "name",
        &[
            "j",
            "pull-j",
            "j.2",
            "a_b",
            "'J'",
            "'bad name'",
            "''",
            "x/y",
        ],
    ),
    (
        "labels",
        &[
            "{a: b}",
            "{}",
            "{prow.k8s.io/refs.org: x}",
            "{'a/b/c': d}",
            "{a: 'b c'}",
        ],
    ),
    (
        "annotations",
        &["{a: b}", "{testgrid-dashboards: x}", "{'bad key': d}"],
    ),
    ("max_concurrency", &["1", "0", "-1"]),
    (
        "agent",
        &["kubernetes", "jenkins", "tekton-pipeline", "custom", "''"],
    ),
    ("cluster", &["default", "k", "''", "'K_1'"]),
    ("namespace", &["ns", "''"]),
    ("error_on_eviction", &["true", "false"]),
    ("hidden", &["true", "false"]),
    ("decorate", &["true", "false", "null"]),
    ("path_alias", &["k8s.io/x", "a//b/", "../x", "''", "/abs"]),
    (
        "clone_uri",
        &[
            "https://github.com/o/r.git",
            "'git@github.com:o/r.git'",
            "'%zz'",
            "/local",
            "'x y'",
        ],
    ),
    ("skip_submodules", &["true"]),
    ("clone_depth", &["1", "-1", "0"]),
    ("skip_fetch_head", &["true"]),
    (
        "extra_refs",
        &[
            "[{org: o, repo: x, base_ref: main}]",
            "[{org: o, repo: x}]",
            "[{org: o, repo: x, base_ref: main, path_alias: p, workdir: true, clone_depth: 2}]",
            "[{org: o, repo: x, base_ref: main}, {org: o, repo: x, base_ref: dev}]",
            "[{org: o, repo: r, base_ref: main, workdir: true}, {org: p, repo: q, base_ref: v1, clone_uri: 'https://h/q', skip_submodules: true}]",
        ],
    ),
    (
        "reporter_config",
        &[
            "{slack: {channel: c}}",
            "{slack: {channel: c, job_states_to_report: []}}",
            "{slack: {job_states_to_report: [failure, error]}}",
            "{slack: {report: false, channel: c, report_template: '{{.Spec.Job}}'}}",
            "{slack: {report_template: '{{'}}",
            "{}",
        ],
    ),
    (
        "rerun_auth_config",
        &[
            "{allow_anyone: true}",
            "{github_users: [u], github_orgs: [o]}",
            "{allow_anyone: true, github_users: [u]}",
            "{github_team_ids: [1], github_team_slugs: [{org: o, slug: s}]}",
        ],
    ),
    ("prowjob_defaults", &["{tenant_id: t}", "{}", "null"]),
    ("job_queue_name", &["q", "''"]),
    (
        "decoration_config",
        &[
            "{timeout: 1h}",
            "{}",
            "null",
            "{skip_cloning: true}",
            "{timeout: -1h}",
            "{timeout: abc}",
            "{grace_period: 90s, censor_secrets: true}",
        ],
    ),
    (
        "spec",
        &[
            "{containers: [{image: i}]}",
            "{containers: [{image: i, command: [sh], args: [-c, x]}], volumes: [{name: logs, emptyDir: {}}]}",
            "{containers: [{image: i, args: [x], env: [{name: JOB_NAME, value: x}]}]}",
            "{containers: [{name: a, image: i, command: [sh]}, {name: b, image: i, command: [sh]}]}",
            "{containers: [], initContainers: [{name: c, image: i}]}",
            "{containers: [{image: i, command: [sh], volumeMounts: [{name: x, mountPath: /logs}]}], serviceAccountName: s}",
            "{containers: [{image: i, command: [sh], workingDir: /w, resources: {requests: {cpu: 1, memory: 1Gi}, limits: {memory: '2Gi'}}}], nodeSelector: {a: b}}",
            "{initContainers: [{name: c, image: i}], containers: [{image: i, command: [sh]}], restartPolicy: Always, automountServiceAccountToken: true}",
            "null",
        ],
    ),
];

/// Fields of presubmits and postsubmits.
const OF_CHANGES: [Values; 8] = [
    ("always_run", &["true", "false", "null"]),
    (
        "run_if_changed",
        &["'\\.go$'", "^docs/", "'('", "''", "'(?!x)'"],
    ),
    ("skip_if_only_changed", &["^docs/", "'\\.md$'", "'['"]),
    (
        "branches",
        &[
            "[main]",
            "['release-.*']",
            "['^main$', dev]",
            "['(']",
            "[]",
            "['release-[0-9]+']",
        ],
    ),
    (
        "skip_branches",
        &["[main]", "['release-.*']", "[]", "['*']"],
    ),
    ("context", &["c", "ci/j", "''"]),
    ("skip_report", &["true", "false"]),
    ("jenkins_spec", &["{}", "{github_branch_source_job: true}"]),
];

/// Fields of presubmits.
const PRESUBMIT: [Values; 4] = [
    ("optional", &["true", "false"]),
    (
        "trigger",
        &[
            "'(?m)^/test j,?(\\s+|$)'",
            "'(?mi)^/run$'",
            "'('",
            "'/test( | .* )j'",
        ],
    ),
    ("rerun_command", &["/test j", "/run", "''"]),
    ("run_before_merge", &["true"]),
];

/// Fields of periodics.
const PERIODIC: [Values; 5] = [
    ("interval", &["1h", "0s", "-1h", "abc", "1h30m", "90"]),
    ("minimum_interval", &["1h", "abc", "10m"]),
    (
        "cron",
        &[
            "'0 * * * *'",
            "'@daily'",
            "'@every 1h'",
            "'* * *'",
            "'61 * * * *'",
            "'H * * * *'",
            "'0 0 * * MON'",
            "'TZ=Europe/Berlin 0 6 * * *'",
        ],
    ),
    ("tags", &["[a, b]", "[]"]),
    (
        "retry",
        &[
            "{attempts: 2}",
            "{attempts: 2, interval: 1m, run_all: true}",
            "{interval: abc}",
            "{}",
        ],
    ),
];

pub(super) fn inputs(seed: &mut Seed) -> Vec<Input> {
    (0..COUNT).map(|_| input(seed)).collect()
}

/// Each field occurs once in six times; a job has a name, something to run and, if it is a
/// periodic, a schedule, except in rare cases.
fn job(section: &str, seed: &mut Seed) -> String {
    let lists: &[&[Values]] = match section {
        "presubmits" => &[&COMMON, &OF_CHANGES, &PRESUBMIT],
        "postsubmits" => &[&COMMON, &OF_CHANGES],
        _ => &[&COMMON, &PERIODIC],
    };
    let mut fields = Vec::new();
    for (key, values) in lists.iter().flat_map(|list| list.iter()) {
        if seed.once_in(6) {
            // The first value is one that is always accepted.
            let value = if seed.once_in(4) {
                seed.pick(values)
            } else {
                &values[0]
            };
            fields.push((*key, *value));
        }
    }
    let schedules = ["interval", "minimum_interval", "cron"];
    let has = |fields: &[(&str, &str)], key: &str| fields.iter().any(|(other, _)| *other == key);
    let mut needed = vec![
        ("name", "j"),
        ("spec", "{containers: [{image: i, command: [sh]}]}"),
    ];
    if section == "periodics" && !schedules.iter().any(|key| has(&fields, key)) {
        needed.push(("interval", "1h"));
    }
    for (key, value) in needed {
        if !has(&fields, key) && !seed.once_in(40) {
            fields.push((key, value));
        }
    }
    if has(&fields, "trigger") != has(&fields, "rerun_command") && !seed.once_in(8) {
        fields.retain(|(key, _)| !["trigger", "rerun_command"].contains(key));
    }
    if has(&fields, "run_if_changed") && !seed.once_in(4) {
        fields.retain(|(key, _)| !["always_run", "skip_if_only_changed"].contains(key));
    }
    let fields: Vec<String> = fields
        .iter()
        .map(|(key, value)| format!("{key}: {value}"))
        .collect();
    format!("{{{}}}", fields.join(", "))
}

fn input(seed: &mut Seed) -> Input {
    let section = *seed.pick(&["presubmits", "presubmits", "postsubmits", "periodics"]);
    let mut jobs = job(section, seed);
    if seed.once_in(6) {
        jobs = format!("{jobs}, {}", job(section, seed));
    }
    let mut config = base_config();
    config.put(&["plank", "job_queue_capacities"], "{q: 1}");
    if seed.once_in(8) {
        config.put(&["decorate_all_jobs"], "true");
    }
    let mut input = Input {
        kind: "jobs",
        ..Input::default()
    };
    if section == "periodics" {
        input.jobs = format!("{{periodics: [{jobs}]}}");
    } else if seed.once_in(3) {
        input.kind = "jobs in a repository";
        input.in_repo = format!("{{{section}: [{jobs}]}}");
        if seed.once_in(4) {
            let central = job(section, seed);
            config.put(&[section, "o/r"], &format!("[{central}]"));
        }
    } else {
        let repo = *seed.pick(&["o/r", "o/r", "o/r", "https://g.example/a/b"]);
        input.jobs = format!("{{{section}: {{'{repo}': [{jobs}]}}}}");
    }
    input.config = config.to_string();
    input
}
