//! The client against a server that reads requests and sends given responses, or none.

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{ListParams, LogParams, PostParams, WatchParams},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::duration::GoDuration;

const HEAD: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
const HALF_A_LIST: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"metadata\":{\"resourceVersion\":\"1\"}";

/// Answers the n-th connection with the n-th text, and holds it open. The last text is repeated.
async fn api(answers: &'static [&'static str], timeouts: KubernetesTimeouts) -> Client {
    crate::service::install_crypto();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut open = Vec::new();
        for count in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await.unwrap();
            let answer = answers[count.min(answers.len() - 1)];
            stream.write_all(answer.as_bytes()).await.unwrap();
            open.push(stream);
        }
    });
    build_client(Config::new(url.parse().unwrap()), timeouts).unwrap()
}

fn maps(client: Client) -> Api<ConfigMap> {
    Api::namespaced(client, "default")
}

fn timeouts(request_ms: i64, watch_ms: i64) -> KubernetesTimeouts {
    KubernetesTimeouts {
        request: GoDuration::from_nanos(request_ms * 1_000_000),
        watch: GoDuration::from_nanos(watch_ms * 1_000_000),
    }
}

fn told(error: &kube::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

#[tokio::test]
async fn an_answer_that_never_comes_is_an_error() {
    let client = api(&[""], timeouts(50, 0)).await;
    let error = maps(client).get("m").await.unwrap_err();
    assert!(told(&error).contains("silent for 50ms"), "{}", told(&error));
}

#[tokio::test]
async fn so_is_a_body_that_stops_half_way() {
    let client = api(&[HALF_A_LIST], timeouts(50, 0)).await;
    let error = maps(client).list(&ListParams::default()).await.unwrap_err();
    assert!(told(&error).contains("silent for 50ms"), "{}", told(&error));
}

#[tokio::test]
async fn a_silent_watch_ends_and_not_by_the_time_for_answers() {
    let client = api(&[HEAD], timeouts(50, 200)).await;
    let begin = Instant::now();
    let watch = maps(client)
        .watch(&WatchParams::default(), "1")
        .await
        .unwrap();
    let error = watch.try_collect::<Vec<_>>().await.unwrap_err();
    assert!(
        told(&error).contains("silent for 200ms"),
        "{}",
        told(&error)
    );
    assert!(begin.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_followed_log_may_be_silent() {
    let client = api(&[HEAD], timeouts(50, 50)).await;
    let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(client, "default");
    let follow = LogParams {
        follow: true,
        ..LogParams::default()
    };
    let log = pods.log_stream("p", &follow).await.unwrap();
    let lines = futures::AsyncBufReadExt::lines(log).try_collect::<Vec<_>>();
    let waited = tokio::time::timeout(Duration::from_millis(300), lines).await;
    assert!(waited.is_err(), "{waited:?}");
}

#[tokio::test]
async fn too_many_requests_is_asked_again_when_the_server_says() {
    let busy = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let found = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    let answers: &'static [&'static str] = vec![busy, found].leak();
    let client = api(answers, KubernetesTimeouts::default()).await;
    let begin = Instant::now();
    maps(client).get("m").await.unwrap();
    assert!(begin.elapsed() >= Duration::from_secs(1));
}

/// 504 does not say whether the request took effect: only a read is repeated.
#[tokio::test]
async fn a_change_is_not_repeated_where_the_first_may_have_been_made() {
    let lost = "HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let away = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let busy = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let done = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    for (first, change) in [(lost, Some(504)), (away, Some(503)), (busy, None)] {
        let answers: &'static [&'static str] = vec![first, done].leak();
        let reading = maps(api(answers, KubernetesTimeouts::default()).await)
            .get("m")
            .await;
        assert!(reading.is_ok(), "{first}: {reading:?}");
        let client = api(answers, KubernetesTimeouts::default()).await;
        let map = ConfigMap::default();
        let made = maps(client).create(&PostParams::default(), &map).await;
        let code = match made {
            Ok(_) => None,
            Err(kube::Error::Api(status)) => Some(status.code),
            Err(error) => panic!("{first}: {error}"),
        };
        assert_eq!(code, change, "{first}");
    }
}
