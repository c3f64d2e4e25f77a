//! Runs Deck as a process of its own, and as a part of another process.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use common::config::{Config, LoadMetrics, LoadStatus};
use common::kube::{ClusterClients, ClusterPermission, RequiredPermissions};
use common::service::{
    Instrumentation, ServeOptions, ServiceReadiness, flags, install_crypto, logging, serve_http,
    start_config_agent,
};
use common::storage::StorageCredentials;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::access::Viewer;
use crate::app::DeckState;
use crate::assets::Assets;
use crate::buckets::BucketCache;
use crate::embedded_clusters::EmbeddedClusters;
use crate::index::{JobIndex, watch_prowjobs};
use crate::logs::{PieceWatchers, ScanCache};
use crate::metrics::DeckMetrics;
use crate::options::{DeckOptions, DeckStorage, KeyLocation};
use crate::routes::{self, AllowedHosts};
use crate::settings::CurrentSettings;
use crate::storage_key::{KeyStore, SecretKeyStore, StorageKey};
use crate::upload::Uploads;

/// Open responses are cut off this long after the shutdown began, as in Prow.
const GRACE: Duration = Duration::from_secs(5);

const NEEDS: RequiredPermissions = RequiredPermissions {
    service: "deck",
    infra: &[ClusterPermission::essential(
        "prow.k8s.io",
        "prowjobs",
        &["list", "watch"],
    )],
    build: Some(&[ClusterPermission::only_for(
        "log of a running job",
        "pods/log",
        &["get"],
    )]),
};

/// What Deck needs to run.
pub struct DeckContext {
    pub clusters: ClusterClients,
    pub config: watch::Receiver<Arc<Config>>,
    /// Whether the configuration files could be loaded; every page says when they could not.
    pub load_status: watch::Receiver<LoadStatus>,
    pub viewer: Viewer,
    /// What `/storage` serves; `None`: there is no `/storage`.
    pub storage: Option<DeckStorage>,
    /// Credentials for the buckets that Deck reads.
    pub credentials: StorageCredentials,
    pub metrics: DeckMetrics,
    /// Names that a Deck on loopback answers to, besides localhost and the configured ones.
    pub allowed_hosts: Vec<String>,
    /// How long the first listing may take.
    pub timeout: Duration,
    /// Set once the first listing is complete.
    pub ready: ServiceReadiness,
}

/// Runs Deck as a process of its own, with flags, logs, metrics and health.
pub async fn main(options: DeckOptions, shutdown: CancellationToken) -> anyhow::Result<()> {
    install_crypto();
    logging::init_logging("deck");
    flags::warn_unimplemented_flags(options.later.unimplemented_flags());
    let mut instrumentation = Instrumentation::default();
    let loads = LoadMetrics::register_metrics(&mut instrumentation.registry);
    let (agent, config) = start_config_agent(&options.config, &loads)?;
    let kubernetes = &options.kube;
    let clusters = ClusterClients::discover_and_watch(
        kubernetes,
        &config,
        NEEDS,
        &loads,
        &mut instrumentation,
    )
    .await?;
    let context = DeckContext {
        clusters,
        config,
        load_status: agent.watch_status(),
        viewer: options.visibility.resolve_viewer()?,
        storage: options.storage.open_storage()?,
        credentials: options.credentials.storage_credentials(),
        metrics: DeckMetrics::register_metrics(&mut instrumentation.registry),
        allowed_hosts: options.allowed_host,
        timeout: options.timeout_listing_prowjobs.to_std(),
        ready: instrumentation.ready.clone(),
    };
    let deck = DeckServer::new(context, &shutdown)?;
    let listener = TcpListener::bind(("0.0.0.0", options.port))
        .await
        .with_context(|| format!("port {}", options.port))?;
    instrumentation
        .serve_ports(&options.instrumentation, &shutdown)
        .await?;
    deck.serve_pages(listener, shutdown).await
}

