//! A client that sees every request of plank's and may answer instead of the API.

use std::sync::{Arc, Mutex};

use http::{Request, Response, StatusCode};
use kube::{Client, client::Body};
use serde_json::{Value, json};

/// Stands between plank and the API; records requests.
#[derive(Clone, Default)]
pub(crate) struct Gate {
    /// Method and path of every request, and the answer's code.
    seen: Arc<Mutex<Vec<(String, StatusCode)>>>,
}

/// What happens to a request.
pub(crate) enum Passage {
    Through,
    /// It is refused with this code and message.
    Refused(u16, &'static str),
    /// No answer ever comes.
    Silence,
}

impl Gate {
    /// The client `inner` behind this gate; `passage` is called with "METHOD path?query".
    pub(crate) fn client(
        &self,
        inner: &Client,
        namespace: &str,
        passage: impl Fn(&str) -> Passage + Send + Sync + 'static,
    ) -> Client {
        let (seen, inner, passage) = (Arc::clone(&self.seen), inner.clone(), Arc::new(passage));
        let service = tower::service_fn(move |request: Request<Body>| {
            let (seen, inner, passage) = (Arc::clone(&seen), inner.clone(), Arc::clone(&passage));
            async move {
                let asked = format!("{} {}", request.method(), request.uri());
                let response = match passage(&asked) {
                    Passage::Through => inner.send(request).await?,
                    Passage::Refused(code, message) => refusal(code, message),
                    Passage::Silence => std::future::pending().await,
                };
                let mut seen = seen.lock().unwrap();
                seen.push((asked, response.status()));
                Ok::<_, kube::Error>(response)
            }
        });
        Client::new(service, namespace)
    }

    /// The requests that were answered so far.
    pub(crate) fn seen(&self) -> Vec<(String, StatusCode)> {
        self.seen.lock().unwrap().clone()
    }
}

fn refusal(code: u16, message: &str) -> Response<Body> {
    let status: Value = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "code": code, "message": message, "reason": "Forbidden",
    });
    let mut response = Response::new(Body::from(status.to_string().into_bytes()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}
