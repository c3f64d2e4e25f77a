//! The secrets, and every shape in which a job may print them.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
};

use base64::{Engine, engine::general_purpose};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};

/// A secret, and the way it reaches the job's container.
pub(super) struct Canary {
    pub(super) name: &'static str,
    pub(super) value: &'static str,
}

pub(super) const IN_VOLUME: Canary = Canary {
    name: "volume",
    value: r#"v0lume<c&n>"a'ry/7Qx9"#,
};

/// A value of twelve characters.
pub(super) const IN_ENV: Canary = Canary {
    name: "env",
    value: "c4n4ry-Env-Q",
};

pub(super) const IN_ENV_FROM: Canary = Canary {
    name: "env-from",
    value: "from=c4nary&of<the>pod's \"9+/\"",
};

/// A value of several lines, also in the volume.
pub(super) const OF_LINES: Canary = Canary {
    name: "lines",
    value: "-----BEGIN KEY-----\nMIIc4n4ry0first0line0KfQz8\nc4n4ry+second/line&<x>'\"pVw\nq4c4n4ry=third=line==\n-----END KEY-----",
};

pub(super) const ALL: [&Canary; 4] = [&IN_VOLUME, &IN_ENV, &IN_ENV_FROM, &OF_LINES];

/// One shape of a secret.
pub(super) struct Shape {
    pub(super) name: String,
    /// What the job prints.
    pub(super) printed: String,
    /// What gives the secret away: `printed` without what stands around it.
    needle: String,
}

impl Canary {
    /// The whole value in every shape, and each of its lines, if it has several.
    pub(super) fn list_shapes(&self) -> Vec<Shape> {
        let mut shapes = shapes_of(self.name, self.value);
        if self.value.contains('\n') {
            let secret_lines = self.value.lines().filter(|line| line.contains("c4n4ry"));
            for (number, line) in secret_lines.enumerate() {
                shapes.extend(shapes_of(&format!("{}-{number}", self.name), line));
            }
        }
        shapes
    }
}

fn shapes_of(name: &str, value: &str) -> Vec<Shape> {
    let shape = |kind: &str, printed: String| Shape {
        name: format!("{name}-{kind}"),
        needle: printed.clone(),
        printed,
    };
    let go = serde_json::to_string(value).unwrap();
    let go = go[1..go.len() - 1].to_owned();
    let mut shapes = vec![
        shape("plain", value.to_owned()),
        shape("json", go.clone()),
        shape("json-of-php", go.replace('/', "\\/")),
        shape(
            "json-of-go",
            escape_more(&go, "&<>", |c| format!("{c:04x}")),
        ),
        shape(
            "json-of-gson",
            escape_more(&go, "&<>='", |c| format!("{c:04x}")),
        ),
        shape(
            "json-of-dotnet",
            escape_more(&go, "&<>'+", |c| format!("{c:04X}")).replace("\\\"", "\\u0022"),
        ),
        shape(
            "in-single-quotes",
            format!("'{}'", value.replace('\'', r"'\''")),
        ),
        shape("with-backslashes", backslashed(value)),
    ];
    for before in ["", "u", "us"] {
        for (alphabet, engine) in [
            ("base64", general_purpose::STANDARD),
            ("base64-of-urls", general_purpose::URL_SAFE),
        ] {
            let printed = engine.encode(format!("{before}{value}\n"));
            // The characters that come from the secret alone.
            let begin = (before.len() * 8).div_ceil(6);
            let end = (before.len() + value.len()) * 8 / 6;
            shapes.push(Shape {
                name: format!("{name}-{alphabet}-{}", before.len()),
                needle: printed[begin..end].to_owned(),
                printed,
            });
        }
    }
    shapes
}

/// Writes these characters as `\\uXXXX`; `hex` writes the number.
fn escape_more(json: &str, these: &str, hex: fn(u32) -> String) -> String {
    let escape = |c: char| match c {
        c if these.contains(c) => format!("\\u{}", hex(c.into())),
        c => c.to_string(),
    };
    json.chars().map(escape).collect()
}

