//! The GitHub stand-in: REST, webhooks and smart HTTP on git repositories.
//!
//! State is bare repositories and one `SQLite` file. Clients cannot tell it from GitHub within the
//! scope of the README. A route outside of it answers 501, and [`FakeGithub::list_unimplemented`]
//! lists it. It is reached on loopback only, unless [`FakeGithubOptions::beyond_loopback`] is set.
//! Any other `Host`, and whatever a web page sends, is refused.

pub(crate) mod access;
mod caller;
mod events;
mod git;
mod merge;
mod middleware;
mod observe;
mod page;
mod pagination;
mod pulls;
mod push;
mod render;
mod response;
mod routes;
mod seed;
mod smart_http;
mod store;
mod webhook_sender;

use std::{
    net::SocketAddr,
    ops::Deref,
    path::PathBuf,
    sync::{Arc, Mutex, atomic::AtomicU64},
    time::Duration,
};

use anyhow::Context as _;
use common::private_files;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use access::{AppPermissions, PermissionLevel};
pub use observe::{ObservedComment, ObservedDelivery, ObservedPull, ObservedStatus};
pub use routes::is_reserved;
pub use seed::{AppCredentials, LocalUser, RepoOptions};

use git::BareRepo;
use render::JsonRenderer;
use store::{GithubStore, StoredRepo};
use webhook_sender::WebhookSender;

/// Where the stand-in keeps its state, how long tokens live, and who reaches it.
#[derive(Clone, Debug)]
pub struct FakeGithubOptions {
    /// Folder of `github.db` and the repositories. `None` for a temporary folder and a database in
    /// memory.
    pub data: Option<PathBuf>,
    /// How long an installation token lives; on GitHub one hour.
    pub token_lifetime: Duration,
    /// Lets it listen on an address that other machines reach. Meant for a network of its own,
    /// since whoever reaches it may act as a user whose token is known. The address is its URL, and
    /// the only `Host`.
    pub beyond_loopback: bool,
}

impl Default for FakeGithubOptions {
    fn default() -> FakeGithubOptions {
        FakeGithubOptions {
            data: None,
            token_lifetime: Duration::from_secs(3600),
            beyond_loopback: false,
        }
    }
}

/// A running stand-in. Clones share it. It ends when `shutdown` is cancelled.
#[derive(Clone, Debug)]
pub struct FakeGithub {
    context: FakeGithubContext,
}

impl FakeGithub {
    /// Serves on `listener` until `shutdown`. Sends the deliveries that an earlier run left unsent.
    ///
    /// # Errors
    /// When the data folder cannot be used, or another process uses it. When the options do not
    /// allow the address.
    pub async fn start(
        options: FakeGithubOptions,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> anyhow::Result<FakeGithub> {
        let address = listener
            .local_addr()
            .context("address of the GitHub stand-in")?;
        anyhow::ensure!(
            address.ip().is_loopback()
                || (options.beyond_loopback && !address.ip().is_unspecified()),
            "the GitHub stand-in serves on loopback only, not on {address}"
        );
        let (folder, temporary) = match &options.data {
            Some(folder) => (folder.clone(), None),
            None => {
                let temporary =
                    tempfile::tempdir().context("temporary folder for the GitHub stand-in")?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        // The database holds private keys.
        private_files::ensure_private_dir(&folder)?;
        std::fs::create_dir_all(folder.join("repos"))?;
        let store = GithubStore::open(options.data.as_deref()).await?;
        let context = FakeGithubContext(Arc::new(FakeGithubState {
            url: format!("http://{address}"),
            hosts: allowed_hosts(address),
            store,
            repos: folder.join("repos"),
            tokens: folder.join("tokens"),
            token_lifetime: options.token_lifetime,
            deliverer: WebhookSender::new(shutdown.clone())?,
            turn: tokio::sync::Mutex::new(()),
            requests: AtomicU64::new(0),
            unbuilt: Mutex::default(),
            _temporary: temporary,
        }));
        webhook_sender::resume_unsent(&context).await?;
        let server = axum::serve(listener, routes::build_router(&context));
        tokio::spawn(async move {
            if let Err(error) = server
                .with_graceful_shutdown(shutdown.cancelled_owned())
                .await
            {
                tracing::error!(%error, "the GitHub stand-in has stopped serving");
            }
        });
        Ok(FakeGithub { context })
    }

    /// `http://ADDRESS:PORT`, of REST, git and pages alike.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.context.url
    }
}

/// The values of `Host` that are served.
fn allowed_hosts(address: SocketAddr) -> Vec<String> {
    let mut hosts = vec![address.to_string()];
    if address.ip().is_loopback() {
        hosts.push(format!("localhost:{}", address.port()));
    }
    hosts
}

/// What every route handler gets.
#[derive(Clone, Debug)]
pub(crate) struct FakeGithubContext(Arc<FakeGithubState>);

impl Deref for FakeGithubContext {
    type Target = FakeGithubState;

    fn deref(&self) -> &FakeGithubState {
        &self.0
    }
}

pub(crate) struct FakeGithubState {
    pub(crate) url: String,
    /// The `Host`s that are served.
    pub(crate) hosts: Vec<String>,
    pub(crate) store: GithubStore,
    pub(crate) repos: PathBuf,
    /// Folder of the tokens of local users, one file each, with the account's name.
    pub(crate) tokens: PathBuf,
    pub(crate) token_lifetime: Duration,
    pub(crate) deliverer: WebhookSender,
    /// Locked during each change, so that refs, rows and webhooks agree and keep their order.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// Number of requests answered, for the rate-limit headers.
    pub(crate) requests: AtomicU64,
    pub(crate) unbuilt: Mutex<Vec<String>>,
    _temporary: Option<tempfile::TempDir>,
}

impl std::fmt::Debug for FakeGithubState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Github")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl FakeGithubState {
    pub(crate) fn json_renderer(&self) -> JsonRenderer<'_> {
        JsonRenderer { url: &self.url }
    }

    pub(crate) fn open_bare_repo(&self, repo: &StoredRepo) -> BareRepo {
        self.open_bare_repo_by_id(repo.id)
    }

    /// The file with the token of an account, if there is one.
    pub(crate) fn find_token_file(&self, login: &str) -> Option<PathBuf> {
        let file = self.tokens.join(login);
        file.is_file().then_some(file)
    }

    /// Folders have the repository's id as name: a repository's name comes from outside and may
    /// change its case.
    pub(crate) fn open_bare_repo_by_id(&self, repo: i64) -> BareRepo {
        BareRepo::at_path(self.repos.join(format!("{repo}.git")))
    }
}
