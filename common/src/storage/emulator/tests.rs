//! The client against a server that answers as `fake-gcs-server` does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::*;

type Objects = Arc<Mutex<BTreeMap<String, (Value, Bytes)>>>;
type Parameters = Query<BTreeMap<String, String>>;

async fn upload(
    State(objects): State<Objects>,
    Query(parameters): Parameters,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    if headers.contains_key("authorization") {
        return StatusCode::FORBIDDEN;
    }
    let boundary = headers["content-type"].to_str().unwrap();
    let boundary = boundary.split_once("boundary=").unwrap().1;
    let body = String::from_utf8(body.to_vec()).unwrap();
    let parts: Vec<&str> = body.split(&format!("--{boundary}")).collect();
    let content = |part: &str| {
        let content = part.split_once("\r\n\r\n").unwrap().1;
        content.strip_suffix("\r\n").unwrap().to_owned()
    };
    let mut resource: Value = serde_json::from_str(&content(parts[1])).unwrap();
    let bytes = Bytes::from(content(parts[2]));
    resource["size"] = json!(bytes.len().to_string());
    resource["updated"] = json!("2026-01-01T00:00:00Z");
    let name = parameters["name"].clone();
    objects.lock().unwrap().insert(name, (resource, bytes));
    StatusCode::OK
}

async fn resource(
    State(objects): State<Objects>,
    Path((_, name)): Path<(String, String)>,
    Query(parameters): Parameters,
    headers: HeaderMap,
) -> Result<Response, StatusCode> {
    let objects = objects.lock().unwrap();
    let (resource, bytes) = objects.get(&name).ok_or(StatusCode::NOT_FOUND)?;
    if parameters.get("alt").is_none_or(|alt| alt != "media") {
        return Ok(Json(resource.clone()).into_response());
    }
    let range = headers["range"].to_str().unwrap();
    let (start, last) = range["bytes=".len()..].split_once('-').unwrap();
    let (start, last): (usize, usize) = (start.parse().unwrap(), last.parse().unwrap());
    Ok(bytes.slice(start..=last).into_response())
}

async fn remove(
    State(objects): State<Objects>,
    Path((_, name)): Path<(String, String)>,
) -> StatusCode {
    match objects.lock().unwrap().remove(&name) {
        Some(_) => StatusCode::NO_CONTENT,
        None => StatusCode::NOT_FOUND,
    }
}

/// Lists one object per page.
async fn list(State(objects): State<Objects>, Query(parameters): Parameters) -> Json<Value> {
    let objects = objects.lock().unwrap();
    let prefix = parameters.get("prefix").map_or("", String::as_str);
    let mut items = Vec::new();
    let mut prefixes = Vec::new();
    for (name, (resource, _)) in objects.iter().filter(|(name, _)| name.starts_with(prefix)) {
        match name[prefix.len()..].split_once('/') {
            Some((folder, _)) if parameters.contains_key("delimiter") => {
                prefixes.push(format!("{prefix}{folder}/"));
            }
            _ => items.push(resource.clone()),
        }
    }
    prefixes.dedup();
    let at = parameters.get("pageToken");
    let at: usize = at.map_or(0, |token| token.parse().unwrap());
    let next = (at + 1 < items.len()).then(|| (at + 1).to_string());
    let items: Vec<Value> = items.into_iter().skip(at).take(1).collect();
    match at {
        0 => Json(
            json!({"items": items, "prefixes": prefixes, "nextPageToken": next.unwrap_or_default()}),
        ),
        _ => Json(json!({"items": items, "nextPageToken": next.unwrap_or_default()})),
    }
}

async fn emulator(url: &str) -> EmulatorBackend {
    let router = Router::new()
        .route("/upload/storage/v1/b/{bucket}/o", post(upload))
        .route("/storage/v1/b/{bucket}/o", get(list))
        .route(
            "/storage/v1/b/{bucket}/o/{name}",
            get(resource).delete(remove),
        )
        .with_state(Objects::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    EmulatorBackend::open_at_host(&host, &Bucket::parse_url(url).unwrap()).unwrap()
}

async fn text(emulator: &EmulatorBackend, key: &str, range: ReadRange) -> String {
    let object = emulator.read_object(key, range).await.unwrap();
    String::from_utf8(object.read_bytes(1 << 20).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn objects_go_there_and_back() {
    for url in ["gs://b", "b/root/folder"] {
        let emulator = emulator(url).await;
        let attributes = ObjectAttributes {
            metadata: BTreeMap::from([("link".into(), "x/y".into())]),
            ..ObjectAttributes::of_type("text/plain")
        };
        let stream = futures::stream::iter([Ok(Bytes::from("01234")), Ok(Bytes::from("56789"))]);
        let key = "logs/a b%23/1";
        emulator
            .put_object(key, ObjectBody::from_stream(stream), &attributes)
            .await
            .unwrap();
        let object = emulator
            .read_object(key, ReadRange::Bounded(0..0))
            .await
            .unwrap();
        assert_eq!((object.size, object.range), (10, 0..0));
        assert_eq!(object.attributes, attributes);
        assert_eq!(object.modified.unwrap().to_string(), "2026-01-01T00:00:00Z");
        for (range, expected) in [
            (ReadRange::All, "0123456789"),
            (ReadRange::Bounded(2..4), "23"),
            (ReadRange::Bounded(20..30), ""),
            (ReadRange::Tail(3), "789"),
        ] {
            assert_eq!(
                text(&emulator, key, range.clone()).await,
                expected,
                "{range:?}"
            );
        }

        let none = ObjectAttributes::default();
        for (key, new) in [
            (key, false),
            ("logs/z", true),
            ("logs/z", false),
            ("l", true),
        ] {
            let put = emulator.put_if_absent(key, "x".into(), &none).await;
            assert_eq!(put.unwrap(), new, "{key}");
        }
        let keys = |listing: ObjectListing| -> Vec<String> {
            listing
                .objects
                .into_iter()
                .map(|object| object.key)
                .collect()
        };
        let all = emulator.list_objects("", false).await.unwrap();
        assert_eq!(keys(all), ["l", key, "logs/z"]);
        let logs = emulator.list_objects("logs", true).await.unwrap();
        assert_eq!(logs.prefixes, ["logs/a b%23"]);
        assert_eq!(keys(logs), ["logs/z"]);

        emulator.delete_object("logs/z").await.unwrap();
        for gone in [
            emulator.delete_object("logs/z").await.unwrap_err(),
            emulator
                .read_object("logs/z", ReadRange::All)
                .await
                .unwrap_err(),
        ] {
            assert!(matches!(gone, StorageError::NotFound(_)), "{gone}");
        }
    }
}

#[test]
fn a_host_is_an_address_with_or_without_a_scheme() {
    let bucket = Bucket::parse_url("b").unwrap();
    for (host, expected) in [
        (
            "localhost:4443",
            Some("http://localhost:4443/storage/v1/b/b/o/a%2Fb"),
        ),
        ("https://x/y", Some("https://x/storage/v1/b/b/o/a%2Fb")),
        ("://", None),
        ("a b", None),
    ] {
        let emulator = EmulatorBackend::open_at_host(host, &bucket).ok();
        let url = emulator.map(|emulator| emulator.object_url(&[], Some("a/b")).to_string());
        assert_eq!(url.as_deref(), expected, "{host}");
    }
}
