//! The GitHub stand-in: REST, webhooks and smart HTTP on git repositories.
//!
//! State is bare repositories and one `SQLite` file. Clients cannot tell it from GitHub within the
//! scope of the README; a route outside of it answers 501 and is told of by [`Github::unbuilt`].
//! It is reached on loopback only, unless [`Options::beyond_loopback`] is set; any other `Host`, and
//! whatever a web page sends, is refused.

pub(crate) mod access;
mod answer;
mod caller;
mod deliver;
mod events;
mod git;
mod guard;
mod merge;
mod observe;
mod page;
mod paging;
mod pulls;
mod push;
mod render;
mod routes;
mod seed;
mod smart_http;
mod store;

use std::{
    net::SocketAddr,
    ops::Deref,
    path::PathBuf,
    sync::{Arc, Mutex, atomic::AtomicU64},
    time::Duration,
};

use anyhow::Context as _;
use common::private;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use access::{Level, Permissions};
pub use observe::{Comment, Delivery, Pull, Status};
pub use routes::is_reserved;
pub use seed::{AppCredentials, Person, RepoOptions};

use deliver::Deliverer;
use git::Git;
use render::Render;
use store::{Repo, Store};

/// Where the stand-in keeps its state, and how long it trusts.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of `github.db` and the repositories; `None` for a temporary one and a database in memory.
    pub data: Option<PathBuf>,
    /// How long a token of an installation lives; GitHub's is one hour.
    pub token_lifetime: Duration,
    /// Lets it listen on an address that other machines reach: for a network of its own, since who
    /// reaches it may act as a user whose token is known. The address is its URL, and the only `Host`.
    pub beyond_loopback: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            data: None,
            token_lifetime: Duration::from_secs(3600),
            beyond_loopback: false,
        }
    }
}

/// A running stand-in. Clones are the same one; it ends when `shutdown` is cancelled.
#[derive(Clone, Debug)]
pub struct Github {
    context: Context,
}

impl Github {
    /// Serves on `listener` until `shutdown`. Deliveries left over from an earlier run are sent.
    ///
    /// # Errors
    /// When the data folder cannot be used, or another process uses it; and for an address that the
    /// options do not allow.
    pub async fn start(
        options: Options,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Github> {
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
        private::folder(&folder)?;
        std::fs::create_dir_all(folder.join("repos"))?;
        let store = Store::open(options.data.as_deref()).await?;
        let context = Context(Arc::new(Inner {
            url: format!("http://{address}"),
            hosts: hosts(address),
            store,
            repos: folder.join("repos"),
            tokens: folder.join("tokens"),
            token_lifetime: options.token_lifetime,
            deliverer: Deliverer::new(shutdown.clone())?,
            turn: tokio::sync::Mutex::new(()),
            requests: AtomicU64::new(0),
            unbuilt: Mutex::default(),
            _temporary: temporary,
        }));
        deliver::resume(&context).await?;
        let server = axum::serve(listener, routes::router(&context));
        tokio::spawn(async move {
            if let Err(error) = server
                .with_graceful_shutdown(shutdown.cancelled_owned())
                .await
            {
                tracing::error!(%error, "the GitHub stand-in has stopped serving");
            }
        });
        Ok(Github { context })
    }

    /// `http://ADDRESS:PORT`, of REST, git and pages alike.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.context.url
    }
}

/// The names it is called by.
fn hosts(address: SocketAddr) -> Vec<String> {
    let mut hosts = vec![address.to_string()];
    if address.ip().is_loopback() {
        hosts.push(format!("localhost:{}", address.port()));
    }
    hosts
}

/// What every route has at hand.
#[derive(Clone, Debug)]
pub(crate) struct Context(Arc<Inner>);

impl Deref for Context {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

pub(crate) struct Inner {
    pub(crate) url: String,
    /// The `Host`s that are served.
    pub(crate) hosts: Vec<String>,
    pub(crate) store: Store,
    pub(crate) repos: PathBuf,
    /// Tokens that people at a terminal use, each in a file of its account's name.
    pub(crate) tokens: PathBuf,
    pub(crate) token_lifetime: Duration,
    pub(crate) deliverer: Deliverer,
    /// Held by whoever changes something, so that refs, rows and webhooks agree and keep their order.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// Answered so far, for the rate-limit headers.
    pub(crate) requests: AtomicU64,
    pub(crate) unbuilt: Mutex<Vec<String>>,
    _temporary: Option<tempfile::TempDir>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Github")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Inner {
    pub(crate) fn render(&self) -> Render<'_> {
        Render { url: &self.url }
    }

    pub(crate) fn git(&self, repo: &Repo) -> Git {
        self.git_of(repo.id)
    }

    /// Where the token of an account is, if it is in a file.
    pub(crate) fn token_file(&self, login: &str) -> Option<PathBuf> {
        let file = self.tokens.join(login);
        file.is_file().then_some(file)
    }

    /// Folders are named by number: a name is a stranger's, and may change its case.
    pub(crate) fn git_of(&self, repo: i64) -> Git {
        Git::at(self.repos.join(format!("{repo}.git")))
    }
}
