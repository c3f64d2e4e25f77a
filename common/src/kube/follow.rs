//! Build clusters that come, go and change with their kubeconfig files.

use std::sync::Arc;

use anyhow::Context;
use tokio::sync::watch;

use super::{Clusters, Contexts, Options, client, contexts, infra_config};
use crate::config::{Agent, Errors, Files, LoadMetrics, Problem};

/// Follows for as long as it lives.
pub struct Following(#[expect(dead_code, reason = "held for its end")] Option<Agent<Contexts>>);

impl Clusters {
    /// [`Clusters::load`], and the same again whenever the files have changed. Files that cannot
    /// be used leave the clusters as they are. The infrastructure cluster stays the first one.
    pub async fn follow(
        options: &Options,
        metrics: &LoadMetrics,
    ) -> anyhow::Result<(Following, watch::Receiver<Arc<Self>>)> {
        let paths = options.kubeconfig.iter().chain(&options.kubeconfig_dir);
        let paths: Vec<_> = paths.cloned().collect();
        if paths.is_empty() {
            return Ok((Following(None), Self::load(options).await?.fixed()));
        }
        let read = {
            let options = options.clone();
            move || contexts(&options).map_err(|error| problem(&error))
        };
        let files = Files::new(paths, read);
        let (agent, mut changes) = Agent::follow("kubeconfig", files, metrics)?;
        let first = changes.borrow_and_update().clone();
        let infra = infra_config(options, &first).await?;
        let timeouts = options.timeouts;
        let infra =
            client::client(infra, timeouts).context("client of the infrastructure cluster")?;
        let clusters = Arc::new(Self::of(infra, &first, timeouts, None).await);
        let (sender, receiver) = watch::channel(Arc::clone(&clusters));
        tokio::spawn(async move {
            let mut clusters = clusters;
            while changes.changed().await.is_ok() {
                let now = changes.borrow_and_update().clone();
                let infra = clusters.infra.clone();
                clusters = Arc::new(Self::of(infra, &now, timeouts, Some(&clusters)).await);
                if sender.send(Arc::clone(&clusters)).is_err() {
                    return;
                }
            }
        });
        Ok((Following(Some(agent)), receiver))
    }

    /// As clusters that never change.
    pub fn fixed(self) -> watch::Receiver<Arc<Self>> {
        watch::channel(Arc::new(self)).1
    }
}

fn problem(error: &anyhow::Error) -> Errors {
    Problem::in_file("kubeconfig", "kubeconfig", format!("{error:#}")).into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::kube::tests::kubeconfig;

    #[tokio::test(flavor = "multi_thread")]
    async fn contexts_come_go_and_change_and_a_bad_file_changes_nothing() {
        crate::service::install_crypto();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let write = |text: String| std::fs::write(&path, text).unwrap();
        write(kubeconfig(&["a", "b"], "a"));
        let options = Options {
            kubeconfig: Some(path.clone()),
            ..Options::default()
        };
        let metrics = LoadMetrics::default();
        let (_following, mut clusters) = Clusters::follow(&options, &metrics).await.unwrap();
        let before = clusters.borrow_and_update().clone();

        write("not yaml: [".into());
        let change = tokio::time::timeout(Duration::from_secs(2), clusters.changed()).await;
        assert!(change.is_err(), "a bad file changes nothing");

        write(kubeconfig(&["a", "c"], "a"));
        tokio::time::timeout(Duration::from_secs(20), clusters.changed())
            .await
            .expect("a good one does")
            .unwrap();
        let now = clusters.borrow_and_update().clone();
        assert_eq!(now.build.keys().collect::<Vec<_>>(), ["a", "c", "default"]);
        assert!(before.has_same(&now, "a"));
        assert!(before.has_same(&now, "default"));
        assert!(!before.has_same(&now, "b") && !before.has_same(&now, "c"));
    }
}