/// Runs Deck in a process with other services: serves on `listener` until `shutdown`.
pub async fn run_deck(
    context: DeckContext,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    DeckServer::new(context, &shutdown)?
        .serve_pages(listener, shutdown)
        .await
}

struct DeckServer {
    app: Arc<DeckState>,
    allowed_hosts: Vec<String>,
    namespace: String,
    timeout: Duration,
    ready: ServiceReadiness,
}

impl DeckServer {
    fn new(context: DeckContext, shutdown: &CancellationToken) -> anyhow::Result<Self> {
        let namespace = context.config.borrow().prow.prowjob_namespace.clone();
        let own = context.storage.as_ref().map(|own| own.storage.clone());
        let infra = context.clusters.infra().clone();
        let uploads = context.storage.map(|own| {
            let home = match &own.key {
                KeyLocation::File(file) => KeyStore::File(file.clone()),
                KeyLocation::Secret(name) => {
                    KeyStore::Secret(Box::new(SecretKeyStore::new(infra, &namespace, name)))
                }
            };
            Uploads::new(own, StorageKey::new(home))
        });
        let app = DeckState {
            index: Arc::default(),
            clusters: context.clusters,
            buckets: BucketCache::new(own, context.credentials),
            uploads,
            lookouts: PieceWatchers::default(),
            scans: ScanCache::default(),
            runners: EmbeddedClusters::default(),
            assets: Assets::load_assets(),
            metrics: context.metrics,
            shutdown: shutdown.clone(),
            streams: DeckState::stream_permits(),
            boot: format!("{:x}", Timestamp::now().as_microsecond()),
            present: Arc::new(CurrentSettings::new(context.config)),
            viewer: context.viewer,
            load_status: context.load_status,
        };
        Ok(Self {
            app: Arc::new(app),
            allowed_hosts: context.allowed_hosts,
            namespace,
            timeout: context.timeout,
            ready: context.ready,
        })
    }

    /// Serves at once, and is ready when the first listing is complete.
    async fn serve_pages(
        self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let index: Arc<JobIndex> = self.app.index.clone();
        let client = self.app.clusters.infra().clone();
        let (app, end) = (self.app.clone(), shutdown.clone());
        let following = tokio::spawn(async move {
            if let Some(uploads) = &app.uploads {
                uploads.storage_key().follow_rotation(&end).await;
            }
        });
        let watching = tokio::spawn(watch_prowjobs(
            index.clone(),
            client,
            self.namespace,
            shutdown.clone(),
        ));
        let options = ServeOptions {
            grace: GRACE,
            ..ServeOptions::default()
        };
        let address = listener.local_addr()?;
        tracing::info!(%address, "Deck serves its pages here");
        let hosts = AllowedHosts {
            loopback: address.ip().is_loopback(),
            allowed: self.allowed_hosts,
            present: self.app.present.clone(),
        };
        let serving = serve_http(
            listener,
            routes::build_router(self.app, hosts),
            options,
            shutdown.clone(),
        );
        let listed = wait_until_listed(&index, self.timeout, &self.ready);
        let listed = async {
            tokio::select! {
                listed = listed => listed,
                () = shutdown.cancelled() => Ok(()),
            }
        };
        let served = tokio::try_join!(serving, listed);
        watching.abort();
        following.abort();
        served.map(drop)
    }
}

/// Sets Deck ready once the first listing is complete.
async fn wait_until_listed(
    index: &JobIndex,
    patience: Duration,
    ready: &ServiceReadiness,
) -> anyhow::Result<()> {
    let mut synced = index.watch_synced();
    if timeout(patience, synced.wait_for(|synced| *synced))
        .await
        .is_err()
    {
        bail!("the ProwJobs could not be listed within {patience:?} (--timeout-listing-prowjobs)");
    }
    tracing::info!(jobs = index.len(), "the first listing is in");
    ready.set_ready(true);
    Ok(())
}
