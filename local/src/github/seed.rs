//! Makes what GitHub has no REST for: users, organisations, repositories and Apps.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use common::private_files;
use rcgen::{KeyPair, PKCS_RSA_SHA256};
use serde_json::json;

use super::{
    AppPermissions, FakeGithub,
    caller::hash_token,
    events, pulls,
    routes::is_reserved,
    store::{self, AccountKind, StoredApp, StoredRepo, current_timestamp},
};

/// The options of a new repository.
#[derive(Clone, Copy, Debug, Default)]
pub struct RepoOptions {
    pub private: bool,
}

/// What an App needs to authenticate.
#[derive(Clone)]
pub struct AppCredentials {
    pub app_id: u64,
    /// RSA, PKCS #8.
    pub private_key_pem: String,
}

impl std::fmt::Debug for AppCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppCredentials")
            .field("app_id", &self.app_id)
            .finish_non_exhaustive()
    }
}

/// A user that somebody on this machine acts as.
#[derive(Clone)]
pub struct LocalUser {
    pub login: String,
    pub token: String,
    /// The file with the token, which nobody else can read.
    pub token_file: PathBuf,
}

impl std::fmt::Debug for LocalUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person")
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

/// Letters, digits, `.`, `_` and `-`, as GitHub allows; neither `.` nor `..`.
pub(super) fn is_valid_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty() && name.len() <= 100 && name.bytes().all(plain) && !matches!(name, "." | "..")
}

/// Seed data. Each function may be called again with the same values.
impl FakeGithub {
    /// Adds a user. Returns a new personal token.
    ///
    /// # Errors
    /// When the login is invalid, or belongs to an organisation.
    pub async fn add_user(&self, login: &str) -> anyhow::Result<String> {
        let account = self
            .ensure_account_of_kind(login, AccountKind::User)
            .await?;
        let token = format!("ghp_{}", uuid::Uuid::new_v4().simple());
        self.context
            .store
            .add_user_token(&hash_token(&token), account.id)
            .await?;
        Ok(token)
    }

    /// Adds a user whose token is kept in a file and stays the same. Pages name the file, so that a
    /// person can comment as this user.
    ///
    /// # Errors
    /// As for [`FakeGithub::add_user`], and when the file cannot be written.
    pub async fn add_local_user(&self, login: &str) -> anyhow::Result<LocalUser> {
        self.ensure_account_of_kind(login, AccountKind::User)
            .await?;
        private_files::ensure_private_dir(&self.context.tokens)?;
        let token_file = self.context.tokens.join(login);
        let token = match std::fs::read_to_string(&token_file) {
            Ok(token) => token,
            Err(_) => {
                let token = self.add_user(login).await?;
                private_files::write_private_file(&token_file, &token)?;
                token
            }
        };
        Ok(LocalUser {
            login: login.to_owned(),
            token,
            token_file,
        })
    }

    /// Adds an organisation. Unknown members become users.
    ///
    /// # Errors
    /// When a login is invalid, or belongs to another kind of account.
    pub async fn add_org(&self, login: &str, members: &[&str]) -> anyhow::Result<()> {
        let org = self
            .ensure_account_of_kind(login, AccountKind::Organization)
            .await?;
        for member in members {
            let member = self
                .ensure_account_of_kind(member, AccountKind::User)
                .await?;
            self.context.store.add_member(org.id, member.id).await?;
        }
        Ok(())
    }

    async fn ensure_account_of_kind(
        &self,
        login: &str,
        kind: AccountKind,
    ) -> anyhow::Result<store::StoredAccount> {
        ensure!(
            is_valid_name(login) && !is_reserved(login),
            "{login:?} cannot be a login"
        );
        let account = self.context.store.ensure_account(login, kind).await?;
        ensure!(
            account.kind == kind,
            "{login} is there already, as {}",
            account.kind.as_str()
        );
        Ok(account)
    }

    /// Adds an empty repository with the default branch `main`.
    ///
    /// # Errors
    /// When the owner is unknown, the name is invalid, or git fails.
    pub async fn add_repo(
        &self,
        owner: &str,
        name: &str,
        options: RepoOptions,
    ) -> anyhow::Result<()> {
        ensure!(
            is_valid_name(name),
            "{name:?} cannot be the name of a repository"
        );
        let _turn = self.context.turn.lock().await;
        let owner = self.require_account(owner).await?;
        let id = self
            .context
            .store
            .ensure_repo(owner.id, name, options.private, None)
            .await?;
        self.context
            .open_bare_repo_by_id(id)
            .init_or_clone(None)
            .await
    }

