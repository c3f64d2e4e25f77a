//! A document as nodes that know where they stand. Aliases point at what they name, so the tree
//! is never larger than the text. What the nodes mean is [`super::fit`]'s.

mod builder;

use std::{borrow::Cow, fmt};

use super::scalar::{self, YamlScalar, YamlTag};
use crate::config::PathSegment;

/// Containers in containers; Prow's own files have less than 20.
pub(super) const MAX_DEPTH: usize = 128;

/// The first document of a text.
#[derive(Debug)]
pub(in crate::config) struct YamlTree<'a> {
    /// In the order of the text; the first one is the root.
    nodes: Vec<YamlNode<'a>>,
}

pub(super) type NodeId = u32;

#[derive(Debug)]
struct YamlNode<'a> {
    line: u32,
    column: u32,
    kind: YamlNodeKind<'a>,
}

#[derive(Debug)]
pub(super) enum YamlNodeKind<'a> {
    Scalar {
        text: Cow<'a, str>,
        plain: bool,
        tag: Option<YamlTag>,
    },
    List(Vec<NodeId>),
    /// Key node and value node.
    Map(Vec<(NodeId, NodeId)>),
    Alias(NodeId),
}

/// Why a text is no document.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::config) struct YamlSyntaxError {
    pub(in crate::config) line: u64,
    pub(in crate::config) column: u64,
    /// Of the innermost part that was begun.
    pub(in crate::config) path: String,
    pub(in crate::config) message: String,
}

impl<'a> YamlTree<'a> {
    /// None for a text without a document. At most `max_nodes` keys and values are read.
    pub(in crate::config) fn parse_document(
        text: &'a str,
        max_nodes: usize,
    ) -> Result<Option<Self>, YamlSyntaxError> {
        if let Some(broken) = find_control_character(text) {
            return Err(broken);
        }
        builder::build_tree(text, max_nodes)
    }

