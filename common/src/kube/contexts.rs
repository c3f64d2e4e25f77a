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

use super::Options;

mod usual;

/// What the files of [`Options`] say, or where it names none, those that kubectl takes.
#[derive(Clone, Debug, Default)]
pub(super) struct Contexts {
    /// Each context with its file, by its name.
    pub(super) all: BTreeMap<String, ContextFile>,
    /// The `current-context` of each file that has one, in the order of the files.
    pub(super) currents: Vec<String>,
}

/// A context and the file it is one of.
#[derive(Clone, Debug)]
pub(super) struct ContextFile {
    name: String,
    file: Arc<Kubeconfig>,
}

/// What a client is made of, as text: two that are equal make the same client.
pub(super) type Origin = Arc<str>;

impl Contexts {
    /// Two contexts of one name are an error in files that are named, as in Prow.
    pub(super) fn read(options: &Options) -> anyhow::Result<Self> {
        if !options.names_files() {
            return Self::merged(&usual::files());
        }
        let mut contexts = Self::default();
        for path in files(options)? {
            contexts.add(read(&path)?, &path)?;
        }
        Ok(contexts)
    }

    /// Of files that are one to kubectl: what the first says of a name holds.
    fn merged(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut contexts = Self::default();
        let mut all = Kubeconfig::default();
        for path in paths {
            all = all.merge(read(path)?)?;
        }
        contexts.add(all, paths.last().map_or(Path::new(""), PathBuf::as_path))?;
        Ok(contexts)
    }

    /// As [`Self::read`], for a start: what nobody has named need not be a kubeconfig.
    pub(super) fn read_first(options: &Options) -> anyhow::Result<Self> {
        match Self::read(options) {
            Err(error) if !options.names_files() => Ok(Self::none(&error)),
            read => read,
        }
    }

    /// What is known of files that nobody named and that cannot be used.
    pub(super) fn none(error: &impl fmt::Display) -> Self {
        tracing::warn!("no clusters are taken from $KUBECONFIG or ~/.kube/config: {error:#}");
        Self::default()
    }

    fn add(&mut self, file: Kubeconfig, path: &Path) -> anyhow::Result<()> {
        let file = Arc::new(file);
        let current = file.current_context.clone();
        self.currents
            .extend(current.filter(|name| !name.is_empty()));
        for context in &file.contexts {
            let name = context.name.clone();
            let file = Arc::clone(&file);
            let entry = ContextFile {
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

    /// The infrastructure cluster of a process that runs in none: the `current-context` of the
    /// last file, as in Prow; one that is disabled does not count.
    pub(super) fn current(&self, disabled: &[String]) -> anyhow::Result<Option<&ContextFile>> {
        let mut names = self.currents.iter().rev();
        let Some(name) = names.find(|name| !disabled.contains(name)) else {
            return Ok(None);
        };
        let found = self.all.get(name);
        found
            .map(Some)
            .with_context(|| format!("current-context {name}: no kubeconfig has such a context"))
    }

    /// By name, what the client of each context is made of.
    pub(super) fn origins(&self) -> BTreeMap<String, Origin> {
        let all = self.all.iter();
        all.map(|(name, context)| (name.clone(), context.origin()))
            .collect()
    }
}

impl ContextFile {
    /// The parts of the file that this context is made of, and what is in the files they name.
    pub(super) fn origin(&self) -> Origin {
        let (cluster, user) = (self.cluster(), self.user());
        let files = self.referenced().map(|path| content(&path));
        let files: Vec<_> = files.collect();
        let context = self.file.contexts.iter().find(|it| it.name == self.name);
        format!("{context:?}{cluster:?}{}{files:?}", user_text(user)).into()
    }

    /// The address of the API.
    pub(super) fn server(&self) -> Option<&str> {
        self.cluster()?.cluster.as_ref()?.server.as_deref()
    }

    pub(super) async fn config(&self) -> anyhow::Result<Config> {
        let options = KubeConfigOptions {
            context: Some(self.name.clone()),
            ..KubeConfigOptions::default()
        };
        let file = Kubeconfig::clone(&self.file);
        Ok(Config::from_custom_kubeconfig(file, &options).await?)
    }

    fn parts(&self) -> Option<&kube::config::Context> {
        let mut contexts = self.file.contexts.iter();
        contexts.find(|it| it.name == self.name)?.context.as_ref()
    }

    fn cluster(&self) -> Option<&NamedCluster> {
        let name = &self.parts()?.cluster;
        self.file.clusters.iter().find(|it| it.name == *name)
    }

    fn user(&self) -> Option<&NamedAuthInfo> {
        let name = self.parts()?.user.as_ref()?;
        self.file.auth_infos.iter().find(|it| it.name == *name)
    }

    /// Files that are read once, when a client is made. A token's file is read again by the
    /// client itself.
    fn referenced(&self) -> impl Iterator<Item = PathBuf> {
        let cluster = self.cluster().and_then(|it| it.cluster.as_ref());
        let user = self.user().and_then(|it| it.auth_info.as_ref());
        let files = [
            cluster.and_then(|it| it.certificate_authority.as_ref()),
            user.and_then(|it| it.client_certificate.as_ref()),
            user.and_then(|it| it.client_key.as_ref()),
        ];
        files.into_iter().flatten().map(PathBuf::from)
    }
}

/// The files and folders that say which clusters there are.
pub(super) fn places(options: &Options) -> Vec<PathBuf> {
    if !options.names_files() {
        return usual::files();
    }
    let named = options.kubeconfig.iter().chain(&options.kubeconfig_dir);
    named.cloned().collect()
}

fn read(path: &Path) -> anyhow::Result<Kubeconfig> {
    Kubeconfig::read_from(path).with_context(|| format!("reading kubeconfig {}", path.display()))
}

/// With its secrets, which its `Debug` form leaves out: a new token is another user.
fn user_text(user: Option<&NamedAuthInfo>) -> String {
    serde_json::to_string(&user).unwrap_or_default()
}

/// A number that is another when the file is; none for one that cannot be read.
fn content(path: &Path) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    fs::read(path).ok()?.hash(&mut hasher);
    Some(hasher.finish())
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

#[cfg(test)]
pub(super) mod tests;
