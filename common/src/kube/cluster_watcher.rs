//! Keeps the clusters in line with their kubeconfig files: makes clients, checks permissions, and
//! repeats both where they fail.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kube::Client;
use prometheus_client::metrics::{family::Family, gauge::Gauge};
use tokio::{sync::watch, task::JoinSet};

use super::{
    BuildClusterClient, BuildClusterClients, ClusterClients, ClusterObstacle, KubernetesOptions,
    KubernetesTimeouts, RequiredPermissions,
    attempt::ConnectionAttempt,
    cluster_registry::{AttemptOutcome, ClusterRegistry, DueAttempt},
    contexts::{self, KubeconfigContexts},
    infra::{self, InfraCluster},
};
use crate::{
    config::{Config, ConfigAgent, ConfigErrors, Diagnostic, LoadMetrics, ReloadableFiles},
    service::Instrumentation,
};

/// How often files that a kubeconfig names are checked: nothing notifies of their changes.
const FILE_CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// `kubernetes_failed_client_creations`, Prow's name.
type FailedClients = Family<[(&'static str, String); 1], Gauge>;

impl ClusterClients {
    /// Finds the clusters as Prow does, and again whenever the files of `options` or
    /// `disabled_clusters` change. The infrastructure cluster is the one that this process runs in,
    /// else the last file's current context; `default` is a context of that name, else the
    /// infrastructure cluster. A cluster that has no client, does not answer or does not grant
    /// `needs` is listed with its [`ClusterObstacle`], and tried again within 5 seconds.
    ///
    /// Unusable files that a flag names are an error at the start. Of default files one that is
    /// unusable is a warning, and then none of them is read or followed. Later, unusable files leave
    /// the clusters as they are. The infrastructure cluster never changes; its credentials follow
    /// the files.
    pub async fn discover_and_watch(
        options: &KubernetesOptions,
        config: &watch::Receiver<Arc<Config>>,
        needs: RequiredPermissions,
        loads: &LoadMetrics,
        instrumentation: &mut Instrumentation,
    ) -> anyhow::Result<Self> {
        let failed = FailedClients::default();
        instrumentation.registry.register(
            "kubernetes_failed_client_creations",
            "The number of clusters for which we failed to create a client.",
            failed.clone(),
        );
        let (agent, contexts) = watch_kubeconfig_files(options, loads)?;
        let now = contexts.borrow().clone();
        let prow = config.borrow().prow.clone();
        let infra = infra::find_infra_cluster(options, &now, &prow.disabled_clusters).await?;
        let (sender, receiver) = watch::channel(Arc::default());
        let clusters = Self::new(infra.client.clone(), receiver);
        let mut follower = ClusterWatcher {
            begin: Instant::now(),
            timeouts: options.timeouts,
            needs,
            namespace: prow.pod_namespace.as_str().into(),
            roster: ClusterRegistry::new(infra.client.clone()),
            infra,
            tries: JoinSet::new(),
            failed,
            contexts,
            config: config.clone(),
            sender,
        };
        follower.apply_changes();
        let rights = infra::await_rights(
            clusters.infra().clone(),
            prow.prowjob_namespace,
            needs,
            instrumentation.ready.clone(),
        );
        let task = tokio::spawn(async move {
            let _agent = agent;
            tokio::join!(follower.run_loop(), rights);
        });
        Ok(clusters.with_watch_task(task))
    }
}

/// Watches the contexts of the files that `options` name, whose first read must succeed, or else of
/// the files that kubectl uses by default.
fn watch_kubeconfig_files(
    options: &KubernetesOptions,
    loads: &LoadMetrics,
) -> anyhow::Result<(
    ConfigAgent<KubeconfigContexts>,
    watch::Receiver<Arc<KubeconfigContexts>>,
)> {
    let paths = contexts::kubeconfig_paths(options);
    if paths.is_empty() {
        return Ok(ConfigAgent::with_fixed_config(KubeconfigContexts::default()));
    }
    let read = {
        let options = options.clone();
        move || {
            KubeconfigContexts::read_kubeconfigs(&options)
                .map_err(|error| kubeconfig_diagnostic(&error))
        }
    };
    match ConfigAgent::watch_source("kubeconfig", ReloadableFiles::new(paths, read), loads) {
        Err(error) if !options.names_files() => Ok(ConfigAgent::with_fixed_config(
            KubeconfigContexts::warn_and_default(&error),
        )),
        followed => Ok(followed?),
    }
}

fn kubeconfig_diagnostic(error: &anyhow::Error) -> ConfigErrors {
    Diagnostic::in_file("kubeconfig", "kubeconfig", format!("{error:#}")).into()
}

struct ClusterWatcher {
    begin: Instant,
    timeouts: KubernetesTimeouts,
    needs: RequiredPermissions,
    namespace: Arc<str>,
    infra: InfraCluster,
    roster: ClusterRegistry<Client>,
    tries: JoinSet<(DueAttempt<Client>, AttemptOutcome<Client>)>,
    failed: FailedClients,
    contexts: watch::Receiver<Arc<KubeconfigContexts>>,
    config: watch::Receiver<Arc<Config>>,
    sender: watch::Sender<Arc<BuildClusterClients>>,
}

impl ClusterWatcher {
    async fn run_loop(mut self) {
        let mut look = tokio::time::interval(FILE_CHECK_INTERVAL);
        loop {
            self.start_attempts();
            let next = self.roster.next_due().map(|due| self.begin + due);
            let pause = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Ok(()) = self.contexts.changed() => self.apply_changes(),
                Ok(()) = self.config.changed() => self.apply_changes(),
                _ = look.tick() => self.apply_changes(),
                Some(Ok((tried, outcome))) = self.tries.join_next() => self.record_outcome(&tried, outcome),
                () = pause => {}
            }
        }
    }

    /// Applies the current files and configuration.
    fn apply_changes(&mut self) {
        let contexts = Arc::clone(&self.contexts.borrow_and_update());
        let disabled = self
            .config
            .borrow_and_update()
            .prow
            .disabled_clusters
            .clone();
        self.infra
            .update_credentials(&contexts, &disabled, self.timeouts);
        if self.needs.build.is_some() {
            let now = self.begin.elapsed();
            self.roster
                .set_contexts(&contexts.context_fingerprints(), &disabled, now);
            self.publish_clusters();
        }
    }

    fn start_attempts(&mut self) {
        for tried in self.roster.take_due_attempts(self.begin.elapsed()) {
            let context = self.contexts.borrow().all.get(&tried.alias).cloned();
            let attempt = ConnectionAttempt {
                client: tried.client.clone(),
                context,
                timeouts: self.timeouts,
                namespace: Arc::clone(&self.namespace),
                rights: self.needs.build.unwrap_or_default(),
            };
            let service = self.needs.service;
            self.tries.spawn(async move {
                let outcome = attempt.run_attempt(&tried.alias, service).await;
                (tried, outcome)
            });
        }
    }

    fn record_outcome(&mut self, tried: &DueAttempt<Client>, outcome: AttemptOutcome<Client>) {
        let (alias, service) = (&tried.alias, self.needs.service);
        if let Some(ClusterObstacle::NoClient(_)) = &outcome.obstacle {
            let label = [("cluster", alias.clone())];
            self.failed.get_or_create(&label).inc();
        }
        let obstacle = outcome.obstacle.clone();
        if !self
            .roster
            .record_outcome(tried, outcome, self.begin.elapsed())
        {
            return;
        }
        match obstacle {
            None => tracing::info!(cluster = alias, "the build cluster is ready"),
            Some(ClusterObstacle::Forbidden(missing)) => {
                missing
                    .iter()
                    .for_each(|it| it.log_error(Some(alias), service));
            }
            Some(obstacle) => tracing::error!(
                cluster = alias,
                "the build cluster is not worked on, trying again: {service} {obstacle}"
            ),
        }
        self.publish_clusters();
    }

    /// Unchanged clusters stay the same object.
    fn publish_clusters(&self) {
        let before = Arc::clone(&self.sender.borrow());
        let now: BuildClusterClients = self
            .roster
            .cluster_snapshots()
            .map(|(alias, view)| {
                let same = before
                    .get(alias)
                    .filter(|before| before.matches_snapshot(&view));
                let client = same
                    .cloned()
                    .unwrap_or_else(|| BuildClusterClient::from_snapshot(view));
                (alias.to_owned(), client)
            })
            .collect();
        let same = now.len() == before.len()
            && now
                .iter()
                .all(|(alias, it)| before.get(alias).is_some_and(|old| Arc::ptr_eq(old, it)));
        if !same {
            self.sender.send_replace(Arc::new(now));
        }
    }
}

#[cfg(test)]
mod tests;
