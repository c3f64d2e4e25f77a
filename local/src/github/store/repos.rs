//! Repositories, and the permissions of their collaborators.

use super::{GithubStore, StoredAccount, current_timestamp};

#[derive(Clone, Debug)]
pub(crate) struct StoredRepo {
    pub(crate) id: i64,
    pub(crate) owner: StoredAccount,
    pub(crate) name: String,
    pub(crate) private: bool,
    pub(crate) fork_of: Option<i64>,
    pub(crate) created_at: String,
    pub(crate) pushed_at: String,
    pub(crate) forks: i64,
    pub(crate) open_pulls: i64,
}

impl StoredRepo {
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.owner.login, self.name)
    }
}

type RepoRow = (
    i64,
    i64,
    String,
    bool,
    Option<i64>,
    String,
    String,
    i64,
    i64,
);

const SELECT_REPO_BY_ID: &str = "SELECT id, owner, name, private, fork_of, created_at, pushed_at,
    (SELECT count(*) FROM repos f WHERE f.fork_of = r.id),
    (SELECT count(*) FROM pulls p WHERE p.repo = r.id AND p.state = 'open')
    FROM repos r WHERE id = $1";
const SELECT_REPO_BY_NAME: &str =
    "SELECT id FROM repos WHERE name = $2 AND owner = (SELECT id FROM accounts WHERE login = $1)";

impl GithubStore {
    /// The repository's id. Adds the repository if it is missing.
    pub(crate) async fn ensure_repo(
        &self,
        owner: i64,
        name: &str,
        private: bool,
        fork_of: Option<i64>,
    ) -> sqlx::Result<i64> {
        let now = current_timestamp();
        sqlx::query(
            "INSERT INTO repos (owner, name, private, fork_of, created_at, pushed_at)
             VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (owner, name) DO UPDATE SET private = excluded.private",
        )
        .bind(owner)
        .bind(name)
        .bind(private)
        .bind(fork_of)
        .bind(now)
        .execute(&*self.db)
        .await?;
        let (id,): (i64,) = sqlx::query_as("SELECT id FROM repos WHERE owner = $1 AND name = $2")
            .bind(owner)
            .bind(name)
            .fetch_one(&*self.db)
            .await?;
        Ok(id)
    }

    pub(crate) async fn find_repo_by_name(
        &self,
        owner: &str,
        name: &str,
    ) -> sqlx::Result<Option<StoredRepo>> {
        let id: Option<(i64,)> = sqlx::query_as(SELECT_REPO_BY_NAME)
            .bind(owner)
            .bind(name)
            .fetch_optional(&*self.db)
            .await?;
        match id {
            Some((id,)) => Ok(Some(self.get_repo(id).await?)),
            None => Ok(None),
        }
    }

    pub(crate) async fn get_repo(&self, id: i64) -> sqlx::Result<StoredRepo> {
        let row: RepoRow = sqlx::query_as(SELECT_REPO_BY_ID)
            .bind(id)
            .fetch_one(&*self.db)
            .await?;
        let (id, owner, name, private, fork_of, created_at, pushed_at, forks, open_pulls) = row;
        let owner = self.get_account(owner).await?;
        Ok(StoredRepo {
            id,
            owner,
            name,
            private,
            fork_of,
            created_at,
            pushed_at,
            forks,
            open_pulls,
        })
    }

    pub(crate) async fn list_repos_of(&self, owner: i64) -> sqlx::Result<Vec<StoredRepo>> {
        let ids: Vec<(i64,)> = sqlx::query_as("SELECT id FROM repos WHERE owner = $1 ORDER BY id")
            .bind(owner)
            .fetch_all(&*self.db)
            .await?;
        let mut repos = Vec::with_capacity(ids.len());
        for (id,) in ids {
            repos.push(self.get_repo(id).await?);
        }
        Ok(repos)
    }

    pub(crate) async fn touch_repo(&self, id: i64) -> sqlx::Result<()> {
        sqlx::query("UPDATE repos SET pushed_at = $2 WHERE id = $1")
            .bind(id)
            .bind(current_timestamp())
            .execute(&*self.db)
            .await?;
        Ok(())
    }

    pub(crate) async fn set_collaborator(
        &self,
        repo: i64,
        account: i64,
        permission: &str,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO collaborators (repo, account, permission) VALUES ($1, $2, $3)
             ON CONFLICT (repo, account) DO UPDATE SET permission = excluded.permission",
        )
        .bind(repo)
        .bind(account)
        .bind(permission)
        .execute(&*self.db)
        .await?;
        Ok(())
    }

    pub(crate) async fn find_collaborator_permission(
        &self,
        repo: i64,
        account: i64,
    ) -> sqlx::Result<Option<String>> {
        let row: Option<(String,)> =
            sqlx::query_as("SELECT permission FROM collaborators WHERE repo = $1 AND account = $2")
                .bind(repo)
                .bind(account)
                .fetch_optional(&*self.db)
                .await?;
        Ok(row.map(|(permission,)| permission))
    }
}
