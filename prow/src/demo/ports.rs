//! Finding ports on loopback.

use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};

use anyhow::Context;
use tokio::net::TcpListener;

/// A listener on `wanted`; without one, on `default` or the next port that is free.
pub(super) fn listen(wanted: Option<u16>, default: u16) -> anyhow::Result<TcpListener> {
    let listener = match wanted {
        Some(port) => bind(port).with_context(|| format!("port {port} is not free"))?,
        None => (default..=default.saturating_add(100))
            .find_map(|port| bind(port).ok())
            .or_else(|| bind(0).ok())
            .context("no port is free")?,
    };
    listener.set_nonblocking(true)?;
    Ok(TcpListener::from_std(listener)?)
}

fn bind(port: u16) -> std::io::Result<StdListener> {
    StdListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_default_gives_the_next_and_a_taken_wish_an_error() {
        let first = listen(None, 42_000).unwrap();
        let taken = first.local_addr().unwrap().port();
        let second = listen(None, taken).unwrap().local_addr().unwrap();
        assert!(second.port() != taken && second.ip().is_loopback());
        assert!(
            listen(Some(taken), 1)
                .unwrap_err()
                .to_string()
                .contains(&taken.to_string())
        );
    }
}
