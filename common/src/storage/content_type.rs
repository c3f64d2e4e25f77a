//! Media types by file name extension: Go's built-in ones, and those of typical CI artifacts.

use std::collections::BTreeMap;

const KNOWN: [(&str, &str); 31] = [
    ("avif", "image/avif"),
    ("bz2", "application/x-bzip2"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("log", "text/plain; charset=utf-8"),
    ("md", "text/markdown; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mp4", "video/mp4"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tgz", "application/gzip"),
    ("ts", "video/mp2t"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("xml", "text/xml; charset=utf-8"),
    ("xz", "application/x-xz"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zip", "application/zip"),
];

/// The media type of a file or object name: from `media_types` (extension without dot → type), else
/// from the built-in table, else `None`.
#[must_use]
pub fn content_type(name: &str, media_types: &BTreeMap<String, String>) -> Option<String> {
    let file = name.rsplit('/').next()?;
    let (_, extension) = file.rsplit_once('.')?;
    let own = media_types
        .get(extension)
        .or_else(|| media_types.get(&format!(".{extension}")));
    if let Some(own) = own {
        return Some(own.clone());
    }
    let extension = extension.to_ascii_lowercase();
    let known = KNOWN.iter().find(|(known, _)| *known == extension)?;
    Some(known.1.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_by_extension() {
        let own = BTreeMap::from([
            ("log".to_owned(), "text/x-log".to_owned()),
            (".rst".to_owned(), "text/rst".to_owned()),
        ]);
        for (name, expected) in [
            ("a/b.txt", Some("text/plain; charset=utf-8")),
            ("a/b.TXT", Some("text/plain; charset=utf-8")),
            ("finished.json", Some("application/json")),
            ("x.log", Some("text/x-log")),
            ("x.rst", Some("text/rst")),
            ("a.d/noextension", None),
            ("x.unheardof", None),
            ("", None),
        ] {
            assert_eq!(content_type(name, &own).as_deref(), expected, "{name}");
        }
        assert_eq!(
            content_type("x.log", &BTreeMap::new()).as_deref(),
            Some("text/plain; charset=utf-8")
        );
    }
}
