//! A secret within HTML and XML.

use std::collections::BTreeSet;

use super::replace_chars;

/// Characters, and what replaces each of them.
type EntityTable = &'static [(char, &'static str)];

/// Replaced by all libraries. `&` is longer where it is escaped twice.
const ALWAYS: EntityTable = &[('&', "&amp;"), ('<', "&lt;")];

/// Libraries differ in each of these, and a template may pass through two of them, so every choice
/// is combined with every other.
const CHOICES: [&[EntityTable]; 5] = [
    &[&[('>', "&gt;")]],
    &[&[('"', "&#34;")], &[('"', "&quot;")], &[('"', "&#x22;")]],
    &[&[('\'', "&#39;")], &[('\'', "&apos;")], &[('\'', "&#x27;")]],
    // Go's templates.
    &[&[('+', "&#43;")]],
    // In attributes: Go's, Java's and libxml's.
    &[
        &[('\n', "&#xA;"), ('\r', "&#xD;"), ('\t', "&#x9;")],
        &[('\n', "&#10;"), ('\r', "&#13;"), ('\t', "&#9;")],
    ],
];

/// Once there are more ways than this, a large secret gets no further choices.
const ENOUGH: usize = 8;

/// Collects the text escaped in every way, or only in some.
pub(super) fn collect_escapes(text: &str, every: bool, found: &mut BTreeSet<String>) {
    let mut ways: Vec<Vec<EntityTable>> = vec![vec![ALWAYS]];
    for choice in CHOICES {
        if !every && ways.len() > ENOUGH {
            break;
        }
        let written = choice.iter().filter(|entities| any_occurs(entities, text));
        let chosen: Vec<_> = written
            .flat_map(|entities| {
                ways.iter()
                    .map(|way| [way.as_slice(), &[*entities]].concat())
            })
            .collect();
        ways.extend(chosen);
    }
    for way in ways {
        found.insert(replace_chars(text, |char| {
            let mut all = way.iter().copied().flatten();
            let (_, entity) = all.find(|(of, _)| *of == char)?;
            Some((*entity).to_owned())
        }));
    }
}

fn any_occurs(entities: EntityTable, text: &str) -> bool {
    entities.iter().any(|(char, _)| text.contains(*char))
}
