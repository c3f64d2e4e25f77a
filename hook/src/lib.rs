#![doc = include_str!("../README.md")]

mod dispatch;
mod event;
mod inbox;
mod inrepo;
mod metrics;
mod options;
mod plugin_config;
mod plugins;
mod prowjobs;
mod redelivery;
mod start;
mod webhook;

use std::{sync::Arc, time::Duration};

use common::{
    config::Config,
    github, installation,
    service::{ServeOptions, ServiceReadiness, serve_http},
};
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use inbox::Inbox;
pub use inrepo::{InRepoReader, InRepoSettings};
pub use metrics::HookMetrics;
pub use options::{HookOptions, UnusedPluginFlags};
pub use plugin_config::{PluginConfigReceiver, follow_plugins};
pub use plugins::trigger::{PresubmitFilter, StatusContexts, filter_presubmits};
pub use start::main;
pub use webhook::HmacSecretFile;

use prowjobs::ProwJobClient;
use redelivery::MissedDeliveries;
use webhook::{DeliveryLog, PayloadBudget, WebhookEndpoint};

/// The longest wait between two attempts to reach the cluster at the start.
const MAX_START_BACKOFF: Duration = Duration::from_secs(10);

/// How long open requests may take when everything else has ended.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// What hook works with.
pub struct HookContext {
    pub config: watch::Receiver<Arc<Config>>,
    /// `plugins.yaml`; without one, every plugin handles every repository.
    pub plugins: PluginConfigReceiver,
    pub github: github::GithubClient,
    /// The cluster that has the `ProwJob`s.
    pub cluster: kube::Client,
    pub inbox: Inbox,
    pub secrets: Arc<HmacSecretFile>,
    pub in_repo: InRepoReader,
    pub metrics: HookMetrics,
    /// Set once hook accepts deliveries. It works on them once the cluster can be reached.
    pub ready: ServiceReadiness,
    pub settings: HookSettings,
}

/// Settings of the command line that several parts need.
#[derive(Clone, Debug)]
pub struct HookSettings {
    pub webhook_path: String,
    /// Nothing is changed on GitHub or in the cluster.
    pub dry_run: bool,
    /// How long work may go on after shutdown; more than a second changes nothing.
    pub grace_period: Duration,
    /// How long one payload may take to arrive. GitHub itself gives up after 10 s.
    pub body_timeout: Duration,
    pub enablement: github::GithubEnablementOptions,
    /// The context of the commit status that says whether the repository's own configuration can be
    /// used; `None` for no status.
    pub config_status_context: Option<String>,
    /// The wait after the start, until hook asks GitHub for missed deliveries: GitHub sends them at
    /// once, and must be able to reach hook by then.
    pub ask_after: Duration,
    /// Like `ask_after`, after hook had to refuse what may have been good. Anybody can cause that,
    /// so this bounds how often GitHub is asked.
    pub ask_again_after: Duration,
}

impl Default for HookSettings {
    /// The defaults of the command line, except that `dry_run` is off.
    fn default() -> Self {
        Self {
            webhook_path: "/hook".into(),
            dry_run: false,
            grace_period: Duration::from_secs(180),
            body_timeout: Duration::from_secs(10),
            enablement: github::GithubEnablementOptions::default(),
            config_status_context: None,
            ask_after: Duration::from_secs(15),
            ask_again_after: Duration::from_secs(5 * 60),
        }
    }
}

/// What the dispatcher and the plugins share.
pub(crate) struct DispatchContext {
    config: watch::Receiver<Arc<Config>>,
    plugins: PluginConfigReceiver,
    github: github::GithubClient,
    inbox: Inbox,
    in_repo: InRepoReader,
    metrics: HookMetrics,
    settings: HookSettings,
    prowjobs: ProwJobClient,
    installation: Uuid,
}

/// Accepts deliveries on `listener` and works on them until `shutdown`.
///
/// Deliveries are accepted at once; work on them begins when the cluster can be reached. The
/// namespace of `ProwJob`s is read once, at the start. At the end work stops first; until it has
/// stopped, deliveries are accepted.
pub async fn run_hook(
    ctx: HookContext,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let missed = Arc::new(Notify::new());
    let endpoint = WebhookEndpoint {
        secrets: ctx.secrets,
        inbox: ctx.inbox.clone(),
        metrics: ctx.metrics.clone(),
        body_timeout: ctx.settings.body_timeout,
        room: PayloadBudget::default(),
        log: DeliveryLog::default(),
        missed: Arc::clone(&missed),
    };
    let router = webhook::webhook_router(endpoint, &ctx.settings.webhook_path);
    let serving = ServeOptions {
        // The endpoint has its own limit for a whole body, and answers when it is exceeded.
        body_timeout: 2 * ctx.settings.body_timeout,
        grace: SHUTDOWN_GRACE,
        ..ServeOptions::default()
    };
    let worked = CancellationToken::new();
    let server = tokio::spawn(serve_http(listener, router, serving, worked.clone()));
    ctx.ready.set_ready(ctx.inbox.is_ready().await);

    // These tasks end with this function, at the latest.
    let mut beside = JoinSet::new();
    beside.spawn(ctx.inbox.clone().sweep_periodically(shutdown.clone()));
    let missed = MissedDeliveries {
        github: ctx.github.clone(),
        inbox: ctx.inbox.clone(),
        settings: ctx.settings.clone(),
        refused: missed,
    };
    beside.spawn(missed.run_redelivery(shutdown.clone()));

    let namespace = ctx.config.borrow().prow.prowjob_namespace.clone();
    let dry_run = ctx.settings.dry_run;
    if let Some(installation) =
        wait_for_installation_id(&ctx.cluster, &namespace, dry_run, &shutdown).await
    {
        let shared = Arc::new(DispatchContext {
            config: ctx.config,
            plugins: ctx.plugins,
            github: ctx.github,
            inbox: ctx.inbox,
            in_repo: ctx.in_repo,
            metrics: ctx.metrics,
            settings: ctx.settings,
            prowjobs: ProwJobClient::new(ctx.cluster, namespace),
            installation,
        });
        dispatch::run_dispatcher(shared, shutdown).await;
    }
    worked.cancel();
    server.await?
}

/// The installation's id, as soon as the cluster answers; `None` when `shutdown` comes first.
async fn wait_for_installation_id(
    cluster: &kube::Client,
    namespace: &str,
    dry_run: bool,
    shutdown: &CancellationToken,
) -> Option<Uuid> {
    let fresh = Uuid::new_v4();
    let mut wait = Duration::from_millis(250);
    loop {
        let id = installation::ensure_installation_id(cluster.clone(), namespace, fresh, dry_run);
        let answer = tokio::select! {
            () = shutdown.cancelled() => return None,
            answer = id => answer,
        };
        match answer {
            Ok(id) => return Some(id),
            Err(error) => tracing::warn!("the cluster cannot be used yet: {error:#}"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return None,
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(MAX_START_BACKOFF),
        }
    }
}
