//! Services as processes, each behind a proxy of its own.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::proxy::Proxy;

/// The program that all replicas run.
pub(crate) struct Program<'a> {
    pub(crate) name: &'a str,
    /// The names of contexts, see [`Proxy::write_kubeconfig`].
    pub(crate) contexts: &'a [&'a str],
    /// In addition to Prow's flags.
    pub(crate) flags: &'a [String],
}

pub(crate) struct Replica {
    pub(crate) proxy: Proxy,
    log: PathBuf,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Replica {
    /// Its configuration is `config.yaml` in `folder`.
    pub(crate) fn start(program: &Program<'_>, proxy: Proxy, folder: &Path, number: usize) -> Self {
        let kubeconfig = folder.join(format!("kubeconfig-{number}"));
        proxy.write_kubeconfig(&kubeconfig, program.contexts);
        let mut arguments = vec![
            program.name.to_owned(),
            "--dry-run=false".into(),
            format!("--config-path={}", folder.join("config.yaml").display()),
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--health-port={}", free_port()),
            format!("--metrics-port={}", free_port()),
        ];
        arguments.extend_from_slice(program.flags);
        let mut replica = Self {
            proxy,
            log: folder.join(format!("replica-{number}.log")),
            arguments,
            child: None,
        };
        replica.run();
        replica
    }

    fn run(&mut self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_prow"))
            .args(&self.arguments)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// Kills the process with SIGKILL, and starts a new one.
    pub(crate) fn kill_and_restart(&mut self) {
        self.kill();
        self.run();
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The last lines of its log, to find out what went wrong.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
