//! The two Kubernetes APIs that services are measured on.

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, ensure};
use local::apiserver::{ApiServer, ApiServerOptions};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A kube-apiserver with etcd, or the cluster that `PROW_TEST_KUBECONFIG` names.
pub(crate) struct Real {
    kubeconfig: PathBuf,
    script: Child,
}

impl Real {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut script = Command::new(root.join(".ci/with-cluster"))
            .args(["sh", "-c", r#"echo "$PROW_TEST_KUBECONFIG"; exec cat"#])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context(".ci/with-cluster")?;
        let output = script.stdout.take().context("it is piped")?;
        let mut path = String::new();
        BufReader::new(output).read_line(&mut path)?;
        ensure!(!path.is_empty(), ".ci/with-cluster has no cluster");
        let kubeconfig = PathBuf::from(path.trim_end());
        Ok(Self { kubeconfig, script })
    }

    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }
}

impl Drop for Real {
    /// The script's command ends with its input, and the server with the script.
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        let _ = self.script.wait();
    }
}

/// The embedded API of this process, in memory and served on a port.
pub(crate) struct Embedded {
    folder: TempDir,
    _stop: DropGuard,
}

impl Embedded {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let logs = folder.path().join("logs");
        let api = ApiServer::start(ApiServerOptions { db: None, logs }).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let stop = CancellationToken::new();
        let endpoint = api.serve_loopback(listener, stop.clone()).await?;
        let embedded = Self {
            folder,
            _stop: stop.drop_guard(),
        };
        endpoint.write_kubeconfig(&embedded.kubeconfig())?;
        Ok(embedded)
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }
}
