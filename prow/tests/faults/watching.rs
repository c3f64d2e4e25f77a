//! The body of a watch on its way through the proxy: whole lines, until a fault happens.

use std::{io, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, future::pending, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use kube::client::Body;
use tokio::{sync::watch, time::Instant};

use super::{proxy::AnswerBody, weather::Fault};

const EXPIRED: &str = r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version","reason":"Expired","code":410}}"#;

struct Watching {
    body: Body,
    /// Bytes that arrived and are no whole line yet.
    rest: Vec<u8>,
    fault: Fault,
    /// When the fault happens.
    at: Instant,
    cut: watch::Receiver<bool>,
    silences: watch::Receiver<u64>,
    over: bool,
}

pub(super) fn body(
    body: Body,
    fault: Fault,
    cut: watch::Receiver<bool>,
    silences: watch::Receiver<u64>,
) -> AnswerBody {
    let after = match fault {
        Fault::Expire(after) | Fault::Break(after) | Fault::Silence(after) => after,
        _ => Duration::from_secs(24 * 60 * 60),
    };
    let watching = Watching {
        body,
        rest: Vec::new(),
        fault,
        at: Instant::now() + after,
        cut,
        silences,
        over: false,
    };
    let pieces = stream::unfold(watching, async |mut watching| {
        let piece = watching.next().await?;
        Some((piece.map(Frame::data), watching))
    });
    StreamBody::new(pieces.boxed()).boxed_unsync()
}

impl Watching {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.over {
            return None;
        }
        loop {
            tokio::select! {
                biased;
                _ = self.silences.changed() => pending().await,
                () = tokio::time::sleep_until(self.at) => return self.happen().await,
                frame = self.body.frame() => {
                    let data = match frame? {
                        Ok(frame) => frame.into_data().ok()?,
                        Err(error) => return Some(Err(io::Error::other(error))),
                    };
                    self.rest.extend_from_slice(&data);
                    if let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') {
                        let rest = self.rest.split_off(end + 1);
                        let lines = std::mem::replace(&mut self.rest, rest);
                        // While the connection is cut, the lines wait.
                        let _ = self.cut.wait_for(|cut| !cut).await;
                        return Some(Ok(lines.into()));
                    }
                }
            }
        }
    }

    async fn happen(&mut self) -> Option<io::Result<Bytes>> {
        match self.fault {
            Fault::Expire(_) => {
                self.over = true;
                Some(Ok(format!("{EXPIRED}\n").into()))
            }
            Fault::Break(_) => {
                // Half a line first.
                self.fault = Fault::LoseAnswer;
                self.at = Instant::now();
                Some(Ok(Bytes::from_static(
                    b"{\"type\":\"MODIFIED\",\"object\":{\"ki",
                )))
            }
            Fault::LoseAnswer => {
                self.over = true;
                Some(Err(io::ErrorKind::ConnectionReset.into()))
            }
            _ => pending().await,
        }
    }
}
