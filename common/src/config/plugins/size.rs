//! `size`: how many changed lines make a pull request large.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::section_diagnostics::SectionDiagnostics;
use crate::{config::ConfigPath, prowjob::null_default};

/// Minimum number of lines for each label; 0 is the plugin's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SizeConfig {
    #[serde(deserialize_with = "null_default")]
    pub s: i64,
    #[serde(deserialize_with = "null_default")]
    pub m: i64,
    #[serde(deserialize_with = "null_default")]
    pub l: i64,
    #[serde(deserialize_with = "null_default")]
    pub xl: i64,
    #[serde(deserialize_with = "null_default")]
    pub xxl: i64,
}

impl SizeConfig {
    pub(super) fn check_sizes(&self, report: &mut SectionDiagnostics<'_>) {
        let section = ConfigPath::Root.key("size");
        let sizes = [
            ("s", self.s),
            ("m", self.m),
            ("l", self.l),
            ("xl", self.xl),
            ("xxl", self.xxl),
        ];
        for pair in sizes.windows(2) {
            let [(smaller, below), (larger, lines)] = [pair[0], pair[1]];
            if below > lines {
                report.add_diagnostic(
                    "size-order",
                    &section.key(larger),
                    format!("found {lines}, expected at least {below}, as for {smaller}"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::plugins::tests::refused;

    #[test]
    fn sizes_grow() {
        for (yaml, message) in [
            (
                "size: {s: 10, m: 30, l: 20, xl: 100, xxl: 500}",
                "plugins.yaml:1:22: size.l: found 20, expected at least 30, as for m",
            ),
            (
                "size:\n  xl: 100",
                "plugins.yaml:1:1: size.xxl: found 0, expected at least 100, as for xl",
            ),
        ] {
            assert_eq!(refused(yaml), message);
        }
    }
}
