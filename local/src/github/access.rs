//! Who may do what in which repository: the one rule every route asks.
//!
//! Does not know tokens; that is `caller`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    answer::Error,
    caller::Caller,
    store::{Account, Repo, Store},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Read,
    Write,
}

/// What an App may do, by GitHub's names: `contents`, `statuses`, `pull_requests`, `members` …
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions(pub BTreeMap<String, Level>);

impl<const N: usize> From<[(&str, Level); N]> for Permissions {
    fn from(pairs: [(&str, Level); N]) -> Permissions {
        Permissions(
            pairs
                .into_iter()
                .map(|(scope, level)| (scope.to_owned(), level))
                .collect(),
        )
    }
}

impl Permissions {
    /// `metadata: read` comes with every installation, as at GitHub.
    pub(crate) fn allows(&self, scope: &str, level: Level) -> bool {
        (scope == "metadata" && level == Level::Read)
            || self.0.get(scope).is_some_and(|have| *have >= level)
    }

    pub(crate) fn contains(&self, wanted: &Permissions) -> bool {
        wanted
            .0
            .iter()
            .all(|(scope, level)| self.allows(scope, *level))
    }

    pub(crate) fn to_value(&self) -> Value {
        let levels = self.0.iter().map(|(scope, level)| {
            (
                scope.clone(),
                Value::from(if *level == Level::Write {
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
            let level = if *level == Level::Write {
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

    /// Reads what [`Permissions::to_json`] wrote.
    pub(crate) fn from_json(text: &str) -> Permissions {
        serde_json::from_str(text)
            .ok()
            .and_then(|value: Value| Permissions::from_value(&value))
            .unwrap_or_default()
    }

    /// `None` where a level is neither `read` nor `write`.
    pub(crate) fn from_value(value: &Value) -> Option<Permissions> {
        let mut permissions = Permissions::default();
        for (scope, level) in value.as_object()? {
            let level = match level.as_str()? {
                "read" => Level::Read,
                "write" | "admin" => Level::Write,
                _ => return None,
            };
            permissions.0.insert(scope.clone(), level);
        }
        Some(permissions)
    }
}

/// What a route needs. One of `scopes` is enough for an App.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    scopes: &'static [&'static str],
    level: Level,
    /// A user who can read may do it: comment, open a pull request.
    anyone: bool,
}

impl Need {
    pub(crate) const fn read(scopes: &'static [&'static str]) -> Need {
        Need {
            scopes,
            level: Level::Read,
            anyone: false,
        }
    }

    pub(crate) const fn write(scopes: &'static [&'static str]) -> Need {
        Need {
            scopes,
            level: Level::Write,
            anyone: false,
        }
    }

    pub(crate) const fn take_part(scopes: &'static [&'static str]) -> Need {
        Need {
            scopes,
            level: Level::Write,
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

/// Ok, or the error GitHub gives: what may not be read is not found.
pub(crate) async fn check(
    store: &Store,
    caller: &Caller,
    repo: &Repo,
    need: Need,
) -> Result<(), Error> {
    match caller {
        Caller::Anonymous if repo.private => Err(Error::NotFound),
        Caller::Anonymous if need.level == Level::Write => Err(Error::AuthenticationRequired),
        Caller::Anonymous => Ok(()),
        Caller::App(_) => Err(Error::NotByIntegration),
        Caller::Installation(installation) => {
            if !installation.covers(repo) {
                return match (repo.private, need.level) {
                    (true, _) => Err(Error::NotFound),
                    (false, Level::Read) => Ok(()),
                    (false, Level::Write) => Err(Error::NotByIntegration),
                };
            }
            let allowed = need
                .scopes
                .iter()
                .any(|scope| installation.permissions.allows(scope, need.level));
            if allowed {
                Ok(())
            } else {
                Err(Error::NotByIntegration)
            }
        }
        Caller::User(user) => {
            let role = role(store, repo, user).await?;
            match (role, need.level) {
                (Role::None, _) => Err(Error::NotFound),
                (_, Level::Read) => Ok(()),
                (Role::Read, Level::Write) if !need.anyone => Err(Error::Forbidden(
                    "Must have push access to the repository.".to_owned(),
                )),
                (_, Level::Write) => Ok(()),
            }
        }
    }
}

/// A user's standing in a repository, GitHub's `permission`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    None,
    Read,
    Write,
    Admin,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Role::None => "none",
            Role::Read => "read",
            Role::Write => "write",
            Role::Admin => "admin",
        }
    }
}

/// Owners administer, members of the owning organisation write, collaborators have what they were given.
pub(crate) async fn role(store: &Store, repo: &Repo, user: &Account) -> sqlx::Result<Role> {
    if repo.owner.id == user.id {
        return Ok(Role::Admin);
    }
    let given = match store.collaborator(repo.id, user.id).await?.as_deref() {
        Some("admin") => Role::Admin,
        Some("write" | "push" | "maintain") => Role::Write,
        Some(_) => Role::Read,
        None => Role::None,
    };
    let member = store.is_member(repo.owner.id, user.id).await?;
    let floor = match (member, repo.private) {
        (true, _) => Role::Write,
        (false, false) => Role::Read,
        (false, true) => Role::None,
    };
    Ok(given.max(floor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_includes_read_and_metadata_is_always_there() {
        let permissions =
            Permissions::from([("contents", Level::Write), ("statuses", Level::Read)]);
        for (scope, level, allowed) in [
            ("contents", Level::Read, true),
            ("contents", Level::Write, true),
            ("statuses", Level::Write, false),
            ("metadata", Level::Read, true),
            ("metadata", Level::Write, false),
            ("checks", Level::Read, false),
        ] {
            assert_eq!(
                permissions.allows(scope, level),
                allowed,
                "{scope} {level:?}"
            );
        }
    }

    #[test]
    fn permissions_survive_being_stored() {
        let permissions = Permissions::from([("metadata", Level::Read), ("issues", Level::Write)]);
        assert_eq!(Permissions::from_json(&permissions.to_json()), permissions);
        assert_eq!(
            Permissions::from_value(&serde_json::json!({"issues": "maybe"})),
            None
        );
    }
}
