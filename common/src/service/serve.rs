//! An HTTP server that slow clients cannot block, and that does not cut off responses at shutdown.

use std::{io::ErrorKind, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;
use tower_http::timeout::RequestBodyTimeoutLayer;

use super::write_timeout::WriteTimeoutStream;

/// The time limits and the size of the server.
#[derive(Clone, Copy, Debug)]
pub struct ServeOptions {
    /// For a request's whole head.
    pub header_timeout: Duration,
    /// Between two chunks of a request's body.
    pub body_timeout: Duration,
    /// Until the client accepts the next chunk of a response.
    pub write_timeout: Duration,
    /// For open responses after `shutdown`.
    pub grace: Duration,
    /// Most connections at once; further ones wait in the listener's backlog. Each needs about 20
    /// KiB and a file descriptor.
    pub connections: usize,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            grace: Duration::from_secs(30),
            connections: 2_000,
        }
    }
}

/// Serves until `shutdown`, then finishes open responses for at most [`ServeOptions::grace`].
///
/// Endless responses (event streams) end with the same `shutdown`, or are cut off after the grace.
pub async fn serve_http(
    listener: TcpListener,
    router: Router,
    options: ServeOptions,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let router = router.layer(RequestBodyTimeoutLayer::new(options.body_timeout));
    let graceful = GracefulShutdown::new();
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(options.header_timeout);
    let room = Arc::new(Semaphore::new(options.connections));
    let next = async || {
        let seat = Arc::clone(&room).acquire_owned().await;
        let seat = seat.expect("the room is never closed");
        (listener.accept().await, seat)
    };
    loop {
        let (accepted, seat) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = next() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        // Small responses are sent at once. If that cannot be set, the connection fails anyway.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let stream = TokioIo::new(WriteTimeoutStream::new(stream, options.write_timeout));
        // When connections run short, each serves one request, so that no client keeps one for
        // ever.
        http.keep_alive(room.available_permits() > options.connections / 4);
        let connection = graceful.watch(http.serve_connection(stream, service));
        tokio::spawn(async move {
            let _seat = seat;
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended early");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(options.grace, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("connections were still open after the grace period");
    }
    Ok(())
}

/// A client that disconnected needs no pause; other errors (no file descriptors left) do.
async fn pause_after(error: &std::io::Error) {
    if !matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    ) {
        tracing::warn!(%error, "cannot accept a connection");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::{body::Body, routing::get};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    async fn start(
        options: ServeOptions,
    ) -> (
        std::net::SocketAddr,
        CancellationToken,
        tokio::task::JoinHandle<anyhow::Result<()>>,
    ) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let slow = get(|| async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            "done"
        });
        let endless = get(|| async {
            let pieces =
                futures::stream::repeat_with(|| Ok::<_, Infallible>([0_u8; 65_536].to_vec()));
            Body::from_stream(pieces)
        });
        let router = Router::new()
            .route("/slow", slow)
            .route("/endless", endless);
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(serve_http(listener, router, options, shutdown.clone()));
        (address, shutdown, task)
    }

    #[tokio::test]
    async fn an_open_answer_is_finished_on_shutdown() {
        let (address, shutdown, task) = start(ServeOptions::default()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        shutdown.cancel();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("done"), "{answer}");
        task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn no_more_connections_than_there_is_room_for() {
        let (address, shutdown, task) = start(ServeOptions {
            connections: 2,
            ..ServeOptions::default()
        })
        .await;
        let ask = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n";
        let mut streams = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let endless = b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n";
            stream.write_all(endless).await.unwrap();
            stream.read_u8().await.unwrap();
            streams.push(stream);
        }
        let mut waiting = TcpStream::connect(address).await.unwrap();
        waiting.write_all(ask).await.unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(1), waiting.read_u8()).await;
        assert!(answer.is_err(), "there is no room: {answer:?}");
        drop(streams.pop());
        let answer = tokio::time::timeout(Duration::from_secs(30), waiting.read_u8()).await;
        assert_eq!(answer.expect("its turn has come").unwrap(), b'H');
        shutdown.cancel();
        drop((streams, waiting));
        task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn who_asks_again_and_again_makes_room() {
        let (address, shutdown, task) = start(ServeOptions {
            connections: 1,
            ..ServeOptions::default()
        })
        .await;
        let ask = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n";
        let mut greedy = TcpStream::connect(address).await.unwrap();
        greedy.write_all(&ask.repeat(100)).await.unwrap();
        let mut next = TcpStream::connect(address).await.unwrap();
        next.write_all(ask).await.unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(5), next.read_u8()).await;
        assert_eq!(answer.expect("its turn has come").unwrap(), b'H');
        shutdown.cancel();
        drop((greedy, next));
        task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn who_asks_and_never_reads_makes_room() {
        let (address, shutdown, task) = start(ServeOptions {
            connections: 1,
            write_timeout: Duration::from_millis(200),
            ..ServeOptions::default()
        })
        .await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let mut next = TcpStream::connect(address).await.unwrap();
        next.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(30), next.read_u8()).await;
        assert_eq!(answer.expect("its turn has come").unwrap(), b'H');
        shutdown.cancel();
        drop((idle, next));
        task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn who_asks_for_nothing_more_makes_room() {
        let (address, shutdown, task) = start(ServeOptions {
            header_timeout: Duration::from_millis(100),
            ..ServeOptions::default()
        })
        .await;
        for ask in ["", "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(ask.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer))
                .await
                .expect("the server closes the connection")
                .unwrap();
        }
        shutdown.cancel();
        task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_head_that_never_ends_is_cut_off() {
        let (address, shutdown, task) = start(ServeOptions {
            header_timeout: Duration::from_millis(100),
            ..ServeOptions::default()
        })
        .await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /slow HTTP/1.1\r\n").await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer))
            .await
            .expect("the server closes the connection")
            .unwrap();
        shutdown.cancel();
        task.await.unwrap().unwrap();
    }
}
