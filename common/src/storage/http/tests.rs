//! The client against a server that does what Deck's `/storage` promises, and records the requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use reqwest::header::{CONTENT_RANGE, HeaderMap};

use super::*;
use crate::storage::ObjectStorage;

type Objects = Arc<Mutex<BTreeMap<String, (HeaderMap, Bytes)>>>;

async fn serve(State(objects): State<Objects>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    if head
        .headers
        .get("authorization")
        .is_none_or(|a| a != "Bearer t0ken")
    {
        return StatusCode::FORBIDDEN.into_response();
    }
    if head.method == http::Method::PUT {
        let Ok(body) = body.collect().await else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        let body = body.to_bytes();
        if body.len() > 1 << 21 {
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        }
        let mut objects = objects.lock().unwrap();
        if head.headers.contains_key(IF_NONE_MATCH) && objects.contains_key(&path) {
            return StatusCode::PRECONDITION_FAILED.into_response();
        }
        objects.insert(path, (head.headers, body));
        return StatusCode::CREATED.into_response();
    }
    let Some((headers, body)) = objects.lock().unwrap().get(&path).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kept = headers
        .into_iter()
        .filter_map(|(name, value)| Some((name?, value)));
    let mut kept: HeaderMap = kept
        .filter(|(n, _)| {
            n.as_str().starts_with("x-")
                || n.as_str().starts_with("content-t")
                || n.as_str().starts_with("content-e")
        })
        .collect();
    let size = body.len() as u64;
    let Some(range) = header_text(&head.headers, "range") else {
        return (kept, body).into_response();
    };
    let range = range.strip_prefix("bytes=").unwrap();
    let (start, end) = match range.split_once('-').unwrap() {
        ("", n) => (size.saturating_sub(n.parse().unwrap()), size),
        (a, b) => (
            a.parse().unwrap(),
            (b.parse::<u64>().unwrap() + 1).min(size),
        ),
    };
    if start >= size {
        kept.insert(CONTENT_RANGE, format!("bytes */{size}").parse().unwrap());
        return (StatusCode::RANGE_NOT_SATISFIABLE, kept).into_response();
    }
    kept.insert(
        CONTENT_RANGE,
        format!("bytes {start}-{}/{size}", end - 1).parse().unwrap(),
    );
    let part = body.slice(usize::try_from(start).unwrap()..usize::try_from(end).unwrap());
    (StatusCode::PARTIAL_CONTENT, kept, part).into_response()
}

async fn listen(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/storage", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn server() -> (String, Objects) {
    let objects = Objects::default();
    let router = Router::new().fallback(serve).with_state(objects.clone());
    (listen(router).await, objects)
}

fn open(url: &str, token: &str) -> ObjectStorage {
    let credentials = StorageCredentials {
        storage_token: Some(token.to_owned().into()),
        ..StorageCredentials::default()
    };
    ObjectStorage::open_bucket(url, &credentials).unwrap()
}

async fn text(object: BucketObject) -> String {
    String::from_utf8(object.read_bytes(1 << 20).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn objects_and_attributes_go_there_and_back() {
    let (url, objects) = server().await;
    let storage = open(&url, "t0ken");
    let attributes = ObjectAttributes {
        content_type: Some("text/plain".into()),
        content_encoding: Some("gzip".into()),
        cache_control: None,
        metadata: BTreeMap::from([("link".into(), "x/y".into())]),
    };
    let stream = futures::stream::iter([Ok(Bytes::from("01234")), Ok(Bytes::from("56789"))]);
    storage
        .put_object("a/b %23?", ObjectBody::from_stream(stream), &attributes)
        .await
        .unwrap();
    assert!(
        objects
            .lock()
            .unwrap()
            .contains_key("/storage/a/b%20%2523%3F"),
        "a key is escaped by segment"
    );

    let object = storage.get_object("a/b %23?").await.unwrap();
    assert_eq!((object.size, &object.attributes), (10, &attributes));
    assert_eq!(text(object).await, "0123456789");
    for (object, range, expected) in [
        (storage.get_range("a/b %23?", 2..4).await, 2..4, "23"),
        (storage.get_range("a/b %23?", 8..99).await, 8..10, "89"),
        (storage.get_range("a/b %23?", 50..99).await, 10..10, ""),
        (storage.get_tail("a/b %23?", 3).await, 7..10, "789"),
        (storage.get_tail("a/b %23?", 30).await, 0..10, "0123456789"),
        (storage.head_object("a/b %23?").await, 0..0, ""),
    ] {
        let object = object.unwrap();
        assert_eq!((object.size, object.range.clone()), (10, range));
        assert_eq!(text(object).await, expected);
    }
}

#[tokio::test]
async fn the_first_of_two_stays() {
    let (url, _objects) = server().await;
    let storage = open(&url, "t0ken");
    assert!(
        storage
            .put_if_absent("k", "one", &ObjectAttributes::default())
            .await
            .unwrap()
    );
    assert!(
        !storage
            .put_if_absent("k", "two", &ObjectAttributes::default())
            .await
            .unwrap()
    );
    assert_eq!(text(storage.get_object("k").await.unwrap()).await, "one");
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let (url, objects) = server().await;
    let storage = open(&url, "t0ken");
    assert!(matches!(
        storage.get_object("none").await,
        Err(StorageError::NotFound(_))
    ));
    assert!(matches!(
        open(&url, "bad")
            .put_object("k", "v", &ObjectAttributes::default())
            .await,
        Err(StorageError::Forbidden(_))
    ));
    let large = storage
        .put_object("k", vec![0; (1 << 21) + 1], &ObjectAttributes::default())
        .await
        .unwrap_err();
    assert!(!large.is_transient(), "{large}");
    let torn = futures::stream::iter([Ok(Bytes::from("half")), Err(std::io::Error::other("torn"))]);
    assert!(
        storage
            .put_object(
                "k",
                ObjectBody::from_stream(torn),
                &ObjectAttributes::default()
            )
            .await
            .is_err()
    );
    assert!(objects.lock().unwrap().is_empty());
    assert!(storage.list_objects("", true).await.is_err());
}

#[tokio::test]
async fn an_error_tells_its_innermost_cause_and_whether_to_try_again() {
    let (url, _objects) = server().await;
    let refusing = |code: u16, says: &'static str| async move {
        let router = Router::new().fallback(move || async move {
            (
                StatusCode::from_u16(code).unwrap(),
                format!("{says}\nmore\n"),
            )
        });
        listen(router).await
    };
    let (forged, plain) = (open(&url, "t0ken"), ObjectAttributes::default());
    for (what, url, transient, told) in [
        (
            "nobody listens",
            "http://127.0.0.1:1/storage".to_owned(),
            true,
            "Connection refused",
        ),
        (
            "no such name",
            "http://no.such.host.invalid/storage".to_owned(),
            true,
            "dns error",
        ),
        (
            "no TLS there",
            url.replace("http:", "https:"),
            true,
            "InvalidContentType",
        ),
        (
            "too large",
            refusing(413, "Too large: a run may keep 5 bytes.").await,
            false,
            "413 Payload Too Large: Too large: a run may keep 5 bytes.",
        ),
        (
            "moved",
            refusing(301, "Over there.").await,
            false,
            "301 Moved Permanently",
        ),
        (
            "not allowed",
            refusing(403, "The token has expired.").await,
            false,
            "The token has expired.",
        ),
        ("broke off", refusing(408, "Broke off.").await, true, "408"),
        ("starting", refusing(503, "Soon.").await, true, "Soon."),
    ] {
        let storage = open(&url, "t0ken");
        let put = storage.put_object("k", "v", &plain).await;
        let error = put.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(told), "{what}: {text}");
        assert!(!text.contains("more"), "{what}: {text}");
        assert_eq!(error.is_transient(), transient, "{what}: {text}");
    }
    let attributes = ObjectAttributes::of_type("text/\u{7}");
    let error = forged.put_object("k", "v", &attributes).await.unwrap_err();
    assert!(!error.is_transient(), "{error}");
}

