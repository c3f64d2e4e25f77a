//! Watches: replay the changes after a version, then follow.
//!
//! A watcher has no queue, only a position in the change log. If it falls behind the log's start,
//! it gets 410 and is cut off; then it lists again.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures::stream;
use http::{HeaderValue, header};
use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use super::super::ApiServer;
use super::super::object::ApiObject;
use super::super::render::ResponseFormat;
use super::super::resource::ServedResource;
use super::super::selector::ObjectSelector;
use super::super::status::{StatusError, StatusResult};
use super::super::store::ObjectChange;
use super::ResourceRequest;

/// Changes or objects in one chunk, at most.
const CHUNK: usize = 256;
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// For clients that set no `timeoutSeconds`.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30 * 60);

struct WatchStream {
    api: ApiServer,
    resource: Arc<ServedResource>,
    namespace: String,
    name: String,
    selector: ObjectSelector,
    render: ResponseFormat,
    latest: tokio::sync::watch::Receiver<u64>,
    /// The last version that was sent.
    version: u64,
    /// Objects that exist at the start and are not sent yet.
    initial: VecDeque<Arc<ApiObject>>,
    /// A bookmark marks the end of `initial`.
    mark_initial_end: bool,
    bookmarks: bool,
    next_bookmark: Instant,
    ends: Instant,
    over: bool,
}

