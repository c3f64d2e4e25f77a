//! Runs Chromium without a window, and reads what it shows.

use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use flate2::read::ZlibDecoder;
use tempfile::TempDir;
use tokio::process::Command;

const PATIENCE: Duration = Duration::from_secs(120);
const SIZE: usize = 200;

/// A browser with its own cache, which it keeps from page to page.
pub(super) struct Browser {
    profile: TempDir,
}

impl Browser {
    pub(super) fn new() -> Self {
        Self {
            profile: tempfile::tempdir().unwrap(),
        }
    }

    /// Opens a page that keeps no connection, and takes its picture a second after everything is
    /// loaded: at the load event, an image of a style may not be drawn yet.
    pub(super) async fn show(&self, url: &str) -> Picture {
        self.open(url, &["--virtual-time-budget=1000"]).await
    }

    /// Opens a page that may stay connected, and takes its picture once it is loaded.
    pub(super) async fn show_live(&self, url: &str) -> Picture {
        self.open(url, &[]).await
    }

    async fn open(&self, url: &str, flags: &[&str]) -> Picture {
        let file = self.profile.path().join("page.png");
        let _ = std::fs::remove_file(&file);
        let mut browser = Command::new("chromium");
        browser
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args([
                "--no-first-run",
                "--disable-extensions",
                "--disable-background-networking",
            ])
            .arg(format!("--user-data-dir={}", self.profile.path().display()))
            .arg(format!("--window-size={SIZE},{SIZE}"))
            .arg("--hide-scrollbars")
            .args(flags)
            .arg(format!("--screenshot={}", file.display()))
            .arg(url)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let ended = tokio::time::timeout(PATIENCE, browser.output()).await;
        let output = ended
            .unwrap_or_else(|_| panic!("chromium does not end with {url}"))
            .expect("chromium starts; .ci/install installs it (Debian: apt-get install chromium)");
        let says = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(file.exists(), "chromium shows nothing of {url}: {says}");
        Picture::read(&file)
    }
}

/// A PNG of eight bits per channel, with or without transparency.
pub(super) struct Picture {
    width: usize,
    /// Bytes per pixel.
    depth: usize,
    pixels: Vec<u8>,
}

impl Picture {
    fn read(file: &Path) -> Self {
        let bytes = std::fs::read(file).unwrap();
        let number = |at: usize| {
            let bytes: [u8; 4] = bytes[at..at + 4].try_into().unwrap();
            usize::try_from(u32::from_be_bytes(bytes)).unwrap()
        };
        let (mut at, mut packed) = (8, Vec::new());
        let (width, kind) = (number(16), bytes[25]);
        assert_eq!(bytes[24], 8, "bits of a channel");
        while at < bytes.len() {
            let length = number(at);
            if &bytes[at + 4..at + 8] == b"IDAT" {
                packed.extend_from_slice(&bytes[at + 8..at + 8 + length]);
            }
            at += 12 + length;
        }
        let depth = match kind {
            2 => 3,
            6 => 4,
            kind => panic!("a PNG of colour type {kind}"),
        };
        let mut lines = Vec::new();
        ZlibDecoder::new(&packed[..])
            .read_to_end(&mut lines)
            .unwrap();
        let pixels = unfilter(&lines, width * depth, depth);
        Self {
            width,
            depth,
            pixels,
        }
    }

    /// Red, green and blue.
    pub(super) fn color(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y * self.width + x) * self.depth;
        self.pixels[at..at + 3].try_into().unwrap()
    }
}

/// Undoes PNG's filters: each byte is stored as its difference to those left, above or both.
fn unfilter(lines: &[u8], width: usize, depth: usize) -> Vec<u8> {
    let mut above = vec![0; width];
    let mut pixels = Vec::new();
    for line in lines.chunks_exact(width + 1) {
        let (filter, mut line) = (line[0], line[1..].to_vec());
        for at in 0..width {
            let (left, corner) = match at.checked_sub(depth) {
                Some(before) => (line[before], above[before]),
                None => (0, 0),
            };
            let up = above[at];
            let guess = match filter {
                0 => 0,
                1 => left,
                2 => up,
                3 => u8::midpoint(left, up),
                4 => nearest(left, up, corner),
                filter => panic!("PNG filter {filter}"),
            };
            line[at] = line[at].wrapping_add(guess);
        }
        pixels.extend_from_slice(&line);
        above = line;
    }
    pixels
}

/// The one of the three that is nearest to `left + up - corner`.
fn nearest(left: u8, up: u8, corner: u8) -> u8 {
    let [l, u, c] = [left, up, corner].map(i16::from);
    let wanted = l + u - c;
    let away = |value: i16| (wanted - value).abs();
    if away(l) <= away(u) && away(l) <= away(c) {
        left
    } else if away(u) <= away(c) {
        up
    } else {
        corner
    }
}
