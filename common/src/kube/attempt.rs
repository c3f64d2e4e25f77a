//! One try at a build cluster: a client is made, and asked what it may do.

use std::{panic::AssertUnwindSafe, sync::Arc};

use anyhow::Context as _;
use futures::FutureExt as _;
use kube::Client;

use super::{
    Obstacle, Right, Timeouts, client,
    contexts::ContextFile,
    rights::{self, Missing},
    roster::Outcome,
};

pub(super) struct Attempt {
    /// One that was made before.
    pub(super) client: Option<Client>,
    /// What one is made of.
    pub(super) context: Option<ContextFile>,
    pub(super) timeouts: Timeouts,
    /// Where pods are.
    pub(super) namespace: Arc<str>,
    pub(super) rights: &'static [Right],
}

impl Attempt {
    /// A try that panics has failed like any other: it is told, and made again.
    pub(super) async fn run(self, alias: &str, service: &str) -> Outcome<Client> {
        let tried = AssertUnwindSafe(self.once(alias, service)).catch_unwind();
        tried.await.unwrap_or_else(|_| Outcome {
            client: None,
            obstacle: Some(Obstacle::NoAnswer("asking it panicked".to_owned())),
        })
    }

    async fn once(self, alias: &str, service: &str) -> Outcome<Client> {
        let made = match (self.client, self.context) {
            (Some(client), _) => Ok(client),
            (None, Some(context)) => context_client(context, self.timeouts).await,
            (None, None) => Err(anyhow::anyhow!("the context is gone")),
        };
        let client = match made {
            Ok(client) => client,
            Err(error) => {
                return Outcome {
                    client: None,
                    obstacle: Some(Obstacle::NoClient(format!("{error:#}"))),
                };
            }
        };
        let obstacle = match rights::missing(&client, &self.namespace, self.rights).await {
            Ok(missing) => forbidden(missing, alias, service),
            Err(error) => Some(error.into()),
        };
        Outcome {
            client: Some(client),
            obstacle,
        }
    }
}

/// Rights without which nothing works are an obstacle; of the others one line is logged.
fn forbidden(missing: Vec<Missing>, alias: &str, service: &str) -> Option<Obstacle> {
    if missing.iter().any(|it| it.right.only_for.is_none()) {
        return Some(Obstacle::Forbidden(missing));
    }
    for one in missing {
        one.warn(Some(alias), service);
    }
    None
}

/// Apart from everything else: a plugin that makes credentials may take as long as it likes.
pub(super) async fn context_client(
    context: ContextFile,
    timeouts: Timeouts,
) -> anyhow::Result<Client> {
    let runtime = tokio::runtime::Handle::current();
    let making = tokio::task::spawn_blocking(move || {
        // Its client's own tasks run where this process's do.
        let _entered = runtime.enter();
        let config = runtime.block_on(context.config())?;
        Ok(client::client(config, timeouts)?)
    });
    making.await.context("making a client")?
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{Request, Response};
    use kube::client::Body;

    use super::*;

    const RIGHTS: &[Right] = &[Right::essential("", "pods", &["list"])];

    #[tokio::test]
    async fn a_try_that_panics_has_failed() {
        let service = tower::service_fn(|_: Request<Body>| async {
            if true {
                panic!("a bug in a library");
            }
            Ok::<_, Infallible>(Response::new(Body::empty()))
        });
        let attempt = Attempt {
            client: Some(Client::new(service, "default")),
            context: None,
            timeouts: Timeouts::default(),
            namespace: "test-pods".into(),
            rights: RIGHTS,
        };
        let outcome = attempt.run("default", "plank").await;
        assert!(matches!(outcome.obstacle, Some(Obstacle::NoAnswer(_))));
    }
}
