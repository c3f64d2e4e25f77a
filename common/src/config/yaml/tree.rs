//! A document as nodes that know where they stand. Aliases point at what they name, so the tree
//! is never larger than the text. What the nodes mean is [`super::fit`]'s.

use std::{borrow::Cow, collections::HashMap, fmt};

use serde_saphyr::granit_parser::{self as parser, Event, Parser, ScalarStyle, Span};

use super::scalar::{self, Scalar, Tag};
use crate::config::{Segment, problem::show};

/// Containers in containers; Prow's own files have less than 20.
pub(super) const MAX_DEPTH: usize = 128;

const NO_ANCHOR: &str = "the alias names no anchor above it";

/// The first document of a text.
#[derive(Debug)]
pub(in crate::config) struct Tree<'a> {
    /// In the order of the text; the first one is the root.
    nodes: Vec<Node<'a>>,
}

pub(super) type Id = u32;

#[derive(Debug)]
struct Node<'a> {
    line: u32,
    column: u32,
    kind: Kind<'a>,
}

#[derive(Debug)]
pub(super) enum Kind<'a> {
    Scalar {
        text: Cow<'a, str>,
        plain: bool,
        tag: Option<Tag>,
    },
    List(Vec<Id>),
    /// Key node and value node.
    Map(Vec<(Id, Id)>),
    Alias(Id),
}

/// Why a text is no document.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::config) struct Broken {
    pub(in crate::config) line: u64,
    pub(in crate::config) column: u64,
    /// Of the innermost part that was begun.
    pub(in crate::config) path: String,
    pub(in crate::config) message: String,
}

/// A container whose end has not come.
struct Open {
    node: Id,
    /// The key that waits for its value.
    key: Option<Id>,
}

impl<'a> Tree<'a> {
    /// None for a text without a document. At most `max_nodes` keys and values are read.
    pub(in crate::config) fn parse(
        text: &'a str,
        max_nodes: usize,
    ) -> Result<Option<Self>, Broken> {
        if let Some(broken) = control_character(text) {
            return Err(broken);
        }
        let mut builder = Builder {
            text,
            tree: Self { nodes: Vec::new() },
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

    pub(super) fn kind(&self, node: Id) -> &Kind<'a> {
        &self.nodes[node as usize].kind
    }

    /// Line and column, from 1.
    pub(super) fn place(&self, node: Id) -> (u64, u64) {
        let node = &self.nodes[node as usize];
        (node.line.into(), node.column.into())
    }

    /// What an alias stands for; every other node itself.
    pub(super) fn resolve(&self, mut node: Id) -> Id {
        // An anchor stands before its alias, so this ends.
        while let Kind::Alias(target) = self.kind(node) {
            node = *target;
        }
        node
    }

    /// A scalar's value; None for lists and mappings.
    pub(super) fn scalar(&self, node: Id) -> Option<Result<Scalar<'_>, &'static str>> {
        match self.kind(self.resolve(node)) {
            Kind::Scalar { text, plain, tag } => Some(scalar::resolve(text, *plain, *tag)),
            _ => None,
        }
    }

    /// The name that a key has in JSON.
    pub(super) fn key(&self, node: Id) -> Option<Cow<'_, str>> {
        match self.scalar(node)?.ok()? {
            Scalar::Null => None,
            Scalar::Text(text) => Some(text),
            other => Some(Cow::Owned(other.into_text())),
        }
    }

    pub(super) fn is_merge(&self, key: Id) -> bool {
        matches!(self.kind(key), Kind::Scalar { text, plain: true, tag: None } if text == "<<")
    }

    /// The kind of the root's child `key`, if there is one: whether it is a mapping.
    pub(in crate::config) fn has_mapping(&self, key: &str) -> bool {
        let child = self.child(0, &Segment::Key(key.to_owned()));
        child.is_some_and(|(_, node)| matches!(self.kind(self.resolve(node)), Kind::Map(_)))
    }

    /// Line and column of a path's key or list item; of the nearest part of it that exists.
    pub(in crate::config) fn locate(&self, path: &[Segment]) -> (u64, u64) {
        let mut node = 0;
        let mut place = 0;
        for segment in path {
            let Some((key, value)) = self.child(node, segment) else {
                break;
            };
            (place, node) = (key, value);
        }
        self.place(place)
    }

    /// The node that stands for a child in the text, and the child itself.
    fn child(&self, node: Id, segment: &Segment) -> Option<(Id, Id)> {
        match (self.kind(self.resolve(node)), segment) {
            (Kind::List(items), Segment::Index(index)) => {
                items.get(*index).map(|item| (*item, *item))
            }
            (Kind::Map(entries), Segment::Key(name)) => {
                let find = |matches: &dyn Fn(&str) -> bool| {
                    let mut entries = entries.iter().rev();
                    entries.find(|(key, _)| self.key(*key).is_some_and(|key| matches(&key)))
                };
                find(&|key| key == name)
                    .or_else(|| find(&|key| key.eq_ignore_ascii_case(name)))
                    .copied()
                    .or_else(|| self.merged(entries, segment))
            }
            _ => None,
        }
    }

