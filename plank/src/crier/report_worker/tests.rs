//! Reporters that follow a script, on the embedded API.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
};

use common::{
    config::ConfigAgent,
    github,
    kube::ClusterClients,
    prowjob::{self, ProwJobStatus},
    service::{self, ServiceReadiness},
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use local::apiserver::{self, ApiServer};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::*;
use crate::crier::{
    CrierContext, CrierMetrics, CrierSettings, LeaderFence, SLACK_API, SlackClient, controller,
    reporter::Reporter,
};

struct FakeReporter {
    name: &'static str,
    script: Arc<Script>,
}

/// What a reporter does, and what it has done.
struct Script {
    /// So many reports fail.
    failures: AtomicU32,
    /// A report needs one to end.
    permits: Semaphore,
    /// States whose report it began.
    begun: Mutex<Vec<ProwJobState>>,
    running: AtomicBool,
}

impl Script {
    fn new(failures: u32, permits: usize) -> Arc<Self> {
        Arc::new(Self {
            failures: failures.into(),
            permits: Semaphore::new(permits),
            begun: Mutex::default(),
            running: AtomicBool::new(false),
        })
    }

    fn begun(&self) -> Vec<ProwJobState> {
        self.begun.lock().unwrap().clone()
    }
}

impl Reporter for FakeReporter {
    fn reporter_name(&self) -> &'static str {
        self.name
    }

    fn is_due(&self, _job: &ProwJob) -> bool {
        true
    }

    fn report_state_change<'a>(
        &'a self,
        news: &'a Arc<JobStateChange>,
    ) -> BoxFuture<'a, Result<ReportResult, ReportError>> {
        Box::pin(async {
            let script = &self.script;
            assert!(!script.running.swap(true, SeqCst), "two reports at once");
            script.begun.lock().unwrap().push(news.job.state());
            script.permits.acquire().await.unwrap().forget();
            script.running.store(false, SeqCst);
            let count_down = |left: u32| left.checked_sub(1);
            match script.failures.fetch_update(SeqCst, SeqCst, count_down) {
                Ok(_) => Err(ReportError::TimedOut),
                Err(_) => Ok(ReportResult::Done),
            }
        })
    }
}

struct CrierFixture {
    jobs: Api<ProwJob>,
    _api: ApiServer,
    _shutdown: DropGuard,
}

