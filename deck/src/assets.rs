//! Style sheets and scripts in the binary. Their URLs contain a hash, so browsers may keep them.

use std::collections::BTreeMap;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::ansi::palette;

/// One file as it is served.
#[derive(Clone, Debug)]
pub(crate) struct Asset {
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    /// Hash of the content.
    pub(crate) etag: String,
}

impl Asset {
    pub(crate) fn new(content_type: &'static str, text: String) -> Self {
        Self {
            content_type,
            etag: format!("\"{}\"", content_hash(text.as_bytes())),
            body: text.into(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Assets {
    files: BTreeMap<&'static str, Asset>,
    /// Hash of all files together: `?v=` in pages.
    pub(crate) version: String,
}

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

impl Assets {
    pub(crate) fn load_assets() -> Self {
        let style = include_str!("../static/style.css").to_owned() + &palette::palette_css();
        let files: BTreeMap<_, _> = [
            ("style.css", CSS, style),
            ("time.js", JS, include_str!("../static/time.js").to_owned()),
            (
                "stream.js",
                JS,
                include_str!("../static/stream.js").to_owned(),
            ),
            ("jobs.js", JS, include_str!("../static/jobs.js").to_owned()),
            ("job.js", JS, include_str!("../static/job.js").to_owned()),
            (
                "icon.svg",
                "image/svg+xml",
                include_str!("../static/icon.svg").to_owned(),
            ),
        ]
        .into_iter()
        .map(|(name, content_type, text)| (name, Asset::new(content_type, text)))
        .collect();
        let all: String = files.values().map(|asset| asset.etag.as_str()).collect();
        Self {
            version: content_hash(all.as_bytes()),
            files,
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Asset> {
        self.files.get(name)
    }
}

fn content_hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
