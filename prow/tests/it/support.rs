//! Starts the binary, waits for its output, and leaves nothing running.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

pub(crate) const PROW: &str = env!("CARGO_BIN_EXE_prow");

/// A running program; dropping it kills the program.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Program {
    /// Starts `prow` with `arguments`. Of the test's environment it gets only PATH.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::with_environment(arguments, &[])
    }

    pub(crate) fn with_environment(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(PROW)
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let streams: [Box<dyn std::io::Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for stream in streams {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The first line that contains `text`, searched from the start.
    pub(crate) fn line_with(&mut self, text: &str, patience: Duration) -> String {
        let end = Instant::now() + patience;
        let mut next = 0;
        loop {
            if let Some(line) = self.seen[next..].iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            next = self.seen.len();
            match self
                .lines
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(line) => self.seen.push(line),
                Err(_) => panic!(
                    "no line with {text:?} within {patience:?}:\n{}",
                    self.seen.join("\n")
                ),
            }
        }
    }

    /// The last word of the first line that contains `text`.
    pub(crate) fn word_after(&mut self, text: &str, patience: Duration) -> String {
        let line = self.line_with(text, patience);
        line.split_whitespace()
            .last()
            .unwrap_or_default()
            .to_owned()
    }

    /// Kills the program with SIGKILL: nothing is cleaned up.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the end. Returns the exit code and everything printed.
    pub(crate) fn end(&mut self, patience: Duration) -> (Option<i32>, String) {
        let end = Instant::now() + patience;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < end,
                "still running after {patience:?}:\n{}",
                self.printed()
            );
            thread::sleep(Duration::from_millis(20));
        };
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(5)) {
            self.seen.push(line);
        }
        (status.code(), self.seen.join("\n"))
    }

    pub(crate) fn printed(&mut self) -> String {
        self.seen.extend(self.lines.try_iter());
        self.seen.join("\n")
    }

    /// Sends Ctrl-C: the program ends by itself, and so does everything that it started.
    pub(crate) fn interrupt(&mut self) {
        self.signal("INT");
        assert_eq!(self.end(Duration::from_secs(60)).0, Some(0));
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if thread::panicking() {
            #[expect(
                clippy::print_stderr,
                reason = "what the program printed explains the failure"
            )]
            {
                eprintln!("{}", self.printed());
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Runs kubectl on a cluster. Returns what it prints; fails with its error.
pub(crate) fn kubectl(kubeconfig: &Path, arguments: &[&str]) -> String {
    try_kubectl(kubeconfig, arguments)
        .unwrap_or_else(|words| panic!("kubectl {}: {words}", arguments.join(" ")))
}

/// Like [`kubectl`], for an error that is expected.
pub(crate) fn try_kubectl(kubeconfig: &Path, arguments: &[&str]) -> Result<String, String> {
    let cache = tempfile::tempdir().unwrap();
    let output = Command::new("kubectl")
        .arg("--cache-dir")
        .arg(cache.path())
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .env("HOME", cache.path())
        .output()
        .expect("kubectl is installed: apt-get install kubernetes-client");
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Tries again until `found` returns something.
pub(crate) fn eventually<T>(
    what: &str,
    patience: Duration,
    mut found: impl FnMut() -> Option<T>,
) -> T {
    let end = Instant::now() + patience;
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(Instant::now() < end, "{what}: not within {patience:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// The text of a page, or of a comment that GitHub renders as HTML.
pub(crate) fn unescape_html(html: &str) -> String {
    [
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(html.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// All files below a folder.
pub(crate) fn find_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => find_files(&entry.path()),
            _ => vec![entry.path()],
        })
        .collect()
}
