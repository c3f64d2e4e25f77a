//! A secret within HTML and XML.

use std::collections::BTreeSet;

use super::escaped;

/// What a library writes instead of some characters, beside `&amp;`, `&lt;` and `&gt;`.
type Entities = &'static [(char, &'static str)];

const LIBRARIES: [Entities; 9] = [
    // Within an element, anybody's.
    &[],
    // Go's `html`, its templates, and its `encoding/xml`.
    &[('"', "&#34;"), ('\'', "&#39;")],
    &[('"', "&#34;"), ('\'', "&#39;"), ('+', "&#43;")],
    &[
        ('"', "&#34;"),
        ('\'', "&#39;"),
        ('\n', "&#xA;"),
        ('\r', "&#xD;"),
        ('\t', "&#x9;"),
    ],
    // Java's and libxml's attributes.
    &[('"', "&quot;")],
    &[
        ('"', "&quot;"),
        ('\n', "&#10;"),
        ('\r', "&#13;"),
        ('\t', "&#9;"),
    ],
    // Ruby's and PHP's.
    &[('"', "&quot;"), ('\'', "&#39;")],
    // XML's names for all five.
    &[('"', "&quot;"), ('\'', "&apos;")],
    // Python's.
    &[('"', "&quot;"), ('\'', "&#x27;")],
];

/// `&` may be written so, or (twice escaped) longer.
const ALWAYS: Entities = &[('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;")];

pub(super) fn escapes(text: &str, found: &mut BTreeSet<String>) {
    for entities in LIBRARIES {
        found.insert(escaped(text, |char| {
            let mut all = ALWAYS.iter().chain(entities);
            let (_, entity) = all.find(|(of, _)| *of == char)?;
            Some((*entity).to_owned())
        }));
    }
}
