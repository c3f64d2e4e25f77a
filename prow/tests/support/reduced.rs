//! Reduces findings to rule, repository and job, to compare them with upstream's checkconfig.

use std::collections::BTreeSet;

use serde_json::Value;

/// Rules whose messages name a job in quotes.
const OF_JOBS: [&str; 6] = [
    "duplicate-job-refs",
    "long-job-names",
    "non-decorated-jobs",
    "periodic-default-clone-config",
    "required-job-annotations",
    "validate-cluster-field",
];

/// Rules whose messages begin with an organisation or a repository.
const OF_REPOSITORIES: [&str; 8] = [
    "managed-webhooks",
    "mismatched-tide",
    "missing-trigger",
    "tide-context-policy",
    "tide-strict-branch",
    "validate-label",
    "validate-owners",
    "validate-unmanaged-branchconfig-has-no-subconfig",
];

/// Rule, repository and job, with tabs between them, of every warning of `--output json`.
pub(crate) fn reduced(object: &Value) -> BTreeSet<String> {
    let findings = object["findings"].as_array().unwrap();
    findings.iter().map(one).collect()
}

fn one(finding: &Value) -> String {
    let text = |key: &str| finding[key].as_str().unwrap();
    let (rule, message) = (text("rule"), text("message"));
    let (repo, job) = if OF_JOBS.contains(&rule) {
        let repo = match text("path").split_once('.') {
            Some(("presubmits" | "postsubmits", below)) => below.split('"').nth(1).unwrap(),
            _ => "",
        };
        (repo, message.split('"').nth(1).unwrap())
    } else if OF_REPOSITORIES.contains(&rule) {
        (message.split(' ').next().unwrap(), "")
    } else {
        ("", "")
    };
    format!("{rule}\t{repo}\t{job}")
}

/// Asserts that the findings are exactly upstream's; `upstream` has one per line.
#[track_caller]
pub(crate) fn assert_upstreams(object: &Value, upstream: &str) {
    let found = reduced(object);
    let expected: BTreeSet<String> = upstream.lines().map(str::to_owned).collect();
    let more: Vec<_> = found.difference(&expected).collect();
    let less: Vec<_> = expected.difference(&found).collect();
    assert!(
        more.is_empty() && less.is_empty(),
        "not upstream's: {more:#?}\nmissing: {less:#?}"
    );
}