    /// Gives a user `read`, `write` or `admin` in a repository.
    ///
    /// # Errors
    /// When the repository or the permission is unknown.
    pub async fn add_collaborator(
        &self,
        owner: &str,
        name: &str,
        login: &str,
        permission: &str,
    ) -> anyhow::Result<()> {
        ensure!(
            ["read", "write", "admin"].contains(&permission),
            "{permission:?} is no permission"
        );
        let repo = self.require_repo(owner, name).await?;
        let account = self
            .ensure_account_of_kind(login, AccountKind::User)
            .await?;
        self.context
            .store
            .set_collaborator(repo.id, account.id, permission)
            .await?;
        Ok(())
    }

    /// Adds an App. An existing one keeps its id and key and gets this webhook. A new webhook gets
    /// a ping.
    ///
    /// # Errors
    /// When the slug is invalid.
    pub async fn add_app(
        &self,
        slug: &str,
        webhook_url: &str,
        secret: &str,
    ) -> anyhow::Result<AppCredentials> {
        ensure!(is_valid_name(slug), "{slug:?} cannot be the name of an App");
        let store = &self.context.store;
        let known = store.find_app_by_slug(slug).await?;
        let pinged = known
            .as_ref()
            .is_some_and(|app| app.webhook_url == webhook_url);
        match known {
            Some(app) => store.set_webhook(app.id, webhook_url, secret).await?,
            None => {
                let bot = store
                    .ensure_account(&format!("{slug}[bot]"), AccountKind::Bot)
                    .await?;
                let (private_key, public_key) = tokio::task::spawn_blocking(generate_key).await??;
                let app = StoredApp {
                    id: 0,
                    slug: slug.to_owned(),
                    bot,
                    webhook_url: webhook_url.to_owned(),
                    secret: secret.to_owned(),
                    private_key,
                    public_key,
                    created_at: current_timestamp(),
                };
                store.add_app(&app).await?;
            }
        }
        let app = store
            .find_app_by_slug(slug)
            .await?
            .context("the App was just stored")?;
        if !pinged {
            events::emit_ping(&self.context, &app).await?;
        }
        Ok(AppCredentials {
            app_id: app.id.unsigned_abs(),
            private_key_pem: app.private_key,
        })
    }

    /// Installs an App on all repositories of an account, present and future. Returns the
    /// installation's id.
    ///
    /// # Errors
    /// When the App or the account is unknown.
    pub async fn install_app(
        &self,
        slug: &str,
        account: &str,
        permissions: AppPermissions,
    ) -> anyhow::Result<u64> {
        let store = &self.context.store;
        let app = store
            .find_app_by_slug(slug)
            .await?
            .with_context(|| format!("no App {slug}"))?;
        let account = self.require_account(account).await?;
        let (id, new) = store
            .upsert_installation(app.id, account.id, &permissions)
            .await?;
        if new {
            let installation = store
                .find_installation(id)
                .await?
                .context("the installation was just stored")?;
            events::emit_installation(&self.context, &app, &installation).await?;
        }
        Ok(id.unsigned_abs())
    }

    /// Makes a pull request a draft, or ready for review. On GitHub only GraphQL can.
    ///
    /// # Errors
    /// When there is no such pull request.
    pub async fn set_draft(
        &self,
        owner: &str,
        name: &str,
        number: u64,
        draft: bool,
    ) -> anyhow::Result<()> {
        let _turn = self.context.turn.lock().await;
        let mut pull = self.require_pull(owner, name, number).await?;
        if pull.draft != draft {
            pull.draft = draft;
            self.context.store.save_pull(&pull).await?;
            let action = if draft {
                "converted_to_draft"
            } else {
                "ready_for_review"
            };
            events::emit_pull_request(&self.context, &pull, &pull.author, action, json!({}))
                .await?;
        }
        Ok(())
    }

    async fn require_account(&self, login: &str) -> anyhow::Result<store::StoredAccount> {
        self.context
            .store
            .find_account_by_login(login)
            .await?
            .with_context(|| format!("no account {login}"))
    }

    pub(super) async fn require_repo(&self, owner: &str, name: &str) -> anyhow::Result<StoredRepo> {
        let repo = self.context.store.find_repo_by_name(owner, name).await?;
        repo.with_context(|| format!("no repository {owner}/{name}"))
    }

    pub(super) async fn require_pull(
        &self,
        owner: &str,
        name: &str,
        number: u64,
    ) -> anyhow::Result<store::StoredPull> {
        let repo = self.require_repo(owner, name).await?;
        let found = pulls::load_pull(&self.context, repo.id, i64::try_from(number)?).await;
        found.with_context(|| format!("no pull request {owner}/{name}#{number}"))
    }
}

/// A new key pair, private and public, as PEM.
fn generate_key() -> anyhow::Result<(String, String)> {
    let pair = KeyPair::generate_for(&PKCS_RSA_SHA256)?;
    Ok((pair.serialize_pem(), pair.public_key_pem()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_place() {
        for (name, fine) in [
            ("a-b_c.d", true),
            ("..", false),
            ("a/b", false),
            ("", false),
            ("a b", false),
            ("é", false),
        ] {
            assert_eq!(is_valid_name(name), fine, "{name:?}");
        }
    }
}
