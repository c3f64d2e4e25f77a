//! Ports on loopback: the same ones each time a data folder is used, so that old links still work.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener as StdListener},
    path::{Path, PathBuf},
};

use anyhow::Context;
use tokio::net::TcpListener;

/// A service that listens on a port.
#[derive(Clone, Copy)]
pub(super) struct ServicePort {
    pub(super) name: &'static str,
    pub(super) flag: &'static str,
    /// The port when none is given, or else the next free one.
    pub(super) usual: u16,
}

pub(super) const HOOK: ServicePort = ServicePort {
    name: "hook",
    flag: "--hook-port",
    usual: 8888,
};
pub(super) const DECK: ServicePort = ServicePort {
    name: "Deck",
    flag: "--deck-port",
    usual: 8080,
};
pub(super) const API: ServicePort = ServicePort {
    name: "The Kubernetes API",
    flag: "--api-port",
    usual: 6443,
};
pub(super) const GITHUB: ServicePort = ServicePort {
    name: "The GitHub stand-in",
    flag: "--github-port",
    usual: 3000,
};

/// The ports of the last run, and those of this one.
pub(super) struct DemoPorts {
    file: PathBuf,
    before: BTreeMap<String, u16>,
    now: BTreeMap<String, u16>,
    /// What the user should know about the ports.
    pub(super) notes: Vec<String>,
}

impl DemoPorts {
    /// The ports that `data` has from the last run; none when no file can be read.
    pub(super) fn load_ports(data: &Path) -> Self {
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

    /// A listener on `wanted`; else on the port of the last run; else on the usual one or the next
    /// free one.
    pub(super) fn bind_service(
        &mut self,
        place: ServicePort,
        wanted: Option<u16>,
    ) -> anyhow::Result<TcpListener> {
        let ServicePort { name, flag, usual } = place;
        let before = self.before.get(name).copied();
        let listener = match wanted {
            Some(port) => bind_loopback(port).with_context(|| {
                format!("{flag} {port}: the port is taken; name another one, or leave the flag out")
            })?,
            None => before
                .and_then(|port| bind_loopback(port).ok())
                .or_else(|| {
                    (usual..=usual.saturating_add(100)).find_map(|port| bind_loopback(port).ok())
                })
                .or_else(|| bind_loopback(0).ok())
                .with_context(|| format!("no port is free for {name}"))?,
        };
        let port = listener.local_addr()?.port();
        if let Some(before) = before.filter(|before| *before != port) {
            self.notes
                .push(moved_port_note(place, wanted.is_some(), before, port));
        }
        self.now.insert(name.to_owned(), port);
        listener.set_nonblocking(true)?;
        Ok(TcpListener::from_std(listener)?)
    }

    /// Saves the ports for the next run.
    pub(super) fn save_ports(&self) -> anyhow::Result<()> {
        let text = serde_json::to_string(&self.now)?;
        fs::write(&self.file, text).with_context(|| self.file.display().to_string())
    }
}

fn moved_port_note(place: ServicePort, is_wanted: bool, before: u16, now: u16) -> String {
    let ServicePort { name, flag, .. } = place;
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

fn bind_loopback(port: u16) -> std::io::Result<StdListener> {
    StdListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: ServicePort = ServicePort {
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
        let first = DemoPorts::load_ports(data.path())
            .bind_service(PLACE, None)
            .unwrap();
        assert!(first.local_addr().unwrap().ip().is_loopback());
        let mut ports = DemoPorts::load_ports(data.path());
        let second = ports.bind_service(PLACE, None).unwrap();
        assert_ne!(port(&first), port(&second));
        assert!(ports.notes.is_empty(), "{:?}", ports.notes);
        let refusal = ports.bind_service(PLACE, Some(port(&first))).unwrap_err();
        let told = format!("--deck-port {}", port(&first));
        assert!(refusal.to_string().contains(&told), "{refusal}");
    }

    #[tokio::test]
    async fn a_port_is_the_same_the_next_time_and_if_it_is_not_one_is_told() {
        let data = tempfile::tempdir().unwrap();
        let mut ports = DemoPorts::load_ports(data.path());
        let listener = ports.bind_service(PLACE, None).unwrap();
        let kept = port(&listener);
        ports.save_ports().unwrap();

        let mut ports = DemoPorts::load_ports(data.path());
        let other = ports.bind_service(PLACE, None).unwrap();
        assert_ne!(port(&other), kept);
        let told = ports.notes.concat();
        for words in [&format!("port {kept}"), "lead nowhere", "--deck-port"] {
            assert!(told.contains(words), "{words} is not in {told}");
        }

        drop(listener);
        let mut ports = DemoPorts::load_ports(data.path());
        assert_eq!(port(&ports.bind_service(PLACE, None).unwrap()), kept);
        assert!(ports.notes.is_empty(), "{:?}", ports.notes);
    }

    #[tokio::test]
    async fn a_file_that_says_nothing_is_no_hindrance() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join("ports.json"), "{\"Deck\": \"x\"").unwrap();
        DemoPorts::load_ports(data.path())
            .bind_service(PLACE, None)
            .unwrap();
    }
}
