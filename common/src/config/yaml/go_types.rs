//! Where Go's YAML parser makes a string of a number or of `true`.
//!
//! `sigs.k8s.io/yaml` walks a type in parallel with the document and converts the values of string
//! fields. For a field of an embedded struct it looks for keys in that struct itself, and mostly
//! finds none: there, a number for a string is refused. `go_types.tsv` has what reflection says of
//! Prow's types (kubernetes-sigs/prow at a619408, `sigs.k8s.io/yaml` 1.6.0). Each line has a
//! struct, a key and the type of its value, if that may contain a string; `[x]` is a list, `{x}` a
//! mapping, and `x!` an embedded struct of which only its own strings count.

use std::collections::HashMap;
use std::sync::LazyLock;

const TABLE: &str = include_str!("go_types.tsv");

/// Prow's type that a document is parsed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum GoType {
    /// `config.yaml`.
    Config,
    /// A supplemental file of `config.yaml`.
    ProwConfig,
    /// A file of central jobs.
    JobConfig,
    /// A file of a repository's own jobs.
    ProwYaml,
    /// `plugins.yaml`.
    Plugins,
    /// None of Prow's types: every string may be written without quotes.
    Lenient,
}

/// The Go type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GoTypeRef(u16);

/// Nothing below it is converted.
const NOTHING: GoTypeRef = GoTypeRef(0);
/// Everything below it is converted.
const LENIENT: GoTypeRef = GoTypeRef(1);
const TEXT: GoTypeRef = GoTypeRef(2);

enum GoTypeKind {
    Nothing,
    Lenient,
    Text,
    List(GoTypeRef),
    Map(GoTypeRef),
    /// In the order of the struct's fields.
    Fields(Vec<(&'static str, GoTypeRef)>),
}

static GO_TYPES: LazyLock<GoTypeTable> = LazyLock::new(GoTypeTable::load_table);

struct GoTypeTable {
    all: Vec<GoTypeKind>,
    known: HashMap<&'static str, GoTypeRef>,
}

impl GoTypeTable {
    fn load_table() -> Self {
        let mut steps = Self {
            all: vec![GoTypeKind::Nothing, GoTypeKind::Lenient, GoTypeKind::Text],
            known: HashMap::from([("string", TEXT)]),
        };
        for line in TABLE.lines() {
            let mut words = line.split('\t');
            let (Some(from), Some(key), Some(to)) = (words.next(), words.next(), words.next())
            else {
                unreachable!("the table has three columns: {line}");
            };
            let (from, to) = (steps.intern_type(from), steps.intern_type(to));
            if let GoTypeKind::Fields(fields) = &mut steps.all[usize::from(from.0)] {
                fields.push((key, to));
            }
        }
        steps
    }

    fn intern_type(&mut self, name: &'static str) -> GoTypeRef {
        if let Some(known) = self.known.get(name) {
            return *known;
        }
        let inner = |brackets: [char; 2]| name.strip_prefix(brackets[0])?.strip_suffix(brackets[1]);
        let step = if let Some(element) = inner(['[', ']']) {
            GoTypeKind::List(self.intern_type(element))
        } else if let Some(value) = inner(['{', '}']) {
            GoTypeKind::Map(self.intern_type(value))
        } else {
            GoTypeKind::Fields(Vec::new())
        };
        let id = u16::try_from(self.all.len()).expect("upstream has not so many types");
        self.all.push(step);
        self.known.insert(name, GoTypeRef(id));
        GoTypeRef(id)
    }
}

impl GoType {
    pub(super) fn root_type(self) -> GoTypeRef {
        let name = match self {
            Self::Config => "config.Config",
            Self::ProwConfig => "config.ProwConfig",
            Self::JobConfig => "config.JobConfig",
            Self::ProwYaml => "config.ProwYAML",
            Self::Plugins => "plugins.Configuration",
            Self::Lenient => return LENIENT,
        };
        GO_TYPES.known.get(name).copied().unwrap_or(NOTHING)
    }
}

impl GoTypeRef {
    fn type_kind(self) -> &'static GoTypeKind {
        &GO_TYPES.all[usize::from(self.0)]
    }

    /// The type of a mapping's value.
    pub(super) fn value_type(self, key: &str) -> Self {
        match self.type_kind() {
            GoTypeKind::Lenient => LENIENT,
            GoTypeKind::Map(value) => *value,
            GoTypeKind::Fields(fields) => {
                let exact = fields.iter().find(|(name, _)| *name == key);
                let mut in_any_case = fields.iter();
                exact
                    .or_else(|| in_any_case.find(|(name, _)| name.eq_ignore_ascii_case(key)))
                    .map_or(NOTHING, |(_, target)| *target)
            }
            GoTypeKind::Nothing | GoTypeKind::Text | GoTypeKind::List(_) => NOTHING,
        }
    }

    /// The type of a list's elements.
    pub(super) fn element_type(self) -> Self {
        match self.type_kind() {
            GoTypeKind::Lenient => LENIENT,
            GoTypeKind::List(element) => *element,
            _ => NOTHING,
        }
    }

    /// Whether Prow has a string there, whatever the type is here.
    pub(super) fn is_string(self) -> bool {
        matches!(self.type_kind(), GoTypeKind::Text)
    }

    /// Whether a number, or `true`, becomes a string.
    pub(super) fn is_text(self) -> bool {
        matches!(self.type_kind(), GoTypeKind::Lenient | GoTypeKind::Text)
    }
}
