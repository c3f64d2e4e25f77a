//! No delivery is lost, and none is acted on twice.

use std::{net::SocketAddr, path::Path};

use local::github::{FakeGithub, FakeGithubOptions, RepoOptions};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::world::{
    Hook, HookParts, JOBS, World, WorldOptions, cluster, eventually, github_client, listener,
    prowjobs,
};

/// A pull request event. GitHub itself does not have the pull request.
fn pull(action: &str, number: u64, head: &str) -> Value {
    json!({
        "action": action, "number": number,
        "pull_request": {
            "number": number, "state": "open", "title": "t", "html_url": "https://gh/p",
            "user": {"login": "maria"}, "labels": [],
            "base": {"ref": "main", "sha": head, "repo": {"name": "widgets", "full_name": "acme/widgets", "owner": {"login": "acme"}}},
            "head": {"ref": "topic", "sha": head},
        },
        "repository": {"name": "widgets", "full_name": "acme/widgets", "owner": {"login": "acme", "type": "Organization"}},
        "organization": {"login": "acme"},
        "sender": {"login": "maria"},
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_comes_twice_is_acted_on_once() {
    let world = World::new().await;
    let event = pull("opened", 7, &"a".repeat(40));
    for _ in 0..3 {
        assert_eq!(
            world.hook.deliver("pull_request", "same", &event).await,
            200
        );
    }
    assert_eq!(world.states().await, ["unit triggered"]);
    assert_eq!(
        world.hook.deliver("pull_request", "same", &event).await,
        200
    );
    assert_eq!(world.states().await, ["unit triggered"]);
    assert_eq!(world.hook.count("guid = 'same' AND attempts = 1").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_of_one_pull_request_keep_their_order() {
    let world = World::new().await;
    let head = "a".repeat(40);
    for number in 1..=10 {
        let guid = |what| format!("{what}-{number}");
        let opened = pull("opened", number, &head);
        world
            .hook
            .deliver("pull_request", &guid("opened"), &opened)
            .await;
        let closed = pull("closed", number, &head);
        world
            .hook
            .deliver("pull_request", &guid("closed"), &closed)
            .await;
    }
    assert_eq!(world.states().await, ["unit aborted"; 10]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_before_a_restart_is_done_after_it() {
    let world = World::new().await;
    let away = kube::Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap()));
    let folder = tempfile::tempdir().unwrap();
    let parts = |cluster| HookParts {
        client: github_client(&[&format!("--github-endpoint={}", world.github.url())]),
        git_base: world.github.url().to_owned(),
        cluster,
        folder: folder.path().to_owned(),
        choice: WorldOptions::default(),
    };
    let event = pull("closed", 7, &"a".repeat(40));
    let hook = Hook::start(parts(away.unwrap()), listener().await).await;
    assert_eq!(hook.deliver("pull_request", "kept", &event).await, 200);
    assert!(
        hook.ready.is_ready(),
        "deliveries are taken without a cluster"
    );
    assert_eq!(hook.count("state = 'queued'").await, 1);
    hook.stop().await;

    let hook = Hook::start(parts(world.api.client.clone()), listener().await).await;
    hook.idle().await;
    assert_eq!(hook.count("state = 'done' AND attempts = 1").await, 1);
    assert_eq!(hook.deliver("pull_request", "kept", &event).await, 200);
    hook.idle().await;
    assert_eq!(hook.count("state = 'done' AND attempts = 1").await, 1);
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_was_cut_off_is_done_once() {
    let world = World::new().await;
    let event = pull("opened", 7, &"a".repeat(40));
    world.hook.deliver("pull_request", "cut", &event).await;
    assert_eq!(world.states().await, ["unit triggered"]);
    // As if the process had been killed after it made the job and before it recorded that.
    world
        .hook
        .execute("UPDATE deliveries SET state = 'running', finished_at = NULL WHERE guid = 'cut'")
        .await;
    let (hook, api, _folder) = world.restart().await;
    assert_eq!(
        hook.count("guid = 'cut' AND state = 'done' AND attempts = 2")
            .await,
        1
    );
    assert_eq!(prowjobs(&api).await.len(), 1);
    hook.stop().await;
}

/// Holds a port of loopback, also while nothing listens there: only a socket of this function gets
/// the same port.
fn hold_port(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

/// A stand-in for GitHub with its state in `data`, at `address` until `shutdown`.
async fn github_at(address: SocketAddr, data: &Path, shutdown: &CancellationToken) -> FakeGithub {
    let options = FakeGithubOptions {
        data: Some(data.to_owned()),
        ..FakeGithubOptions::default()
    };
    let mut started = None;
    // An earlier stand-in has to release its state.
    eventually("the state is free", async || {
        let listener = hold_port(address).listen(128).unwrap();
        let github = FakeGithub::start(options.clone(), listener, shutdown.clone()).await;
        started = github.ok();
        started.is_some()
    })
    .await;
    started.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_github_only_delays() {
    common::service::install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let held = hold_port(SocketAddr::from(([127, 0, 0, 1], 0)));
    let address = held.local_addr().unwrap();
    let (data, shutdown) = (folder.path().join("github"), CancellationToken::new());
    let github = github_at(address, &data, &shutdown).await;
    let secret = github.add_user("maria").await.unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, &secret).unwrap();
    github.add_org("acme", &["maria"]).await.unwrap();
    github
        .add_repo("acme", "widgets", RepoOptions::default())
        .await
        .unwrap();
    github
        .add_collaborator("acme", "widgets", "maria", "write")
        .await
        .unwrap();
    let maria = crate::world::Person::new(github.url(), &secret);
    maria.clone_of("acme/widgets").push("README.md", "hello\n");

    shutdown.cancel();
    drop(github);
    eventually("GitHub is away", async || {
        TcpStream::connect(address).await.is_err()
    })
    .await;

    let api = cluster().await;
    let parts = HookParts {
        client: github_client(&[
            &format!("--github-endpoint=http://{address}"),
            &format!("--github-token-path={}", token.display()),
            "--github-client.max-retries=0",
        ]),
        git_base: format!("http://{address}"),
        cluster: api.client.clone(),
        folder: folder.path().to_owned(),
        choice: WorldOptions {
            jobs: JOBS,
            ..WorldOptions::default()
        },
    };
    let hook = Hook::start(parts, listener().await).await;
    let event = pull("opened", 7, &"a".repeat(40));
    assert_eq!(hook.deliver("pull_request", "late", &event).await, 200);
    eventually("an attempt failed", async || {
        hook.count("state = 'queued' AND attempts > 0 AND error IS NOT NULL")
            .await
            == 1
    })
    .await;

    let _github = github_at(address, &data, &CancellationToken::new()).await;
    hook.idle().await;
    let jobs = prowjobs(&api).await;
    assert_eq!(jobs.len(), 1, "{:?}", hook.reasons().await);
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_that_cannot_be_read_fails_alone_and_may_come_again() {
    let world = World::new().await;
    let payload = json!({"action": 7, "repository": {"full_name": "acme/widgets"}});
    assert_eq!(
        world.hook.deliver("pull_request", "bad", &payload).await,
        200
    );
    world.idle().await;
    assert_eq!(
        world.hook.count("guid = 'bad' AND state = 'failed'").await,
        1
    );
    assert_eq!(
        world.hook.deliver("pull_request", "bad", &payload).await,
        200
    );
    world.idle().await;
    assert_eq!(
        world
            .hook
            .count("guid = 'bad' AND state = 'failed' AND attempts = 1")
            .await,
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_nobody_listens_to_is_done_with_a_reason() {
    let world = World::new().await;
    world
        .hook
        .deliver("watch", "w", &json!({"action": "started"}))
        .await;
    world.idle().await;
    assert_eq!(world.hook.count("guid = 'w' AND state = 'done'").await, 1);
    let reasons = world.hook.reasons().await;
    assert!(
        reasons
            .iter()
            .any(|reason| reason == "no plugin listens to watch events")
    );
}
