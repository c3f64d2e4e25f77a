//! One attempt to connect to a build cluster: make a client and check its permissions.

use std::{panic::AssertUnwindSafe, sync::Arc};

use anyhow::Context as _;
use futures::FutureExt as _;
use kube::Client;

use super::{
    ClusterObstacle, ClusterPermission, KubernetesTimeouts, client,
    cluster_registry::AttemptOutcome,
    contexts::KubeconfigContext,
    permissions::{self, MissingPermission},
};

pub(super) struct ConnectionAttempt {
    /// The client, if one was made before.
    pub(super) client: Option<Client>,
    /// The context that a client is made from.
    pub(super) context: Option<KubeconfigContext>,
    pub(super) timeouts: KubernetesTimeouts,
    /// The namespace of the pods.
    pub(super) namespace: Arc<str>,
    pub(super) rights: &'static [ClusterPermission],
}

impl ConnectionAttempt {
    /// An attempt that panics has failed like any other: it is reported, and repeated.
    pub(super) async fn run_attempt(self, alias: &str, service: &str) -> AttemptOutcome<Client> {
        let tried = AssertUnwindSafe(self.try_connect(alias, service)).catch_unwind();
        tried.await.unwrap_or_else(|_| AttemptOutcome {
            client: None,
            obstacle: Some(ClusterObstacle::NoAnswer("asking it panicked".to_owned())),
        })
    }

    async fn try_connect(self, alias: &str, service: &str) -> AttemptOutcome<Client> {
        let made = match (self.client, self.context) {
            (Some(client), _) => Ok(client),
            (None, Some(context)) => build_context_client(context, self.timeouts).await,
            (None, None) => Err(anyhow::anyhow!("the context is gone")),
        };
        let client = match made {
            Ok(client) => client,
            Err(error) => {
                return AttemptOutcome {
                    client: None,
                    obstacle: Some(ClusterObstacle::NoClient(format!("{error:#}"))),
                };
            }
        };
        let obstacle = match permissions::find_missing_permissions(
            &client,
            &self.namespace,
            self.rights,
        )
        .await
        {
            Ok(missing) => find_forbidden(missing, alias, service),
            Err(error) => Some(error.into()),
        };
        AttemptOutcome {
            client: Some(client),
            obstacle,
        }
    }
}

/// A missing permission that all work depends on is an obstacle; any other is logged in one line.
fn find_forbidden(
    missing: Vec<MissingPermission>,
    alias: &str,
    service: &str,
) -> Option<ClusterObstacle> {
    if missing.iter().any(|it| it.right.only_for.is_none()) {
        return Some(ClusterObstacle::Forbidden(missing));
    }
    for one in missing {
        one.log_warning(Some(alias), service);
    }
    None
}

/// Runs on a blocking thread: a credential plugin may take as long as it likes.
pub(super) async fn build_context_client(
    context: KubeconfigContext,
    timeouts: KubernetesTimeouts,
) -> anyhow::Result<Client> {
    let runtime = tokio::runtime::Handle::current();
    let making = tokio::task::spawn_blocking(move || {
        // The client's background tasks run on this process's runtime.
        let _entered = runtime.enter();
        let config = runtime.block_on(context.client_config())?;
        Ok(client::build_client(config, timeouts)?)
    });
    making.await.context("making a client")?
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{Request, Response};
    use kube::client::Body;

    use super::*;

    const RIGHTS: &[ClusterPermission] = &[ClusterPermission::essential("", "pods", &["list"])];

    #[tokio::test]
    async fn a_try_that_panics_has_failed() {
        let service = tower::service_fn(|_: Request<Body>| async {
            if true {
                panic!("a bug in a library");
            }
            Ok::<_, Infallible>(Response::new(Body::empty()))
        });
        let attempt = ConnectionAttempt {
            client: Some(Client::new(service, "default")),
            context: None,
            timeouts: KubernetesTimeouts::default(),
            namespace: "test-pods".into(),
            rights: RIGHTS,
        };
        let outcome = attempt.run_attempt("default", "plank").await;
        assert!(matches!(
            outcome.obstacle,
            Some(ClusterObstacle::NoAnswer(_))
        ));
    }
}