    pub(super) fn node_kind(&self, node: NodeId) -> &YamlNodeKind<'a> {
        &self.nodes[node as usize].kind
    }

    /// Line and column, from 1.
    pub(super) fn node_position(&self, node: NodeId) -> (u64, u64) {
        let node = &self.nodes[node as usize];
        (node.line.into(), node.column.into())
    }

    /// What an alias stands for; every other node itself.
    pub(super) fn resolve_alias(&self, mut node: NodeId) -> NodeId {
        // An anchor stands before its alias, so this ends.
        while let YamlNodeKind::Alias(target) = self.node_kind(node) {
            node = *target;
        }
        node
    }

    /// A scalar's value; None for lists and mappings.
    pub(super) fn scalar_value(
        &self,
        node: NodeId,
    ) -> Option<Result<YamlScalar<'_>, &'static str>> {
        match self.node_kind(self.resolve_alias(node)) {
            YamlNodeKind::Scalar { text, plain, tag } => {
                Some(scalar::resolve_scalar(text, *plain, *tag))
            }
            _ => None,
        }
    }

    /// The name that a key has in JSON.
    pub(super) fn key_name(&self, node: NodeId) -> Option<Cow<'_, str>> {
        match self.scalar_value(node)?.ok()? {
            YamlScalar::Null => None,
            YamlScalar::Text(text) => Some(text),
            other => Some(Cow::Owned(other.into_text())),
        }
    }

    pub(super) fn is_merge_key(&self, key: NodeId) -> bool {
        matches!(self.node_kind(key), YamlNodeKind::Scalar { text, plain: true, tag: None } if text == "<<")
    }

    /// The kind of the root's child `key`, if there is one: whether it is a mapping.
    pub(in crate::config) fn has_mapping(&self, key: &str) -> bool {
        let child = self.find_child(0, &PathSegment::Key(key.to_owned()));
        child.is_some_and(|(_, node)| {
            matches!(
                self.node_kind(self.resolve_alias(node)),
                YamlNodeKind::Map(_)
            )
        })
    }

    /// Line and column of a path's key or list item; of the nearest part of it that exists.
    pub(in crate::config) fn locate_path(&self, path: &[PathSegment]) -> (u64, u64) {
        let mut node = 0;
        let mut place = 0;
        for segment in path {
            let Some((key, value)) = self.find_child(node, segment) else {
                break;
            };
            (place, node) = (key, value);
        }
        self.node_position(place)
    }

    /// The node that stands for a child in the text, and the child itself.
    fn find_child(&self, node: NodeId, segment: &PathSegment) -> Option<(NodeId, NodeId)> {
        match (self.node_kind(self.resolve_alias(node)), segment) {
            (YamlNodeKind::List(items), PathSegment::Index(index)) => {
                items.get(*index).map(|item| (*item, *item))
            }
            (YamlNodeKind::Map(entries), PathSegment::Key(name)) => {
                let find = |matches: &dyn Fn(&str) -> bool| {
                    let mut entries = entries.iter().rev();
                    entries.find(|(key, _)| self.key_name(*key).is_some_and(|key| matches(&key)))
                };
                find(&|key| key == name)
                    .or_else(|| find(&|key| key.eq_ignore_ascii_case(name)))
                    .copied()
                    .or_else(|| self.find_merged_key(entries, segment))
            }
            _ => None,
        }
    }

    /// A key that a merge key brings.
    fn find_merged_key(
        &self,
        entries: &[(NodeId, NodeId)],
        segment: &PathSegment,
    ) -> Option<(NodeId, NodeId)> {
        let mut sources = entries.iter().filter(|(key, _)| self.is_merge_key(*key));
        sources.find_map(
            |(_, source)| match self.node_kind(self.resolve_alias(*source)) {
                YamlNodeKind::List(items) => items
                    .iter()
                    .find_map(|item| self.find_child(*item, segment)),
                _ => self.find_child(*source, segment),
            },
        )
    }

    /// A node in words for a message.
    pub(super) fn describe_node(&self, node: NodeId) -> FoundValue<'_> {
        match self.node_kind(self.resolve_alias(node)) {
            YamlNodeKind::Scalar { text, plain, tag } => {
                match scalar::resolve_scalar(text, *plain, *tag) {
                    Ok(YamlScalar::Null) => FoundValue::Nothing,
                    Ok(YamlScalar::Text(_)) | Err(_) => FoundValue::Text(text),
                    Ok(_) => FoundValue::Word(text),
                }
            }
            YamlNodeKind::List(_) => FoundValue::List,
            YamlNodeKind::Map(_) | YamlNodeKind::Alias(_) => FoundValue::Mapping,
        }
    }
}

/// What stands at a place, in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FoundValue<'a> {
    Nothing,
    Text(&'a str),
    /// A number, or true or false.
    Word(&'a str),
    List,
    Mapping,
}

impl fmt::Display for FoundValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Text(text) if text.chars().count() > 40 => {
                let start: String = text.chars().take(37).collect();
                write!(f, "{start:?}...")
            }
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Word(word) => f.write_str(word),
            Self::List => f.write_str("a list"),
            Self::Mapping => f.write_str("a mapping"),
        }
    }
}

/// Control characters have no place in YAML.
fn find_control_character(text: &str) -> Option<YamlSyntaxError> {
    let is_bad = |byte: &u8| matches!(*byte, 0..=8 | 11 | 12 | 14..=31 | 127);
    // Without a look at each byte by itself, of which the processor takes many at once.
    let mut parts = text.as_bytes().chunks(1 << 12);
    if !parts.any(|part| part.iter().fold(false, |bad, byte| bad | is_bad(byte))) {
        return None;
    }
    let at = text.as_bytes().iter().position(is_bad)?;
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    let byte = text.as_bytes()[at];
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    Some(YamlSyntaxError {
        line: count(before.matches('\n').count() + 1),
        column: count(before[line_start..].chars().count() + 1),
        path: String::new(),
        message: match byte {
            0 => "found a NUL byte: this is no text".to_owned(),
            byte => format!("found the control character {byte:#04x}, which YAML does not allow"),
        },
    })
}

#[cfg(test)]
mod tests;
