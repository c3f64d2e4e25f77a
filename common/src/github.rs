//! GitHub as Prow's services use it: a client that finds its own token, and the few objects they
//! look at.
//!
//! [`Client`] is octocrab's connection and error texts under Prow's flags, with authentication
//! and retries of our own: a token an installation, renewed without making another installation
//! wait, and no repeated POST. Responses are not cached yet.

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
    CheckAnnotation, CheckApp, CheckConclusion, CheckOutput, CheckRun, CheckRunChange,
    CheckRunOutput, CheckStatus, MAX_ANNOTATIONS, NewCheckRun,
};
pub use deliveries::{HookDeliveries, HookDelivery};
pub use enablement::Enablement;
pub use error::Error;
pub use options::Options;
pub use types::{Branch, IssueComment, PullRequest, Repo, Status, StatusState, User};

use auth::Auth;
use transport::Transport;

pub type Result<T> = std::result::Result<T, Error>;

/// Talks to one GitHub. Cheap to clone; clones share tokens.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    transport: Transport,
    auth: Auth,
    bot: OnceCell<String>,
}

impl Client {
    /// A client for the service `component` (its `User-Agent`). Reads no file yet: secrets are
    /// read when they are needed, so that a rotated one is picked up.
    pub fn new(options: &Options, component: &str) -> anyhow::Result<Self> {
        let transport = Transport::new(options, component)?;
        let auth = Auth::new(options)?;
        Ok(Self(Arc::new(Inner {
            transport,
            auth,
            bot: OnceCell::new(),
        })))
    }
}
