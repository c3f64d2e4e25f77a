//! GitHub as Prow's services use it: a client that gets its own token, and the GitHub objects that
//! they read.
//!
//! [`GithubClient`] combines octocrab's connection and error texts with Prow's flags and with its
//! own authentication and retries: each installation has a token, whose renewal does not make
//! another installation wait, and a POST is not repeated after a lost
//! connection or a 5xx. Responses are not cached yet.

mod api;
mod app;
mod auth;
mod checks;
mod deliveries;
mod enablement;
mod error;
mod inventory;
mod options;
mod transport;
mod types;

use std::sync::Arc;

use tokio::sync::OnceCell;

pub use auth::GitCredentials;
pub use checks::{
    CheckAnnotation, CheckConclusion, CheckOutput, CheckRunApp, CheckRunChange, CheckRunOutput,
    CheckRunRequest, CheckStatus, GithubCheckRun, MAX_ANNOTATIONS,
};
pub use deliveries::{HookDeliveries, HookDelivery};
pub use enablement::GithubEnablementOptions;
pub use error::GithubError;
pub use options::GithubOptions;
pub use types::{
    CommitStatus, GithubPullRequest, GithubRepo, GithubUser, IssueComment, PullRequestBranch,
    StatusState,
};

use auth::GithubAuth;
use transport::GithubTransport;

pub type GithubResult<T> = std::result::Result<T, GithubError>;

/// A client of one GitHub. Cheap to clone; clones share tokens.
#[derive(Clone)]
pub struct GithubClient(Arc<GithubClientInner>);

struct GithubClientInner {
    transport: GithubTransport,
    auth: GithubAuth,
    bot: OnceCell<String>,
}

impl GithubClient {
    /// A client for the service `component` (its `User-Agent`). It reads no file yet: secrets are
    /// read when they are needed, so that a rotated secret is used.
    pub fn new(options: &GithubOptions, component: &str) -> anyhow::Result<Self> {
        let transport = GithubTransport::new(options, component)?;
        let auth = GithubAuth::new(options)?;
        Ok(Self(Arc::new(GithubClientInner {
            transport,
            auth,
            bot: OnceCell::new(),
        })))
    }
}