pub(super) fn watch_resource(call: &ResourceRequest) -> StatusResult<Response> {
    let render = ResponseFormat::negotiate_format(&call.headers, &call.params)?;
    let selector = call.params.parse_selector()?;
    selector.check_fields(call.resource.id())?;
    let bookmarks = call.params.get_flag("allowWatchBookmarks")? == Some(true);
    let send_initial = call.params.get_flag("sendInitialEvents")?;
    check_initial_events(call, send_initial)?;
    let asked = call.params.get_text("resourceVersion");
    let seconds = call
        .params
        .get_number::<u64>("timeoutSeconds")?
        .filter(|seconds| *seconds > 0);
    let timeout = seconds.map_or(DEFAULT_TIMEOUT, Duration::from_secs);

    let latest = call.store().watch_version();
    let state = call.store().read_state();
    super::read::check_version(&call.params, &state)?;
    let mut watch = WatchStream {
        api: call.api.clone(),
        resource: call.resource.clone(),
        namespace: call.namespace.clone(),
        name: call.name.clone(),
        selector,
        render,
        latest,
        version: state.latest_version(),
        initial: VecDeque::new(),
        mark_initial_end: false,
        bookmarks,
        next_bookmark: Instant::now() + BOOKMARK_EVERY,
        ends: Instant::now() + timeout,
        over: false,
    };
    let from_now = matches!(asked, "" | "0");
    if send_initial.unwrap_or(from_now) {
        let namespace = Some(call.namespace.as_str()).filter(|namespace| !namespace.is_empty());
        let objects = state.list_objects(call.resource.id(), namespace, None);
        watch.initial = objects
            .filter(|object| watch.selects_object(object))
            .cloned()
            .collect();
        watch.mark_initial_end = send_initial == Some(true) && bookmarks;
    } else if !from_now && let Ok(version) = asked.parse::<u64>() {
        // If the version is too old, the first event says so, as in Kubernetes, and not the HTTP
        // status. After an error status kube's watcher asks for the same version for ever.
        watch.version = version;
    }
    drop(state);
    let chunks = stream::unfold(watch, async |mut watch| {
        let chunk = watch.next_chunk().await?;
        Some((Ok::<_, Infallible>(chunk), watch))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    Ok(response)
}

fn check_initial_events(call: &ResourceRequest, send_initial: Option<bool>) -> StatusResult<()> {
    let matching = call.params.get_text("resourceVersionMatch");
    let refuse =
        |field: &str, why: &str| Err(StatusError::invalid_options("ListOptions", field, why));
    match (send_initial, matching) {
        (Some(_), "NotOlderThan") | (None, "") => Ok(()),
        (Some(_), _) => refuse(
            "resourceVersionMatch",
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
        (None, _) => refuse(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ),
    }
}

impl WatchStream {
    /// The next chunk of events; `None` ends the response.
    async fn next_chunk(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        if let Some(chunk) = self.next_initial_chunk() {
            return Some(chunk);
        }
        loop {
            let changes = self
                .api
                .store()
                .read_state()
                .changes_after(self.version, CHUNK);
            let Some(changes) = changes else {
                self.over = true;
                let why = StatusError::resource_expired(format!(
                    "too old resource version: {}",
                    self.version
                ));
                return Some(encode_line("ERROR", why.to_status().to_string().as_bytes()));
            };
            if let Some(last) = changes.last() {
                self.version = last.version;
                let chunk = self.encode_changes(&changes);
                if !chunk.is_empty() {
                    return Some(chunk.into());
                }
                continue;
            }
            tokio::select! {
                changed = self.latest.changed() => changed.ok()?,
                () = tokio::time::sleep_until(self.ends) => {
                    self.over = true;
                    return self.bookmarks.then(|| self.encode_bookmark(false));
                }
                () = tokio::time::sleep_until(self.next_bookmark), if self.bookmarks => {
                    self.next_bookmark = Instant::now() + BOOKMARK_EVERY;
                    return Some(self.encode_bookmark(false));
                }
            }
        }
    }

    fn next_initial_chunk(&mut self) -> Option<Bytes> {
        if self.initial.is_empty() {
            return std::mem::take(&mut self.mark_initial_end).then(|| self.encode_bookmark(true));
        }
        let count = self.initial.len().min(CHUNK);
        let objects: Vec<Arc<ApiObject>> = self.initial.drain(..count).collect();
        Some(
            objects
                .iter()
                .flat_map(|object| self.encode_event("ADDED", object))
                .collect(),
        )
    }

    fn encode_changes(&self, changes: &[ObjectChange]) -> Vec<u8> {
        let mut chunk = Vec::new();
        for change in changes
            .iter()
            .filter(|change| change.key.resource == *self.resource.id())
        {
            let before = change
                .old
                .as_ref()
                .filter(|object| self.selects_object(object));
            let after = change
                .new
                .as_ref()
                .filter(|object| self.selects_object(object));
            match (before, after) {
                (None, Some(object)) => chunk.extend(self.encode_event("ADDED", object)),
                (Some(_), Some(object)) => chunk.extend(self.encode_event("MODIFIED", object)),
                // When an object leaves the selection, its last selected state is sent, at the
                // version of the change.
                (Some(object), None) if change.new.is_some() => {
                    chunk.extend(self.encode_event("DELETED", &object.at_version(change.version)));
                }
                (Some(object), None) => chunk.extend(self.encode_event("DELETED", object)),
                (None, None) => {}
            }
        }
        chunk
    }

    fn selects_object(&self, object: &ApiObject) -> bool {
        (self.namespace.is_empty() || object.key.namespace == self.namespace)
            && (self.name.is_empty() || object.key.name == self.name)
            && self.selector.matches_object(object)
    }

    fn encode_event(&self, kind: &str, object: &ApiObject) -> Bytes {
        encode_line(
            kind,
            &self
                .render
                .render_object(&self.resource, object, Timestamp::now()),
        )
    }

    /// An object with only a version: all changes before it have been sent.
    fn encode_bookmark(&self, end_of_initial: bool) -> Bytes {
        let mut meta =
            json!({"resourceVersion": self.version.to_string(), "creationTimestamp": null});
        if end_of_initial {
            meta["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = json!({"kind": self.resource.kind, "apiVersion": self.resource.api_version(), "metadata": meta});
        encode_line("BOOKMARK", &self.render.render_bookmark(object))
    }
}

fn encode_line(kind: &str, object: &[u8]) -> Bytes {
    let mut line = Vec::with_capacity(object.len() + 32);
    line.extend_from_slice(b"{\"type\":\"");
    line.extend_from_slice(kind.as_bytes());
    line.extend_from_slice(b"\",\"object\":");
    line.extend_from_slice(object);
    line.extend_from_slice(b"}\n");
    line.into()
}
