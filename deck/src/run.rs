//! Deck as a process, and as a part of one.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use common::config::{Config, LoadMetrics, LoadStatus};
use common::kube::{Clusters, Needs, Right};
use common::service::{
    Instrumentation, Ready, ServeOptions, configure, flags, install_crypto, logging, serve,
};
use common::storage::Credentials;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::access::Viewer;
use crate::app::App;
use crate::assets::Assets;
use crate::buckets::Buckets;
use crate::index::{Index, feed};
use crate::logs::{Lookouts, Scans};
use crate::metrics::Metrics;
use crate::options::{KeyPlace, Options, OwnStorage};
use crate::routes::{self, Hosts};
use crate::runner::Runners;
use crate::settings::Present;
use crate::storage_key::{Home, SecretHome, StorageKey};
use crate::upload::Uploads;

/// Open answers are cut off this long after the end has been asked for, as in Prow.
const GRACE: Duration = Duration::from_secs(5);

const NEEDS: Needs = Needs {
    service: "deck",
    infra: &[Right::essential(
        "prow.k8s.io",
        "prowjobs",
        &["list", "watch"],
    )],
    build: Some(&[Right::only_for(
        "log of a running job",
        "pods/log",
        &["get"],
    )]),
};

/// What Deck works with.
pub struct Context {
    pub clusters: Clusters,
    pub config: watch::Receiver<Arc<Config>>,
    /// Whether the files of the configuration are in force; every page says when they are not.
    pub load_status: watch::Receiver<LoadStatus>,
    pub viewer: Viewer,
    /// What `/storage` serves; `None`: there is no `/storage`.
    pub storage: Option<OwnStorage>,
    /// For buckets that are read.
    pub credentials: Credentials,
    pub metrics: Metrics,
    /// Names that a Deck on loopback answers to, beside `localhost` and those of the configuration.
    pub allowed_hosts: Vec<String>,
    /// How long the first listing may take.
    pub timeout: Duration,
    /// Set once the first listing is in.
    pub ready: Ready,
}

/// Deck as a process of its own: flags, logs, metrics, health.
pub async fn main(options: Options, shutdown: CancellationToken) -> anyhow::Result<()> {
    install_crypto();
    logging::init("deck");
    flags::warn_unbuilt(options.later.unbuilt());
    let mut instrumentation = Instrumentation::default();
    let loads = LoadMetrics::register(&mut instrumentation.registry);
    let (agent, config) = configure(&options.config, &loads)?;
    let kubernetes = &options.kube;
    let clusters =
        Clusters::follow(kubernetes, &config, NEEDS, &loads, &mut instrumentation).await?;
    let context = Context {
        clusters,
        config,
        load_status: agent.status(),
        viewer: options.visibility.viewer()?,
        storage: options.storage.open()?,
        credentials: options.credentials.credentials(),
        metrics: Metrics::register(&mut instrumentation.registry),
        allowed_hosts: options.allowed_host,
        timeout: options.timeout_listing_prowjobs.to_std(),
        ready: instrumentation.ready.clone(),
    };
    let deck = Deck::new(context, &shutdown)?;
    let listener = TcpListener::bind(("0.0.0.0", options.port))
        .await
        .with_context(|| format!("port {}", options.port))?;
    instrumentation
        .serve(&options.instrumentation, &shutdown)
        .await?;
    deck.run(listener, shutdown).await
}

/// Deck in a process with others: serves on `listener` until `shutdown`.
pub async fn run(
    context: Context,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    Deck::new(context, &shutdown)?.run(listener, shutdown).await
}

struct Deck {
    app: Arc<App>,
    allowed_hosts: Vec<String>,
    namespace: String,
    timeout: Duration,
    ready: Ready,
}

impl Deck {
    fn new(context: Context, shutdown: &CancellationToken) -> anyhow::Result<Self> {
        let namespace = context.config.borrow().prow.prowjob_namespace.clone();
        let own = context.storage.as_ref().map(|own| own.storage.clone());
        let infra = context.clusters.infra().clone();
        let uploads = context.storage.map(|own| {
            let home = match &own.key {
                KeyPlace::File(file) => Home::File(file.clone()),
                KeyPlace::Secret(name) => {
                    Home::Secret(Box::new(SecretHome::new(infra, &namespace, name)))
                }
            };
            Uploads::new(own, StorageKey::new(home))
        });
        let app = App {
            index: Arc::default(),
            clusters: context.clusters,
            buckets: Buckets::new(own, context.credentials),
            uploads,
            lookouts: Lookouts::default(),
            scans: Scans::default(),
            runners: Runners::default(),
            assets: Assets::load(),
            metrics: context.metrics,
            shutdown: shutdown.clone(),
            streams: App::streams(),
            boot: format!("{:x}", Timestamp::now().as_microsecond()),
            present: Arc::new(Present::new(context.config)),
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

    /// Serves at once, and is ready when the first listing is in.
    async fn run(self, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
        let index: Arc<Index> = self.app.index.clone();
        let client = self.app.clusters.infra().clone();
        let (app, end) = (self.app.clone(), shutdown.clone());
        let following = tokio::spawn(async move {
            if let Some(uploads) = &app.uploads {
                uploads.key().follow(&end).await;
            }
        });
        let watching = tokio::spawn(feed(
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
        let hosts = Hosts {
            loopback: address.ip().is_loopback(),
            allowed: self.allowed_hosts,
            present: self.app.present.clone(),
        };
        let serving = serve(
            listener,
            routes::router(self.app, hosts),
            options,
            shutdown.clone(),
        );
        let listed = listed(&index, self.timeout, &self.ready);
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

/// Says that Deck is ready once the first listing is in.
async fn listed(index: &Index, patience: Duration, ready: &Ready) -> anyhow::Result<()> {
    let mut synced = index.synced();
    if timeout(patience, synced.wait_for(|synced| *synced))
        .await
        .is_err()
    {
        bail!("the ProwJobs could not be listed within {patience:?} (--timeout-listing-prowjobs)");
    }
    tracing::info!(jobs = index.len(), "the first listing is in");
    ready.set(true);
    Ok(())
}
