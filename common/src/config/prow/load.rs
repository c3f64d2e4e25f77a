//! Loads `config.yaml` and its supplemental files into one [`ProwConfig`]: parses, merges, checks.

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde_json::Value;

use super::{ProwConfig, UNUSED_SECTIONS};
use crate::config::{
    ConfigErrors, Diagnostic,
    content_hash::ContentHash,
    diagnostics::Diagnostics,
    file_jobs::ParsedJobFile,
    job::JobFile,
    section_diagnostics::SectionDiagnostics,
    yaml::{self, DocumentTrust, GoType},
};

/// What `config.yaml` may contain: sections and jobs.
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
    /// `files` are names and texts, the main file first. Broken rules are added to `findings`; an
    /// error means that a file cannot be parsed.
    pub(in crate::config) fn assemble_files(
        files: &[(Arc<str>, String)],
        now: Timestamp,
        findings: &mut Diagnostics,
    ) -> Result<(Self, ParsedJobFile), ConfigErrors> {
        let ((main, text), parts) = files.split_first().expect("there is a main file");
        let mut problems = Vec::new();
        let mut whole = Self::parse_main(main, text).map_err(|errors| problems.extend(errors.0));
        for (file, text) in parts {
            match (Self::parse_part(file, text), &mut whole) {
                (Err(errors), _) => problems.extend(errors.0),
                (Ok((part, mut remarks)), Ok((prow, written))) => {
                    prow.merge_part(part, file, findings);
                    written.remarks.append(&mut remarks);
                }
                (Ok(_), Err(())) => {}
            }
        }
        let Ok((prow, written)) = whole else {
            return Err(ConfigErrors(problems));
        };
        if !problems.is_empty() {
            return Err(ConfigErrors(problems));
        }
        let places = &prow.places;
        prow.check_sections(now, &mut SectionDiagnostics { places, findings });
        Ok((prow, written))
    }

    fn parse_main(file: &Arc<str>, text: &str) -> Result<(Self, ParsedJobFile), ConfigErrors> {
        let tree = yaml::parse_tree(file, text, DocumentTrust::Operator)?;
        let document = yaml::coerce_tree::<ConfigFile>(
            file,
            tree.as_ref(),
            GoType::Config,
            DocumentTrust::Operator,
        )?;
        let mut prow: Self = yaml::deserialize_value(file, tree.as_ref(), document.value.clone())?;
        prow.note_unused(&document.value);
        prow.places.main = Arc::clone(file);
        let written = ParsedJobFile {
            file: Arc::clone(file),
            content: ContentHash::hash_text(text),
            jobs: yaml::deserialize_value(file, tree.as_ref(), document.value)?,
            remarks: document.remarks,
        };
        Ok((prow, written))
    }

    fn parse_part(file: &Arc<str>, text: &str) -> Result<(Self, Vec<Diagnostic>), ConfigErrors> {
        let tree = yaml::parse_tree(file, text, DocumentTrust::Operator)?;
        let document = yaml::coerce_tree::<Self>(
            file,
            tree.as_ref(),
            GoType::ProwConfig,
            DocumentTrust::Operator,
        )?;
        let mut part: Self = yaml::deserialize_value(file, tree.as_ref(), document.value.clone())?;
        part.note_unused(&document.value);
        Ok((part, document.remarks))
    }

    fn note_unused(&mut self, written: &Value) {
        let sections = UNUSED_SECTIONS.iter().copied();
        self.unused = sections
            .filter(|section| written.get(section).is_some())
            .collect();
    }

    /// Checks every rule of the sections. Times after `now` are in the future.
    fn check_sections(&self, now: Timestamp, report: &mut SectionDiagnostics<'_>) {
        self.check_log_level(report);
        self.github.check_links(report);
        self.plank.check_plank(report);
        self.github_reporter.check_github_reporter(report);
        self.deck.check_deck(report);
        self.tide.check_tide(report);
        self.branch_protection.check_branch_protection(report);
        self.gerrit.check_gerrit(report);
        self.gangway.check_gangway(report);
        self.managed_webhooks.check_managed_webhooks(now, report);
        self.scheduler.check_scheduler(report);
        self.check_slack(report);
        self.check_jenkins(report);
        self.check_pubsub(report);
    }
}
