//! The cluster that holds the `ProwJob`s. It never changes while a service runs.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use kube::{Client, Config, client::Body, config::KubeConfigOptions};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::{
    KubernetesOptions, KubernetesTimeouts, RequiredPermissions,
    attempt::build_context_client,
    client,
    contexts::{ContextFingerprint, KubeconfigContext, KubeconfigContexts},
    permissions,
};
use crate::service::ServiceReadiness;

/// The wait before a failed step is repeated.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// A client of the infrastructure cluster alone, with the current credentials.
pub async fn infra_client(options: &KubernetesOptions) -> anyhow::Result<Client> {
    let contexts = KubeconfigContexts::read_at_start(options)?;
    Ok(find_infra_cluster(options, &contexts, &[]).await?.client)
}

/// The infrastructure cluster, with the context that describes it.
pub(super) struct InfraCluster {
    pub(super) client: Client,
    /// `None` in a cluster, and if no file has a usable `current-context`: nothing is followed.
    context: Option<InfraContext>,
}

struct InfraContext {
    server: Option<String>,
    origin: ContextFingerprint,
    /// The client that sends the requests.
    current: Arc<watch::Sender<Client>>,
    /// The running task that replaces the credentials.
    change: Option<AbortOnDropHandle<()>>,
}

/// The cluster that this process runs in, else the current context, else kubectl's default.
pub(super) async fn find_infra_cluster(
    options: &KubernetesOptions,
    contexts: &KubeconfigContexts,
    disabled: &[String],
) -> anyhow::Result<InfraCluster> {
    let what = "client of the infrastructure cluster";
    let in_cluster = (!options.no_in_cluster_config)
        .then(Config::incluster)
        .and_then(Result::ok);
    if let Some(mut config) = in_cluster {
        if let Some(file) = &options.projected_token_file {
            config.auth_info.token_file = Some(file.display().to_string());
        }
        return infra_without_context(config, options.timeouts).context(what);
    }
    if let Some(context) = contexts.current_context(disabled)? {
        let client = build_context_client(context.clone(), options.timeouts).await;
        return Ok(InfraCluster::from_context(client.context(what)?, context));
    }
    // There is no file, or it has no current context: the error says which.
    let config = Config::from_kubeconfig(&KubeConfigOptions::default())
        .await
        .context("no cluster: run in one, or give --kubeconfig a file with a current-context")?;
    infra_without_context(config, options.timeouts).context(what)
}

fn infra_without_context(
    config: Config,
    timeouts: KubernetesTimeouts,
) -> anyhow::Result<InfraCluster> {
    Ok(InfraCluster {
        client: client::build_client(config, timeouts)?,
        context: None,
    })
}

impl InfraCluster {
    fn from_context(client: Client, context: &KubeconfigContext) -> Self {
        let namespace = client.default_namespace().to_owned();
        let (current, requests) = watch::channel(client);
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let client = requests.borrow().clone();
            async move { client.send(request).await }
        });
        Self {
            client: Client::new(service, namespace),
            context: Some(InfraContext {
                server: context.server_url().map(str::to_owned),
                origin: context.compute_fingerprint(),
                current: Arc::new(current),
                change: None,
            }),
        }
    }

    /// Applies credentials that have changed in the files. It never changes to another cluster,
    /// because this process's state is about the first one.
    pub(super) fn update_credentials(
        &mut self,
        contexts: &KubeconfigContexts,
        disabled: &[String],
        timeouts: KubernetesTimeouts,
    ) {
        let Some(known) = &mut self.context else {
            return;
        };
        let Ok(Some(context)) = contexts.current_context(disabled) else {
            return;
        };
        let origin = context.compute_fingerprint();
        if origin == known.origin {
            return;
        }
        known.origin = origin;
        if context.server_url() != known.server.as_deref() {
            tracing::warn!(
                "the kubeconfig's current context is another cluster: a restart brings it into force"
            );
            return;
        }
        let change = replace_client(context.clone(), timeouts, Arc::clone(&known.current));
        known.change = Some(AbortOnDropHandle::new(tokio::spawn(change)));
    }
}

/// Keeps the old credentials until the new ones can be used.
async fn replace_client(
    context: KubeconfigContext,
    timeouts: KubernetesTimeouts,
    current: Arc<watch::Sender<Client>>,
) {
    let mut told = false;
    loop {
        match build_context_client(context.clone(), timeouts).await {
            Ok(client) => {
                tracing::info!("the infrastructure cluster's credentials have changed");
                current.send_replace(client);
                return;
            }
            Err(error) if !told => tracing::error!(
                "the infrastructure cluster's new credentials cannot be used, the old ones stay; \
                 trying again: {error:#}"
            ),
            Err(_) => {}
        }
        told = true;
        tokio::time::sleep(RETRY_DELAY).await;
    }
}

/// Checks the permissions in the namespace of the `ProwJob`s until all are granted. The service is
/// not ready without those that its work depends on.
pub(super) async fn await_rights(
    client: Client,
    namespace: String,
    needs: RequiredPermissions,
    ready: ServiceReadiness,
) {
    let mut told = Vec::new();
    loop {
        match permissions::find_missing_permissions(
            &client,
            &namespace.as_str().into(),
            needs.infra,
        )
        .await
        {
            Ok(missing) => {
                let (limits, lacks): (Vec<_>, Vec<_>) = missing
                    .into_iter()
                    .partition(|it| it.right.only_for.is_some());
                if lacks != told {
                    lacks
                        .iter()
                        .for_each(|it| it.log_error(None, needs.service));
                }
                ready.set_permitted(lacks.is_empty());
                if lacks.is_empty() {
                    limits
                        .iter()
                        .for_each(|it| it.log_warning(None, needs.service));
                    return;
                }
                told = lacks;
            }
            Err(error) => tracing::debug!("rights are not known yet: {error}"),
        }
        tokio::time::sleep(RETRY_DELAY).await;
    }
}
