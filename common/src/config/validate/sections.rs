//! Rules for the sections of `config.yaml`, and what in them is not built yet.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    config::{Path, ProwConfig, findings::Findings},
    prowjob::ProwJobType,
};

pub(in crate::config) fn check(file: &Arc<str>, prow: &ProwConfig, findings: &mut Findings) {
    let root = Path::Root;
    let levels = [
        "debug", "info", "warn", "warning", "error", "fatal", "panic",
    ];
    if !levels.contains(&prow.log_level.as_str()) {
        findings.add(
            "log-level",
            file,
            &root.key("log_level"),
            format!(
                "found {:?}, expected one of {}",
                prow.log_level,
                levels.join(", ")
            ),
        );
    }
    plank(file, prow, findings);
    let reporter = root.key("github_reporter");
    for kind in &prow.github_reporter.job_types_to_report {
        if !matches!(kind, ProwJobType::Presubmit | ProwJobType::Postsubmit) {
            findings.add(
                "job-types-to-report",
                file,
                &reporter.key("job_types_to_report"),
                format!("a {kind} has no commit to report on; expected presubmit or postsubmit"),
            );
        }
    }
    let scheduler = prow.unused.get("scheduler");
    if scheduler.and_then(|section| section.get("enabled")) == Some(&Value::Bool(true)) {
        findings.add(
            "scheduler",
            file,
            &root.key("scheduler").key("enabled"),
            "choosing clusters by a scheduler is not supported yet",
        );
    }
}

fn plank(file: &Arc<str>, prow: &ProwConfig, findings: &mut Findings) {
    let root = Path::Root;
    let section = root.key("plank");
    let plank = &prow.plank;
    let mut wrong =
        |key: &str, message: &str| findings.add("plank", file, &section.key(key), message);
    if plank.max_concurrency < 0 {
        wrong("max_concurrency", "expected 0 (no limit) or more");
    }
    if plank.max_goroutines() <= 0 {
        wrong("max_goroutines", "expected 1 or more");
    }
    if plank.max_revivals() < 0 {
        wrong("max_revivals", "expected 0 or more");
    }
    if !plank.report_template.is_empty() && !plank.report_templates.is_empty() {
        wrong(
            "report_template",
            "report_template and report_templates exclude each other",
        );
    }
    if !plank.default_decoration_configs.is_empty()
        && !plank.default_decoration_config_entries.is_empty()
    {
        wrong(
            "default_decoration_configs",
            "default_decoration_configs and default_decoration_config_entries exclude each other",
        );
    }
    for url in plank.job_url_prefix_config.values() {
        if let Err(error) = url::Url::parse(url) {
            wrong(
                "job_url_prefix_config",
                &format!("{url:?} is no URL: {error}"),
            );
        }
    }
}
