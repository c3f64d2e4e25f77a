//! Builds a tree from the events of the YAML parser.

use std::{borrow::Cow, collections::HashMap};

use serde_saphyr::granit_parser::{self as parser, Event, Parser, ScalarStyle, Span};

use super::{MAX_DEPTH, NodeId, YamlNode, YamlNodeKind, YamlSyntaxError, YamlTag, YamlTree};
use crate::config::{PathSegment, diagnostic::format_path};

const NO_ANCHOR: &str = "the alias names no anchor above it";

fn parser_options() -> parser::Options {
    let mut options = parser::Options::default();
    // One more than our limit, which has the better message.
    options.flow_nesting_limit = MAX_DEPTH + 1;
    options.block_nesting_limit = MAX_DEPTH + 1;
    options
}

/// `None` for a text without a document.
pub(super) fn build_tree(
    text: &str,
    max_nodes: usize,
) -> Result<Option<YamlTree<'_>>, YamlSyntaxError> {
    let mut builder = YamlTreeBuilder {
        text,
        tree: YamlTree { nodes: Vec::new() },
        open: Vec::new(),
        anchors: HashMap::new(),
        max_nodes,
    };
    for event in Parser::new_from_str_with_options(text, parser_options()) {
        let (event, span) = event.map_err(|error| builder.scan_error(&error))?;
        if !builder.handle_event(event, &span)? {
            break;
        }
    }
    let tree = builder.tree;
    Ok((!tree.nodes.is_empty()).then_some(tree))
}

/// A container that has not ended.
struct OpenContainer {
    node: NodeId,
    /// The key whose value is next.
    key: Option<NodeId>,
}

/// The parser adds a missing newline to a block's last line; Go's does not.
fn strip_final_newline(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.strip_suffix('\n') {
        Some(line) => Cow::Owned(line.to_owned()),
        None => text,
    }
}

/// Builds a tree.
struct YamlTreeBuilder<'a> {
    text: &'a str,
    tree: YamlTree<'a>,
    open: Vec<OpenContainer>,
    /// By the parser's number for the anchor.
    anchors: HashMap<usize, NodeId>,
    max_nodes: usize,
}

impl<'a> YamlTreeBuilder<'a> {
    /// Returns whether the document goes on.
    fn handle_event(&mut self, event: Event<'a>, span: &Span) -> Result<bool, YamlSyntaxError> {
        let (kind, anchor, container) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let text = if is_block && self.ends_mid_line(span) {
                    strip_final_newline(text)
                } else {
                    text
                };
                let tag = tag.map(|tag| match tag.handle() {
                    "tag:yaml.org,2002:" => YamlTag::from_suffix(tag.suffix()),
                    _ => YamlTag::Other,
                });
                (YamlNodeKind::Scalar { text, plain, tag }, anchor, false)
            }
            Event::SequenceStart(_, anchor, _) => (YamlNodeKind::List(Vec::new()), anchor, true),
            Event::MappingStart(_, anchor, _) => (YamlNodeKind::Map(Vec::new()), anchor, true),
            Event::Alias(number) => (
                YamlNodeKind::Alias(self.resolve_anchor(number, span)?),
                0,
                false,
            ),
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
                return Ok(true);
            }
            Event::DocumentEnd => return Ok(false),
            _ => return Ok(true),
        };
        if self.tree.nodes.len() >= self.max_nodes {
            let message = format!("more than {} keys and values in one file", self.max_nodes);
            return Err(self.syntax_error(span, message));
        }
        if container && self.open.len() >= MAX_DEPTH {
            return Err(self.syntax_error(span, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let node = self.push_node(kind, span);
        if anchor != 0 {
            self.anchors.insert(anchor, node);
        }
        if container {
            self.open.push(OpenContainer { node, key: None });
        }
        Ok(true)
    }

    /// Whether the text ends at `span`, in the middle of a line.
    fn ends_mid_line(&self, span: &Span) -> bool {
        let end = span.byte_range().map(|range| range.end);
        let last_line = self.text.rsplit('\n').next().unwrap_or_default();
        end == Some(self.text.len()) && !last_line.trim().is_empty()
    }

    fn resolve_anchor(&self, number: usize, span: &Span) -> Result<NodeId, YamlSyntaxError> {
        let target = self.anchors.get(&number).copied();
        let Some(target) = target else {
            return Err(self.syntax_error(span, NO_ANCHOR.to_owned()));
        };
        if self.open.iter().any(|open| open.node == target) {
            return Err(self.syntax_error(span, "the alias stands inside what it names".to_owned()));
        }
        Ok(target)
    }

    fn push_node(&mut self, kind: YamlNodeKind<'a>, span: &Span) -> NodeId {
        let id = NodeId::try_from(self.tree.nodes.len()).expect("fewer nodes than max_nodes");
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        self.tree.nodes.push(YamlNode {
            line: count(span.start.line()),
            column: count(span.start.col() + 1),
            kind,
        });
        if let Some(open) = self.open.last_mut() {
            match &mut self.tree.nodes[open.node as usize].kind {
                YamlNodeKind::List(items) => items.push(id),
                YamlNodeKind::Map(entries) => match open.key.take() {
                    Some(key) => entries.push((key, id)),
                    None => open.key = Some(id),
                },
                YamlNodeKind::Scalar { .. } | YamlNodeKind::Alias(_) => {}
            }
        }
        id
    }

    fn scan_error(&self, error: &parser::ScanError) -> YamlSyntaxError {
        let marker = error.marker();
        let count = |number: usize| u64::try_from(number).unwrap_or_default();
        let (line, column) = (count(marker.line()), count(marker.col() + 1));
        YamlSyntaxError {
            line,
            column,
            path: self.path_at((line, column)),
            message: match error.info().as_str() {
                "recursion limit exceeded" => format!("nested deeper than {MAX_DEPTH} levels"),
                "while parsing node, found unknown anchor" => NO_ANCHOR.to_owned(),
                info => info.to_owned(),
            },
        }
    }

    fn syntax_error(&self, span: &Span, message: String) -> YamlSyntaxError {
        let count = |number: usize| u64::try_from(number).unwrap_or_default();
        let (line, column) = (count(span.start.line()), count(span.start.col() + 1));
        YamlSyntaxError {
            line,
            column,
            path: if self.open.len() < MAX_DEPTH {
                self.path_at((line, column))
            } else {
                String::new()
            },
            message,
        }
    }

    /// The path of the innermost open container that began before `place`.
    fn path_at(&self, place: (u64, u64)) -> String {
        let open = self.open.iter();
        let around = open.take_while(|open| self.tree.node_position(open.node) < place);
        let steps = around.filter_map(|open| match self.tree.node_kind(open.node) {
            YamlNodeKind::List(items) => Some(PathSegment::Index(items.len().saturating_sub(1))),
            YamlNodeKind::Map(entries) => {
                let key = open.key.or(entries.last().map(|(key, _)| *key))?;
                Some(PathSegment::Key(self.tree.key_name(key)?.into_owned()))
            }
            _ => None,
        });
        format_path(&steps.collect::<Vec<_>>())
    }
}
