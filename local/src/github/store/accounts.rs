//! Users, organisations, bots, and the tokens of users.

use sqlx::SqliteConnection;

use super::{Store, now};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    User,
    Organization,
    Bot,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::User => "User",
            Kind::Organization => "Organization",
            Kind::Bot => "Bot",
        }
    }

    fn parse(name: &str) -> Kind {
        match name {
            "Organization" => Kind::Organization,
            "Bot" => Kind::Bot,
            _ => Kind::User,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) id: i64,
    pub(crate) login: String,
    pub(crate) kind: Kind,
    pub(crate) created_at: String,
}

type Row = (i64, String, String, String);

impl From<Row> for Account {
    fn from((id, login, kind, created_at): Row) -> Account {
        Account {
            id,
            login,
            kind: Kind::parse(&kind),
            created_at,
        }
    }
}

impl Store {
    /// The account of that login; a new one where there is none.
    pub(crate) async fn ensure_account(&self, login: &str, kind: Kind) -> sqlx::Result<Account> {
        sqlx::query("INSERT INTO accounts (login, kind, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(login)
            .bind(kind.name())
            .bind(now())
            .execute(&*self.db)
            .await?;
        self.account_by_login(login)
            .await?
            .ok_or(sqlx::Error::RowNotFound)
    }

    pub(crate) async fn account_by_login(&self, login: &str) -> sqlx::Result<Option<Account>> {
        let row: Option<Row> =
            sqlx::query_as("SELECT id, login, kind, created_at FROM accounts WHERE login = $1")
                .bind(login)
                .fetch_optional(&*self.db)
                .await?;
        Ok(row.map(Account::from))
    }

    /// Everybody, oldest first.
    pub(crate) async fn accounts(&self) -> sqlx::Result<Vec<Account>> {
        let rows: Vec<Row> =
            sqlx::query_as("SELECT id, login, kind, created_at FROM accounts ORDER BY id")
                .fetch_all(&*self.db)
                .await?;
        Ok(rows.into_iter().map(Account::from).collect())
    }

    pub(crate) async fn members(&self, org: i64) -> sqlx::Result<Vec<Account>> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, login, kind, created_at FROM accounts
             JOIN members ON member = id WHERE org = $1 ORDER BY id",
        )
        .bind(org)
        .fetch_all(&*self.db)
        .await?;
        Ok(rows.into_iter().map(Account::from).collect())
    }

    /// What somebody is a member of.
    pub(crate) async fn organizations(&self, member: i64) -> sqlx::Result<Vec<Account>> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, login, kind, created_at FROM accounts
             JOIN members ON org = id WHERE member = $1 ORDER BY id",
        )
        .bind(member)
        .fetch_all(&*self.db)
        .await?;
        Ok(rows.into_iter().map(Account::from).collect())
    }

    pub(crate) async fn account(&self, id: i64) -> sqlx::Result<Account> {
        account(&mut *self.db.acquire().await?, id).await
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

    /// Keeps a personal token; it does not expire.
    pub(crate) async fn add_user_token(&self, hash: &str, account: i64) -> sqlx::Result<()> {
        sqlx::query("INSERT INTO tokens (hash, account) VALUES ($1, $2)")
            .bind(hash)
            .bind(account)
            .execute(&*self.db)
            .await?;
        Ok(())
    }
}

pub(super) async fn account(connection: &mut SqliteConnection, id: i64) -> sqlx::Result<Account> {
    let row: Row = sqlx::query_as("SELECT id, login, kind, created_at FROM accounts WHERE id = $1")
        .bind(id)
        .fetch_one(connection)
        .await?;
    Ok(row.into())
}
