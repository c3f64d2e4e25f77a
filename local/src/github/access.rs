//! Who may do what in which repository: the rule that every route checks.
//!
//! Knows no tokens; those are in `caller`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    caller::Caller,
    response::RestError,
    store::{GithubStore, StoredAccount, StoredRepo},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PermissionLevel {
    Read,
    Write,
}

/// The permissions of an App, by GitHub's names, such as `contents`, `statuses`, `pull_requests`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppPermissions(pub BTreeMap<String, PermissionLevel>);

impl<const N: usize> From<[(&str, PermissionLevel); N]> for AppPermissions {
    fn from(pairs: [(&str, PermissionLevel); N]) -> AppPermissions {
        AppPermissions(
            pairs
                .into_iter()
                .map(|(scope, level)| (scope.to_owned(), level))
                .collect(),
        )
    }
}

impl AppPermissions {
    /// Every installation has `metadata: read`, as on GitHub.
    pub(crate) fn allows_level(&self, scope: &str, level: PermissionLevel) -> bool {
        (scope == "metadata" && level == PermissionLevel::Read)
            || self.0.get(scope).is_some_and(|have| *have >= level)
    }

    pub(crate) fn covers_permissions(&self, wanted: &AppPermissions) -> bool {
        wanted
            .0
            .iter()
            .all(|(scope, level)| self.allows_level(scope, *level))
    }

    pub(crate) fn to_value(&self) -> Value {
        let levels = self.0.iter().map(|(scope, level)| {
            (
                scope.clone(),
                Value::from(if *level == PermissionLevel::Write {
                    "write"
                } else {
                    "read"
                }),
            )
        });
        let mut map: serde_json::Map<String, Value> = levels.collect();
        map.entry("metadata").or_insert_with(|| "read".into());
        Value::Object(map)
    }

    /// `contents: read, statuses: write`.
    pub(crate) fn in_words(&self) -> String {
        let each = self.0.iter().map(|(scope, level)| {
            let level = if *level == PermissionLevel::Write {
                "write"
            } else {
                "read"
            };
            format!("{scope}: {level}")
        });
        each.collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn to_json(&self) -> String {
        self.to_value().to_string()
    }

    /// Reads what [`AppPermissions::to_json`] wrote.
    pub(crate) fn from_json(text: &str) -> AppPermissions {
        serde_json::from_str(text)
            .ok()
            .and_then(|value: Value| AppPermissions::from_value(&value))
            .unwrap_or_default()
    }

    /// `None` if a level is not known.
    pub(crate) fn from_value(value: &Value) -> Option<AppPermissions> {
        let mut permissions = AppPermissions::default();
        for (scope, level) in value.as_object()? {
            let level = match level.as_str()? {
                "read" => PermissionLevel::Read,
                "write" | "admin" => PermissionLevel::Write,
                _ => return None,
            };
            permissions.0.insert(scope.clone(), level);
        }
        Some(permissions)
    }
}

/// The permission that a route requires. For an App one of `scopes` is enough.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequiredPermission {
    scopes: &'static [&'static str],
    level: PermissionLevel,
    /// Users who can read may do it, too: comment, open a pull request.
    anyone: bool,
}

impl RequiredPermission {
    pub(crate) const fn to_read(scopes: &'static [&'static str]) -> RequiredPermission {
        RequiredPermission {
            scopes,
            level: PermissionLevel::Read,
            anyone: false,
        }
    }

    pub(crate) const fn to_write(scopes: &'static [&'static str]) -> RequiredPermission {
        RequiredPermission {
            scopes,
            level: PermissionLevel::Write,
            anyone: false,
        }
    }

    pub(crate) const fn to_participate(scopes: &'static [&'static str]) -> RequiredPermission {
        RequiredPermission {
            scopes,
            level: PermissionLevel::Write,
            anyone: true,
        }
    }
}

pub(crate) const METADATA: &[&str] = &["metadata"];
pub(crate) const CONTENTS: &[&str] = &["contents"];
pub(crate) const STATUSES: &[&str] = &["statuses"];
pub(crate) const CHECKS: &[&str] = &["checks"];
pub(crate) const PULLS: &[&str] = &["pull_requests"];
pub(crate) const ISSUES: &[&str] = &["issues", "pull_requests"];

