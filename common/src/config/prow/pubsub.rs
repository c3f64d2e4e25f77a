//! `pubsub_subscriptions`, `pubsub_triggers`: messages of Google Pub/Sub that trigger jobs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ProwConfig;
use crate::config::{ConfigPath, section_diagnostics::SectionDiagnostics};

/// Subscriptions by Google Cloud project.
pub type PubsubSubscriptions = BTreeMap<String, Vec<String>>;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PubsubTrigger {
    /// The Google Cloud project.
    pub project: String,
    pub topics: Vec<String>,
    /// Build clusters where the jobs may run; `*` is all.
    pub allowed_clusters: Vec<String>,
    max_outstanding_messages: i64,
}

impl PubsubTrigger {
    /// How many messages are handled at once; 10 unless set.
    pub fn max_outstanding_messages(&self) -> i64 {
        match self.max_outstanding_messages {
            0 => 10,
            number => number,
        }
    }
}

impl ProwConfig {
    /// The triggers of both forms; a subscription may use every cluster.
    pub fn all_pubsub_triggers(&self) -> Vec<PubsubTrigger> {
        let subscriptions = self.pubsub_subscriptions.iter();
        let subscriptions = subscriptions.map(|(project, topics)| PubsubTrigger {
            project: project.clone(),
            topics: topics.clone(),
            allowed_clusters: vec!["*".to_owned()],
            max_outstanding_messages: 0,
        });
        let triggers = self.pubsub_triggers.iter().cloned();
        triggers.chain(subscriptions).collect()
    }

    pub(super) fn check_pubsub(&self, report: &mut SectionDiagnostics<'_>) {
        if !self.pubsub_subscriptions.is_empty() && !self.pubsub_triggers.is_empty() {
            report.add_diagnostic(
                "pubsub-twice",
                &ConfigPath::Root.key("pubsub_subscriptions"),
                "pubsub_subscriptions and pubsub_triggers exclude each other",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::prow::tests::{loaded, refused};

    #[test]
    fn one_form_or_the_other() {
        assert_eq!(
            refused("pubsub_triggers: [{project: p}]\npubsub_subscriptions: {p: [s]}"),
            "config.yaml:2:1: pubsub_subscriptions: pubsub_subscriptions and pubsub_triggers exclude each other"
        );
        let triggers = loaded("pubsub_subscriptions: {p: [s]}").all_pubsub_triggers();
        assert_eq!(
            (triggers[0].project.as_str(), &triggers[0].topics[0]),
            ("p", &"s".to_owned())
        );
        assert_eq!(triggers[0].allowed_clusters, ["*"]);
        assert_eq!(triggers[0].max_outstanding_messages(), 10);
    }
}
