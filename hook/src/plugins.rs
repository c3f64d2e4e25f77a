//! The plugins: each reads events and acts on them.

pub(crate) mod trigger;

use std::sync::Arc;

use common::{
    config::{Config, plugins::PluginConfiguration},
    github,
};
use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::{DispatchContext, event::WebhookEvent, inbox::ClaimedDelivery, webhook::RepositoryRef};

/// All plugins, in the order in which they get an event.
pub(crate) const ALL_PLUGINS: &[Plugin] = &[trigger::PLUGIN];

/// A plugin's name in `plugins.yaml`, and its event handler.
#[derive(Clone, Copy)]
pub(crate) struct Plugin {
    pub(crate) name: &'static str,
    pub(crate) handle: for<'a> fn(PluginRequest<'a>) -> BoxFuture<'a, PluginOutcome>,
}

/// Whether a plugin handles a repository: without `plugins.yaml` each handles all.
pub(crate) fn is_enabled(
    plugins: Option<&PluginConfiguration>,
    plugin: &str,
    identity: &RepositoryRef,
) -> bool {
    let Some(plugins) = plugins else {
        return true;
    };
    // `*` is an addition: Prow has no way to say "everywhere".
    let everywhere = plugins.plugins.0.get("*").is_some_and(|entry| {
        let excluded = entry.excludes_repo(&identity.repo);
        !excluded && entry.plugins.iter().any(|name| name == plugin)
    });
    everywhere || plugins.is_enabled(plugin, &identity.org, &identity.repo)
}

/// An event, with what a plugin needs to handle it.
#[derive(Clone, Copy)]
pub(crate) struct PluginRequest<'a> {
    pub(crate) shared: &'a DispatchContext,
    /// The current configuration: one event is decided by one configuration.
    pub(crate) config: &'a Arc<Config>,
    /// The current `plugins.yaml`.
    pub(crate) plugins: Option<&'a PluginConfiguration>,
    pub(crate) delivery: &'a ClaimedDelivery,
    pub(crate) event: &'a WebhookEvent,
}

/// What a plugin did about an event. An error does not undo what was done before it.
#[derive(Debug, Default)]
pub(crate) struct PluginOutcome {
    pub(crate) reasons: Vec<String>,
    /// Whether anything was changed.
    pub(crate) acted: bool,
    pub(crate) error: Option<PluginError>,
}

impl PluginOutcome {
    /// The plugin does not handle the event.
    pub(crate) fn ignored_event() -> Self {
        Self::default()
    }
}

/// How the work on an event can fail.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PluginError {
    /// Worth another attempt.
    #[error("{0:#}")]
    Transient(anyhow::Error),
    /// Worth another attempt, but not before the given time.
    #[error("GitHub's rate limit holds until {0}")]
    NotBefore(Timestamp),
    /// No attempt can succeed.
    #[error("{0:#}")]
    Permanent(anyhow::Error),
}

impl PluginError {
    /// Of two errors, the one that decides what happens next: if one attempt may still succeed, all
    /// are tried again.
    pub(crate) fn most_retryable(self, other: Self) -> Self {
        match (&self, &other) {
            (Self::Permanent(_), _) => other,
            (Self::Transient(_), Self::NotBefore(_)) => other,
            _ => self,
        }
    }
}

impl From<github::GithubError> for PluginError {
    fn from(error: github::GithubError) -> Self {
        match error {
            github::GithubError::RateLimited { reset } => Self::NotBefore(reset),
            github::GithubError::NotFound(_)
            | github::GithubError::Forbidden(_)
            | github::GithubError::Invalid(_) => Self::Permanent(error.into()),
            // The operator has to fix a bad token, not the sender.
            github::GithubError::Unauthorized(_) | github::GithubError::Other(_) => {
                Self::Transient(error.into())
            }
        }
    }
}

impl From<anyhow::Error> for PluginError {
    fn from(error: anyhow::Error) -> Self {
        let error = match error.downcast::<github::GithubError>() {
            Ok(error) => return error.into(),
            Err(error) => error,
        };
        let refused = matches!(
            error.downcast_ref(),
            Some(kube::Error::Api(status)) if status.code == 422
        );
        if refused {
            Self::Permanent(error)
        } else {
            Self::Transient(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_hope_is_enough_to_try_again() {
        let permanent = || PluginError::Permanent(anyhow::anyhow!("p"));
        let transient = || PluginError::Transient(anyhow::anyhow!("t"));
        let later = || PluginError::NotBefore(Timestamp::UNIX_EPOCH);
        assert!(matches!(
            permanent().most_retryable(transient()),
            PluginError::Transient(_)
        ));
        assert!(matches!(
            transient().most_retryable(permanent()),
            PluginError::Transient(_)
        ));
        assert!(matches!(
            transient().most_retryable(later()),
            PluginError::NotBefore(_)
        ));
        assert!(matches!(
            later().most_retryable(permanent()),
            PluginError::NotBefore(_)
        ));
        assert!(matches!(
            permanent().most_retryable(permanent()),
            PluginError::Permanent(_)
        ));
    }

    #[test]
    fn what_github_refuses_is_final() {
        let gone = anyhow::Error::from(github::GithubError::NotFound("x".into()));
        assert!(matches!(PluginError::from(gone), PluginError::Permanent(_)));
        let away = github::GithubError::Other(anyhow::anyhow!("no route"));
        assert!(matches!(PluginError::from(away), PluginError::Transient(_)));
    }
}
