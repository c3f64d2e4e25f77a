//! A secret as a part of a URL.

use std::collections::BTreeSet;

/// What programs leave as it is, besides letters and digits. Hex digits may have either case.
const KEPT: [&[u8]; 6] = [
    // Go's `url.QueryEscape`, Python's `quote_plus`, `curl --data-urlencode`.
    b"-._~",
    // Python's `quote`.
    b"-._~/",
    // Go's `url.PathEscape`.
    b"-._~$&+:=@",
    // Go's user and password of a URL.
    b"-._~$&+,;=",
    // JavaScript's `encodeURIComponent` and `encodeURI`.
    b"-._~!'()*",
    b"-._~!'()*;,/?:@&=+$#",
];
/// The same for forms, where a space becomes a plus: of Java and browsers, and of Go and Python.
const FORMS: [&[u8]; 2] = [b"-._*", b"-._~"];

pub(super) fn collect_escapes(value: &[u8], found: &mut BTreeSet<Vec<u8>>) {
    for upper in [true, false] {
        for kept in KEPT {
            found.insert(percent_encode(value, kept, None, upper));
        }
        for kept in FORMS {
            found.insert(percent_encode(value, kept, Some(b'+'), upper));
        }
    }
}

fn percent_encode(value: &[u8], kept: &[u8], blank: Option<u8>, upper: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for byte in value {
        match (byte, blank) {
            (b' ', Some(blank)) => out.push(blank),
            _ if byte.is_ascii_alphanumeric() || kept.contains(byte) => out.push(*byte),
            _ if upper => out.extend(format!("%{byte:02X}").into_bytes()),
            _ => out.extend(format!("%{byte:02x}").into_bytes()),
        }
    }
    out
}
