//! Crier against a Slack that keeps what it receives.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Form, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use common::prowjob::ProwJobState;
use plank::crier::{CrierContext, SlackClient};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    cluster::ended,
    world::{World, start},
};

const REPORTER: &str = "slackreporter";

type Message = BTreeMap<String, String>;

#[derive(Clone, Default)]
struct Workspace {
    messages: Arc<Mutex<Vec<Message>>>,
    /// Its next answers; `ok` when there are none. A number is a 429 with that wait.
    answers: Arc<Mutex<VecDeque<Value>>>,
}

async fn take(State(slack): State<Workspace>, Form(message): Form<Message>) -> Response {
    slack.messages.lock().unwrap().push(message);
    let answer = slack.answers.lock().unwrap().pop_front();
    match answer {
        Some(Value::Number(wait)) => (
            StatusCode::TOO_MANY_REQUESTS,
            [("retry-after", wait.to_string())],
            "",
        )
            .into_response(),
        Some(answer) => Json(answer).into_response(),
        None => Json(json!({"ok": true})).into_response(),
    }
}

/// A crier that posts to this workspace alone, with the token of the host `*`.
async fn crier(world: &World, slack: &Workspace, entry: Value) -> CrierContext {
    let router = Router::new()
        .route("/api/chat.postMessage", post(take))
        .with_state(slack.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router).into_future());
    let token = world.cluster.dir.path().join("slack");
    std::fs::write(&token, "xoxb-1\n").unwrap();
    let mut ctx = world.context(json!({"slack_reporter_configs": {"*": entry}}));
    ctx.slack = SlackClient::new(&url, [("*".to_owned(), token)].into()).unwrap();
    ctx.settings.github_workers = 0;
    ctx.settings.slack_workers = 2;
    ctx
}

fn failures() -> Value {
    json!({"channel": "ci", "job_types_to_report": ["presubmit"],
        "job_states_to_report": ["failure", "error"]})
}

impl World {
    async fn fail(&self, name: &str, more: Value) {
        self.trigger(name, more).await;
        self.cluster.pod(name).await;
        self.cluster.set_pod(name, ended("Failed", 1)).await;
        self.cluster.complete(name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_written_to_the_channel_once() {
    let world = World::new().await;
    let slack = Workspace::default();
    start(crier(&world, &slack, failures()).await);
    world.fail("unit", json!({})).await;
    world.marked("unit", REPORTER, ProwJobState::Failure).await;
    world.trigger("lint", json!({})).await;
    world.cluster.pod("lint").await;
    world.cluster.set_pod("lint", ended("Succeeded", 0)).await;
    world.cluster.complete("lint").await;
    world.cluster.rest().await;
    let messages = slack.messages.lock().unwrap().clone();
    let [message] = messages.as_slice() else {
        panic!("not one message: {messages:?}");
    };
    for (key, value) in [
        ("username", "prow"),
        ("icon_emoji", ":prow:"),
        ("token", "xoxb-1"),
        ("channel", "ci"),
    ] {
        assert_eq!(message[key], value, "{key}");
    }
    let text = &message["text"];
    let begin =
        "Job unit of type presubmit ended with state failure. <http://deck/view/prowjob/unit/";
    assert!(
        text.starts_with(begin) && text.ends_with("|View logs>"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_slack_is_asked_again_when_it_says() {
    let world = World::new().await;
    let slack = Workspace::default();
    slack
        .answers
        .lock()
        .unwrap()
        .extend([json!(1), json!({"ok": false, "error": "internal_error"})]);
    let before = std::time::Instant::now();
    start(crier(&world, &slack, failures()).await);
    world.fail("unit", json!({})).await;
    world.marked("unit", REPORTER, ProwJobState::Failure).await;
    assert_eq!(slack.messages.lock().unwrap().len(), 3);
    assert!(before.elapsed() >= Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_slack_can_never_take_is_given_up() {
    let world = World::new().await;
    let slack = Workspace::default();
    slack
        .answers
        .lock()
        .unwrap()
        .push_back(json!({"ok": false, "error": "channel_not_found"}));
    start(crier(&world, &slack, failures()).await);
    world.fail("unit", json!({})).await;
    world.marked("unit", REPORTER, ProwJobState::Failure).await;
    let elsewhere = json!({"reporter_config": {"slack": {"host": "nowhere"}}});
    world.fail("lint", elsewhere).await;
    world.marked("lint", REPORTER, ProwJobState::Failure).await;
    world.cluster.rest().await;
    assert_eq!(slack.messages.lock().unwrap().len(), 1);
}
