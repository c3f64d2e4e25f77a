//! A document as nodes with positions. Aliases refer to the nodes that they name, so the tree is
//! never larger than the text. [`super::coerce`] interprets the nodes.

mod builder;

use std::{borrow::Cow, fmt};

use super::scalar::{self, YamlScalar, YamlTag};
use crate::config::PathSegment;

/// Depth of nested containers; Prow's own files have less than 20.
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

/// Why a text is no YAML document.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::config) struct YamlSyntaxError {
    pub(in crate::config) line: u64,
    pub(in crate::config) column: u64,
    /// The path of the innermost value that was begun.
    pub(in crate::config) path: String,
    pub(in crate::config) message: String,
}

impl<'a> YamlTree<'a> {
    /// `None` for a text without a document. Reads at most `max_nodes` keys and values.
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

    /// The node that an alias refers to; any other node itself.
    pub(super) fn resolve_alias(&self, mut node: NodeId) -> NodeId {
        // An anchor precedes its alias, so this ends.
        while let YamlNodeKind::Alias(target) = self.node_kind(node) {
            node = *target;
        }
        node
    }

    /// A scalar's value; `None` for lists and mappings.
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

    /// Whether the root has a child `key` that is a mapping.
    pub(in crate::config) fn has_mapping(&self, key: &str) -> bool {
        let child = self.find_child(0, &PathSegment::Key(key.to_owned()));
        child.is_some_and(|(_, node)| {
            matches!(
                self.node_kind(self.resolve_alias(node)),
                YamlNodeKind::Map(_)
            )
        })
    }

    /// Position of a path's key or list item; of the nearest ancestor if it does not exist.
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

    /// The node that marks a child's position in the text, and the child itself.
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

    /// Finds a key that a merge key adds.
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

    /// Describes a node for a message.
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

/// The value that was found, for a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FoundValue<'a> {
    Nothing,
    Text(&'a str),
    /// A number, `true` or `false`.
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

/// Finds a control character, which YAML does not allow.
fn find_control_character(text: &str) -> Option<YamlSyntaxError> {
    let is_bad = |byte: &u8| matches!(*byte, 0..=8 | 11 | 12 | 14..=31 | 127);
    // Checks in blocks first, because the processor compares many bytes at once.
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
