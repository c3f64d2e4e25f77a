//! Renders rows as GitHub's JSON. Reads neither the database nor git.
//!
//! REST and webhooks share these functions. The few keys that differ are named where they differ.

mod app;
mod commit;
mod pull;
mod repo;

pub(crate) use app::APP_EVENTS;
pub(crate) use repo::DEFAULT_BRANCH;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::store::{AccountKind, StoredAccount};

/// Builds all URLs from the server's own.
#[derive(Clone, Copy)]
pub(crate) struct JsonRenderer<'a> {
    pub(crate) url: &'a str,
}

/// GitHub's opaque `node_id`, which objects have besides their number.
pub(crate) fn node_id(kind: &str, id: impl std::fmt::Display) -> String {
    BASE64_STANDARD.encode(format!("{kind}{id}"))
}

/// Percent-encodes a name for a URL. Slashes stay.
pub(crate) fn encode_url_path(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                encoded.push(char::from(byte));
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

impl JsonRenderer<'_> {
    pub(crate) fn render_user(&self, account: &StoredAccount) -> Value {
        let (url, login) = (self.url, encode_url_path(&account.login));
        let api = format!("{url}/users/{login}");
        json!({
            "login": account.login,
            "id": account.id,
            "node_id": node_id("User", account.id),
            "avatar_url": format!("{url}/avatars/{}", account.id),
            "gravatar_id": "",
            "url": api,
            "html_url": format!("{url}/{login}"),
            "followers_url": format!("{api}/followers"),
            "following_url": format!("{api}/following{{/other_user}}"),
            "gists_url": format!("{api}/gists{{/gist_id}}"),
            "starred_url": format!("{api}/starred{{/owner}}{{/repo}}"),
            "subscriptions_url": format!("{api}/subscriptions"),
            "organizations_url": format!("{api}/orgs"),
            "repos_url": format!("{api}/repos"),
            "events_url": format!("{api}/events{{/privacy}}"),
            "received_events_url": format!("{api}/received_events"),
            "type": account.kind.as_str(),
            "site_admin": false,
        })
    }

    /// A user with profile, as in `GET /users/{login}`.
    pub(crate) fn render_full_user(&self, account: &StoredAccount, repos: usize) -> Value {
        let mut user = self.render_user(account);
        let more = json!({
            "name": null,
            "company": null,
            "blog": null,
            "location": null,
            "email": null,
            "hireable": null,
            "bio": null,
            "public_repos": repos,
            "public_gists": 0,
            "followers": 0,
            "following": 0,
            "created_at": account.created_at,
            "updated_at": account.created_at,
        });
        extend_object(&mut user, more);
        user
    }

    /// An organisation in the short form of webhooks.
    pub(crate) fn render_organization(&self, account: &StoredAccount) -> Value {
        let api = format!("{}/orgs/{}", self.url, account.login);
        json!({
            "login": account.login,
            "id": account.id,
            "node_id": node_id("Organization", account.id),
            "url": api,
            "repos_url": format!("{api}/repos"),
            "events_url": format!("{api}/events"),
            "hooks_url": format!("{api}/hooks"),
            "issues_url": format!("{api}/issues"),
            "members_url": format!("{api}/members{{/member}}"),
            "public_members_url": format!("{api}/public_members{{/member}}"),
            "avatar_url": format!("{}/avatars/{}", self.url, account.id),
            "description": null,
        })
    }

    pub(crate) fn render_full_organization(&self, account: &StoredAccount, repos: usize) -> Value {
        let mut organization = self.render_organization(account);
        let more = json!({
            "has_organization_projects": false,
            "has_repository_projects": false,
            "public_repos": repos,
            "public_gists": 0,
            "followers": 0,
            "following": 0,
            "html_url": format!("{}/{}", self.url, account.login),
            "type": AccountKind::Organization.as_str(),
            "created_at": account.created_at,
            "updated_at": account.created_at,
            "archived_at": null,
        });
        extend_object(&mut organization, more);
        organization
    }
}

/// Adds the keys of one object to another.
pub(crate) fn extend_object(target: &mut Value, more: Value) {
    if let (Some(target), Value::Object(more)) = (target.as_object_mut(), more) {
        target.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelt_out_in_addresses() {
        for (name, expected) in [
            ("prow[bot]", "prow%5Bbot%5D"),
            ("a b/ü", "a%20b/%C3%BC"),
            ("a#?%", "a%23%3F%25"),
        ] {
            assert_eq!(encode_url_path(name), expected);
        }
    }
}
