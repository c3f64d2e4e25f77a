//! `spyglass`: what a job's page shows of its files.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{ConfigPath, section_diagnostics::SectionDiagnostics};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SpyglassConfig {
    pub lenses: Vec<LensFileConfig>,
    /// Older form of `lenses`: names of lenses by the pattern of their files.
    pub viewers: BTreeMap<String, Vec<String>>,
    size_limit: i64,
    /// Older form of the two fields below, for `*`.
    pub gcs_browser_prefix: String,
    /// Prefixes of links to a bucket, by `org/repo`, `org` or `*`.
    pub gcs_browser_prefixes: BTreeMap<String, String>,
    /// Prefixes of links to a bucket, by bucket or `*`; those by repository take precedence.
    pub gcs_browser_prefixes_by_bucket: BTreeMap<String, String>,
    /// A Go template in HTML at the top of each page; `.ArtifactPath` is the job's folder.
    pub announcement: String,
    /// A file or a `gs://` URL; if it is empty, there is no link to `TestGrid`.
    pub testgrid_config: String,
    /// The URL of `TestGrid`.
    pub testgrid_root: String,
    pub hide_pr_history_link: bool,
    /// A Go template over `.Org`, `.Repo` and `.Number`; Deck's own page unless set.
    pub pr_history_link_template: String,
    /// The real names of buckets, by alias.
    pub bucket_aliases: BTreeMap<String, String>,
}

/// A lens, and the files that it gets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LensFileConfig {
    /// Regular expressions: the lens is shown only if there is a file for each.
    pub required_files: Vec<String>,
    /// Regular expressions.
    pub optional_files: Vec<String>,
    pub lens: LensConfig,
    pub remote_config: Option<LensRemoteConfig>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LensConfig {
    pub name: String,
    /// The lens's own configuration.
    pub config: Value,
}

/// A lens that another service renders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LensRemoteConfig {
    pub endpoint: String,
    pub static_root: String,
    pub title: String,
    /// The lens with the lowest priority comes first.
    pub priority: Option<u64>,
    pub hide_title: Option<bool>,
}

impl SpyglassConfig {
    /// Maximum bytes of a file that are read at once; 100 MB unless set.
    pub fn size_limit(&self) -> i64 {
        match self.size_limit {
            0 => 100_000_000,
            limit => limit,
        }
    }

    pub(super) fn check_spyglass(
        &self,
        section: &ConfigPath<'_>,
        report: &mut SectionDiagnostics<'_>,
    ) {
        if self.size_limit < 0 {
            let path = section.key("size_limit");
            report.add_diagnostic("spyglass-size-limit", &path, "expected a number of bytes");
        }
        let lenses = section.key("lenses");
        for (index, lens) in self.lenses.iter().enumerate() {
            let lens_path = lenses.index(index);
            for (key, patterns) in [
                ("required_files", &lens.required_files),
                ("optional_files", &lens.optional_files),
            ] {
                let list = lens_path.key(key);
                for (index, pattern) in patterns.iter().enumerate() {
                    report.check_pattern(&list.index(index), pattern);
                }
            }
        }
        let viewers = section.key("viewers");
        for pattern in self.viewers.keys() {
            report.check_pattern(&viewers.key(pattern), pattern);
        }
        for (key, prefixes) in [
            ("gcs_browser_prefixes", &self.gcs_browser_prefixes),
            (
                "gcs_browser_prefixes_by_bucket",
                &self.gcs_browser_prefixes_by_bucket,
            ),
        ] {
            if !self.gcs_browser_prefix.is_empty() && prefixes.contains_key("*") {
                report.add_diagnostic(
                    "gcs-browser-prefix-twice",
                    &section.key("gcs_browser_prefix"),
                    format!("gcs_browser_prefix and {key}.\"*\" exclude each other"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::prow::tests::{loaded, refused};

    #[test]
    fn each_rule_tells_its_place() {
        for (fields, message) in [
            (
                "size_limit: -1",
                "config.yaml:1:19: deck.spyglass.size_limit: expected a number of bytes",
            ),
            (
                "lenses: [{required_files: [a, '(']}]",
                r#"config.yaml:1:49: deck.spyglass.lenses[0].required_files[1]: "(" is no regular expression: missing closing )"#,
            ),
            (
                "lenses: [{optional_files: ['(']}]",
                r#"config.yaml:1:46: deck.spyglass.lenses[0].optional_files[0]: "(" is no regular expression: missing closing )"#,
            ),
            (
                "viewers: {'(': [a]}",
                r#"config.yaml:1:29: deck.spyglass.viewers."(": "(" is no regular expression: missing closing )"#,
            ),
            (
                "gcs_browser_prefix: a, gcs_browser_prefixes: {'*': b}",
                r#"config.yaml:1:19: deck.spyglass.gcs_browser_prefix: gcs_browser_prefix and gcs_browser_prefixes."*" exclude each other"#,
            ),
            (
                "gcs_browser_prefix: a, gcs_browser_prefixes_by_bucket: {'*': b}",
                r#"config.yaml:1:19: deck.spyglass.gcs_browser_prefix: gcs_browser_prefix and gcs_browser_prefixes_by_bucket."*" exclude each other"#,
            ),
        ] {
            assert_eq!(
                refused(&format!("deck: {{spyglass: {{{fields}}}}}")),
                message
            );
        }
    }

    #[test]
    fn a_lens_takes_what_it_wants() {
        let deck =
            loaded("deck: {spyglass: {lenses: [{lens: {name: lens, config: {a: [1]}}}]}}").deck;
        assert_eq!(deck.spyglass.lenses[0].lens.config["a"][0], 1);
    }
}
