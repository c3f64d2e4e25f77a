//! From `config.yaml` and its further parts to one [`ProwConfig`]: read, put together, checked.

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde_json::Value;

use super::{ProwConfig, UNUSED};
use crate::config::{
    Errors, Problem,
    content::Content,
    findings::Findings,
    job::JobFile,
    part::Written,
    report::Report,
    yaml::{self, GoType, Trust},
};

/// What `config.yaml` may hold: sections, and jobs among them.
#[derive(JsonSchema)]
#[expect(
    dead_code,
    reason = "only the shape is wanted; each half is read by itself"
)]
struct ConfigFile {
    #[schemars(flatten)]
    prow: ProwConfig,
    #[schemars(flatten)]
    jobs: JobFile,
}

impl ProwConfig {
    /// The files with their texts, the main one first. What breaks a rule is in `findings`, and
    /// an error is a file that cannot be read as what it should be.
    pub(in crate::config) fn assemble(
        files: &[(Arc<str>, String)],
        now: Timestamp,
        findings: &mut Findings,
    ) -> Result<(Self, Written), Errors> {
        let ((main, text), parts) = files.split_first().expect("there is a main file");
        let mut problems = Vec::new();
        let mut whole = Self::main(main, text).map_err(|errors| problems.extend(errors.0));
        for (file, text) in parts {
            match (Self::part(file, text), &mut whole) {
                (Err(errors), _) => problems.extend(errors.0),
                (Ok((part, mut remarks)), Ok((prow, written))) => {
                    prow.merge(part, file, findings);
                    written.remarks.append(&mut remarks);
                }
                (Ok(_), Err(())) => {}
            }
        }
        let Ok((prow, written)) = whole else {
            return Err(Errors(problems));
        };
        if !problems.is_empty() {
            return Err(Errors(problems));
        }
        let places = &prow.places;
        prow.check(now, &mut Report { places, findings });
        Ok((prow, written))
    }

    fn main(file: &Arc<str>, text: &str) -> Result<(Self, Written), Errors> {
        let tree = yaml::tree(file, text, Trust::Operator)?;
        let document =
            yaml::fitted::<ConfigFile>(file, tree.as_ref(), GoType::Config, Trust::Operator)?;
        let mut prow: Self = yaml::read(file, tree.as_ref(), document.value.clone())?;
        prow.note_unused(&document.value);
        prow.places.main = Arc::clone(file);
        let written = Written {
            file: Arc::clone(file),
            content: Content::of(text),
            jobs: yaml::read(file, tree.as_ref(), document.value)?,
            remarks: document.remarks,
        };
        Ok((prow, written))
    }

    fn part(file: &Arc<str>, text: &str) -> Result<(Self, Vec<Problem>), Errors> {
        let tree = yaml::tree(file, text, Trust::Operator)?;
        let document =
            yaml::fitted::<Self>(file, tree.as_ref(), GoType::ProwConfig, Trust::Operator)?;
        let mut part: Self = yaml::read(file, tree.as_ref(), document.value.clone())?;
        part.note_unused(&document.value);
        Ok((part, document.remarks))
    }

    fn note_unused(&mut self, written: &Value) {
        let sections = UNUSED.iter().copied();
        self.unused = sections
            .filter(|section| written.get(section).is_some())
            .collect();
    }

    /// Every rule that the sections must keep. What is in the future is after `now`.
    fn check(&self, now: Timestamp, report: &mut Report<'_>) {
        self.check_log_level(report);
        self.github.check(report);
        self.plank.check(report);
        self.github_reporter.check(report);
        self.deck.check(report);
        self.tide.check(report);
        self.branch_protection.check(report);
        self.gerrit.check(report);
        self.gangway.check(report);
        self.managed_webhooks.check(now, report);
        self.scheduler.check(report);
        self.check_slack(report);
        self.check_jenkins(report);
        self.check_pubsub(report);
    }
}
