//! Label and field selectors: which objects a list or watch selects.

use std::collections::BTreeMap;

use serde_json::Value;

use super::object::ApiObject;
use super::status::{StatusError, StatusResult};

/// Both selectors of a request. The default selects everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct ObjectSelector {
    labels: Vec<LabelRequirement>,
    fields: Vec<FieldRequirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum LabelRequirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
    Greater(String, i64),
    Less(String, i64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FieldRequirement {
    path: String,
    value: String,
    equal: bool,
}

impl ObjectSelector {
    pub(crate) fn parse_selectors(labels: &str, fields: &str) -> StatusResult<Self> {
        Ok(Self {
            labels: parse_labels(labels)?,
            fields: parse_fields(fields)?,
        })
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Refuses fields that the kind cannot be selected by, as a real server does.
    pub(crate) fn check_fields(&self, resource: &str) -> StatusResult<()> {
        for requirement in &self.fields {
            let path = requirement.path.as_str();
            if !matches!(path, "metadata.name" | "metadata.namespace")
                && !selectable_fields(resource).contains(&path)
            {
                return Err(StatusError::bad_request(format!(
                    "field label not supported: {path}"
                )));
            }
        }
        Ok(())
    }

    pub(crate) fn matches_object(&self, object: &ApiObject) -> bool {
        self.labels
            .iter()
            .all(|requirement| requirement.matches_labels(&object.labels))
            && self.match_fields(object)
    }

    fn match_fields(&self, object: &ApiObject) -> bool {
        if !self.fields.iter().all(|one| one.may_match(object)) {
            return false;
        }
        let mut tree = None;
        self.fields.iter().all(|requirement| {
            let equal = match requirement.path.as_str() {
                "metadata.name" => object.key.name == requirement.value,
                "metadata.namespace" => object.key.namespace == requirement.value,
                path => {
                    field_text(tree.get_or_insert_with(|| object.to_value()), path)
                        == requirement.value
                }
            };
            equal == requirement.equal
        })
    }
}

impl FieldRequirement {
    /// Whether the object's text may match. Rules out most objects without parsing them.
    fn may_match(&self, object: &ApiObject) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-./".contains(&byte);
        let is_told = self.equal && !matches!(&*self.value, "" | "false");
        if !is_told || !self.value.bytes().all(plain) {
            return true;
        }
        std::str::from_utf8(&object.text).is_ok_and(|text| text.contains(&self.value))
    }
}

fn selectable_fields(resource: &str) -> &'static [&'static str] {
    match resource {
        "pods" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        "events" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        "namespaces" => &["status.phase"],
        "secrets" => &["type"],
        "nodes" => &["spec.unschedulable"],
        _ => &[],
    }
}