/// As bash's `printf %q` writes a value without a line break.
fn backslashed(value: &str) -> String {
    let escape = |c: char| match c {
        '\n' => "'\n'".to_owned(),
        c if c.is_alphanumeric() || "-_./+=".contains(c) => c.to_string(),
        c => format!("\\{c}"),
    };
    value.chars().map(escape).collect()
}

/// One shape per line, between two harmless words.
pub(super) fn text(place: &str) -> String {
    let lines = ALL.iter().flat_map(|canary| canary.list_shapes());
    lines
        .map(|shape| {
            let Shape { name, printed, .. } = shape;
            format!("harmless-{place}-{name} {printed} after-{place}-{name}\n")
        })
        .collect()
}

/// The harmless words of [`text`].
pub(super) fn harmless(place: &str) -> Vec<String> {
    let shapes = ALL.iter().flat_map(|canary| canary.list_shapes());
    shapes
        .flat_map(|shape| {
            ["harmless", "after"].map(|word| format!("{word}-{place}-{}", shape.name))
        })
        .collect()
}

/// The secrets that a sink's text contains, by the names of their shapes.
pub(super) fn find_canaries(text: &str) -> Vec<String> {
    let shapes = ALL.iter().flat_map(|canary| canary.list_shapes());
    shapes
        .filter(|shape| text.contains(&shape.needle))
        .map(|shape| shape.name)
        .collect()
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// A tar archive of one file.
pub(super) fn tar(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, name, bytes).unwrap();
    archive.into_inner().unwrap()
}

/// A zip archive of one file.
pub(super) fn zip(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file(name, options).unwrap();
    archive.write_all(bytes).unwrap();
    archive.finish().unwrap().into_inner()
}

/// The content of a file: the file itself, and everything packed in it.
pub(super) fn unpack(bytes: Vec<u8>) -> Vec<u8> {
    let mut all = bytes.clone();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut inner = Vec::new();
        GzDecoder::new(bytes.as_slice())
            .read_to_end(&mut inner)
            .unwrap();
        all.extend(unpack(inner));
    } else if bytes.starts_with(b"PK\x03\x04") {
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).unwrap();
            all.extend(entry.name().unwrap().as_bytes());
            let mut inner = Vec::new();
            entry.read_to_end(&mut inner).unwrap();
            all.extend(unpack(inner));
        }
    } else if bytes.get(257..262) == Some(b"ustar") {
        for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            all.extend(entry.path_bytes().iter());
            let mut inner = Vec::new();
            entry.read_to_end(&mut inner).unwrap();
            all.extend(unpack(inner));
        }
    }
    all
}

/// `metadata.json`, as a Go program writes it: each secret is once a key and once a value.
pub(super) fn metadata() -> String {
    let pairs = ALL.iter().flat_map(|canary| {
        let value = format!("{} harmless-metadata-{}", canary.value, canary.name);
        let key = format!("{} harmless-key-{}", canary.value, canary.name);
        [(canary.name.to_owned(), value), (key, "1".to_owned())]
    });
    let json = serde_json::to_string(&pairs.collect::<BTreeMap<_, _>>()).unwrap();
    json.replace('&', r"\u0026")
        .replace('<', r"\u003c")
        .replace('>', r"\u003e")
}

/// A test report in which one test failed.
pub(super) fn junit() -> String {
    let words: String = ALL
        .iter()
        .map(|canary| format!("harmless-message-{} {}\n", canary.name, canary.value))
        .collect();
    let message = [
        ('&', "&amp;"),
        ('<', "&lt;"),
        ('>', "&gt;"),
        ('"', "&#34;"),
        ('\'', "&#39;"),
    ]
    .iter()
    .fold(words, |text, (from, to)| text.replace(*from, to));
    format!(
        "<testsuite><testcase name=\"harmless-test\"><failure message=\"{message}\"/></testcase>\
         <testcase name=\"harmless-success\"/></testsuite>"
    )
}