/// A client with a short stall timeout.
fn with_short_stall(url: &str, stall: Duration) -> HttpBackend {
    let credentials = StorageCredentials {
        storage_token: Some("t0ken".to_owned().into()),
        ..StorageCredentials::default()
    };
    HttpBackend {
        stall,
        ..HttpBackend::open_bucket(&Bucket::parse_url(url).unwrap(), &credentials).unwrap()
    }
}

#[tokio::test]
async fn an_upload_may_take_long_as_long_as_bytes_flow() {
    let (url, objects) = server().await;
    let storage = with_short_stall(&url, Duration::from_millis(400));
    let drops = futures::stream::unfold(0, |n| async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        (n < 10).then(|| (Ok(Bytes::from_static(b"drop")), n + 1))
    });
    storage
        .put_object(
            "k",
            ObjectBody::from_stream(drops),
            &ObjectAttributes::default(),
        )
        .await
        .expect("a second in all, and never still for longer than a tenth");
    assert_eq!(objects.lock().unwrap()["/storage/k"].1.len(), 40);
}

#[tokio::test]
async fn an_upload_that_stands_still_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/storage", listener.local_addr().unwrap());
    let storage = with_short_stall(&url, Duration::from_millis(200));
    let endless = futures::stream::repeat_with(|| Ok(Bytes::from(vec![b'x'; 64 << 10])));
    let small = ObjectBody::Bytes(Bytes::from_static(b"x"));
    // The operating system accepts the connection, and nobody reads from it.
    for body in [ObjectBody::from_stream(endless), small] {
        let error = storage
            .put_object("k", body, &ObjectAttributes::default())
            .await
            .unwrap_err();
        assert!(error.is_transient());
        assert!(error.to_string().contains("took no byte"), "{error}");
    }
}

#[tokio::test]
async fn a_body_in_memory_has_its_length_told() {
    let (url, objects) = server().await;
    let large = vec![b'x'; 100_000];
    open(&url, "t0ken")
        .put_object("k", large.clone(), &ObjectAttributes::default())
        .await
        .unwrap();
    let (headers, body) = objects.lock().unwrap()["/storage/k"].clone();
    assert_eq!(headers["content-length"], "100000");
    assert_eq!(body, large);
}

#[tokio::test]
async fn a_listing_comes_page_by_page_and_has_an_end() {
    async fn pages(request: Request) -> String {
        let name = |n| format!("d/{n}");
        let at = match request.uri().query().unwrap() {
            "list&delimiter=%2F" => 1,
            "list&delimiter=%2F&after=d%2F1" => 2,
            // A server whose pages go round in circles.
            _ => 1,
        };
        let next = if request.uri().path().ends_with("/e") || at == 1 {
            format!(r#","next":"{}""#, name(at))
        } else {
            String::new()
        };
        let object = format!(r#"{{"key":"{}","size":{at}}}"#, name(at));
        format!(r#"{{"objects":[{object}]{next}}}"#)
    }
    let url = listen(Router::new().fallback(pages)).await;
    let storage = open(&url, "t0ken");
    let listing = storage.list_objects("d", true).await.unwrap();
    let keys: Vec<_> = listing.objects.iter().map(|o| o.key.as_str()).collect();
    assert_eq!(keys, ["d/1", "d/2"]);
    let error = storage.list_objects("e", true).await.unwrap_err();
    assert!(error.to_string().contains("same page"), "{error}");
}
