//! Reads the few protobuf bodies that `kubectl create namespace|secret|configmap|serviceaccount` send since 1.32.
//!
//! Nothing is ever answered in protobuf, and other kinds are refused with 415: clients that speak it speak JSON too.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};

use super::status::{Failure, Result};

pub(crate) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// What every such body starts with, before the envelope.
const MAGIC: &[u8] = b"k8s\0";

type Message = &'static [(u64, &'static str, Kind)];

/// How a field's bytes become JSON.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Texts,
    Flag,
    TextMap,
    /// Values are base64 in JSON.
    BytesMap,
    Message(Message),
    /// Decided by the server whatever it says.
    Ignored,
}

const META: Message = &[
    (1, "name", Kind::Text),
    (2, "generateName", Kind::Text),
    (3, "namespace", Kind::Text),
    (4, "selfLink", Kind::Ignored),
    (5, "uid", Kind::Ignored),
    (6, "resourceVersion", Kind::Ignored),
    (7, "generation", Kind::Ignored),
    (8, "creationTimestamp", Kind::Ignored),
    (11, "labels", Kind::TextMap),
    (12, "annotations", Kind::TextMap),
    (14, "finalizers", Kind::Texts),
];

const KINDS: &[(&str, &str, Message)] = &[
    (
        "v1",
        "Namespace",
        &[
            (1, "metadata", Kind::Message(META)),
            (2, "spec", Kind::Ignored),
            (3, "status", Kind::Ignored),
        ],
    ),
    (
        "v1",
        "Secret",
        &[
            (1, "metadata", Kind::Message(META)),
            (2, "data", Kind::BytesMap),
            (3, "type", Kind::Text),
            (4, "stringData", Kind::TextMap),
            (5, "immutable", Kind::Flag),
        ],
    ),
    (
        "v1",
        "ConfigMap",
        &[
            (1, "metadata", Kind::Message(META)),
            (2, "data", Kind::TextMap),
            (3, "binaryData", Kind::BytesMap),
            (4, "immutable", Kind::Flag),
        ],
    ),
    (
        "v1",
        "ServiceAccount",
        &[
            (1, "metadata", Kind::Message(META)),
            (4, "automountServiceAccountToken", Kind::Flag),
        ],
    ),
    // What is asked does not matter: the answer is always yes.
    ("authorization.k8s.io/v1", "SelfSubjectAccessReview", REVIEW),
    ("authorization.k8s.io/v1", "SelfSubjectRulesReview", REVIEW),
];

const REVIEW: Message = &[
    (1, "metadata", Kind::Ignored),
    (2, "spec", Kind::Ignored),
    (3, "status", Kind::Ignored),
];

/// The object in a body of [`MEDIA_TYPE`].
pub(crate) fn decode(body: &[u8]) -> Result<Value> {
    let broken = || Failure::bad_request("the body is not an object in Kubernetes' protobuf form");
    let envelope = fields(body.strip_prefix(MAGIC).ok_or_else(broken)?).ok_or_else(broken)?;
    let part = |parts: &[(u64, Field<'_>)], number| {
        parts
            .iter()
            .find(|(at, _)| *at == number)
            .map(|(_, field)| field.bytes().to_vec())
            .unwrap_or_default()
    };
    let kind = part(&envelope, 1);
    let kind = fields(&kind).ok_or_else(broken)?;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| broken());
    let (version, kind) = (text(part(&kind, 1))?, text(part(&kind, 2))?);
    let known = KINDS
        .iter()
        .find(|(one, other, _)| (*one, *other) == (version.as_str(), kind.as_str()));
    let Some((_, _, message)) = known else {
        return Err(unreadable());
    };
    let mut object = read(message, &part(&envelope, 2)).ok_or_else(unreadable)?;
    object.insert("apiVersion".to_owned(), json!(version));
    object.insert("kind".to_owned(), json!(kind));
    Ok(Value::Object(object))
}

