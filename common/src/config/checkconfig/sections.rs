//! Warnings about single sections of `config.yaml`.

use super::CheckconfigInput;
use crate::config::{ConfigPath, diagnostics::Diagnostics, prow::is_url};

/// An organisation's webhook gets the events of all its repositories. The webhook of one of them
/// gets the same events again.
pub(super) fn check_managed_webhooks(subject: &CheckconfigInput<'_>, findings: &mut Diagnostics) {
    let hooks = &subject.config.prow.managed_webhooks.org_repo_config;
    let section = ConfigPath::Root.key("managed_webhooks");
    let section = section.key("org_repo_config");
    for repo in hooks.keys() {
        let Some((org, _)) = repo.split_once('/') else {
            continue;
        };
        if hooks.contains_key(org) {
            let message = format!("{repo} and {org} both have a webhook: events come twice");
            let path = section.key(repo);
            subject.add_diagnostic("managed-webhooks", &path, message, findings);
        }
    }
}

/// Checked only if there is a `plugins.yaml`, as in Prow.
pub(super) fn check_status_error_link(subject: &CheckconfigInput<'_>, findings: &mut Diagnostics) {
    let link = &subject.config.prow.status_error_link;
    if subject.plugins.is_some() && !is_url(link) {
        let path = ConfigPath::Root.key("status_error_link");
        let message = format!("found {link:?}, expected a URL");
        subject.add_diagnostic("validate-urls", &path, message, findings);
    }
}
