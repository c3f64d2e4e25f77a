//! Clusters that follow their kubeconfig files: clients are made, rights are asked, and both are
//! tried again where they failed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kube::Client;
use prometheus_client::metrics::{family::Family, gauge::Gauge};
use tokio::{sync::watch, task::JoinSet};

use super::{
    BuildClusters, ClusterClient, Clusters, Needs, Obstacle, Options, Timeouts,
    attempt::Attempt,
    contexts::{self, Contexts},
    infra::{self, Infra},
    roster::{Outcome, Roster, Try},
};
use crate::{
    config::{Agent, Config, Errors, Files, LoadMetrics, Problem},
    service::Instrumentation,
};

/// Files that a kubeconfig names are looked at as often: nothing tells of their changes.
const LOOK: Duration = Duration::from_secs(30);

/// `kubernetes_failed_client_creations`, Prow's name.
type FailedClients = Family<[(&'static str, String); 1], Gauge>;

impl Clusters {
    /// Finds the clusters as Prow does, and again whenever the files of `options` or
    /// `disabled_clusters` have changed: the infrastructure cluster is the one this process runs
    /// in, else the last file's current context; `default` is a context of that name, else the
    /// same. A cluster that no client can be made of, that does not answer or does not grant what
    /// `needs` names is there with its [`Obstacle`], and tried again within 5 seconds.
    ///
    /// Files that cannot be used are an error at the start; later they leave the clusters as they
    /// are. The infrastructure cluster stays the first one; its credentials follow the files.
    pub async fn follow(
        options: &Options,
        config: &watch::Receiver<Arc<Config>>,
        needs: Needs,
        loads: &LoadMetrics,
        instrumentation: &mut Instrumentation,
    ) -> anyhow::Result<Self> {
        let failed = FailedClients::default();
        instrumentation.registry.register(
            "kubernetes_failed_client_creations",
            "The number of clusters for which we failed to create a client.",
            failed.clone(),
        );
        let (agent, contexts) = follow_files(options, loads)?;
        let now = contexts.borrow().clone();
        let prow = config.borrow().prow.clone();
        let infra = infra::find(options, &now, &prow.disabled_clusters).await?;
        let (sender, receiver) = watch::channel(Arc::default());
        let clusters = Self::new(infra.client.clone(), receiver);
        let mut follower = Follower {
            begin: Instant::now(),
            timeouts: options.timeouts,
            needs,
            namespace: prow.pod_namespace.as_str().into(),
            roster: Roster::new(infra.client.clone()),
            infra,
            tries: JoinSet::new(),
            failed,
            contexts,
            config: config.clone(),
            sender,
        };
        follower.set();
        let rights = infra::await_rights(
            clusters.infra().clone(),
            prow.prowjob_namespace,
            needs,
            instrumentation.ready.clone(),
        );
        let task = tokio::spawn(async move {
            let _agent = agent;
            tokio::join!(follower.run(), rights);
        });
        Ok(clusters.followed_by(task))
    }
}

/// The contexts of the files that `options` name, and the first reading of them must succeed, or
/// of those that kubectl takes.
fn follow_files(
    options: &Options,
    loads: &LoadMetrics,
) -> anyhow::Result<(Agent<Contexts>, watch::Receiver<Arc<Contexts>>)> {
    let paths = contexts::places(options);
    if paths.is_empty() {
        return Ok(Agent::fixed(Contexts::default()));
    }
    let read = {
        let options = options.clone();
        move || Contexts::read(&options).map_err(|error| problem(&error))
    };
    match Agent::follow("kubeconfig", Files::new(paths, read), loads) {
        Err(error) if !options.names_files() => Ok(Agent::fixed(Contexts::none(&error))),
        followed => Ok(followed?),
    }
}

fn problem(error: &anyhow::Error) -> Errors {
    Problem::in_file("kubeconfig", "kubeconfig", format!("{error:#}")).into()
}

struct Follower {
    begin: Instant,
    timeouts: Timeouts,
    needs: Needs,
    namespace: Arc<str>,
    infra: Infra,
    roster: Roster<Client>,
    tries: JoinSet<(Try<Client>, Outcome<Client>)>,
    failed: FailedClients,
    contexts: watch::Receiver<Arc<Contexts>>,
    config: watch::Receiver<Arc<Config>>,
    sender: watch::Sender<Arc<BuildClusters>>,
}

impl Follower {
    async fn run(mut self) {
        let mut look = tokio::time::interval(LOOK);
        loop {
            self.start_tries();
            let next = self.roster.next().map(|due| self.begin + due);
            let pause = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Ok(()) = self.contexts.changed() => self.set(),
                Ok(()) = self.config.changed() => self.set(),
                _ = look.tick() => self.set(),
                Some(Ok((tried, outcome))) = self.tries.join_next() => self.settle(&tried, outcome),
                () = pause => {}
            }
        }
    }

    /// Takes in what the files and the configuration say now.
    fn set(&mut self) {
        let contexts = Arc::clone(&self.contexts.borrow_and_update());
        let disabled = self
            .config
            .borrow_and_update()
            .prow
            .disabled_clusters
            .clone();
        self.infra.follow(&contexts, &disabled, self.timeouts);
        if self.needs.build.is_some() {
            let now = self.begin.elapsed();
            self.roster.set(&contexts.origins(), &disabled, now);
            self.publish();
        }
    }

    fn start_tries(&mut self) {
        for tried in self.roster.due(self.begin.elapsed()) {
            let context = self.contexts.borrow().all.get(&tried.alias).cloned();
            let attempt = Attempt {
                client: tried.client.clone(),
                context,
                timeouts: self.timeouts,
                namespace: Arc::clone(&self.namespace),
                rights: self.needs.build.unwrap_or_default(),
            };
            let service = self.needs.service;
            self.tries.spawn(async move {
                let outcome = attempt.run(&tried.alias, service).await;
                (tried, outcome)
            });
        }
    }

    fn settle(&mut self, tried: &Try<Client>, outcome: Outcome<Client>) {
        let (alias, service) = (&tried.alias, self.needs.service);
        if let Some(Obstacle::NoClient(_)) = &outcome.obstacle {
            let label = [("cluster", alias.clone())];
            self.failed.get_or_create(&label).inc();
        }
        let obstacle = outcome.obstacle.clone();
        if !self.roster.settle(tried, outcome, self.begin.elapsed()) {
            return;
        }
        match obstacle {
            None => tracing::info!(cluster = alias, "the build cluster is ready"),
            Some(Obstacle::Forbidden(missing)) => {
                missing.iter().for_each(|it| it.error(Some(alias), service));
            }
            Some(obstacle) => tracing::error!(
                cluster = alias,
                "the build cluster is not worked on, trying again: {service} {obstacle}"
            ),
        }
        self.publish();
    }

    /// Clusters that are as they were stay the same object.
    fn publish(&self) {
        let before = Arc::clone(&self.sender.borrow());
        let now: BuildClusters = self
            .roster
            .view()
            .map(|(alias, view)| {
                let same = before.get(alias).filter(|before| before.is_of(&view));
                let client = same.cloned().unwrap_or_else(|| ClusterClient::of(view));
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
