//! The plugins: each looks at events and acts on them.

pub(crate) mod trigger;

use std::sync::Arc;

use common::{
    config::{Config, plugins::Plugins},
    github,
};
use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::{Shared, event::Event, inbox::Delivery, webhook::Identity};

/// Every plugin there is, in the order they see an event.
pub(crate) const ALL: &[Plugin] = &[trigger::PLUGIN];

/// A name, as `plugins.yaml` knows it, and what to do about an event.
#[derive(Clone, Copy)]
pub(crate) struct Plugin {
    pub(crate) name: &'static str,
    pub(crate) handle: for<'a> fn(Call<'a>) -> BoxFuture<'a, Handled>,
}

/// Whether a plugin looks at a repository: without `plugins.yaml` each looks at all.
pub(crate) fn is_enabled(plugins: Option<&Plugins>, plugin: &str, identity: &Identity) -> bool {
    let Some(plugins) = plugins else {
        return true;
    };
    // `*` is ours: Prow has no way to say "everywhere".
    let everywhere = plugins.plugins.0.get("*").is_some_and(|entry| {
        let excluded = entry.excludes(&identity.repo);
        !excluded && entry.plugins.iter().any(|name| name == plugin)
    });
    everywhere || plugins.is_enabled(plugin, &identity.org, &identity.repo)
}

/// An event on its way to a plugin.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) shared: &'a Shared,
    /// The configuration of this moment: one event is decided by one.
    pub(crate) config: &'a Arc<Config>,
    /// `plugins.yaml` of this moment.
    pub(crate) plugins: Option<&'a Plugins>,
    pub(crate) delivery: &'a Delivery,
    pub(crate) event: &'a Event,
}

/// What a plugin made of an event. An error does not undo what was done before it.
#[derive(Debug, Default)]
pub(crate) struct Handled {
    pub(crate) reasons: Vec<String>,
    /// Whether anything was changed.
    pub(crate) acted: bool,
    pub(crate) error: Option<Error>,
}

impl Handled {
    /// The plugin does not listen to the event.
    pub(crate) fn ignored() -> Self {
        Self::default()
    }
}

/// How the work on an event can fail.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Worth another attempt.
    #[error("{0:#}")]
    Transient(anyhow::Error),
    /// Worth another attempt, but not before then.
    #[error("GitHub's rate limit holds until {0}")]
    NotBefore(Timestamp),
    /// No attempt can succeed.
    #[error("{0:#}")]
    Permanent(anyhow::Error),
}

impl Error {
    /// The one of two that decides what happens next: as long as one may succeed, all are tried
    /// again.
    pub(crate) fn or(self, other: Self) -> Self {
        match (&self, &other) {
            (Self::Permanent(_), _) => other,
            (Self::Transient(_), Self::NotBefore(_)) => other,
            _ => self,
        }
    }
}

impl From<github::Error> for Error {
    fn from(error: github::Error) -> Self {
        match error {
            github::Error::RateLimited { reset } => Self::NotBefore(reset),
            github::Error::NotFound(_)
            | github::Error::Forbidden(_)
            | github::Error::Invalid(_) => Self::Permanent(error.into()),
            // A bad token is mended by the operator, not by the sender.
            github::Error::Unauthorized(_) | github::Error::Other(_) => {
                Self::Transient(error.into())
            }
        }
    }
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        let error = match error.downcast::<github::Error>() {
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
        let permanent = || Error::Permanent(anyhow::anyhow!("p"));
        let transient = || Error::Transient(anyhow::anyhow!("t"));
        let later = || Error::NotBefore(Timestamp::UNIX_EPOCH);
        assert!(matches!(permanent().or(transient()), Error::Transient(_)));
        assert!(matches!(transient().or(permanent()), Error::Transient(_)));
        assert!(matches!(transient().or(later()), Error::NotBefore(_)));
        assert!(matches!(later().or(permanent()), Error::NotBefore(_)));
        assert!(matches!(permanent().or(permanent()), Error::Permanent(_)));
    }

    #[test]
    fn what_github_refuses_is_final() {
        let gone = anyhow::Error::from(github::Error::NotFound("x".into()));
        assert!(matches!(Error::from(gone), Error::Permanent(_)));
        let away = github::Error::Other(anyhow::anyhow!("no route"));
        assert!(matches!(Error::from(away), Error::Transient(_)));
    }
}
