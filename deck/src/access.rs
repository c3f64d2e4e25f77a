//! Decides whether a viewer may see a job. Every route uses this decision.
//!
//! It applies Prow's rules for hidden jobs and tenants to every read, not only to lists.

use std::collections::BTreeSet;

use crate::index::IndexedJob;
use crate::visibility::HiddenRepos;

/// The tenant that Prow's configuration writes into every job that names none.
const DEFAULT_TENANT: &str = "GlobalDefaultID";

/// Which jobs a Deck shows. There is no login yet, so everybody who reaches it is this viewer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Viewer {
    /// Jobs that are not hidden and belong to no tenant.
    #[default]
    Public,
    /// `--show-hidden`: hidden jobs as well.
    Everything,
    /// `--hidden-only`: only hidden jobs.
    HiddenOnly,
    /// `--tenant-id`: only the jobs of these tenants, hidden or not.
    Tenants(BTreeSet<String>),
}

/// What the decision needs to know of a job, or of a stored run whose `ProwJob` is gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccessSubject<'a> {
    pub(crate) hidden: bool,
    pub(crate) tenant: &'a str,
    /// `org/repo` of each of the job's refs.
    pub(crate) repos: &'a [std::sync::Arc<str>],
}

impl IndexedJob {
    /// Whether the job's own fields (`hidden`, tenant) hide it from the public.
    pub(crate) fn is_hidden(&self) -> bool {
        !Viewer::Public.may_view_job(self.hidden, &[&self.tenant])
    }

    pub(crate) fn access_subject(&self) -> AccessSubject<'_> {
        AccessSubject {
            hidden: self.hidden,
            tenant: &self.tenant,
            repos: &self.repos,
        }
    }
}

impl Viewer {
    /// Prow's rules for jobs that are `hidden` or not and belong to these `tenants`.
    pub(crate) fn may_view_job(&self, hidden: bool, tenants: &[&str]) -> bool {
        let no_tenant = tenants
            .iter()
            .all(|tenant| ["", DEFAULT_TENANT].contains(tenant));
        match self {
            Self::Tenants(own) => {
                !tenants.is_empty() && tenants.iter().all(|tenant| own.contains(*tenant))
            }
            Self::Public => !hidden && no_tenant,
            Self::Everything => hidden || no_tenant,
            Self::HiddenOnly => hidden,
        }
    }
}

/// Decides by the job's own fields and `deck.hidden_repos`, Deck's list of `org/repo` and `org`.
pub(crate) fn may_view(
    viewer: &Viewer,
    hidden_repos: &HiddenRepos,
    subject: &AccessSubject<'_>,
) -> bool {
    let hidden = subject.hidden
        || subject
            .repos
            .iter()
            .any(|repo| hidden_repos.contains_repo(repo));
    viewer.may_view_job(hidden, &[subject.tenant])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prows_rules() {
        let tenants = || Viewer::Tenants(BTreeSet::from(["t".to_owned()]));
        for (what, viewer, hidden, tenant, repo, expected) in [
            ("a plain job", Viewer::Public, false, "", "o/r", true),
            (
                "of the default tenant",
                Viewer::Public,
                false,
                DEFAULT_TENANT,
                "o/r",
                true,
            ),
            (
                "of another tenant",
                Viewer::Public,
                false,
                "t",
                "o/r",
                false,
            ),
            ("a hidden job", Viewer::Public, true, "", "o/r", false),
            (
                "of a hidden repository",
                Viewer::Public,
                false,
                "",
                "o/secret",
                false,
            ),
            (
                "of a hidden organisation",
                Viewer::Public,
                false,
                "",
                "hush/r",
                false,
            ),
            (
                "show-hidden shows it",
                Viewer::Everything,
                true,
                "",
                "o/r",
                true,
            ),
            (
                "and what is not hidden",
                Viewer::Everything,
                false,
                "",
                "o/r",
                true,
            ),
            (
                "hidden-only shows it",
                Viewer::HiddenOnly,
                false,
                "",
                "hush/r",
                true,
            ),
            (
                "and nothing else",
                Viewer::HiddenOnly,
                false,
                "",
                "o/r",
                false,
            ),
            (
                "a tenant's own, hidden or not",
                tenants(),
                true,
                "t",
                "o/r",
                true,
            ),
            ("nobody else's", tenants(), false, "", "o/r", false),
        ] {
            let repos = [repo.into()];
            let subject = AccessSubject {
                hidden,
                tenant,
                repos: &repos,
            };
            let hidden_repos = HiddenRepos::new(&["o/secret".to_owned(), "hush".to_owned()]);
            assert_eq!(
                may_view(&viewer, &hidden_repos, &subject),
                expected,
                "{what}"
            );
        }
    }
}