impl CrierFixture {
    async fn new(reporters: &[(&'static str, &Arc<Script>)]) -> Self {
        let reporters = reporters.iter().map(|(name, script)| {
            let script = Arc::clone(script);
            Box::new(FakeReporter { name, script }) as Box<dyn Reporter>
        });
        let world = Self::telling(reporters.collect(), 10).await;
        world.create("pj").await;
        world
    }

    async fn create(&self, name: &str) {
        let mut job = ProwJob::new(name, Default::default());
        job.status = Some(ProwJobStatus::default());
        self.jobs
            .create(&PostParams::default(), &job)
            .await
            .unwrap();
    }

    async fn telling(reporters: Vec<Box<dyn Reporter>>, seats: usize) -> Self {
        service::install_crypto();
        let options = apiserver::ApiServerOptions {
            db: None,
            logs: std::env::temp_dir(),
        };
        let api = ApiServer::start(options).await.unwrap();
        let client = api.in_process_client("default");
        Api::<CustomResourceDefinition>::all(client.clone())
            .create(&PostParams::default(), &prowjob::build_prowjob_crd())
            .await
            .unwrap();
        let github_options = service::flags::parse_flags("crier", []).unwrap();
        let ctx = CrierContext {
            clusters: ClusterClients::single_cluster(client.clone()),
            config: ConfigAgent::with_fixed_config(Default::default()).1,
            github: github::GithubClient::new(&github_options, "crier").unwrap(),
            slack: SlackClient::new(SLACK_API, BTreeMap::new()).unwrap(),
            buckets: Default::default(),
            metrics: CrierMetrics::new(&mut Default::default()),
            ready: ServiceReadiness::default(),
            fence: LeaderFence::new_open(),
            settings: CrierSettings::default(),
        };
        let shutdown = CancellationToken::new();
        let running =
            controller::run_controller_with(Arc::new(ctx), reporters, seats, shutdown.clone());
        tokio::spawn(running);
        Self {
            jobs: Api::default_namespaced(client),
            _api: api,
            _shutdown: shutdown.drop_guard(),
        }
    }

    async fn set(&self, state: ProwJobState) {
        let end = (state == Success).then_some("2026-08-01T00:00:00Z");
        let patch = Patch::Merge(json!({"status": {"state": state, "completionTime": end}}));
        let params = PatchParams::default();
        self.jobs.patch("pj", &params, &patch).await.unwrap();
    }

    /// Waits until the job has exactly these previous report states.
    async fn marks(&self, expected: &[(&str, ProwJobState)]) {
        let expected: BTreeMap<String, ProwJobState> = expected
            .iter()
            .map(|(name, state)| ((*name).to_owned(), *state))
            .collect();
        let mut last = BTreeMap::new();
        for _ in 0..2000 {
            last = self
                .jobs
                .get("pj")
                .await
                .unwrap()
                .status
                .unwrap()
                .prev_report_states;
            if last == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{last:?} is not {expected:?}");
    }

    async fn writes(&self) -> u64 {
        let job = self.jobs.get("pj").await.unwrap();
        job.metadata.resource_version.unwrap().parse().unwrap()
    }
}

use ProwJobState::{Pending, Success, Triggered};

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_passes_during_a_report_is_not_told() {
    let script = Script::new(0, 0);
    let world = CrierFixture::new(&[("a", &script)]).await;
    while script.begun().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.set(Pending).await;
    world.set(Success).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    script.permits.add_permits(100);
    world.marks(&[("a", Success)]).await;
    assert_eq!(script.begun(), [Triggered, Success]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reporter_that_fails_is_asked_again_alone() {
    let (good, bad) = (Script::new(0, 100), Script::new(2, 100));
    let world = CrierFixture::new(&[("good", &good), ("bad", &bad)]).await;
    let before = world.writes().await;
    world
        .marks(&[("good", Triggered), ("bad", Triggered)])
        .await;
    assert_eq!(good.begun(), [Triggered]);
    assert_eq!(bad.begun(), [Triggered; 3]);
    assert_eq!(world.writes().await, before + 1, "one write for both");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reporter_holds_up_the_others_marks_for_a_moment_only() {
    let (fast, slow) = (Script::new(0, 100), Script::new(0, 0));
    let world = CrierFixture::new(&[("fast", &fast), ("slow", &slow)]).await;
    world.marks(&[("fast", Triggered)]).await;
    world.set(Success).await;
    slow.permits.add_permits(100);
    world.marks(&[("fast", Success), ("slow", Success)]).await;
    assert_eq!(slow.begun(), [Triggered, Success]);
    assert_eq!(fast.begun(), [Triggered, Success]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_marked_by_others_is_not_told() {
    let script = Script::new(0, 100);
    let world = CrierFixture::new(&[("a", &script)]).await;
    world.marks(&[("a", Triggered)]).await;
    let patch = json!({"status": {"state": "aborted", "prev_report_states": {"a": "aborted"}}});
    let params = PatchParams::default();
    world
        .jobs
        .patch("pj", &params, &Patch::Merge(patch))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(script.begun(), [Triggered]);
}

/// Fails for the first job in any state, and reports all others.
struct FailingReporter;

impl Reporter for FailingReporter {
    fn reporter_name(&self) -> &'static str {
        "hopeless"
    }

    fn is_due(&self, _job: &ProwJob) -> bool {
        true
    }

    fn report_state_change<'a>(
        &'a self,
        news: &'a Arc<JobStateChange>,
    ) -> BoxFuture<'a, Result<ReportResult, ReportError>> {
        Box::pin(async {
            match news.job.name_any().as_str() {
                "pj" => Err(ReportError::TimedOut),
                _ => Ok(ReportResult::Done),
            }
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_only_waits_for_a_later_try_keeps_no_other_from_its_seat() {
    let world = CrierFixture::telling(vec![Box::new(FailingReporter)], 1).await;
    world.create("pj").await;
    for name in ["a", "b", "c"] {
        world.create(name).await;
        let told = async {
            loop {
                let job = world.jobs.get(name).await.unwrap();
                let states = job.status.unwrap().prev_report_states;
                if states.contains_key("hopeless") {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let told = tokio::time::timeout(Duration::from_secs(20), told).await;
        told.unwrap_or_else(|_| panic!("{name} has no turn"));
    }
}
