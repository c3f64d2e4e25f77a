//! Every service, and what stands in for GitHub and the cluster, in this process.
//!
//! Made as an installation's administrator would make it: accounts, the App, a configuration,
//! the CRD. The services hear of each other by sockets and by the API, as they do anywhere.

use std::{
    collections::BTreeMap,
    future::Future,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use common::{
    config::{self, Agent, Config, LoadMetrics, LoadStatus, plugins::Plugins},
    kube::Clusters,
    prowjob,
    service::{self, lease},
    storage::{Credentials, token::keys::KeyFile},
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use local::{
    apiserver::{self, ApiServer},
    github::{self, Github},
    kubelet::{self, Isolation, Utility},
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use prometheus_client::registry::Registry;

use super::{
    config::{UTILITIES, write as write_config},
    options::Options,
    ports::{self, Ports},
    seed,
};

/// What is running, and where.
pub(super) struct Services {
    pub(super) github: Github,
    pub(super) client: Client,
    pub(super) deck: String,
    pub(super) webhook: String,
    pub(super) kubeconfig: PathBuf,
    /// Of the secret that webhooks are signed with.
    pub(super) hmac: PathBuf,
    /// What the user should know before anything else.
    pub(super) notes: Vec<String>,
    api: ApiServer,
    tasks: Tasks,
    /// As long as they live, changed files are read again.
    _agents: (Agent, Agent<Option<Plugins>>),
}

impl Services {
    /// Starts everything; ends with `shutdown`. The receiver hears of a service that ended
    /// before that.
    pub(super) async fn start(
        options: &Options,
        data: &Path,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<(Self, mpsc::UnboundedReceiver<anyhow::Error>)> {
        let mut ports = Ports::of(data);
        let hook_port = ports.listen(ports::HOOK, options.hook_port)?;
        let deck_port = ports.listen(ports::DECK, options.deck_port)?;
        let api_port = ports.listen(ports::API, options.api_port)?;
        let github_port = ports.listen(ports::GITHUB, options.github_port)?;
        let deck = url(&deck_port)?;
        let webhook = format!("{}/hook", url(&hook_port)?);
        write_config(&data.join("config"), &deck)?;

        let api = ApiServer::start(apiserver::Options {
            db: Some(data.join("cluster.db")),
            logs: data.join("logs"),
        })
        .await?;
        // Nobody else uses the folder.
        ports.keep()?;
        let kubeconfig = data.join("kubeconfig");
        api.serve(api_port, shutdown.clone())
            .await?
            .write_kubeconfig(&kubeconfig)?;
        let client = api.client("default");
        install_crd(&client).await?;

        let github_options = github::Options {
            data: Some(data.join("github")),
            ..github::Options::default()
        };
        let github = Github::start(github_options, github_port, shutdown.clone()).await?;
        let hmac = data.join("hmac");
        let app = seed::app(&github, data, &hmac, &webhook).await?;

        let loads = LoadMetrics::default();
        let (agent, config) = service::configure(&config_options(data)?, &loads)?;
        let (plugin_agent, plugins) = hook::follow_plugins(&plugin_options(data)?, &loads)?;
        let prow = Prow {
            data,
            client: &client,
            config,
            plugins,
            load_status: agent.status(),
            github: client_options(&github, data, app.app_id)?,
        };
        let (mut tasks, failures) = Tasks::new(shutdown);
        tasks.run(
            "kubelet",
            kubelet::run(kubelet(&client, data)?, shutdown.clone()),
        );
        tasks.run(
            "hook",
            hook::run(prow.hook(github.url()).await?, hook_port, shutdown.clone()),
        );
        let candidate = || lease::Candidate {
            identity: IDENTITY.to_owned(),
            timing: lease::Timing::default(),
        };
        let plank = plank::lead(prow.plank()?, candidate(), shutdown.clone());
        tasks.run("plank", plank);
        let crier = plank::crier::lead(prow.crier()?, candidate(), shutdown.clone());
        tasks.run("crier", crier);
        let horologium = plank::horologium::lead(prow.horologium(), candidate(), shutdown.clone());
        tasks.run("horologium", horologium);
        tasks.run("deck", deck::run(prow.deck()?, deck_port, shutdown.clone()));
        let sinker = sinker::lead(prow.sinker(), candidate(), shutdown.clone());
        tasks.run("sinker", sinker);
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
    pub(super) async fn stopped(mut self) {
        let all = async { while self.tasks.set.join_next().await.is_some() {} };
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            tracing::warn!("a service does not end");
        }
        self.api.close().await;
    }
}

/// Who holds the leases. Of the cluster's file there is one user at a time, so a start after a
/// crash takes them back without waiting.
const IDENTITY: &str = "demo";

/// How long services may take to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the services of this process are made of.
struct Prow<'a> {
    data: &'a Path,
    client: &'a Client,
    config: watch::Receiver<Arc<Config>>,
    plugins: hook::PluginConfig,
    load_status: watch::Receiver<LoadStatus>,
    github: common::github::Options,
}

impl Prow<'_> {
    async fn hook(&self, github: &str) -> anyhow::Result<hook::Context> {
        let client = common::github::Client::new(&self.github, "hook")?;
        Ok(hook::Context {
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
            secrets: Arc::new(hook::SecretFile::open(self.data.join("hmac"))?),
            metrics: hook::Metrics::new(&mut Registry::default()),
            ready: service::Ready::default(),
            settings: hook::Settings {
                config_status_context: Some("prow/config".to_owned()),
                ..hook::Settings::default()
            },
        })
    }

    fn plank(&self) -> anyhow::Result<plank::Context> {
        Ok(plank::Context {
            clusters: Clusters::single(self.client.clone()),
            fence: lease::Fence::open(),
            config: self.config.clone(),
            metrics: plank::Metrics::new(&mut Registry::default()),
            ready: service::Ready::default(),
            tot: None,
            storage_key: Some(self.storage_key()),
            label_selector: String::new(),
            controllers: plank::Controllers {
                plank: true,
                scheduler: true,
            },
            dry_run: false,
        })
    }

    fn crier(&self) -> anyhow::Result<plank::crier::Context> {
        Ok(plank::crier::Context {
            clusters: Clusters::single(self.client.clone()),
            config: self.config.clone(),
            github: common::github::Client::new(&self.github, "crier")?,
            slack: plank::crier::Slack::new(plank::crier::SLACK_API, BTreeMap::new())?,
            buckets: Arc::new(plank::crier::Buckets::new(
                Credentials::default(),
                Some(self.storage_key()),
            )),
            metrics: plank::crier::Metrics::new(&mut Registry::default()),
            ready: service::Ready::default(),
            fence: lease::Fence::open(),
            settings: plank::crier::Settings {
                github_workers: 4,
                blob_storage_workers: 4,
                kubernetes_blob_storage_workers: 4,
                ..plank::crier::Settings::default()
            },
        })
    }

    fn horologium(&self) -> plank::horologium::Context {
        plank::horologium::Context {
            client: self.client.clone(),
            config: self.config.clone(),
            ready: service::Ready::default(),
            timeout_listing_prowjobs: PATIENCE,
            dry_run: false,
        }
    }

    fn deck(&self) -> anyhow::Result<deck::Context> {
        let storage = parse::<deck::StorageOptions>(&[
            ("storage-dir", self.data.join("storage")),
            ("storage-key-file", self.storage_key().path().to_owned()),
        ])?;
        Ok(deck::Context {
            clusters: Clusters::single(self.client.clone()),
            config: self.config.clone(),
            load_status: self.load_status.clone(),
            viewer: parse::<deck::VisibilityOptions>(&[])?.viewer()?,
            storage: storage.open()?,
            credentials: Credentials::default(),
            metrics: deck::Metrics::register(&mut Registry::default()),
            allowed_hosts: Vec::new(),
            timeout: PATIENCE,
            ready: service::Ready::default(),
        })
    }

    /// Deck makes it at the first start.
    fn storage_key(&self) -> KeyFile {
        KeyFile::new(self.data.join("storage-key"))
    }

    fn sinker(&self) -> sinker::Context {
        sinker::Context {
            clusters: Clusters::single(self.client.clone()),
            config: self.config.clone(),
            metrics: sinker::Metrics::register(&mut Registry::default()),
            ready: service::Ready::default(),
            dry_run: false,
            run_once: false,
        }
    }
}

/// Options as their own flags give them, so that each has its default from one place.
fn parse<O: clap::Args>(flags: &[(&str, PathBuf)]) -> anyhow::Result<O> {
    let flags = flags
        .iter()
        .map(|(name, path)| format!("--{name}={}", path.display()).into());
    Ok(service::flags::parse("demo", flags)?)
}

fn client_options(
    github: &Github,
    data: &Path,
    app: u64,
) -> anyhow::Result<common::github::Options> {
    Ok(common::github::Options {
        github_endpoint: vec![github.url().to_owned()],
        github_app_id: Some(app.to_string()),
        ..parse(&[("github-app-private-key-path", data.join("app.pem"))])?
    })
}

fn config_options(data: &Path) -> anyhow::Result<config::Options> {
    parse(&[("config-path", data.join("config/config.yaml"))])
}

fn plugin_options(data: &Path) -> anyhow::Result<config::plugins::Options> {
    parse(&[("plugin-config", data.join("config/plugins.yaml"))])
}

fn kubelet(client: &Client, data: &Path) -> anyhow::Result<kubelet::Options> {
    let exe = std::env::current_exe().context("finding this program's own file")?;
    let images: BTreeMap<String, Utility> = UTILITIES
        .iter()
        .map(|name| {
            (
                format!("{name}:demo"),
                Utility {
                    binary: exe.clone(),
                    argv0: (*name).to_owned(),
                },
            )
        })
        .collect();
    Ok(kubelet::Options {
        client: client.clone(),
        exe,
        images,
        state: data.join("kubelet"),
        logs: data.join("logs"),
        isolation: Isolation::Auto,
    })
}

async fn install_crd(client: &Client) -> anyhow::Result<()> {
    let crd = prowjob::crd();
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
struct Tasks {
    set: JoinSet<()>,
    shutdown: CancellationToken,
    failures: mpsc::UnboundedSender<anyhow::Error>,
}

impl Tasks {
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

    /// A service that ends while it should run is a failure, whatever it says.
    fn run(
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
                // Nobody listens once the demo itself ends.
                let _ = failures.send(error.context(name));
            }
        });
    }
}

fn url(listener: &TcpListener) -> anyhow::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}
