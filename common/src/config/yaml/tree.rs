//! A document as nodes that know where they stand: for telling the line of a path, and the
//! path of a line. Aliases point at what they name, so the tree is never larger than the text.

use std::collections::HashMap;
use std::fmt;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span};

use crate::config::Segment;

/// The first document of a text.
#[derive(Debug)]
pub(in crate::config) struct Tree {
    /// In the order of the text; the first one is the root.
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    parent: Option<(usize, Segment)>,
    line: u64,
    column: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<usize>),
    /// Key node and value node.
    Map(Vec<(usize, usize)>),
    Alias(usize),
}

/// What stands at a place, in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Text(String),
    List,
    Mapping,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Text(text) if text.chars().count() > 40 => {
                let start: String = text.chars().take(37).collect();
                write!(f, "{start:?}...")
            }
            Self::Text(text) => write!(f, "{text:?}"),
            Self::List => f.write_str("a list"),
            Self::Mapping => f.write_str("a mapping"),
        }
    }
}

/// A container whose end has not come.
struct Open {
    node: usize,
    /// The key that waits for its value.
    key: Option<usize>,
}

impl Tree {
    /// None for a text without a document, or one that is no YAML up to the end of it.
    pub(in crate::config) fn parse(text: &str) -> Option<Self> {
        let mut tree = Self { nodes: Vec::new() };
        let mut open: Vec<Open> = Vec::new();
        let mut anchors: HashMap<usize, usize> = HashMap::new();
        for event in Parser::new_from_str(text) {
            let Ok((event, span)) = event else { break };
            let (kind, anchor, container) = match event {
                Event::Scalar(value, style, anchor, _) => {
                    let plain = style == ScalarStyle::Plain;
                    let text = value.into_owned();
                    (Kind::Scalar { text, plain }, anchor, false)
                }
                Event::SequenceStart(_, anchor, _) => (Kind::List(Vec::new()), anchor, true),
                Event::MappingStart(_, anchor, _) => (Kind::Map(Vec::new()), anchor, true),
                Event::Alias(id) => (Kind::Alias(*anchors.get(&id)?), 0, false),
                Event::SequenceEnd | Event::MappingEnd => {
                    open.pop();
                    continue;
                }
                Event::DocumentEnd => break,
                _ => continue,
            };
            let node = tree.push(&mut open, kind, &span);
            if anchor != 0 {
                anchors.insert(anchor, node);
            }
            if container {
                open.push(Open { node, key: None });
            }
        }
        (!tree.nodes.is_empty()).then_some(tree)
    }

    fn push(&mut self, open: &mut [Open], kind: Kind, span: &Span) -> usize {
        let index = self.nodes.len();
        let parent = open.last_mut().map(|container| {
            let segment = self.attach(container, index);
            (container.node, segment)
        });
        self.nodes.push(Node {
            parent,
            line: u64::try_from(span.start.line()).unwrap_or_default(),
            column: u64::try_from(span.start.col() + 1).unwrap_or_default(),
            kind,
        });
        index
    }

    /// Enters a new node into its container and says how it is reached. A key is reached as
    /// its value is.
    fn attach(&mut self, container: &mut Open, index: usize) -> Segment {
        let parent = container.node;
        if let Kind::List(items) = &mut self.nodes[parent].kind {
            items.push(index);
            return Segment::Index(items.len() - 1);
        }
        if let Some(key) = container.key.take() {
            if let Kind::Map(entries) = &mut self.nodes[parent].kind {
                entries.push((key, index));
            }
            let name = self.text(key).unwrap_or_default().to_owned();
            self.nodes[key].parent = Some((parent, Segment::Key(name.clone())));
            Segment::Key(name)
        } else {
            container.key = Some(index);
            Segment::Key(String::new())
        }
    }

    fn text(&self, node: usize) -> Option<&str> {
        match &self.nodes[node].kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
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
        (self.nodes[place].line, self.nodes[place].column)
    }

    /// The node that stands for a child in the text, and the child itself.
    fn child(&self, node: usize, segment: &Segment) -> Option<(usize, usize)> {
        match (&self.nodes[self.resolve(node)].kind, segment) {
            (Kind::List(items), Segment::Index(index)) => {
                items.get(*index).map(|item| (*item, *item))
            }
            (Kind::Map(entries), Segment::Key(name)) => entries
                .iter()
                .rev()
                .find(|(key, _)| self.text(*key) == Some(name))
                .copied()
                .or_else(|| self.merged(entries, segment)),
            _ => None,
        }
    }

    /// A key that a merge key brings.
    fn merged(&self, entries: &[(usize, usize)], segment: &Segment) -> Option<(usize, usize)> {
        let (_, source) = entries
            .iter()
            .find(|(key, _)| self.text(*key) == Some("<<"))?;
        match &self.nodes[self.resolve(*source)].kind {
            Kind::List(items) => items.iter().find_map(|item| self.child(*item, segment)),
            _ => self.child(*source, segment),
        }
    }

    fn resolve(&self, node: usize) -> usize {
        match self.nodes[node].kind {
            // An anchor stands before its alias, so this ends.
            Kind::Alias(target) if target < node => self.resolve(target),
            _ => node,
        }
    }

    /// The innermost node that begins at or before a place: its path and what it is.
    pub(super) fn at(&self, line: u64, column: u64) -> Option<(Vec<Segment>, Found)> {
        let index = self
            .nodes
            .iter()
            .rposition(|node| (node.line, node.column) <= (line, column))?;
        Some((self.path(index), self.found(index)))
    }

    fn path(&self, mut index: usize) -> Vec<Segment> {
        let mut path = Vec::new();
        while let Some((parent, segment)) = &self.nodes[index].parent {
            path.push(segment.clone());
            index = *parent;
        }
        path.reverse();
        path
    }

    fn found(&self, index: usize) -> Found {
        match &self.nodes[self.resolve(index)].kind {
            Kind::Scalar { text, plain } => {
                let null = *plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL");
                if null {
                    Found::Nothing
                } else {
                    Found::Text(text.clone())
                }
            }
            Kind::List(_) => Found::List,
            Kind::Map(_) => Found::Mapping,
            Kind::Alias(_) => Found::Nothing,
        }
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
        let tree = Tree::parse(TEXT).unwrap();
        for (steps, place) in [
            (&["presubmits", "org/repo", "0", "name"][..], (5, 5)),
            (
                &[
                    "presubmits",
                    "org/repo",
                    "0",
                    "spec",
                    "containers",
                    "0",
                    "args",
                    "1",
                ][..],
                (9, 19),
            ),
            (
                &[
                    "presubmits",
                    "org/repo",
                    "0",
                    "spec",
                    "containers",
                    "0",
                    "image",
                ][..],
                (2, 3),
            ),
            (
                &["presubmits", "org/repo", "0", "nothing", "here"][..],
                (5, 5),
            ),
            (&[][..], (1, 1)),
        ] {
            assert_eq!(tree.locate(&path(steps)), place, "{steps:?}");
        }
    }

    #[test]
    fn finds_the_path_of_a_line() {
        let tree = Tree::parse(TEXT).unwrap();
        let (steps, found) = tree.at(5, 11).unwrap();
        assert_eq!(steps, path(&["presubmits", "org/repo", "0", "name"]));
        assert_eq!(found, Found::Text("unit".into()));
        let (steps, _) = tree.at(9, 16).unwrap();
        assert_eq!(
            steps,
            path(&[
                "presubmits",
                "org/repo",
                "0",
                "spec",
                "containers",
                "0",
                "args",
                "0"
            ])
        );
    }
}
