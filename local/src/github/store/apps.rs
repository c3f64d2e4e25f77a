//! GitHub Apps, their installations, and the tokens of installations.

use super::{GithubStore, StoredAccount, accounts, current_timestamp};
use crate::github::access::AppPermissions;

#[derive(Clone, Debug)]
pub(crate) struct StoredApp {
    pub(crate) id: i64,
    pub(crate) slug: String,
    /// The account `<slug>[bot]`, which the App writes as.
    pub(crate) bot: StoredAccount,
    pub(crate) webhook_url: String,
    pub(crate) secret: String,
    pub(crate) private_key: String,
    pub(crate) public_key: String,
    pub(crate) created_at: String,
}

#[derive(Clone, Debug)]
pub(crate) struct StoredInstallation {
    pub(crate) id: i64,
    pub(crate) app: i64,
    pub(crate) account: StoredAccount,
    pub(crate) permissions: AppPermissions,
    pub(crate) created_at: String,
}

/// What a token gives access to.
#[derive(Clone, Debug)]
pub(crate) enum TokenGrant {
    User(i64),
    Installation {
        id: i64,
        permissions: AppPermissions,
        repositories: Option<Vec<i64>>,
        expires_at: i64,
    },
}

type AppRow = (i64, String, i64, String, String, String, String, String);
type InstallationRow = (i64, i64, i64, String, String);
type TokenRow = (
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<i64>,
);

const SELECT_APP_BY_ID: &str = "SELECT id, slug, bot, webhook_url, secret, private_key, public_key, created_at FROM apps WHERE id = $1";
const SELECT_APP_BY_SLUG: &str = "SELECT id, slug, bot, webhook_url, secret, private_key, public_key, created_at FROM apps WHERE slug = $1";

