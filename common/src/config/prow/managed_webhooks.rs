//! `managed_webhooks`: repositories and organisations whose webhooks have secrets of their own.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{ConfigPath, section_diagnostics::SectionDiagnostics};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ManagedWebhooks {
    /// The secret that all webhooks shared before is valid, too.
    pub respect_legacy_global_token: bool,
    /// Invitations to administer the listed repositories and organisations are accepted.
    pub auto_accept_invitation: bool,
    /// By `org/repo` or `org`.
    pub org_repo_config: BTreeMap<String, ManagedWebhookInfo>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ManagedWebhookInfo {
    /// A secret that is older is replaced. RFC 3339.
    #[schemars(with = "Option<Time>")]
    pub token_created_after: Option<Timestamp>,
}

impl ManagedWebhooks {
    pub(super) fn check_managed_webhooks(
        &self,
        now: Timestamp,
        report: &mut SectionDiagnostics<'_>,
    ) {
        let section = ConfigPath::Root.key("managed_webhooks");
        let section = section.key("org_repo_config");
        for (name, hook) in &self.org_repo_config {
            let Some(after) = hook.token_created_after.filter(|after| *after > now) else {
                continue;
            };
            report.add_diagnostic(
                "token-created-after",
                &section.key(name).key("token_created_after"),
                format!("{after} is still to come: no secret could ever be new enough"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::prow::tests::{loaded, refused};

    #[test]
    fn a_secret_is_not_from_the_future() {
        // `now` in the tests is 2026-08-01T00:00:00Z.
        let hook = |time: &str| {
            format!(
                "managed_webhooks:\n  org_repo_config:\n    o/r: {{token_created_after: {time}}}"
            )
        };
        assert_eq!(
            refused(&hook("2026-08-01T02:00:01+02:00")),
            "config.yaml:3:11: managed_webhooks.org_repo_config.\"o/r\".token_created_after: 2026-08-01T00:00:01Z is still to come: no secret could ever be new enough"
        );
        loaded(&hook("2026-08-01T00:00:00Z"));
        loaded(&hook(""));
    }
}
