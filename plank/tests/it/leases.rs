//! Leases: who leads, how fast another replica does, and what a leader that missed its deadline
//! still sends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use common::service::{
    ServiceReadiness,
    lease::{LeaderElector, LeaderFence},
};
use k8s_openapi::api::{coordination::v1::Lease, core::v1::ConfigMap};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
    client::Body,
};
use serde_json::json;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, candidate};

const NAME: &str = "lock";
/// The times of [`candidate`].
const DURATION: Duration = Duration::from_secs(10);
const DEADLINE: Duration = Duration::from_secs(7);

/// A replica that says when it leads, and does nothing else.
struct Replica {
    leads: watch::Receiver<bool>,
    ready: ServiceReadiness,
    shutdown: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Replica {
    fn start(client: &Client, identity: &'static str) -> Self {
        let namespace = client.default_namespace();
        let lease = LeaderElector::new(client.clone(), namespace, NAME, candidate(identity));
        let (sender, leads) = watch::channel(false);
        let (ready, shutdown) = (ServiceReadiness::default(), CancellationToken::new());
        let (standby, end) = (ready.clone(), shutdown.clone());
        let task = tokio::spawn(async move {
            let work = |_: LeaderFence| {
                let (sender, end) = (sender.clone(), end.clone());
                async move {
                    sender.send_replace(true);
                    end.cancelled().await;
                    Ok(())
                }
            };
            lease.run_while_leading(&standby, &end, work).await
        });
        Self {
            leads,
            ready,
            shutdown,
            task,
        }
    }

    /// How long it takes until this replica leads.
    async fn leading(&mut self) -> Duration {
        let start = Instant::now();
        let leads = self.leads.wait_for(|leads| *leads);
        tokio::time::timeout(Duration::from_secs(20), leads)
            .await
            .expect("it leads")
            .unwrap();
        start.elapsed()
    }
}

async fn holder(client: &Client) -> String {
    let api: Api<Lease> = Api::default_namespaced(client.clone());
    let lease = api.get(NAME).await.unwrap();
    lease.spec.unwrap().holder_identity.unwrap()
}

#[tokio::test]
async fn another_leads_soon_after_a_kill_and_at_once_after_a_clean_stop() {
    let cluster = Cluster::new().await;
    let client = cluster.client.clone();
    let mut a = Replica::start(&client, "a");
    assert!(
        a.leading().await < Duration::from_secs(1),
        "nobody was before it"
    );
    let mut b = Replica::start(&client, "b");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(
        b.ready.is_ready() && !*b.leads.borrow(),
        "a standby is ready and does nothing"
    );
    assert_eq!(holder(&client).await, "a");

    a.task.abort();
    let waited = b.leading().await;
    assert!(
        (Duration::from_secs(6)..Duration::from_secs(15)).contains(&waited),
        "{waited:?} after a kill"
    );

    let mut c = Replica::start(&client, "c");
    tokio::time::sleep(Duration::from_millis(500)).await;
    b.shutdown.cancel();
    let waited = c.leading().await;
    assert!(
        waited < Duration::from_secs(3),
        "{waited:?} after a clean stop"
    );
    assert!(b.task.await.unwrap().is_ok());
    assert_eq!(holder(&client).await, "c");
}

/// The client of a process whose lease requests do not arrive while `paused`.
fn pausable(client: &Client, paused: &Arc<AtomicBool>) -> Client {
    let namespace = client.default_namespace().to_owned();
    let (client, paused) = (client.clone(), Arc::clone(paused));
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let (client, paused) = (client.clone(), Arc::clone(&paused));
        async move {
            if paused.load(Ordering::SeqCst) && request.uri().path().contains("/leases") {
                std::future::pending::<()>().await;
            }
            client.send(request).await
        }
    });
    Client::new(service, namespace)
}

/// Writes again and again, and sends the time of each success.
async fn write(client: Client, told: watch::Sender<Instant>) -> kube::Error {
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    for count in 0.. {
        let patch = Patch::Merge(json!({"data": {"count": count.to_string()}}));
        match api.patch("mark", &PatchParams::default(), &patch).await {
            Ok(_) => told.send_replace(Instant::now()),
            Err(error) => return error,
        };
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    unreachable!("it writes until it fails")
}

#[tokio::test]
async fn a_leader_that_misses_its_deadline_writes_nothing_more() {
    let cluster = Cluster::new().await;
    let client = cluster.client.clone();
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let mark = serde_json::from_value(json!({"metadata": {"name": "mark"}})).unwrap();
    maps.create(&PostParams::default(), &mark).await.unwrap();

    let paused = Arc::new(AtomicBool::new(false));
    let namespace = client.default_namespace();
    let lease = LeaderElector::new(pausable(&client, &paused), namespace, NAME, candidate("a"));
    let (told, mut writes) = watch::channel(Instant::now());
    let (left_over, mut left) = tokio::sync::mpsc::unbounded_channel();
    let (ended, mut end) = watch::channel(false);
    let plain = client.clone();
    let a = tokio::spawn(async move {
        let work = |fence: LeaderFence| {
            // Not part of the work that is dropped, like a task that was left behind.
            let writer = tokio::spawn(write(fence.fenced_client(&plain), told.clone()));
            left_over.send((writer, fence)).unwrap();
            let ended = ended.clone();
            async move {
                let _dropped = scopeguard(move || {
                    ended.send_replace(true);
                });
                std::future::pending().await
            }
        };
        lease
            .run_while_leading(
                &ServiceReadiness::default(),
                &CancellationToken::new(),
                work,
            )
            .await
    });
    let (writer, fence) = left.recv().await.unwrap();
    writes.changed().await.unwrap();
    let mut b = Replica::start(&client, "b");

    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(fence.is_leading());
    paused.store(true, Ordering::SeqCst);
    let pause = Instant::now();
    let error = writer.await.unwrap();
    assert!(error.to_string().contains("not leading"), "{error}");
    assert!(fence.check_leading().is_err());
    let last = writes.borrow().duration_since(pause);
    assert!(last <= DEADLINE, "the last write, {last:?} after the pause");
    assert!(
        last > Duration::from_secs(3),
        "it leads on until its deadline"
    );
    end.wait_for(|ended| *ended).await.unwrap();
    assert!(!*b.leads.borrow(), "another leads only after that");

    b.leading().await;
    let taken = pause.elapsed();
    assert!(
        taken >= DURATION - Duration::from_secs(2) - Duration::from_millis(500),
        "{taken:?}"
    );
    assert_eq!(holder(&client).await, "b");
    let mark = maps.get("mark").await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(maps.get("mark").await.unwrap(), mark);
    // Connected again, it sees that another leads.
    paused.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(holder(&client).await, "b");
    a.abort();
}

/// Calls `then` when the work that holds it is dropped.
fn scopeguard(then: impl FnMut()) -> impl Drop {
    struct Guard<F: FnMut()>(F);
    impl<F: FnMut()> Drop for Guard<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }
    Guard(then)
}
