//! Reads the protobuf bodies that `kubectl create namespace|secret|configmap|serviceaccount` sends
//! since 1.32.
//!
//! No answer is in protobuf. Other kinds are refused with 415; clients that use protobuf can use
//! JSON, too.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};

use super::status::{StatusError, StatusResult};

pub(crate) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// The bytes that every such body starts with, before the envelope.
const MAGIC: &[u8] = b"k8s\0";

type MessageFields = &'static [(u64, &'static str, ProtobufFieldKind)];

/// How a field's bytes become JSON.
#[derive(Debug, Clone, Copy)]
enum ProtobufFieldKind {
    Text,
    Texts,
    Flag,
    TextMap,
    /// Values are base64 in JSON.
    BytesMap,
    Message(MessageFields),
    /// Read and ignored, since the server decides the value.
    Ignored,
}

const META_FIELDS: MessageFields = &[
    (1, "name", ProtobufFieldKind::Text),
    (2, "generateName", ProtobufFieldKind::Text),
    (3, "namespace", ProtobufFieldKind::Text),
    (4, "selfLink", ProtobufFieldKind::Ignored),
    (5, "uid", ProtobufFieldKind::Ignored),
    (6, "resourceVersion", ProtobufFieldKind::Ignored),
    (7, "generation", ProtobufFieldKind::Ignored),
    (8, "creationTimestamp", ProtobufFieldKind::Ignored),
    (11, "labels", ProtobufFieldKind::TextMap),
    (12, "annotations", ProtobufFieldKind::TextMap),
    (14, "finalizers", ProtobufFieldKind::Texts),
];

const READABLE_KINDS: &[(&str, &str, MessageFields)] = &[
    (
        "v1",
        "Namespace",
        &[
            (1, "metadata", ProtobufFieldKind::Message(META_FIELDS)),
            (2, "spec", ProtobufFieldKind::Ignored),
            (3, "status", ProtobufFieldKind::Ignored),
        ],
    ),
    (
        "v1",
        "Secret",
        &[
            (1, "metadata", ProtobufFieldKind::Message(META_FIELDS)),
            (2, "data", ProtobufFieldKind::BytesMap),
            (3, "type", ProtobufFieldKind::Text),
            (4, "stringData", ProtobufFieldKind::TextMap),
            (5, "immutable", ProtobufFieldKind::Flag),
        ],
    ),
    (
        "v1",
        "ConfigMap",
        &[
            (1, "metadata", ProtobufFieldKind::Message(META_FIELDS)),
            (2, "data", ProtobufFieldKind::TextMap),
            (3, "binaryData", ProtobufFieldKind::BytesMap),
            (4, "immutable", ProtobufFieldKind::Flag),
        ],
    ),
    (
        "v1",
        "ServiceAccount",
        &[
            (1, "metadata", ProtobufFieldKind::Message(META_FIELDS)),
            (4, "automountServiceAccountToken", ProtobufFieldKind::Flag),
        ],
    ),
    // The request does not matter: the answer is always yes.
    (
        "authorization.k8s.io/v1",
        "SelfSubjectAccessReview",
        REVIEW_FIELDS,
    ),
    (
        "authorization.k8s.io/v1",
        "SelfSubjectRulesReview",
        REVIEW_FIELDS,
    ),
];

const REVIEW_FIELDS: MessageFields = &[
    (1, "metadata", ProtobufFieldKind::Ignored),
    (2, "spec", ProtobufFieldKind::Ignored),
    (3, "status", ProtobufFieldKind::Ignored),
];