impl GithubStore {
    pub(crate) async fn add_app(&self, app: &StoredApp) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO apps (slug, bot, webhook_url, secret, private_key, public_key, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&app.slug)
        .bind(app.bot.id)
        .bind(&app.webhook_url)
        .bind(&app.secret)
        .bind(&app.private_key)
        .bind(&app.public_key)
        .bind(&app.created_at)
        .execute(&*self.db)
        .await?;
        Ok(())
    }

    pub(crate) async fn set_webhook(&self, app: i64, url: &str, secret: &str) -> sqlx::Result<()> {
        sqlx::query("UPDATE apps SET webhook_url = $2, secret = $3 WHERE id = $1")
            .bind(app)
            .bind(url)
            .bind(secret)
            .execute(&*self.db)
            .await?;
        Ok(())
    }

    pub(crate) async fn list_apps(&self) -> sqlx::Result<Vec<StoredApp>> {
        let ids: Vec<(i64,)> = sqlx::query_as("SELECT id FROM apps ORDER BY id")
            .fetch_all(&*self.db)
            .await?;
        let mut apps = Vec::with_capacity(ids.len());
        for (id,) in ids {
            apps.extend(self.find_app(id).await?);
        }
        Ok(apps)
    }

    pub(crate) async fn find_app(&self, id: i64) -> sqlx::Result<Option<StoredApp>> {
        let row: Option<AppRow> = sqlx::query_as(SELECT_APP_BY_ID)
            .bind(id)
            .fetch_optional(&*self.db)
            .await?;
        self.build_app(row).await
    }

    pub(crate) async fn find_app_by_slug(&self, slug: &str) -> sqlx::Result<Option<StoredApp>> {
        let row: Option<AppRow> = sqlx::query_as(SELECT_APP_BY_SLUG)
            .bind(slug)
            .fetch_optional(&*self.db)
            .await?;
        self.build_app(row).await
    }

    async fn build_app(&self, row: Option<AppRow>) -> sqlx::Result<Option<StoredApp>> {
        let Some((id, slug, bot, webhook_url, secret, private_key, public_key, created_at)) = row
        else {
            return Ok(None);
        };
        let bot = self.get_account(bot).await?;
        Ok(Some(StoredApp {
            id,
            slug,
            bot,
            webhook_url,
            secret,
            private_key,
            public_key,
            created_at,
        }))
    }

    /// Installs the App, or changes the permissions of its installation. True if the installation
    /// is new.
    pub(crate) async fn upsert_installation(
        &self,
        app: i64,
        account: i64,
        permissions: &AppPermissions,
    ) -> sqlx::Result<(i64, bool)> {
        let known: Option<(i64,)> =
            sqlx::query_as("SELECT id FROM installations WHERE app = $1 AND account = $2")
                .bind(app)
                .bind(account)
                .fetch_optional(&*self.db)
                .await?;
        let (id,): (i64,) = sqlx::query_as(
            "INSERT INTO installations (app, account, permissions, created_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (app, account) DO UPDATE SET permissions = excluded.permissions RETURNING id",
        )
        .bind(app)
        .bind(account)
        .bind(permissions.to_json())
        .bind(current_timestamp())
        .fetch_one(&*self.db)
        .await?;
        Ok((id, known.is_none()))
    }

    pub(crate) async fn find_installation(
        &self,
        id: i64,
    ) -> sqlx::Result<Option<StoredInstallation>> {
        let rows = sqlx::query_as(
            "SELECT id, app, account, permissions, created_at FROM installations WHERE id = $1",
        )
        .bind(id)
        .fetch_all(&*self.db)
        .await?;
        Ok(self.build_installations(rows).await?.pop())
    }

    pub(crate) async fn list_installations_of_app(
        &self,
        app: i64,
    ) -> sqlx::Result<Vec<StoredInstallation>> {
        let rows = sqlx::query_as(
            "SELECT id, app, account, permissions, created_at FROM installations WHERE app = $1 ORDER BY id",
        )
        .bind(app)
        .fetch_all(&*self.db)
        .await?;
        self.build_installations(rows).await
    }

    /// The installations whose Apps get the events of an account's repositories.
    pub(crate) async fn list_installations_on(
        &self,
        account: i64,
    ) -> sqlx::Result<Vec<StoredInstallation>> {
        let rows = sqlx::query_as(
            "SELECT id, app, account, permissions, created_at FROM installations WHERE account = $1 ORDER BY id",
        )
        .bind(account)
        .fetch_all(&*self.db)
        .await?;
        self.build_installations(rows).await
    }

    async fn build_installations(
        &self,
        rows: Vec<InstallationRow>,
    ) -> sqlx::Result<Vec<StoredInstallation>> {
        let mut connection = self.db.acquire().await?;
        let mut installations = Vec::with_capacity(rows.len());
        for (id, app, account, permissions, created_at) in rows {
            let account = accounts::read_account(&mut connection, account).await?;
            let permissions = AppPermissions::from_json(&permissions);
            installations.push(StoredInstallation {
                id,
                app,
                account,
                permissions,
                created_at,
            });
        }
        Ok(installations)
    }

    pub(crate) async fn add_installation_token(
        &self,
        hash: &str,
        installation: i64,
        permissions: &AppPermissions,
        repositories: Option<&[i64]>,
        expires_at: i64,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO tokens (hash, installation, permissions, repositories, expires_at)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(hash)
        .bind(installation)
        .bind(permissions.to_json())
        .bind(repositories.map(|ids| serde_json::json!(ids).to_string()))
        .bind(expires_at)
        .execute(&*self.db)
        .await?;
        Ok(())
    }

    /// What the token with this hash gives access to, even if it has expired.
    pub(crate) async fn find_token_grant(&self, hash: &str) -> sqlx::Result<Option<TokenGrant>> {
        let row: Option<TokenRow> = sqlx::query_as(
            "SELECT account, installation, permissions, repositories, expires_at FROM tokens WHERE hash = $1",
        )
        .bind(hash)
        .fetch_optional(&*self.db)
        .await?;
        Ok(match row {
            Some((Some(account), ..)) => Some(TokenGrant::User(account)),
            Some((None, Some(id), permissions, repositories, expires_at)) => {
                Some(TokenGrant::Installation {
                    id,
                    permissions: AppPermissions::from_json(&permissions.unwrap_or_default()),
                    repositories: repositories.and_then(|ids| serde_json::from_str(&ids).ok()),
                    expires_at: expires_at.unwrap_or_default(),
                })
            }
            _ => None,
        })
    }

    pub(crate) async fn delete_token(&self, hash: &str) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM tokens WHERE hash = $1")
            .bind(hash)
            .execute(&*self.db)
            .await?;
        Ok(())
    }
}