fn unreadable() -> Failure {
    Failure::unsupported_media(
        "application/json (kubectl sends it with: create … --dry-run=client -o yaml | kubectl apply -f -)",
    )
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(_) => &[],
        }
    }

    fn text(&self) -> Option<String> {
        String::from_utf8(self.bytes().to_vec()).ok()
    }
}

/// A message's fields in order; `None` if it is cut short or of a wire type that Kubernetes does not use.
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Field<'_>)>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (content, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Field::Bytes(content)
            }
            _ => return None,
        };
        found.push((key >> 3, field));
    }
    Some(found)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// `None` when the message has something that would be lost. Empty values are as good as absent.
fn read(message: Message, bytes: &[u8]) -> Option<Map<String, Value>> {
    let mut object = Map::new();
    for (number, field) in fields(bytes)? {
        let Some((_, name, kind)) = message.iter().find(|(at, _, _)| *at == number) else {
            if field.bytes().is_empty() && !matches!(field, Field::Number(1..)) {
                continue;
            }
            return None;
        };
        match kind {
            Kind::Ignored => {}
            Kind::Text => {
                let text = field.text()?;
                if !text.is_empty() {
                    object.insert((*name).to_owned(), Value::String(text));
                }
            }
            Kind::Flag => {
                object.insert(
                    (*name).to_owned(),
                    Value::Bool(matches!(field, Field::Number(1))),
                );
            }
            Kind::Message(inner) => {
                object.insert(
                    (*name).to_owned(),
                    Value::Object(read(inner, field.bytes())?),
                );
            }
            Kind::Texts => {
                let list = object.entry(*name).or_insert_with(|| json!([]));
                list.as_array_mut()?.push(Value::String(field.text()?));
            }
            Kind::TextMap | Kind::BytesMap => {
                let (key, value) = entry(field.bytes(), matches!(kind, Kind::BytesMap))?;
                let map = object.entry(*name).or_insert_with(|| json!({}));
                map.as_object_mut()?.insert(key, Value::String(value));
            }
        }
    }
    Some(object)
}

fn entry(bytes: &[u8], base64: bool) -> Option<(String, String)> {
    let (mut key, mut value) = (String::new(), String::new());
    for (number, field) in fields(bytes)? {
        match number {
            1 => key = field.text()?,
            2 if base64 => value = BASE64_STANDARD.encode(field.bytes()),
            2 => value = field.text()?,
            _ => return None,
        }
    }
    Some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        [
            &[number << 3 | 2, u8::try_from(content.len()).unwrap()],
            content,
        ]
        .concat()
    }

    fn body(kind: &str, object: &[u8]) -> Vec<u8> {
        let kind = [field(1, b"v1"), field(2, kind.as_bytes())].concat();
        [MAGIC, &field(1, &kind), &field(2, object), &field(3, b"")].concat()
    }

    #[test]
    fn reads_what_kubectl_creates() {
        let meta = [field(1, b"hmac-token"), field(2, b""), field(8, b"")].concat();
        let data = [field(1, b"hmac"), field(2, b"abc")].concat();
        let secret = [field(1, &meta), field(2, &data), field(3, b"Opaque")].concat();
        assert_eq!(
            decode(&body("Secret", &secret)).unwrap(),
            json!({
                "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
                "metadata": {"name": "hmac-token"}, "data": {"hmac": "YWJj"},
            })
        );
    }

    #[test]
    fn loses_nothing_silently() {
        let unknown = field(9, b"something");
        let cut = [MAGIC, &[10, 200]].concat();
        for (name, body, code) in [
            ("another kind", body("Pod", b""), 415),
            ("an unknown field", body("Secret", &unknown), 415),
            ("no magic", b"{}".to_vec(), 400),
            ("cut short", cut, 400),
        ] {
            assert_eq!(decode(&body).unwrap_err().code.as_u16(), code, "{name}");
        }
    }
}
