//! Runs every service, and the stand-ins for GitHub and the cluster, in this process.
//!
//! It makes what an installation's administrator would make: accounts, the App, a configuration,
//! the CRD. The services reach each other by sockets and by the API, as they do elsewhere.

use std::{
    collections::BTreeMap,
    future::Future,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use common::{
    config::{self, Config, ConfigAgent, LoadMetrics, LoadStatus, plugins::PluginConfiguration},
    kube::ClusterClients,
    prowjob,
    service::{self, lease},
    storage::{StorageCredentials, token::keys::StorageKeyFile},
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use local::{
    apiserver::{self, ApiServer},
    github::{self, FakeGithub},
    kubelet::{self, Isolation, UtilityImage},
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use prometheus_client::registry::Registry;

use super::{
    config::{UTILITIES, write_config},
    options::DemoOptions,
    ports::{self, DemoPorts},
    seed,
};

/// The running services, and their addresses.
pub(super) struct DemoServices {
    pub(super) github: FakeGithub,
    pub(super) client: Client,
    pub(super) deck: String,
    pub(super) webhook: String,
    pub(super) kubeconfig: PathBuf,
    /// The file with the secret that webhooks are signed with.
    pub(super) hmac: PathBuf,
    /// What the user should know first.
    pub(super) notes: Vec<String>,
    api: ApiServer,
    tasks: ServiceTasks,
    /// While they live, changed files are read again.
    _agents: (ConfigAgent, ConfigAgent<Option<PluginConfiguration>>),
}

impl DemoServices {
    /// Starts everything; it ends with `shutdown`. The receiver gets the error of a service that
    /// ends before that.
    pub(super) async fn start_services(
        options: &DemoOptions,
        data: &Path,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<(Self, mpsc::UnboundedReceiver<anyhow::Error>)> {
        let mut ports = DemoPorts::load_ports(data);
        let hook_port = ports.bind_service(ports::HOOK, options.hook_port)?;
        let deck_port = ports.bind_service(ports::DECK, options.deck_port)?;
        let api_port = ports.bind_service(ports::API, options.api_port)?;
        let github_port = ports.bind_service(ports::GITHUB, options.github_port)?;
        let deck = listener_url(&deck_port)?;
        let webhook = format!("{}/hook", listener_url(&hook_port)?);
        write_config(&data.join("config"), &deck)?;

        let api = ApiServer::start(apiserver::ApiServerOptions {
            db: Some(data.join("cluster.db")),
            logs: data.join("logs"),
        })
        .await?;
        // `cluster.db` is locked now: nobody else uses the folder.
        ports.save_ports()?;
        let kubeconfig = data.join("kubeconfig");
        api.serve_loopback(api_port, shutdown.clone())
            .await?
            .write_kubeconfig(&kubeconfig)?;
        let client = api.in_process_client("default");
        install_crd(&client).await?;

        let github_options = github::FakeGithubOptions {
            data: Some(data.join("github")),
            ..github::FakeGithubOptions::default()
        };
        let github = FakeGithub::start(github_options, github_port, shutdown.clone()).await?;
        let hmac = data.join("hmac");
        let app = seed::create_app(&github, data, &hmac, &webhook).await?;

        let loads = LoadMetrics::default();
        let (agent, config) = service::start_config_agent(&config_options(data)?, &loads)?;
        let (plugin_agent, plugins) = hook::follow_plugins(&plugin_options(data)?, &loads)?;
        let prow = ServiceContexts {
            data,
            client: &client,
            config,
            plugins,
            load_status: agent.watch_status(),
            github: client_options(&github, data, app.app_id)?,
        };
        let (mut tasks, failures) = ServiceTasks::new(shutdown);
        tasks.spawn_service(
            "kubelet",
            kubelet::run_kubelet(kubelet_options(&client, data)?, shutdown.clone()),
        );
        tasks.spawn_service(
            "hook",
            hook::run_hook(
                prow.hook_context(github.url()).await?,
                hook_port,
                shutdown.clone(),
            ),
        );
        let candidate = || lease::LeaderCandidate {
            identity: LEASE_IDENTITY.to_owned(),
            timing: lease::LeaderElectionOptions::default(),
        };
        let plank = plank::run_as_leader(prow.plank_context()?, candidate(), shutdown.clone());
        tasks.spawn_service("plank", plank);
        let crier =
            plank::crier::run_as_leader(prow.crier_context()?, candidate(), shutdown.clone());
        tasks.spawn_service("crier", crier);
        let horologium = plank::horologium::run_as_leader(
            prow.horologium_context(),
            candidate(),
            shutdown.clone(),
        );
        tasks.spawn_service("horologium", horologium);
        tasks.spawn_service(
            "deck",
            deck::run_deck(prow.deck_context()?, deck_port, shutdown.clone()),
        );
        let sinker = sinker::run_as_leader(prow.sinker_context(), candidate(), shutdown.clone());
        tasks.spawn_service("sinker", sinker);
        Ok((
            Self {
                github,
                client,
                deck,
                webhook,
                kubeconfig,
                hmac,
                notes: ports.notes,
                api,
                tasks,
                _agents: (agent, plugin_agent),
            },
            failures,
        ))
    }

    /// Waits until every service has ended, after `shutdown`.
    pub(super) async fn wait_until_stopped(mut self) {
        let all = async { while self.tasks.set.join_next().await.is_some() {} };
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            tracing::warn!("a service does not end");
        }
        self.api.close_store().await;
    }
}

/// The name of the leases' holder. `cluster.db` has one user at a time, so a start after a crash
/// takes the leases back without waiting.
const LEASE_IDENTITY: &str = "demo";

/// How long services may take to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the services' contexts are made from.
struct ServiceContexts<'a> {
    data: &'a Path,
    client: &'a Client,
    config: watch::Receiver<Arc<Config>>,
    plugins: hook::PluginConfigReceiver,
    load_status: watch::Receiver<LoadStatus>,
    github: common::github::GithubOptions,
}

impl ServiceContexts<'_> {
    async fn hook_context(&self, github: &str) -> anyhow::Result<hook::HookContext> {
        let client = common::github::GithubClient::new(&self.github, "hook")?;
        Ok(hook::HookContext {
            config: self.config.clone(),
            plugins: self.plugins.clone(),
            in_repo: hook::InRepoReader::new(
                client.clone(),
                hook::InRepoSettings {
                    git_base: github.to_owned(),
                    dir: Some(self.data.join("mirrors")),
                    ..hook::InRepoSettings::default()
                },
            )?,
            github: client,
            cluster: self.client.clone(),
            inbox: hook::Inbox::open(Some(&self.data.join("hook.db"))).await?,
            secrets: Arc::new(hook::HmacSecretFile::open(self.data.join("hmac"))?),
            metrics: hook::HookMetrics::new(&mut Registry::default()),
            ready: service::ServiceReadiness::default(),
            settings: hook::HookSettings {
                config_status_context: Some("prow/config".to_owned()),
                ..hook::HookSettings::default()
            },
        })
    }

    fn plank_context(&self) -> anyhow::Result<plank::PlankContext> {
        Ok(plank::PlankContext {
            clusters: ClusterClients::single_cluster(self.client.clone()),
            fence: lease::LeaderFence::new_open(),
            config: self.config.clone(),
            metrics: plank::PlankMetrics::new(&mut Registry::default()),
            ready: service::ServiceReadiness::default(),
            tot: None,
            storage_key: Some(self.storage_key()),
            label_selector: String::new(),
            controllers: plank::EnabledControllers {
                plank: true,
                scheduler: true,
            },
            dry_run: false,
        })
    }

    fn crier_context(&self) -> anyhow::Result<plank::crier::CrierContext> {
        Ok(plank::crier::CrierContext {
            clusters: ClusterClients::single_cluster(self.client.clone()),
            config: self.config.clone(),
            github: common::github::GithubClient::new(&self.github, "crier")?,
            slack: plank::crier::SlackClient::new(plank::crier::SLACK_API, BTreeMap::new())?,
            buckets: Arc::new(plank::crier::BucketOpener::new(
                StorageCredentials::default(),
                Some(self.storage_key()),
            )),
            metrics: plank::crier::CrierMetrics::new(&mut Registry::default()),
            ready: service::ServiceReadiness::default(),
            fence: lease::LeaderFence::new_open(),
            settings: plank::crier::CrierSettings {
                github_workers: 4,
                blob_storage_workers: 4,
                kubernetes_blob_storage_workers: 4,
                ..plank::crier::CrierSettings::default()
            },
        })
    }

    fn horologium_context(&self) -> plank::horologium::HorologiumContext {
        plank::horologium::HorologiumContext {
            client: self.client.clone(),
            config: self.config.clone(),
            ready: service::ServiceReadiness::default(),
            timeout_listing_prowjobs: PATIENCE,
            dry_run: false,
        }
    }

    fn deck_context(&self) -> anyhow::Result<deck::DeckContext> {
        let storage = parse_flags::<deck::StorageOptions>(&[
            ("storage-dir", self.data.join("storage")),
            ("storage-key-file", self.storage_key().path().to_owned()),
        ])?;
        Ok(deck::DeckContext {
            clusters: ClusterClients::single_cluster(self.client.clone()),
            config: self.config.clone(),
            load_status: self.load_status.clone(),
            viewer: parse_flags::<deck::VisibilityOptions>(&[])?.resolve_viewer()?,
            storage: storage.open_storage()?,
            credentials: StorageCredentials::default(),
            metrics: deck::DeckMetrics::register_metrics(&mut Registry::default()),
            allowed_hosts: Vec::new(),
            timeout: PATIENCE,
            ready: service::ServiceReadiness::default(),
        })
    }

    /// Deck makes the key at its first start.
    fn storage_key(&self) -> StorageKeyFile {
        StorageKeyFile::new(self.data.join("storage-key"))
    }

    fn sinker_context(&self) -> sinker::SinkerContext {
        sinker::SinkerContext {
            clusters: ClusterClients::single_cluster(self.client.clone()),
            config: self.config.clone(),
            metrics: sinker::SinkerMetrics::register(&mut Registry::default()),
            ready: service::ServiceReadiness::default(),
            dry_run: false,
            run_once: false,
        }
    }
}

/// Options as these flags give them, so that every default comes from one place.
fn parse_flags<O: clap::Args>(flags: &[(&str, PathBuf)]) -> anyhow::Result<O> {
    let flags = flags
        .iter()
        .map(|(name, path)| format!("--{name}={}", path.display()).into());
    Ok(service::flags::parse_flags("demo", flags)?)
}

fn client_options(
    github: &FakeGithub,
    data: &Path,
    app: u64,
) -> anyhow::Result<common::github::GithubOptions> {
    Ok(common::github::GithubOptions {
        github_endpoint: vec![github.url().to_owned()],
        github_app_id: Some(app.to_string()),
        ..parse_flags(&[("github-app-private-key-path", data.join("app.pem"))])?
    })
}

fn config_options(data: &Path) -> anyhow::Result<config::ConfigOptions> {
    parse_flags(&[("config-path", data.join("config/config.yaml"))])
}

fn plugin_options(data: &Path) -> anyhow::Result<config::plugins::PluginOptions> {
    parse_flags(&[("plugin-config", data.join("config/plugins.yaml"))])
}

fn kubelet_options(client: &Client, data: &Path) -> anyhow::Result<kubelet::KubeletOptions> {
    let exe = std::env::current_exe().context("finding this program's own file")?;
    let images: BTreeMap<String, UtilityImage> = UTILITIES
        .iter()
        .map(|name| {
            (
                format!("{name}:demo"),
                UtilityImage {
                    binary: exe.clone(),
                    argv0: (*name).to_owned(),
                },
            )
        })
        .collect();
    Ok(kubelet::KubeletOptions {
        client: client.clone(),
        exe,
        images,
        state: data.join("kubelet"),
        logs: data.join("logs"),
        isolation: Isolation::Auto,
    })
}

async fn install_crd(client: &Client) -> anyhow::Result<()> {
    let crd = prowjob::build_prowjob_crd();
    let name = crd
        .metadata
        .name
        .clone()
        .expect("a generated CRD has a name");
    Api::<CustomResourceDefinition>::all(client.clone())
        .patch(
            &name,
            &PatchParams::apply("prow-demo").force(),
            &Patch::Apply(&crd),
        )
        .await
        .context("installing the CRD")?;
    Ok(())
}

/// The services, each in a task of its own.
struct ServiceTasks {
    set: JoinSet<()>,
    shutdown: CancellationToken,
    failures: mpsc::UnboundedSender<anyhow::Error>,
}

impl ServiceTasks {
    fn new(shutdown: &CancellationToken) -> (Self, mpsc::UnboundedReceiver<anyhow::Error>) {
        let (failures, receiver) = mpsc::unbounded_channel();
        (
            Self {
                set: JoinSet::new(),
                shutdown: shutdown.clone(),
                failures,
            },
            receiver,
        )
    }

    /// A service that ends before shutdown is a failure, whatever it returns.
    fn spawn_service(
        &mut self,
        name: &'static str,
        service: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let (shutdown, failures) = (self.shutdown.clone(), self.failures.clone());
        self.set.spawn(async move {
            let outcome = service.await.and_then(|()| {
                anyhow::ensure!(shutdown.is_cancelled(), "it has ended");
                Ok(())
            });
            if let Err(error) = outcome {
                tracing::error!(error = format!("{error:#}"), "{name} ends");
                // Nobody receives it once the demo itself ends.
                let _ = failures.send(error.context(name));
            }
        });
    }
}

fn listener_url(listener: &TcpListener) -> anyhow::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}
