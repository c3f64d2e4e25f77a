//! Where our answers differ on purpose, each with its reason.

use serde_json::Value;

use super::Input;

struct Difference {
    reason: &'static str,
    /// Checks the input's text and our answer: an object, or the refusal.
    is_it: fn(&str, Result<&str, &str>) -> bool,
}

const DIFFERENCES: [Difference; 8] = [
    Difference {
        reason: "a repository's file with a field that nobody knows is refused (M13)",
        is_it: |_, ours| ours.is_err_and(|error| error.contains("unknown field")),
    },
    Difference {
        reason: "a repository's job stores its results where the installation does (D2)",
        is_it: |_, ours| ours.is_err_and(|error| error.contains("expected a bucket that")),
    },
    Difference {
        reason: "a job's mediaTypes win over a default's, a bug of upstream's",
        is_it: |input, _| input.matches("\"mediaTypes\"").count() > 1,
    },
    Difference {
        reason: "retry.interval does not take the interval's place, a bug of upstream's",
        is_it: |input, _| input.contains("retry") && input.contains("interval: 1m"),
    },
    Difference {
        reason: "the sidecar is told to mask every secret of the pod (P8)",
        is_it: |_, ours| ours.is_ok_and(|jobs| jobs.contains("every_secret")),
    },
    Difference {
        reason: "a pod in which a volume stands twice is not made (C9)",
        is_it: |_, ours| ours.is_ok_and(|jobs| jobs.contains("\"pod\":\"error\"")),
    },
    Difference {
        reason: "default_memory_request is told as it is written",
        is_it: |input, _| input.contains("\"default_memory_request\": 1.20"),
    },
    Difference {
        reason: "a path_strategy that is none is refused in a default that no job uses",
        is_it: |_, ours| ours.is_err_and(|error| error.contains("expected one of explicit")),
    },
];

pub(super) const REASONS: usize = DIFFERENCES.len();

/// Why our answer differs from upstream's.
pub(super) fn reason(input: &Input, ours: &Result<Value, String>) -> Option<&'static str> {
    let texts = [&input.config, &input.jobs, &input.in_repo, &input.plugins];
    let text = texts.map(String::as_str).join("\n");
    let ours = ours.as_ref().map(Value::to_string);
    let ours = match &ours {
        Ok(jobs) => Ok(jobs.as_str()),
        Err(error) => Err(error.as_str()),
    };
    let found = DIFFERENCES.iter().find(|it| (it.is_it)(&text, ours));
    found.map(|it| it.reason)
}
