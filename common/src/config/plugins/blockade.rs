//! `blockades`: paths whose change keeps a pull request from merging.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::section_diagnostics::SectionDiagnostics;
use crate::{config::ConfigPath, prowjob::null_default};

/// One blockade for the repositories it lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BlockadeConfig {
    /// `org` or `org/repo`.
    #[serde(deserialize_with = "null_default")]
    pub repos: Vec<String>,
    /// A pattern of the branches it applies to; all unless set.
    pub branchregexp: Option<String>,
    /// Patterns of blocked paths.
    #[serde(deserialize_with = "null_default")]
    pub blockregexps: Vec<String>,
    /// Patterns of paths that are not blocked after all.
    #[serde(deserialize_with = "null_default")]
    pub exceptionregexps: Vec<String>,
    /// The reason, for the comment on the pull request.
    #[serde(deserialize_with = "null_default")]
    pub explanation: String,
}

pub(super) fn check_blockades(blockades: &[BlockadeConfig], report: &mut SectionDiagnostics<'_>) {
    let section = ConfigPath::Root.key("blockades");
    for (index, blockade) in blockades.iter().enumerate() {
        let entry = section.index(index);
        if let Some(branch) = &blockade.branchregexp {
            report.check_pattern(&entry.key("branchregexp"), branch);
        }
        for (key, patterns) in [
            ("blockregexps", &blockade.blockregexps),
            ("exceptionregexps", &blockade.exceptionregexps),
        ] {
            let list = entry.key(key);
            for (index, pattern) in patterns.iter().enumerate() {
                report.check_pattern(&list.index(index), pattern);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::plugins::tests::refused;

    #[test]
    fn every_pattern_compiles() {
        for (yaml, message) in [
            (
                "blockades:\n- branchregexp: '('",
                r#"plugins.yaml:2:3: blockades[0].branchregexp: "(" is no regular expression: missing closing )"#,
            ),
            (
                "blockades:\n- blockregexps: [ok, 'a**)']",
                r#"plugins.yaml:2:22: blockades[0].blockregexps[1]: "a**)" is no regular expression: invalid nested repetition operator: `**`"#,
            ),
            (
                "blockades:\n- exceptionregexps:\n  - '['",
                r#"plugins.yaml:3:5: blockades[0].exceptionregexps[0]: "[" is no regular expression: missing closing ]: `[`"#,
            ),
        ] {
            assert_eq!(refused(yaml), message);
        }
    }
}
