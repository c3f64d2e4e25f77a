//! Whether a repository is hidden, by its name or by its segment of a path.

use common::prowjob::GcsConfiguration;

/// `deck.hidden_repos`: entries `org/repo` and `org`.
///
/// Compared as GitHub compares names, ignoring case, and Gerrit's with and without `https://`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HiddenRepos(Vec<String>);

impl HiddenRepos {
    pub(crate) fn new(entries: &[String]) -> Self {
        Self(entries.iter().map(|entry| normalize_repo(entry)).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `repo` is `org/repo`; Gerrit's repositories may have more slashes.
    pub(crate) fn contains_repo(&self, repo: &str) -> bool {
        let repo = normalize_repo(repo);
        let org = repo.split('/').next().unwrap_or(&repo);
        self.0.iter().any(|hidden| *hidden == repo || hidden == org)
    }

    /// Whether the segment may mean a hidden repository.
    fn has_segment(&self, segment: &str) -> bool {
        let segment = segment.to_ascii_lowercase();
        self.0.iter().any(|hidden| match hidden.split_once('/') {
            Some((org, repo)) => segment == format!("{org}_{}", repo.replace('/', "_")),
            None => segment
                .strip_prefix(hidden.as_str())
                .is_some_and(|rest| rest.starts_with('_')),
        })
    }
}

fn normalize_repo(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let host = name
        .strip_prefix("https://")
        .or_else(|| name.strip_prefix("http://"));
    host.unwrap_or(&name).trim_end_matches('/').to_owned()
}

/// The repositories that a segment such as `org_repo` can mean, by the configured path strategies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RepoSegment {
    /// Each configured `default_org` and `default_repo`.
    defaults: Vec<(String, String)>,
}

impl RepoSegment {
    pub(crate) fn from_configurations<'a>(
        configurations: impl Iterator<Item = &'a GcsConfiguration>,
    ) -> Self {
        let mut defaults: Vec<_> = configurations
            .filter(|config| !config.default_org.is_empty())
            .map(|config| (config.default_org.clone(), config.default_repo.clone()))
            .collect();
        defaults.sort();
        defaults.dedup();
        Self { defaults }
    }

    /// Whether a repository that the segment can mean is hidden. `None`: the segment says nothing.
    ///
    /// The path strategies leave out defaults: no segment means the default repository, and one
    /// without an organisation means a repository of a default organisation.
    pub(crate) fn is_hidden(&self, segment: Option<&str>, hidden: &HiddenRepos) -> Option<bool> {
        let defaults = self.defaults.iter();
        let Some(segment) = segment else {
            let mut repos = defaults
                .map(|(org, repo)| format!("{org}/{repo}"))
                .peekable();
            repos.peek()?;
            return Some(repos.any(|repo| hidden.contains_repo(&repo)));
        };
        let mut of_defaults = defaults.map(|(org, _)| format!("{org}/{segment}"));
        if of_defaults.any(|repo| hidden.contains_repo(&repo)) || hidden.has_segment(segment) {
            return Some(true);
        }
        (segment.contains('_') || !self.defaults.is_empty()).then_some(false)
    }
}
