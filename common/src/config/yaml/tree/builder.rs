//! A tree from the events of the YAML parser.

use std::{borrow::Cow, collections::HashMap};

use serde_saphyr::granit_parser::{self as parser, Event, Parser, ScalarStyle, Span};

use super::{Broken, Id, Kind, MAX_DEPTH, Node, Tag, Tree};
use crate::config::{Segment, problem::show};

const NO_ANCHOR: &str = "the alias names no anchor above it";

fn options() -> parser::Options {
    let mut options = parser::Options::default();
    // One above ours, which has the better words.
    options.flow_nesting_limit = MAX_DEPTH + 1;
    options.block_nesting_limit = MAX_DEPTH + 1;
    options
}

/// None for a text without a document.
pub(super) fn read(text: &str, max_nodes: usize) -> Result<Option<Tree<'_>>, Broken> {
    let mut builder = Builder {
        text,
        tree: Tree { nodes: Vec::new() },
        open: Vec::new(),
        anchors: HashMap::new(),
        max_nodes,
    };
    for event in Parser::new_from_str_with_options(text, options()) {
        let (event, span) = event.map_err(|error| builder.scan_error(&error))?;
        if !builder.take(event, &span)? {
            break;
        }
    }
    let tree = builder.tree;
    Ok((!tree.nodes.is_empty()).then_some(tree))
}

/// A container whose end has not come.
struct Open {
    node: Id,
    /// The key that waits for its value.
    key: Option<Id>,
}

/// The parser ends a block's last line for it; Go's leaves it as it is.
fn without_break(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.strip_suffix('\n') {
        Some(line) => Cow::Owned(line.to_owned()),
        None => text,
    }
}

/// A tree that grows.
struct Builder<'a> {
    text: &'a str,
    tree: Tree<'a>,
    open: Vec<Open>,
    /// By the parser's number.
    anchors: HashMap<usize, Id>,
    max_nodes: usize,
}

impl<'a> Builder<'a> {
    /// Whether the document goes on.
    fn take(&mut self, event: Event<'a>, span: &Span) -> Result<bool, Broken> {
        let (kind, anchor, container) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let text = if is_block && self.breaks_off(span) {
                    without_break(text)
                } else {
                    text
                };
                let tag = tag.map(|tag| match tag.handle() {
                    "tag:yaml.org,2002:" => Tag::of_suffix(tag.suffix()),
                    _ => Tag::Other,
                });
                (Kind::Scalar { text, plain, tag }, anchor, false)
            }
            Event::SequenceStart(_, anchor, _) => (Kind::List(Vec::new()), anchor, true),
            Event::MappingStart(_, anchor, _) => (Kind::Map(Vec::new()), anchor, true),
            Event::Alias(number) => (Kind::Alias(self.anchored(number, span)?), 0, false),
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
                return Ok(true);
            }
            Event::DocumentEnd => return Ok(false),
            _ => return Ok(true),
        };
        if self.tree.nodes.len() >= self.max_nodes {
            let message = format!("more than {} keys and values in one file", self.max_nodes);
            return Err(self.broken(span, message));
        }
        if container && self.open.len() >= MAX_DEPTH {
            return Err(self.broken(span, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let node = self.push(kind, span);
        if anchor != 0 {
            self.anchors.insert(anchor, node);
        }
        if container {
            self.open.push(Open { node, key: None });
        }
        Ok(true)
    }

    /// Whether the text ends here, in the middle of a line.
    fn breaks_off(&self, span: &Span) -> bool {
        let end = span.byte_range().map(|range| range.end);
        let last_line = self.text.rsplit('\n').next().unwrap_or_default();
        end == Some(self.text.len()) && !last_line.trim().is_empty()
    }

    fn anchored(&self, number: usize, span: &Span) -> Result<Id, Broken> {
        let target = self.anchors.get(&number).copied();
        let Some(target) = target else {
            return Err(self.broken(span, NO_ANCHOR.to_owned()));
        };
        if self.open.iter().any(|open| open.node == target) {
            return Err(self.broken(span, "the alias stands inside what it names".to_owned()));
        }
        Ok(target)
    }

    fn push(&mut self, kind: Kind<'a>, span: &Span) -> Id {
        let id = Id::try_from(self.tree.nodes.len()).expect("fewer nodes than max_nodes");
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        self.tree.nodes.push(Node {
            line: count(span.start.line()),
            column: count(span.start.col() + 1),
            kind,
        });
        if let Some(open) = self.open.last_mut() {
            match &mut self.tree.nodes[open.node as usize].kind {
                Kind::List(items) => items.push(id),
                Kind::Map(entries) => match open.key.take() {
                    Some(key) => entries.push((key, id)),
                    None => open.key = Some(id),
                },
                Kind::Scalar { .. } | Kind::Alias(_) => {}
            }
        }
        id
    }

    fn scan_error(&self, error: &parser::ScanError) -> Broken {
        let marker = error.marker();
        let count = |number: usize| u64::try_from(number).unwrap_or_default();
        let (line, column) = (count(marker.line()), count(marker.col() + 1));
        Broken {
            line,
            column,
            path: self.path((line, column)),
            message: match error.info().as_str() {
                "recursion limit exceeded" => format!("nested deeper than {MAX_DEPTH} levels"),
                "while parsing node, found unknown anchor" => NO_ANCHOR.to_owned(),
                info => info.to_owned(),
            },
        }
    }

    fn broken(&self, span: &Span, message: String) -> Broken {
        let count = |number: usize| u64::try_from(number).unwrap_or_default();
        let (line, column) = (count(span.start.line()), count(span.start.col() + 1));
        Broken {
            line,
            column,
            path: if self.open.len() < MAX_DEPTH {
                self.path((line, column))
            } else {
                String::new()
            },
            message,
        }
    }

    /// Of the innermost container that is open and began before `place`.
    fn path(&self, place: (u64, u64)) -> String {
        let open = self.open.iter();
        let around = open.take_while(|open| self.tree.place(open.node) < place);
        let steps = around.filter_map(|open| match self.tree.kind(open.node) {
            Kind::List(items) => Some(Segment::Index(items.len().saturating_sub(1))),
            Kind::Map(entries) => {
                let key = open.key.or(entries.last().map(|(key, _)| *key))?;
                Some(Segment::Key(self.tree.key(key)?.into_owned()))
            }
            _ => None,
        });
        show(&steps.collect::<Vec<_>>())
    }
}
