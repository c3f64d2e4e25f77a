//! The contexts of kubeconfig files: which build clusters there are, and with what credentials.

use std::{
    collections::BTreeMap,
    fmt, fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use kube::{
    Config,
    config::{KubeConfigOptions, Kubeconfig, NamedAuthInfo, NamedCluster},
};

use super::KubernetesOptions;

mod default_files;

/// The contexts of the files of [`KubernetesOptions`], or else of the files that kubectl uses.
#[derive(Clone, Debug, Default)]
pub(super) struct KubeconfigContexts {
    /// Each context with its file, by name.
    pub(super) all: BTreeMap<String, KubeconfigContext>,
    /// The `current-context` of each file that has one, in the order of the files.
    pub(super) currents: Vec<String>,
}

/// A context and its file.
#[derive(Clone, Debug)]
pub(super) struct KubeconfigContext {
    name: String,
    file: Arc<Kubeconfig>,
}

/// Everything that a client is made from, as text: equal texts make equal clients.
pub(super) type ContextFingerprint = Arc<str>;

impl KubeconfigContexts {
    /// In files that the options name, two contexts of one name are an error, as in Prow.
    pub(super) fn read_kubeconfigs(options: &KubernetesOptions) -> anyhow::Result<Self> {
        if !options.names_files() {
            return Self::merge_kubeconfigs(&default_files::default_kubeconfig_files());
        }
        let mut contexts = Self::default();
        for path in list_kubeconfig_files(options)? {
            contexts.add_kubeconfig(read_kubeconfig(&path)?, &path)?;
        }
        Ok(contexts)
    }

    /// Merges files as kubectl does: the first entry of a name wins.
    fn merge_kubeconfigs(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut contexts = Self::default();
        let mut all = Kubeconfig::default();
        for path in paths {
            all = all.merge(read_kubeconfig(path)?)?;
        }
        contexts.add_kubeconfig(all, paths.last().map_or(Path::new(""), PathBuf::as_path))?;
        Ok(contexts)
    }

    /// As [`Self::read_kubeconfigs`], at the start: unusable default files are a warning.
    pub(super) fn read_at_start(options: &KubernetesOptions) -> anyhow::Result<Self> {
        match Self::read_kubeconfigs(options) {
            Err(error) if !options.names_files() => Ok(Self::warn_and_default(&error)),
            read => read,
        }
    }

    /// The empty result for default files that cannot be used, with a warning.
    pub(super) fn warn_and_default(error: &impl fmt::Display) -> Self {
        tracing::warn!("no clusters are taken from $KUBECONFIG or ~/.kube/config: {error:#}");
        Self::default()
    }

    fn add_kubeconfig(&mut self, file: Kubeconfig, path: &Path) -> anyhow::Result<()> {
        let file = Arc::new(file);
        let current = file.current_context.clone();
        self.currents
            .extend(current.filter(|name| !name.is_empty()));
        for context in &file.contexts {
            let name = context.name.clone();
            let file = Arc::clone(&file);
            let entry = KubeconfigContext {
                name: name.clone(),
                file,
            };
            if self.all.insert(name.clone(), entry).is_some() {
                bail!(
                    "context {name} is defined twice, the second time in {}",
                    path.display()
                );
            }
        }
        Ok(())
    }

    /// The infrastructure cluster of a process outside of any cluster: the `current-context` of the
    /// last file, as in Prow, without disabled ones.
    pub(super) fn current_context(
        &self,
        disabled: &[String],
    ) -> anyhow::Result<Option<&KubeconfigContext>> {
        let mut names = self.currents.iter().rev();
        let Some(name) = names.find(|name| !disabled.contains(name)) else {
            return Ok(None);
        };
        let found = self.all.get(name);
        found
            .map(Some)
            .with_context(|| format!("current-context {name}: no kubeconfig has such a context"))
    }

    /// The fingerprint of each context, by name.
    pub(super) fn context_fingerprints(&self) -> BTreeMap<String, ContextFingerprint> {
        let all = self.all.iter();
        all.map(|(name, context)| (name.clone(), context.compute_fingerprint()))
            .collect()
    }
}

impl KubeconfigContext {
    /// The parts of the file that make up this context, and the contents of files that they name.
    pub(super) fn compute_fingerprint(&self) -> ContextFingerprint {
        let (cluster, user) = (self.find_cluster(), self.find_user());
        let files = self.referenced_files().map(|path| hash_file(&path));
        let files: Vec<_> = files.collect();
        let context = self.file.contexts.iter().find(|it| it.name == self.name);
        format!("{context:?}{cluster:?}{}{files:?}", user_text(user)).into()
    }

    /// The URL of the API.
    pub(super) fn server_url(&self) -> Option<&str> {
        self.find_cluster()?.cluster.as_ref()?.server.as_deref()
    }

    pub(super) async fn client_config(&self) -> anyhow::Result<Config> {
        let options = KubeConfigOptions {
            context: Some(self.name.clone()),
            ..KubeConfigOptions::default()
        };
        let file = Kubeconfig::clone(&self.file);
        Ok(Config::from_custom_kubeconfig(file, &options).await?)
    }

    fn find_context(&self) -> Option<&kube::config::Context> {
        let mut contexts = self.file.contexts.iter();
        contexts.find(|it| it.name == self.name)?.context.as_ref()
    }

    fn find_cluster(&self) -> Option<&NamedCluster> {
        let name = &self.find_context()?.cluster;
        self.file.clusters.iter().find(|it| it.name == *name)
    }

    fn find_user(&self) -> Option<&NamedAuthInfo> {
        let name = self.find_context()?.user.as_ref()?;
        self.file.auth_infos.iter().find(|it| it.name == *name)
    }

    /// The files that are read once, when a client is made. The client itself reads a token file
    /// again.
    fn referenced_files(&self) -> impl Iterator<Item = PathBuf> {
        let cluster = self.find_cluster().and_then(|it| it.cluster.as_ref());
        let user = self.find_user().and_then(|it| it.auth_info.as_ref());
        let files = [
            cluster.and_then(|it| it.certificate_authority.as_ref()),
            user.and_then(|it| it.client_certificate.as_ref()),
            user.and_then(|it| it.client_key.as_ref()),
        ];
        files.into_iter().flatten().map(PathBuf::from)
    }
}

/// The files and folders that list the clusters.
pub(super) fn kubeconfig_paths(options: &KubernetesOptions) -> Vec<PathBuf> {
    if !options.names_files() {
        return default_files::default_kubeconfig_files();
    }
    let named = options.kubeconfig.iter().chain(&options.kubeconfig_dir);
    named.cloned().collect()
}

fn read_kubeconfig(path: &Path) -> anyhow::Result<Kubeconfig> {
    Kubeconfig::read_from(path).with_context(|| format!("reading kubeconfig {}", path.display()))
}

/// The user with its secrets, which the `Debug` form omits, so that a new token changes the text.
fn user_text(user: Option<&NamedAuthInfo>) -> String {
    serde_json::to_string(&user).unwrap_or_default()
}

/// A hash of the file's content; `None` if it cannot be read.
fn hash_file(path: &Path) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    fs::read(path).ok()?.hash(&mut hasher);
    Some(hasher.finish())
}

fn list_kubeconfig_files(options: &KubernetesOptions) -> anyhow::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = options.kubeconfig.iter().cloned().collect();
    if let Some(folder) = &options.kubeconfig_dir {
        let entries = folder
            .read_dir()
            .with_context(|| format!("listing {}", folder.display()))?;
        let mut found = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.is_file() && is_kubeconfig_name(&path, &options.kubeconfig_suffix) {
                found.push(path);
            }
        }
        found.sort();
        files.extend(found);
    }
    Ok(files)
}

/// In mounted `ConfigMap`s and Secrets, names that begin with two dots are Kubernetes' own.
fn is_kubeconfig_name(path: &Path, suffix: &str) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| !name.starts_with("..") && name.ends_with(suffix))
}

#[cfg(test)]
pub(super) mod tests;
