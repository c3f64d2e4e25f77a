//! Warnings about single sections of `config.yaml`.

use super::Subject;
use crate::config::{Path, findings::Findings, prow::is_url};

/// An organisation's webhook hears of all its repositories, so that one of a repository's hears
/// the same a second time.
pub(super) fn managed_webhooks(subject: &Subject<'_>, findings: &mut Findings) {
    let hooks = &subject.config.prow.managed_webhooks.org_repo_config;
    let section = Path::Root.key("managed_webhooks");
    let section = section.key("org_repo_config");
    for repo in hooks.keys() {
        let Some((org, _)) = repo.split_once('/') else {
            continue;
        };
        if hooks.contains_key(org) {
            let message = format!("{repo} and {org} both have a webhook: events come twice");
            let path = section.key(repo);
            subject.add("managed-webhooks", &path, message, findings);
        }
    }
}

/// Looked for beside `plugins.yaml` only, as in Prow.
pub(super) fn urls(subject: &Subject<'_>, findings: &mut Findings) {
    let link = &subject.config.prow.status_error_link;
    if subject.plugins.is_some() && !is_url(link) {
        let path = Path::Root.key("status_error_link");
        let message = format!("found {link:?}, expected a URL");
        subject.add("validate-urls", &path, message, findings);
    }
}
