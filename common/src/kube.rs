//! Clients of the clusters: one that holds the `ProwJob`s, and one a build cluster.

mod client;
mod follow;
mod guard;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig, NamedAuthInfo},
};

pub use guard::DeserializeGuard;

use crate::{duration::GoDuration, prowjob::DEFAULT_CLUSTER, service::lease::Fence};

/// Prow's flags for finding clusters.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Path to a kubeconfig file; each of its contexts is a build cluster.
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
    /// Folder of kubeconfig files, read like --kubeconfig.
    #[arg(long)]
    pub kubeconfig_dir: Option<PathBuf>,
    /// Only files of --kubeconfig-dir that end like this are read.
    #[arg(long, default_value = "")]
    pub kubeconfig_suffix: String,
    /// Token file that replaces the service account's in-cluster one.
    #[arg(long)]
    pub projected_token_file: Option<PathBuf>,
    /// Do not use the cluster this process runs in.
    #[arg(
        long,
        value_parser = crate::service::flags::boolean,
        default_value = "false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub no_in_cluster_config: bool,
    #[command(flatten)]
    pub timeouts: Timeouts,
}

/// How long a cluster may be silent. Not Prow's; 0 is for ever.
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(skip)]
pub struct Timeouts {
    /// Longest wait for a cluster's answer, and between two pieces of it. Not Prow's.
    #[arg(
        long = "kubernetes-client.request-timeout",
        value_name = "DURATION",
        default_value = "20s"
    )]
    pub request: GoDuration,
    /// Longest silence of a watch, which the API breaks about every minute. Not Prow's.
    #[arg(
        long = "kubernetes-client.watch-timeout",
        value_name = "DURATION",
        default_value = "2m"
    )]
    pub watch: GoDuration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            request: GoDuration::from_secs(20),
            watch: GoDuration::from_secs(120),
        }
    }
}

/// The clusters of an installation.
#[derive(Clone)]
pub struct Clusters {
    /// Where `ProwJob`s are.
    pub infra: Client,
    /// Where pods run, by the name jobs use in `cluster`. `default` is always there and is
    /// one cluster, never a second copy of the infrastructure cluster's client.
    pub build: BTreeMap<String, Client>,
    /// What each client of `build` was made of, as text.
    origins: BTreeMap<String, Arc<str>>,
}

impl Clusters {
    /// One cluster for everything.
    pub fn single(client: Client) -> Self {
        Self {
            build: BTreeMap::from([(DEFAULT_CLUSTER.to_owned(), client.clone())]),
            infra: client,
            origins: BTreeMap::new(),
        }
    }

    /// Finds the clusters as Prow does: the infrastructure cluster is the one this process runs
    /// in, else the current context; `default` is a context of that name, else the same.
    ///
    /// Two contexts of one name are an error.
    pub async fn load(options: &Options) -> anyhow::Result<Self> {
        let contexts = contexts(options)?;
        let infra = infra_config(options, &contexts).await?;
        let infra = client::client(infra, options.timeouts)
            .context("client of the infrastructure cluster")?;
        Ok(Self::of(infra, &contexts, options.timeouts, None).await)
    }

    /// Clients of all contexts; those of `before` whose context is still the same are kept. A
    /// context that no client can be made of is left out and logged: the others go on.
    async fn of(
        infra: Client,
        contexts: &Contexts,
        timeouts: Timeouts,
        before: Option<&Self>,
    ) -> Self {
        let mut all = Self {
            infra,
            build: BTreeMap::new(),
            origins: BTreeMap::new(),
        };
        for (name, kubeconfig) in contexts {
            let origin = origin(name, kubeconfig);
            let kept = before.filter(|before| before.origins.get(name) == Some(&origin));
            let client = match kept.and_then(|before| before.build_client(name)) {
                Some(client) => Ok(client.clone()),
                None => context_client(name, kubeconfig, timeouts).await,
            };
            match client {
                Ok(client) => {
                    all.build.insert(name.clone(), client);
                    all.origins.insert(name.clone(), origin);
                }
                Err(error) => {
                    tracing::error!(cluster = name, "the build cluster is left out: {error:#}");
                }
            }
        }
        let infra = all.infra.clone();
        all.build.entry(DEFAULT_CLUSTER.to_owned()).or_insert(infra);
        all
    }

    /// Whether the build cluster of this name is the same in `other`, by the same credentials.
    pub fn has_same(&self, other: &Self, alias: &str) -> bool {
        let is_there = |it: &Self| it.build.contains_key(alias);
        is_there(self) && is_there(other) && self.origins.get(alias) == other.origins.get(alias)
    }

    /// The same clusters through clients that refuse to write once `fence` is closed.
    #[must_use]
    pub fn fenced(&self, fence: &Fence) -> Self {
        let infra = fence.client(&self.infra);
        let build = self.build.iter();
        Self {
            build: build
                .map(|(alias, client)| (alias.clone(), fence.client(client)))
                .collect(),
            infra,
            origins: self.origins.clone(),
        }
    }

    pub fn build_client(&self, alias: &str) -> Option<&Client> {
        self.build.get(alias)
    }
}

