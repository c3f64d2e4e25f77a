//! A crier for Slack, which the demo does not have, and the channel that it writes to.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Form, State},
    routing::post,
};
use common::{
    config::{Config, ConfigAgent},
    github,
    kube::ClusterClients,
    service::{self, lease::LeaderFence},
    storage::StorageCredentials,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use plank::crier::{BucketOpener, CrierContext, CrierMetrics, CrierSettings, SlackClient};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime};
use tokio_util::sync::CancellationToken;

/// The reporter's name in the status of a `ProwJob`.
pub(super) const REPORTER: &str = "slackreporter";

type Messages = Arc<Mutex<Vec<String>>>;

pub(super) struct SlackChannel {
    messages: Messages,
    _runtime: Runtime,
}

impl SlackChannel {
    /// Starts a crier that reports each failure of a presubmit, with the description.
    pub(super) fn start(kubeconfig: &Path, folder: &Path) -> Self {
        let messages = Messages::default();
        let runtime = Runtime::new().unwrap();
        let crier = runtime.block_on(crier(kubeconfig, folder, &messages));
        runtime.spawn(plank::crier::run_crier(crier, CancellationToken::new()));
        Self {
            messages,
            _runtime: runtime,
        }
    }

    /// The messages about this job.
    pub(super) fn read(&self, job: &str) -> String {
        let messages = self.messages.lock().unwrap();
        let of_job = messages
            .iter()
            .filter(|text| text.starts_with(&format!("{job}:")));
        of_job.cloned().collect()
    }
}

async fn crier(kubeconfig: &Path, folder: &Path, messages: &Messages) -> CrierContext {
    let router = Router::new()
        .route("/api/chat.postMessage", post(take))
        .with_state(messages.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router).into_future());
    let token = folder.join("slack");
    std::fs::write(&token, "xoxb-1\n").unwrap();
    let prow = json!({
        "prowjob_namespace": "default",
        "pod_namespace": "default",
        "slack_reporter_configs": {"*": {
            "channel": "ci",
            "job_types_to_report": ["presubmit"],
            "job_states_to_report": ["failure"],
            "report_template":
                "{{.Spec.Job}}: {{.Status.State}}, {{.Status.Description}} {{.Status.URL}}",
        }},
    });
    let config = Config {
        prow: serde_json::from_value(prow).unwrap(),
        ..Config::default()
    };
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let options = KubeConfigOptions::default();
    let kubernetes = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .unwrap();
    let github = service::flags::parse_flags("crier", []).unwrap();
    CrierContext {
        clusters: ClusterClients::single_cluster(kubernetes.try_into().unwrap()),
        config: ConfigAgent::with_fixed_config(config).1,
        github: github::GithubClient::new(&github, "crier").unwrap(),
        slack: SlackClient::new(&url, [("*".to_owned(), token)].into()).unwrap(),
        buckets: Arc::new(BucketOpener::new(StorageCredentials::default(), None)),
        metrics: CrierMetrics::new(&mut Registry::default()),
        ready: service::ServiceReadiness::default(),
        fence: LeaderFence::new_open(),
        settings: CrierSettings {
            slack_workers: 2,
            ..CrierSettings::default()
        },
    }
}

async fn take(
    State(messages): State<Messages>,
    Form(mut message): Form<BTreeMap<String, String>>,
) -> Json<Value> {
    let text = message.remove("text").unwrap_or_default();
    messages.lock().unwrap().push(text);
    Json(json!({"ok": true}))
}