/// Decodes the object in a body of [`MEDIA_TYPE`].
pub(crate) fn decode_protobuf(body: &[u8]) -> StatusResult<Value> {
    let broken =
        || StatusError::bad_request("the body is not an object in Kubernetes' protobuf form");
    let envelope = parse_fields(body.strip_prefix(MAGIC).ok_or_else(broken)?).ok_or_else(broken)?;
    let part = |parts: &[(u64, ProtobufField<'_>)], number| {
        parts
            .iter()
            .find(|(at, _)| *at == number)
            .map(|(_, field)| field.as_bytes().to_vec())
            .unwrap_or_default()
    };
    let kind = part(&envelope, 1);
    let kind = parse_fields(&kind).ok_or_else(broken)?;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| broken());
    let (version, kind) = (text(part(&kind, 1))?, text(part(&kind, 2))?);
    let known = READABLE_KINDS
        .iter()
        .find(|(one, other, _)| (*one, *other) == (version.as_str(), kind.as_str()));
    let Some((_, _, message)) = known else {
        return Err(unreadable_body());
    };
    let mut object = read_message(message, &part(&envelope, 2)).ok_or_else(unreadable_body)?;
    object.insert("apiVersion".to_owned(), json!(version));
    object.insert("kind".to_owned(), json!(kind));
    Ok(Value::Object(object))
}

fn unreadable_body() -> StatusError {
    StatusError::unsupported_media(
        "application/json (kubectl sends it with: create … --dry-run=client -o yaml | kubectl apply -f -)",
    )
}

enum ProtobufField<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> ProtobufField<'a> {
    fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(_) => &[],
        }
    }

    fn to_text(&self) -> Option<String> {
        String::from_utf8(self.as_bytes().to_vec()).ok()
    }
}

/// A message's fields in order. `None` if it is cut short or has a wire type that Kubernetes does
/// not use.
fn parse_fields(mut bytes: &[u8]) -> Option<Vec<(u64, ProtobufField<'_>)>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = read_varint(&mut bytes)?;
        let field = match key & 7 {
            0 => ProtobufField::Number(read_varint(&mut bytes)?),
            2 => {
                let length = usize::try_from(read_varint(&mut bytes)?).ok()?;
                let (content, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                ProtobufField::Bytes(content)
            }
            _ => return None,
        };
        found.push((key >> 3, field));
    }
    Some(found)
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
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

/// `None` if a part of the message would be lost. Empty values count as absent.
fn read_message(message: MessageFields, bytes: &[u8]) -> Option<Map<String, Value>> {
    let mut object = Map::new();
    for (number, field) in parse_fields(bytes)? {
        let Some((_, name, kind)) = message.iter().find(|(at, _, _)| *at == number) else {
            if field.as_bytes().is_empty() && !matches!(field, ProtobufField::Number(1..)) {
                continue;
            }
            return None;
        };
        match kind {
            ProtobufFieldKind::Ignored => {}
            ProtobufFieldKind::Text => {
                let text = field.to_text()?;
                if !text.is_empty() {
                    object.insert((*name).to_owned(), Value::String(text));
                }
            }
            ProtobufFieldKind::Flag => {
                object.insert(
                    (*name).to_owned(),
                    Value::Bool(matches!(field, ProtobufField::Number(1))),
                );
            }
            ProtobufFieldKind::Message(inner) => {
                object.insert(
                    (*name).to_owned(),
                    Value::Object(read_message(inner, field.as_bytes())?),
                );
            }
            ProtobufFieldKind::Texts => {
                let list = object.entry(*name).or_insert_with(|| json!([]));
                list.as_array_mut()?.push(Value::String(field.to_text()?));
            }
            ProtobufFieldKind::TextMap | ProtobufFieldKind::BytesMap => {
                let (key, value) = read_map_entry(
                    field.as_bytes(),
                    matches!(kind, ProtobufFieldKind::BytesMap),
                )?;
                let map = object.entry(*name).or_insert_with(|| json!({}));
                map.as_object_mut()?.insert(key, Value::String(value));
            }
        }
    }
    Some(object)
}

fn read_map_entry(bytes: &[u8], base64: bool) -> Option<(String, String)> {
    let (mut key, mut value) = (String::new(), String::new());
    for (number, field) in parse_fields(bytes)? {
        match number {
            1 => key = field.to_text()?,
            2 if base64 => value = BASE64_STANDARD.encode(field.as_bytes()),
            2 => value = field.to_text()?,
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
            decode_protobuf(&body("Secret", &secret)).unwrap(),
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
            assert_eq!(
                decode_protobuf(&body).unwrap_err().code.as_u16(),
                code,
                "{name}"
            );
        }
    }
}