/// Build clusters by name, each with the file it is a context of.
type Contexts = BTreeMap<String, Kubeconfig>;

/// Every context of the files that `options` name, with its file.
fn contexts(options: &Options) -> anyhow::Result<Contexts> {
    let mut all = BTreeMap::new();
    for path in files(options)? {
        let kubeconfig = Kubeconfig::read_from(&path)
            .with_context(|| format!("reading kubeconfig {}", path.display()))?;
        for context in kubeconfig.contexts.clone() {
            if all
                .insert(context.name.clone(), kubeconfig.clone())
                .is_some()
            {
                bail!(
                    "context {} is defined twice, the second time in {}",
                    context.name,
                    path.display()
                );
            }
        }
    }
    Ok(all)
}

fn files(options: &Options) -> anyhow::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = options.kubeconfig.iter().cloned().collect();
    if let Some(folder) = &options.kubeconfig_dir {
        let entries = folder
            .read_dir()
            .with_context(|| format!("listing {}", folder.display()))?;
        let mut found = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.is_file() && is_wanted(&path, &options.kubeconfig_suffix) {
                found.push(path);
            }
        }
        found.sort();
        files.extend(found);
    }
    Ok(files)
}

/// Mounted `ConfigMap`s and Secrets keep their plumbing in names that begin with two dots.
fn is_wanted(path: &Path, suffix: &str) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| !name.starts_with("..") && name.ends_with(suffix))
}

async fn infra_config(options: &Options, contexts: &Contexts) -> anyhow::Result<Config> {
    let in_cluster = (!options.no_in_cluster_config)
        .then(Config::incluster)
        .and_then(Result::ok);
    if let Some(mut config) = in_cluster {
        if let Some(file) = &options.projected_token_file {
            config.auth_info.token_file = Some(file.display().to_string());
        }
        return Ok(config);
    }
    match contexts
        .values()
        .find(|kubeconfig| kubeconfig.current_context.is_some())
    {
        Some(kubeconfig) => context_config(kubeconfig.clone(), None).await,
        // What kubectl would take: $KUBECONFIG, else the one in the home folder.
        None => Config::from_kubeconfig(&KubeConfigOptions::default())
            .await
            .context("no cluster: run in one, or give --kubeconfig a file with a current-context"),
    }
}

async fn context_client(
    name: &str,
    kubeconfig: &Kubeconfig,
    timeouts: Timeouts,
) -> anyhow::Result<Client> {
    let config = context_config(kubeconfig.clone(), Some(name.to_owned())).await?;
    Ok(client::client(config, timeouts)?)
}

/// The parts of a file that its context `name` is made of, to be compared.
fn origin(name: &str, kubeconfig: &Kubeconfig) -> Arc<str> {
    let context = kubeconfig.contexts.iter().find(|it| it.name == name);
    let parts = context.and_then(|it| it.context.as_ref());
    let cluster = parts.and_then(|it| {
        let mut all = kubeconfig.clusters.iter();
        all.find(|cluster| cluster.name == it.cluster)
    });
    let user = parts.and_then(|it| {
        let mut all = kubeconfig.auth_infos.iter();
        all.find(|user| Some(&user.name) == it.user.as_ref())
    });
    format!("{context:?}{cluster:?}{}", user_text(user)).into()
}

/// With its secrets, which its `Debug` form leaves out: a new token is another user.
fn user_text(user: Option<&NamedAuthInfo>) -> String {
    serde_json::to_string(&user).unwrap_or_default()
}

async fn context_config(kubeconfig: Kubeconfig, context: Option<String>) -> anyhow::Result<Config> {
    let options = KubeConfigOptions {
        context,
        ..KubeConfigOptions::default()
    };
    Ok(Config::from_custom_kubeconfig(kubeconfig, &options).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn kubeconfig(names: &[&str], current: &str) -> String {
        let entries = |kind: &str| -> String {
            names
                .iter()
                .map(|name| format!("- name: {name}\n  {kind}\n"))
                .collect()
        };
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {current}\nclusters:\n{}contexts:\n{}",
            entries("cluster: {server: 'http://127.0.0.1:1'}"),
            entries(&format!("context: {{cluster: {}}}", names[0])),
        )
    }

    #[tokio::test]
    async fn every_context_is_a_build_cluster_and_default_is_always_there() {
        crate::service::install_crypto();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.yaml"), kubeconfig(&["a", "b"], "a")).unwrap();
        std::fs::write(folder.path().join("..data"), "not yaml: [").unwrap();
        let options = Options {
            kubeconfig_dir: Some(folder.path().into()),
            ..Options::default()
        };
        let clusters = Clusters::load(&options).await.unwrap();
        assert_eq!(
            clusters.build.keys().collect::<Vec<_>>(),
            ["a", "b", "default"]
        );

        std::fs::write(folder.path().join("b.yaml"), kubeconfig(&["b"], "b")).unwrap();
        let refusal = Clusters::load(&options).await.err().unwrap().to_string();
        assert!(refusal.contains("context b is defined twice"), "{refusal}");
    }
}