    /// A key that a merge key brings.
    fn merged(&self, entries: &[(Id, Id)], segment: &Segment) -> Option<(Id, Id)> {
        let mut sources = entries.iter().filter(|(key, _)| self.is_merge(*key));
        sources.find_map(|(_, source)| match self.kind(self.resolve(*source)) {
            Kind::List(items) => items.iter().find_map(|item| self.child(*item, segment)),
            _ => self.child(*source, segment),
        })
    }

    /// A node in words for a message.
    pub(super) fn describe(&self, node: Id) -> Found<'_> {
        match self.kind(self.resolve(node)) {
            Kind::Scalar { text, plain, tag } => match scalar::resolve(text, *plain, *tag) {
                Ok(Scalar::Null) => Found::Nothing,
                Ok(Scalar::Text(_)) | Err(_) => Found::Text(text),
                Ok(_) => Found::Word(text),
            },
            Kind::List(_) => Found::List,
            Kind::Map(_) | Kind::Alias(_) => Found::Mapping,
        }
    }
}

/// What stands at a place, in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    Nothing,
    Text(&'a str),
    /// A number, or true or false.
    Word(&'a str),
    List,
    Mapping,
}

impl fmt::Display for Found<'_> {
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

fn options() -> parser::Options {
    let mut options = parser::Options::default();
    // One above ours, which has the better words.
    options.flow_nesting_limit = MAX_DEPTH + 1;
    options.block_nesting_limit = MAX_DEPTH + 1;
    options
}

/// Control characters have no place in YAML.
fn control_character(text: &str) -> Option<Broken> {
    let is_bad = |byte: &u8| matches!(*byte, 0..=8 | 11 | 12 | 14..=31 | 127);
    let at = text.as_bytes().iter().position(is_bad)?;
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    let byte = text.as_bytes()[at];
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    Some(Broken {
        line: count(before.matches('\n').count() + 1),
        column: count(before[line_start..].chars().count() + 1),
        path: String::new(),
        message: match byte {
            0 => "found a NUL byte: this is no text".to_owned(),
            byte => format!("found the control character {byte:#04x}, which YAML does not allow"),
        },
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
base: &base
  image: golang
presubmits:
  org/repo:
  - name: unit
    spec:
      containers:
      - <<: *base
        args: [a, b]
";

    fn path(steps: &[&str]) -> Vec<Segment> {
        steps
            .iter()
            .map(|step| {
                step.parse()
                    .map_or_else(|_| Segment::Key((*step).to_owned()), Segment::Index)
            })
            .collect()
    }

    #[test]
    fn finds_the_line_of_a_path() {
        let tree = Tree::parse(TEXT, 100).unwrap().unwrap();
        let container = ["presubmits", "org/repo", "0", "spec", "containers", "0"];
        for (steps, place) in [
            (path(&["presubmits", "org/repo", "0", "name"]), (5, 5)),
            ([path(&container), path(&["args", "1"])].concat(), (9, 19)),
            ([path(&container), path(&["image"])].concat(), (2, 3)),
            (
                path(&["Presubmits", "org/repo", "0", "nothing", "here"]),
                (5, 5),
            ),
            (path(&[]), (1, 1)),
        ] {
            assert_eq!(tree.locate(&steps), place, "{steps:?}");
        }
    }

    #[test]
    fn what_is_no_document_is_told_with_its_place() {
        for (text, line, column, at, message) in [
            ("a: [1, 2", 1, 4, "a", "unclosed bracket '['"),
            ("a: *b", 1, 4, "", "the alias names no anchor above it"),
            (
                "a: &b [*b]",
                1,
                8,
                "",
                "the alias stands inside what it names",
            ),
            (
                "a: b\nc: d\0",
                2,
                5,
                "",
                "found a NUL byte: this is no text",
            ),
            (
                "a: \u{1}",
                1,
                4,
                "",
                "found the control character 0x01, which YAML does not allow",
            ),
        ] {
            let broken = Tree::parse(text, 100).unwrap_err();
            assert_eq!((broken.line, broken.column), (line, column), "{text:?}");
            assert!(broken.message.contains(message), "{text:?}: {broken:?}");
            assert!(at.is_empty() || broken.path == at, "{text:?}: {broken:?}");
        }
    }

    #[test]
    fn nothing_grows_without_bounds() {
        for text in ["[".repeat(10_000), "a: {".repeat(10_000)] {
            let broken = Tree::parse(&text, 100_000).unwrap_err();
            assert_eq!(broken.message, "nested deeper than 128 levels");
        }
        let broken = Tree::parse("[a, b, c, d]", 3).unwrap_err();
        assert_eq!(broken.message, "more than 3 keys and values in one file");
        assert!(Tree::parse("# nothing\n", 3).unwrap().is_none());
    }
}
