//! Reads a payload into memory: bounded in size, in time, and in what all payloads take together.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::WebhookRefusal;

/// GitHub itself sends no more than 25 MB.
const MAX_BODY: usize = 25 << 20;

/// The largest small payload, in bytes. Most of GitHub's payloads are far below.
const SMALL: usize = 1 << 20;

/// Bytes for all small payloads together: thousands of the usual size, 128 of the largest.
const SMALL_ROOM: usize = 128 << 20;

/// Bytes for all larger payloads together: ten of the largest.
const LARGE_ROOM: usize = 256 << 20;

const TOO_LARGE: WebhookRefusal = WebhookRefusal(
    StatusCode::PAYLOAD_TOO_LARGE,
    "the payload is larger than 25 MB",
);
const FULL: WebhookRefusal = WebhookRefusal(
    StatusCode::SERVICE_UNAVAILABLE,
    "too many payloads at once; send it again",
);
const TOO_SLOW: WebhookRefusal = WebhookRefusal(
    StatusCode::REQUEST_TIMEOUT,
    "the payload took too long to arrive",
);
const CUT_OFF: WebhookRefusal = WebhookRefusal(
    StatusCode::INTERNAL_SERVER_ERROR,
    "the payload could not be read",
);

/// Memory for payloads that are not stored yet, in bytes. Nobody has vouched for their senders, so
/// large payloads cannot take the memory of small ones.
#[derive(Clone, Debug)]
pub(crate) struct PayloadBudget {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl Default for PayloadBudget {
    fn default() -> Self {
        Self {
            small: Arc::new(Semaphore::new(SMALL_ROOM)),
            large: Arc::new(Semaphore::new(LARGE_ROOM)),
        }
    }
}

/// The memory that one payload takes; dropping this releases it.
#[derive(Debug)]
pub(super) struct PayloadPermit {
    bytes: usize,
    permit: Option<OwnedSemaphorePermit>,
}

impl PayloadPermit {
    /// Reserves `more` bytes. A payload that is no longer small moves to the large ones.
    fn reserve_bytes(&mut self, room: &PayloadBudget, more: usize) -> Result<(), WebhookRefusal> {
        let all = self.bytes + more;
        let take = |pool: &Arc<Semaphore>, bytes: usize| {
            let count = u32::try_from(bytes).map_err(|_| TOO_LARGE)?;
            Arc::clone(pool)
                .try_acquire_many_owned(count)
                .map_err(|_| FULL)
        };
        if all <= SMALL {
            self.merge_permit(take(&room.small, more)?);
        } else if self.bytes <= SMALL {
            self.permit = Some(take(&room.large, all)?);
        } else {
            self.merge_permit(take(&room.large, more)?);
        }
        self.bytes = all;
        Ok(())
    }

    fn merge_permit(&mut self, more: OwnedSemaphorePermit) {
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
    }
}

/// Reads a whole payload within `limit`. Refusals, in order: too large, no room, too slow.
pub(super) async fn read_body(
    headers: &HeaderMap,
    body: Body,
    room: &PayloadBudget,
    limit: Duration,
) -> Result<(Bytes, PayloadPermit), WebhookRefusal> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_BODY) {
        return Err(TOO_LARGE);
    }
    tokio::time::timeout(limit, collect_body(body, room))
        .await
        .unwrap_or(Err(TOO_SLOW))
}

async fn collect_body(
    body: Body,
    room: &PayloadBudget,
) -> Result<(Bytes, PayloadPermit), WebhookRefusal> {
    let mut stream = body.into_data_stream();
    let mut whole = BytesMut::new();
    let mut held = PayloadPermit {
        bytes: 0,
        permit: None,
    };
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| CUT_OFF)?;
        if whole.len() + chunk.len() > MAX_BODY {
            return Err(TOO_LARGE);
        }
        held.reserve_bytes(room, chunk.len())?;
        whole.extend_from_slice(&chunk);
    }
    Ok((whole.freeze(), held))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn of(chunks: usize, size: usize) -> Body {
        let chunk = Bytes::from(vec![b' '; size]);
        let chunks = std::iter::repeat_n(Ok::<_, Infallible>(chunk), chunks);
        Body::from_stream(futures::stream::iter(chunks))
    }

    async fn take(
        room: &PayloadBudget,
        body: Body,
    ) -> Result<(Bytes, PayloadPermit), WebhookRefusal> {
        read_body(&HeaderMap::new(), body, room, Duration::from_secs(60)).await
    }

    fn left(room: &PayloadBudget) -> (usize, usize) {
        (
            SMALL_ROOM - room.small.available_permits(),
            LARGE_ROOM - room.large.available_permits(),
        )
    }

    #[tokio::test]
    async fn bytes_are_counted_not_pieces() {
        let room = PayloadBudget::default();
        for (chunks, size, taken) in [
            (10_000, 1, (10_000, 0)),
            (1, SMALL, (SMALL, 0)),
            (SMALL / 1024 + 1, 1024, (0, SMALL + 1024)),
            (3, SMALL, (0, 3 * SMALL)),
            (0, 0, (0, 0)),
        ] {
            let (body, held) = take(&room, of(chunks, size)).await.unwrap();
            assert_eq!(body.len(), chunks * size);
            assert_eq!(left(&room), taken, "{chunks} times {size}");
            drop(held);
            assert_eq!(left(&room), (0, 0), "all is given back");
        }
    }

    #[tokio::test]
    async fn large_ones_do_not_take_the_room_of_small_ones() {
        let room = PayloadBudget::default();
        let _all = room
            .large
            .try_acquire_many(u32::try_from(LARGE_ROOM).unwrap());
        assert_eq!(take(&room, of(2, SMALL)).await.unwrap_err(), FULL);
        assert_eq!(
            left(&room),
            (0, LARGE_ROOM),
            "the refused one holds nothing"
        );
        assert!(take(&room, of(1, SMALL)).await.is_ok());
        let _small = room
            .small
            .try_acquire_many(u32::try_from(SMALL_ROOM).unwrap());
        assert_eq!(take(&room, of(1, 1)).await.unwrap_err(), FULL);
    }

    #[tokio::test]
    async fn what_is_too_large_or_too_slow_is_refused() {
        let room = PayloadBudget::default();
        let refused = take(&room, of(MAX_BODY / SMALL + 1, SMALL)).await;
        assert_eq!(refused.unwrap_err(), TOO_LARGE);
        let silent = Body::from_stream(futures::stream::pending::<Result<Bytes, Infallible>>());
        let refused = read_body(&HeaderMap::new(), silent, &room, Duration::ZERO).await;
        assert_eq!(refused.unwrap_err(), TOO_SLOW);
        assert_eq!(left(&room), (0, 0));
    }
}
