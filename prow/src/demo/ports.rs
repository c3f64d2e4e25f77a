//! Ports on loopback: the same ones whenever a data folder is used again, so that links of before
//! still lead somewhere.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener as StdListener},
    path::{Path, PathBuf},
};

use anyhow::Context;
use tokio::net::TcpListener;

/// Somebody who listens.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) name: &'static str,
    pub(super) flag: &'static str,
    /// Where it is when nobody says anything; or on the next port that is free.
    pub(super) usual: u16,
}

pub(super) const HOOK: Place = Place {
    name: "hook",
    flag: "--hook-port",
    usual: 8888,
};
pub(super) const DECK: Place = Place {
    name: "Deck",
    flag: "--deck-port",
    usual: 8080,
};
pub(super) const API: Place = Place {
    name: "The Kubernetes API",
    flag: "--api-port",
    usual: 6443,
};
pub(super) const GITHUB: Place = Place {
    name: "The GitHub stand-in",
    flag: "--github-port",
    usual: 3000,
};

/// Which ports were used before, and which are now.
pub(super) struct Ports {
    file: PathBuf,
    before: BTreeMap<String, u16>,
    now: BTreeMap<String, u16>,
    /// What the user should know of them.
    pub(super) notes: Vec<String>,
}

impl Ports {
    /// Those that are kept in `data`; none where there is nothing that could be read.
    pub(super) fn of(data: &Path) -> Self {
        let file = data.join("ports.json");
        let before = fs::read(&file).ok();
        Self {
            before: before
                .and_then(|text| serde_json::from_slice(&text).ok())
                .unwrap_or_default(),
            now: BTreeMap::new(),
            notes: Vec::new(),
            file,
        }
    }

    /// A listener on `wanted`; else on the port of before; else on the usual one or the next that
    /// is free.
    pub(super) fn listen(
        &mut self,
        place: Place,
        wanted: Option<u16>,
    ) -> anyhow::Result<TcpListener> {
        let Place { name, flag, usual } = place;
        let before = self.before.get(name).copied();
        let listener = match wanted {
            Some(port) => bind(port).with_context(|| {
                format!("{flag} {port}: the port is taken; name another one, or leave the flag out")
            })?,
            None => before
                .and_then(|port| bind(port).ok())
                .or_else(|| (usual..=usual.saturating_add(100)).find_map(|port| bind(port).ok()))
                .or_else(|| bind(0).ok())
                .with_context(|| format!("no port is free for {name}"))?,
        };
        let port = listener.local_addr()?.port();
        if let Some(before) = before.filter(|before| *before != port) {
            self.notes
                .push(moved(place, wanted.is_some(), before, port));
        }
        self.now.insert(name.to_owned(), port);
        listener.set_nonblocking(true)?;
        Ok(TcpListener::from_std(listener)?)
    }

    /// Remembers them for the next time.
    pub(super) fn keep(&self) -> anyhow::Result<()> {
        let text = serde_json::to_string(&self.now)?;
        fs::write(&self.file, text).with_context(|| self.file.display().to_string())
    }
}

fn moved(place: Place, is_wanted: bool, before: u16, now: u16) -> String {
    let Place { name, flag, .. } = place;
    let why = if is_wanted {
        String::new()
    } else {
        format!(
            " Another program has port {before}: end it, or another demo, and start again to have \
             them back; {flag} picks a port."
        )
    };
    format!("{name} was on port {before} and is on {now} now: links of before lead nowhere.{why}")
}

fn bind(port: u16) -> std::io::Result<StdListener> {
    StdListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place {
        name: "Deck",
        flag: "--deck-port",
        usual: 42_000,
    };

    fn port(listener: &TcpListener) -> u16 {
        listener.local_addr().unwrap().port()
    }

    #[tokio::test]
    async fn a_taken_default_gives_the_next_and_a_taken_wish_an_error() {
        let data = tempfile::tempdir().unwrap();
        let first = Ports::of(data.path()).listen(PLACE, None).unwrap();
        assert!(first.local_addr().unwrap().ip().is_loopback());
        let mut ports = Ports::of(data.path());
        let second = ports.listen(PLACE, None).unwrap();
        assert_ne!(port(&first), port(&second));
        assert!(ports.notes.is_empty(), "{:?}", ports.notes);
        let refusal = ports.listen(PLACE, Some(port(&first))).unwrap_err();
        let told = format!("--deck-port {}", port(&first));
        assert!(refusal.to_string().contains(&told), "{refusal}");
    }

    #[tokio::test]
    async fn a_port_is_the_same_the_next_time_and_if_it_is_not_one_is_told() {
        let data = tempfile::tempdir().unwrap();
        let mut ports = Ports::of(data.path());
        let listener = ports.listen(PLACE, None).unwrap();
        let kept = port(&listener);
        ports.keep().unwrap();

        let mut ports = Ports::of(data.path());
        let other = ports.listen(PLACE, None).unwrap();
        assert_ne!(port(&other), kept);
        let told = ports.notes.concat();
        for words in [&format!("port {kept}"), "lead nowhere", "--deck-port"] {
            assert!(told.contains(words), "{words} is not in {told}");
        }

        drop(listener);
        let mut ports = Ports::of(data.path());
        assert_eq!(port(&ports.listen(PLACE, None).unwrap()), kept);
        assert!(ports.notes.is_empty(), "{:?}", ports.notes);
    }

    #[tokio::test]
    async fn a_file_that_says_nothing_is_no_hindrance() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join("ports.json"), "{\"Deck\": \"x\"").unwrap();
        Ports::of(data.path()).listen(PLACE, None).unwrap();
    }
}
