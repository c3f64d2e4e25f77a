//! Users, organisations, bots, and the tokens of users.

use sqlx::SqliteConnection;

use super::{GithubStore, current_timestamp};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccountKind {
    User,
    Organization,
    Bot,
}

impl AccountKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            AccountKind::User => "User",
            AccountKind::Organization => "Organization",
            AccountKind::Bot => "Bot",
        }
    }

    fn parse_kind(name: &str) -> AccountKind {
        match name {
            "Organization" => AccountKind::Organization,
            "Bot" => AccountKind::Bot,
            _ => AccountKind::User,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct StoredAccount {
    pub(crate) id: i64,
    pub(crate) login: String,
    pub(crate) kind: AccountKind,
    pub(crate) created_at: String,
}

type AccountRow = (i64, String, String, String);

impl From<AccountRow> for StoredAccount {
    fn from((id, login, kind, created_at): AccountRow) -> StoredAccount {
        StoredAccount {
            id,
            login,
            kind: AccountKind::parse_kind(&kind),
            created_at,
        }
    }
}

impl GithubStore {
    /// The account with this login. Adds it if it is missing.
    pub(crate) async fn ensure_account(
        &self,
        login: &str,
        kind: AccountKind,
    ) -> sqlx::Result<StoredAccount> {
        sqlx::query("INSERT INTO accounts (login, kind, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(login)
            .bind(kind.as_str())
            .bind(current_timestamp())
            .execute(&*self.db)
            .await?;
        self.find_account_by_login(login)
            .await?
            .ok_or(sqlx::Error::RowNotFound)
    }

    pub(crate) async fn find_account_by_login(
        &self,
        login: &str,
    ) -> sqlx::Result<Option<StoredAccount>> {
        let row: Option<AccountRow> =
            sqlx::query_as("SELECT id, login, kind, created_at FROM accounts WHERE login = $1")
                .bind(login)
                .fetch_optional(&*self.db)
                .await?;
        Ok(row.map(StoredAccount::from))
    }

    /// All accounts, oldest first.
    pub(crate) async fn list_accounts(&self) -> sqlx::Result<Vec<StoredAccount>> {
        let rows: Vec<AccountRow> =
            sqlx::query_as("SELECT id, login, kind, created_at FROM accounts ORDER BY id")
                .fetch_all(&*self.db)
                .await?;
        Ok(rows.into_iter().map(StoredAccount::from).collect())
    }

    pub(crate) async fn list_members(&self, org: i64) -> sqlx::Result<Vec<StoredAccount>> {
        let rows: Vec<AccountRow> = sqlx::query_as(
            "SELECT id, login, kind, created_at FROM accounts
             JOIN members ON member = id WHERE org = $1 ORDER BY id",
        )
        .bind(org)
        .fetch_all(&*self.db)
        .await?;
        Ok(rows.into_iter().map(StoredAccount::from).collect())
    }

    /// The organisations of a member.
    pub(crate) async fn list_organizations(&self, member: i64) -> sqlx::Result<Vec<StoredAccount>> {
        let rows: Vec<AccountRow> = sqlx::query_as(
            "SELECT id, login, kind, created_at FROM accounts
             JOIN members ON org = id WHERE member = $1 ORDER BY id",
        )
        .bind(member)
        .fetch_all(&*self.db)
        .await?;
        Ok(rows.into_iter().map(StoredAccount::from).collect())
    }

    pub(crate) async fn get_account(&self, id: i64) -> sqlx::Result<StoredAccount> {
        read_account(&mut *self.db.acquire().await?, id).await
    }

    pub(crate) async fn add_member(&self, org: i64, member: i64) -> sqlx::Result<()> {
        sqlx::query("INSERT INTO members (org, member) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(org)
            .bind(member)
            .execute(&*self.db)
            .await?;
        Ok(())
    }

    pub(crate) async fn is_member(&self, org: i64, member: i64) -> sqlx::Result<bool> {
        let row: Option<(i64,)> =
            sqlx::query_as("SELECT 1 FROM members WHERE org = $1 AND member = $2")
                .bind(org)
                .bind(member)
                .fetch_optional(&*self.db)
                .await?;
        Ok(row.is_some())
    }

    /// Stores a personal token, which does not expire.
    pub(crate) async fn add_user_token(&self, hash: &str, account: i64) -> sqlx::Result<()> {
        sqlx::query("INSERT INTO tokens (hash, account) VALUES ($1, $2)")
            .bind(hash)
            .bind(account)
            .execute(&*self.db)
            .await?;
        Ok(())
    }
}

pub(super) async fn read_account(
    connection: &mut SqliteConnection,
    id: i64,
) -> sqlx::Result<StoredAccount> {
    let row: AccountRow =
        sqlx::query_as("SELECT id, login, kind, created_at FROM accounts WHERE id = $1")
            .bind(id)
            .fetch_one(connection)
            .await?;
    Ok(row.into())
}
