//! The embedded API on a port, and `kubectl` as its client.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use local::apiserver::{ApiEndpoint, ApiServer};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) struct Served {
    pub(crate) endpoint: ApiEndpoint,
    pub(crate) kubeconfig: PathBuf,
    folder: PathBuf,
    _stop: DropGuard,
}

impl Served {
    /// kubectl's own files go into `folder`.
    pub(crate) async fn start(api: &ApiServer, folder: &Path) -> Self {
        let stop = CancellationToken::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = api.serve_loopback(listener, stop.clone()).await.unwrap();
        let kubeconfig = folder.join("kubeconfig");
        endpoint.write_kubeconfig(&kubeconfig).unwrap();
        Self {
            endpoint,
            kubeconfig,
            folder: folder.to_owned(),
            _stop: stop.drop_guard(),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command =
            Command::new(std::env::var_os("KUBECTL").unwrap_or_else(|| "kubectl".into()));
        command
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.folder)
            .args(["--request-timeout=20s", "--cache-dir"])
            .arg(self.folder.join("cache"))
            .args(arguments);
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str], stdin: Option<&Value>) -> Output {
        let mut command = self.command(arguments);
        let input = stdin.map(Value::to_string).unwrap_or_default();
        tokio::task::spawn_blocking(move || {
            let mut child = command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("kubectl is needed here: apt-get install kubernetes-client");
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
            child.wait_with_output().unwrap()
        })
        .await
        .unwrap()
    }

    /// The standard output of a kubectl that must succeed.
    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> String {
        self.kubectl_with(arguments, None).await
    }

    pub(crate) async fn kubectl_with(&self, arguments: &[&str], stdin: Option<&Value>) -> String {
        let output = self.run(arguments, stdin).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "kubectl {arguments:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// The standard error of a kubectl that must fail.
    pub(crate) async fn refused(&self, arguments: &[&str], stdin: Option<&Value>) -> String {
        let output = self.run(arguments, stdin).await;
        assert!(!output.status.success(), "kubectl {arguments:?} succeeded");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}