/// Returns Ok, or the error that GitHub returns: what the caller may not read is not found.
pub(crate) async fn check_access(
    store: &GithubStore,
    caller: &Caller,
    repo: &StoredRepo,
    need: RequiredPermission,
) -> Result<(), RestError> {
    match caller {
        Caller::Anonymous if repo.private => Err(RestError::NotFound),
        Caller::Anonymous if need.level == PermissionLevel::Write => {
            Err(RestError::AuthenticationRequired)
        }
        Caller::Anonymous => Ok(()),
        Caller::App(_) => Err(RestError::NotByIntegration),
        Caller::Installation(installation) => {
            if !installation.covers_repo(repo) {
                return match (repo.private, need.level) {
                    (true, _) => Err(RestError::NotFound),
                    (false, PermissionLevel::Read) => Ok(()),
                    (false, PermissionLevel::Write) => Err(RestError::NotByIntegration),
                };
            }
            let allowed = need
                .scopes
                .iter()
                .any(|scope| installation.permissions.allows_level(scope, need.level));
            if allowed {
                Ok(())
            } else {
                Err(RestError::NotByIntegration)
            }
        }
        Caller::User(user) => {
            let role = find_repo_role(store, repo, user).await?;
            match (role, need.level) {
                (RepoRole::None, _) => Err(RestError::NotFound),
                (_, PermissionLevel::Read) => Ok(()),
                (RepoRole::Read, PermissionLevel::Write) if !need.anyone => Err(
                    RestError::Forbidden("Must have push access to the repository.".to_owned()),
                ),
                (_, PermissionLevel::Write) => Ok(()),
            }
        }
    }
}

/// A user's role in a repository, GitHub's `permission`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RepoRole {
    None,
    Read,
    Write,
    Admin,
}

impl RepoRole {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            RepoRole::None => "none",
            RepoRole::Read => "read",
            RepoRole::Write => "write",
            RepoRole::Admin => "admin",
        }
    }
}

/// Owners have admin, members of the owning organisation write, collaborators what they were given.
pub(crate) async fn find_repo_role(
    store: &GithubStore,
    repo: &StoredRepo,
    user: &StoredAccount,
) -> sqlx::Result<RepoRole> {
    if repo.owner.id == user.id {
        return Ok(RepoRole::Admin);
    }
    let given = match store
        .find_collaborator_permission(repo.id, user.id)
        .await?
        .as_deref()
    {
        Some("admin") => RepoRole::Admin,
        Some("write" | "push" | "maintain") => RepoRole::Write,
        Some(_) => RepoRole::Read,
        None => RepoRole::None,
    };
    let member = store.is_member(repo.owner.id, user.id).await?;
    let floor = match (member, repo.private) {
        (true, _) => RepoRole::Write,
        (false, false) => RepoRole::Read,
        (false, true) => RepoRole::None,
    };
    Ok(given.max(floor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_includes_read_and_metadata_is_always_there() {
        let permissions = AppPermissions::from([
            ("contents", PermissionLevel::Write),
            ("statuses", PermissionLevel::Read),
        ]);
        for (scope, level, allowed) in [
            ("contents", PermissionLevel::Read, true),
            ("contents", PermissionLevel::Write, true),
            ("statuses", PermissionLevel::Write, false),
            ("metadata", PermissionLevel::Read, true),
            ("metadata", PermissionLevel::Write, false),
            ("checks", PermissionLevel::Read, false),
        ] {
            assert_eq!(
                permissions.allows_level(scope, level),
                allowed,
                "{scope} {level:?}"
            );
        }
    }

    #[test]
    fn permissions_survive_being_stored() {
        let permissions = AppPermissions::from([
            ("metadata", PermissionLevel::Read),
            ("issues", PermissionLevel::Write),
        ]);
        assert_eq!(
            AppPermissions::from_json(&permissions.to_json()),
            permissions
        );
        assert_eq!(
            AppPermissions::from_value(&serde_json::json!({"issues": "maybe"})),
            None
        );
    }
}
