//! `merge_method`: `merge`, `rebase` or `squash` by organisation, repository and branch.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, value::MapAccessDeserializer},
};

use super::TideConfig;
use crate::{
    config::{
        ConfigPath, GoRegexp,
        section_diagnostics::{SectionDiagnostics, did_you_mean},
    },
    repo_names::find_by_name,
};

const MERGE_METHODS: [&str; 3] = ["merge", "rebase", "squash"];

/// By `org/repo@branch`, `org/repo` or `org`. An organisation's entry may be a map by bare
/// repository or `*`, and each entry of that a map by regular expressions of branches.
pub type MergeMethods = BTreeMap<String, MergeMethodOrMap<MergeMethodOrMap<String>>>;

/// One method for everything below, or an entry for each; the empty method is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum MergeMethodOrMap<T> {
    One(String),
    By(BTreeMap<String, T>),
}

impl<T> MergeMethodOrMap<T> {
    fn single_method(&self) -> Option<&str> {
        match self {
            Self::One(method) => Some(method).filter(|it| !it.is_empty()).map(String::as_str),
            Self::By(_) => None,
        }
    }

    fn method_map(&self) -> Option<&BTreeMap<String, T>> {
        match self {
            Self::One(_) => None,
            Self::By(entries) => Some(entries),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for MergeMethodOrMap<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MergeMethodVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for MergeMethodVisitor<T> {
            type Value = MergeMethodOrMap<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("merge, rebase, squash, or a mapping to them")
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(MergeMethodOrMap::One(String::new()))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(MergeMethodOrMap::One(text.to_owned()))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                BTreeMap::deserialize(MapAccessDeserializer::new(map)).map(MergeMethodOrMap::By)
            }
        }
        deserializer.deserialize_any(MergeMethodVisitor(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for MergeMethodOrMap<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("OneOrBy{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let below = generator.subschema_for::<T>();
        json_schema!({
            "anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": below}],
        })
    }
}

impl TideConfig {
    /// How pull requests to a branch are merged; `merge` unless set.
    pub fn merge_method(&self, org: &str, repo: &str, branch: &str) -> &str {
        let short = |key: String| {
            find_by_name(&self.merge_method, &key).and_then(MergeMethodOrMap::single_method)
        };
        let of_org = find_by_name(&self.merge_method, org);
        let of_repo = of_org
            .and_then(MergeMethodOrMap::method_map)
            .and_then(|repos| find_by_name(repos, repo).or_else(|| repos.get("*")));
        let of_branch = || {
            let mut branches = of_repo.and_then(MergeMethodOrMap::method_map)?.iter();
            let found = branches
                .find(|(source, _)| GoRegexp::new(source).is_ok_and(|it| it.is_match(branch)));
            found.map(|(_, method)| method.as_str())
        };
        short(format!("{org}/{repo}@{branch}"))
            .or_else(of_branch)
            .or_else(|| short(format!("{org}/{repo}")))
            .or_else(|| of_repo.and_then(MergeMethodOrMap::single_method))
            .or_else(|| of_org.and_then(MergeMethodOrMap::single_method))
            .unwrap_or("merge")
    }
}

pub(super) fn check_merge_methods(
    section: &ConfigPath<'_>,
    methods: &MergeMethods,
    report: &mut SectionDiagnostics<'_>,
) {
    for (org, entry) in methods {
        let path = section.key(org);
        check_method(&path, entry.single_method(), report);
        for (repo, entry) in entry.method_map().into_iter().flatten() {
            let path = path.key(repo);
            check_method(&path, entry.single_method(), report);
            for (branch, method) in entry.method_map().into_iter().flatten() {
                let path = path.key(branch);
                report.check_pattern(&path, branch);
                check_method(&path, Some(method), report);
            }
        }
    }
}

fn check_method(path: &ConfigPath<'_>, method: Option<&str>, report: &mut SectionDiagnostics<'_>) {
    let Some(method) = method.filter(|method| !MERGE_METHODS.contains(method)) else {
        return;
    };
    report.add_with_hint(
        "tide-merge-method",
        path,
        format!(
            "found {method:?}, expected one of {}",
            MERGE_METHODS.join(", ")
        ),
        did_you_mean(method, MERGE_METHODS),
    );
}

#[cfg(test)]
mod tests {
    use crate::config::prow::tests::{loaded, refused};

    #[test]
    fn the_narrowest_entry_counts() {
        let tide = loaded(
            "
tide:
  merge_method:
    short/r@main: rebase
    short/r: squash
    short: rebase
    long:
      r: {'ma(ster|in)': squash, rel: rebase}
      s: rebase
      '*': squash
    long/r: squash
    empty: ''
",
        )
        .tide;
        for (org, repo, branch, expected) in [
            ("short", "r", "main", "rebase"),
            ("short", "r", "dev", "squash"),
            ("short", "x", "main", "rebase"),
            ("long", "r", "master", "squash"),
            ("long", "r", "release", "rebase"),
            ("long", "r", "dev", "squash"),
            ("long", "s", "dev", "rebase"),
            ("long", "x", "dev", "squash"),
            ("empty", "x", "dev", "merge"),
            ("other", "x", "dev", "merge"),
        ] {
            let found = tide.merge_method(org, repo, branch);
            assert_eq!(found, expected, "{org}/{repo}@{branch}");
        }
    }

    #[test]
    fn each_rule_tells_its_place() {
        for (methods, message) in [
            (
                "{o: squahs}",
                r#"config.yaml:2:18: tide.merge_method.o: found "squahs", expected one of merge, rebase, squash; did you mean "squash"?"#,
            ),
            (
                "{o: {r: x}}",
                r#"config.yaml:2:22: tide.merge_method.o.r: found "x", expected one of merge, rebase, squash"#,
            ),
            (
                "{o: {r: {main: ''}}}",
                r#"config.yaml:2:26: tide.merge_method.o.r.main: found "", expected one of merge, rebase, squash"#,
            ),
            (
                "{o: {r: {'(': merge}}}",
                r#"config.yaml:2:26: tide.merge_method.o.r."(": "(" is no regular expression: missing closing )"#,
            ),
            (
                "{o: 1}",
                "config.yaml:2:18: tide.merge_method.o: invalid type: integer `1`, expected merge, rebase, squash, or a mapping to them",
            ),
        ] {
            assert_eq!(
                refused(&format!("tide:\n  merge_method: {methods}")),
                message
            );
        }
    }
}
