//! `gangway`: who may trigger jobs through Prow's API.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{ConfigPath, section_diagnostics::SectionDiagnostics};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GangwayConfig {
    pub allowed_api_clients: Vec<AllowedApiClient>,
}

/// A client, and the jobs that it may trigger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AllowedApiClient {
    pub gcp: Option<ApiClientGcp>,
    pub allowed_jobs_filters: Vec<AllowedJobsFilter>,
}

/// How Google Cloud identifies a client in the headers of its calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ApiClientGcp {
    /// `PROJECT` is the only value.
    pub endpoint_api_consumer_type: String,
    /// The project's number.
    pub endpoint_api_consumer_number: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AllowedJobsFilter {
    /// The tenant in the jobs' `prowjob_defaults`.
    pub tenant_id: String,
}

impl GangwayConfig {
    pub(super) fn check_gangway(&self, report: &mut SectionDiagnostics<'_>) {
        let section = ConfigPath::Root.key("gangway");
        let section = section.key("allowed_api_clients");
        let mut seen = BTreeSet::new();
        for (index, client) in self.allowed_api_clients.iter().enumerate() {
            let path = section.index(index);
            client.check_api_client(&path, report);
            let Some(gcp) = &client.gcp else { continue };
            if !seen.insert(&gcp.endpoint_api_consumer_number) {
                let message = format!(
                    "project {} is listed above already",
                    gcp.endpoint_api_consumer_number
                );
                report.add_diagnostic("gangway-client-twice", &path.key("gcp"), message);
            }
        }
    }
}

impl AllowedApiClient {
    fn check_api_client(&self, path: &ConfigPath<'_>, report: &mut SectionDiagnostics<'_>) {
        match &self.gcp {
            None => {
                report.add_diagnostic("gangway-client", path, "expected gcp: who the client is")
            }
            Some(gcp) => gcp.check_gcp_client(&path.key("gcp"), report),
        }
        let filters = path.key("allowed_jobs_filters");
        if self.allowed_jobs_filters.is_empty() {
            report.add_diagnostic("gangway-filters", &filters, "is required");
        }
        for (index, filter) in self.allowed_jobs_filters.iter().enumerate() {
            if filter.tenant_id.is_empty() {
                let tenant = filters.index(index);
                report.add_diagnostic("gangway-tenant", &tenant.key("tenant_id"), "is required");
            }
        }
    }
}

impl ApiClientGcp {
    fn check_gcp_client(&self, path: &ConfigPath<'_>, report: &mut SectionDiagnostics<'_>) {
        let (kind, number) = (
            &self.endpoint_api_consumer_type,
            &self.endpoint_api_consumer_number,
        );
        if kind != "PROJECT" {
            report.add_diagnostic(
                "gangway-consumer-type",
                &path.key("endpoint_api_consumer_type"),
                format!("found {kind:?}, expected \"PROJECT\""),
            );
        }
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            report.add_diagnostic(
                "gangway-consumer-number",
                &path.key("endpoint_api_consumer_number"),
                format!("found {number:?}, expected a project's number"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::prow::tests::{loaded, refused};

    #[test]
    fn a_client_says_who_it_is_and_what_it_starts() {
        for (client, message) in [
            (
                "{allowed_jobs_filters: [{tenant_id: t}]}",
                "config.yaml:3:5: gangway.allowed_api_clients[0]: expected gcp: who the client is",
            ),
            (
                "{gcp: {endpoint_api_consumer_type: X, endpoint_api_consumer_number: '1'}, allowed_jobs_filters: [{tenant_id: t}]}",
                r#"config.yaml:3:12: gangway.allowed_api_clients[0].gcp.endpoint_api_consumer_type: found "X", expected "PROJECT""#,
            ),
            (
                "{gcp: {endpoint_api_consumer_type: PROJECT, endpoint_api_consumer_number: x1}, allowed_jobs_filters: [{tenant_id: t}]}",
                r#"config.yaml:3:49: gangway.allowed_api_clients[0].gcp.endpoint_api_consumer_number: found "x1", expected a project's number"#,
            ),
            (
                "{gcp: {endpoint_api_consumer_type: PROJECT, endpoint_api_consumer_number: '1'}}",
                "config.yaml:3:5: gangway.allowed_api_clients[0].allowed_jobs_filters: is required",
            ),
            (
                "{gcp: {endpoint_api_consumer_type: PROJECT, endpoint_api_consumer_number: '1'}, allowed_jobs_filters: [{}]}",
                "config.yaml:3:108: gangway.allowed_api_clients[0].allowed_jobs_filters[0].tenant_id: is required",
            ),
        ] {
            let yaml = format!("gangway:\n  allowed_api_clients:\n  - {client}");
            assert_eq!(refused(&yaml), message);
        }
        let client = "  - {gcp: {endpoint_api_consumer_type: PROJECT, endpoint_api_consumer_number: '1'}, allowed_jobs_filters: [{tenant_id: t}]}\n";
        let section = "gangway:\n  allowed_api_clients:\n";
        loaded(&format!("{section}{client}"));
        assert_eq!(
            refused(&format!("{section}{client}{client}")),
            "config.yaml:4:6: gangway.allowed_api_clients[1].gcp: project 1 is listed above already"
        );
    }
}