fn field_text(object: &Value, path: &str) -> String {
    let path = if path == "source" {
        "source.component"
    } else {
        path
    };
    let mut at = object;
    for step in path.split('.') {
        at = &at[step];
    }
    match at {
        Value::String(text) => text.clone(),
        Value::Null if path == "spec.unschedulable" => "false".to_owned(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

impl LabelRequirement {
    fn matches_labels(&self, labels: &BTreeMap<String, String>) -> bool {
        let number = |key: &String| labels.get(key).and_then(|value| value.parse::<i64>().ok());
        match self {
            Self::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Self::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Self::Exists(key) => labels.contains_key(key),
            Self::Missing(key) => !labels.contains_key(key),
            Self::Greater(key, than) => number(key).is_some_and(|value| value > *than),
            Self::Less(key, than) => number(key).is_some_and(|value| value < *than),
        }
    }
}

fn parse_labels(text: &str) -> StatusResult<Vec<LabelRequirement>> {
    let wrong = |part: &str| {
        StatusError::bad_request(format!(
            "unable to parse requirement: {part:?} in labelSelector"
        ))
    };
    split_outside_brackets(text)
        .map(|part| parse_requirement(part).ok_or_else(|| wrong(part)))
        .collect()
}

/// Splits at commas, but not inside `in (a,b)`.
fn split_outside_brackets(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    text.split(move |c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
}

fn parse_requirement(part: &str) -> Option<LabelRequirement> {
    if let Some(inner) = part.strip_suffix(')') {
        let (head, values) = inner.split_once('(')?;
        let (key, operator) = head.trim().split_once(char::is_whitespace)?;
        let key = valid_key(key)?;
        let values = values
            .split(',')
            .map(|value| value.trim().to_owned())
            .collect();
        return match operator.trim() {
            "in" => Some(LabelRequirement::In(key, values)),
            "notin" => Some(LabelRequirement::NotIn(key, values)),
            _ => None,
        };
    }
    if let Some(key) = part.strip_prefix('!').filter(|rest| !rest.contains('=')) {
        return Some(LabelRequirement::Missing(valid_key(key)?));
    }
    for (operator, negated) in [("!=", true), ("==", false), ("=", false)] {
        if let Some((key, value)) = part.split_once(operator) {
            let (key, values) = (valid_key(key)?, vec![valid_value(value)?]);
            return Some(if negated {
                LabelRequirement::NotIn(key, values)
            } else {
                LabelRequirement::In(key, values)
            });
        }
    }
    if let Some((key, value)) = part.split_once('>') {
        return Some(LabelRequirement::Greater(
            valid_key(key)?,
            value.trim().parse().ok()?,
        ));
    }
    if let Some((key, value)) = part.split_once('<') {
        return Some(LabelRequirement::Less(
            valid_key(key)?,
            value.trim().parse().ok()?,
        ));
    }
    Some(LabelRequirement::Exists(valid_key(part)?))
}

fn valid_key(key: &str) -> Option<String> {
    let key = key.trim();
    let ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    (!key.is_empty() && key.chars().all(ok)).then(|| key.to_owned())
}

fn valid_value(value: &str) -> Option<String> {
    let value = value.trim();
    let ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    value.chars().all(ok).then(|| value.to_owned())
}

fn parse_fields(text: &str) -> StatusResult<Vec<FieldRequirement>> {
    let wrong = |part: &str| {
        StatusError::bad_request(format!("invalid selector: {part:?}; can't understand it"))
    };
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (path, value, equal) = [("!=", false), ("==", true), ("=", true)]
                .into_iter()
                .find_map(|(operator, equal)| {
                    part.split_once(operator)
                        .map(|(path, value)| (path, value, equal))
                })
                .ok_or_else(|| wrong(part))?;
            Ok(FieldRequirement {
                path: path.trim().to_owned(),
                value: value.trim().to_owned(),
                equal,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::super::object::ObjectKey;
    use super::*;

    fn pod() -> ApiObject {
        let pod = json!({
            "metadata": {"name": "a", "namespace": "ns", "labels": {"app": "hook", "tier": "2", "prow.k8s.io/type": "presubmit"}},
            "spec": {"nodeName": "one"}, "status": {"phase": "Running"},
        });
        ApiObject::parse_json(
            ObjectKey::new(&Arc::from("pods"), "ns", "a"),
            pod.to_string().into(),
        )
        .unwrap()
    }

    #[test]
    fn label_selectors() {
        for (selector, expected) in [
            ("", true),
            ("app=hook", true),
            ("app==hook,tier=2", true),
            ("app=deck", false),
            ("app!=deck", true),
            ("missing!=x", true),
            ("app in (deck, hook)", true),
            ("app in (deck),tier", false),
            ("app notin (deck,hook)", false),
            ("app,!missing", true),
            ("!app", false),
            ("tier>1", true),
            ("tier<2", false),
            ("prow.k8s.io/type in (presubmit,batch),app", true),
        ] {
            assert_eq!(
                ObjectSelector::parse_selectors(selector, "")
                    .unwrap()
                    .matches_object(&pod()),
                expected,
                "{selector}"
            );
        }
        for wrong in ["app in hook", "a b", "=x", "app in (a", "tier>x", "a=b=c"] {
            assert!(
                ObjectSelector::parse_selectors(wrong, "").is_err(),
                "{wrong} was accepted"
            );
        }
    }

    #[test]
    fn field_selectors() {
        for (selector, expected) in [
            ("metadata.name=a", true),
            ("metadata.name=b", false),
            ("metadata.namespace==ns,status.phase=Running", true),
            ("status.phase!=Running", false),
            ("spec.nodeName=one", true),
            ("spec.nodeName=", false),
        ] {
            assert_eq!(
                ObjectSelector::parse_selectors("", selector)
                    .unwrap()
                    .matches_object(&pod()),
                expected,
                "{selector}"
            );
        }
        assert!(ObjectSelector::parse_selectors("", "nonsense").is_err());
        assert!(
            ObjectSelector::parse_selectors("", "spec.color=red")
                .unwrap()
                .check_fields("pods")
                .is_err()
        );
    }
}
