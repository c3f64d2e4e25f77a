//! Label selectors in Kubernetes' syntax: `a=b, c in (d, e), !f`.

use crate::config::{
    ConfigPath, section_diagnostics::SectionDiagnostics, validate::is_qualified_name,
};

/// Refuses a selector that Kubernetes cannot parse.
pub(super) fn check_label_selector(
    path: &ConfigPath<'_>,
    selector: &str,
    report: &mut SectionDiagnostics<'_>,
) {
    if selector.trim().is_empty() {
        return;
    }
    for part in split_requirements(selector) {
        if !is_requirement(part.trim()) {
            let message = format!(
                "found {:?}, expected a requirement of a label, as in a=b, a!=b, a in (b, c), a or !a",
                part.trim()
            );
            report.add_diagnostic("label-selector", path, message);
        }
    }
}

/// Splits at commas, but not at those in brackets.
fn split_requirements(selector: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    selector.split(move |c| {
        inside = (inside || c == '(') && c != ')';
        c == ',' && !inside
    })
}

fn is_requirement(part: &str) -> bool {
    if let Some(key) = part.strip_prefix('!') {
        return is_qualified_name(key.trim());
    }
    let end = part.find(|c: char| c.is_whitespace() || "=!<>(".contains(c));
    let (key, rest) = part.split_at(end.unwrap_or(part.len()));
    is_qualified_name(key) && (rest.is_empty() || is_condition(rest.trim_start()))
}

fn is_condition(rest: &str) -> bool {
    for operator in ["notin", "in"] {
        if let Some(list) = rest.strip_prefix(operator) {
            let list = list.trim().strip_prefix('(');
            let list = list.and_then(|list| list.strip_suffix(')'));
            return list.is_some_and(|list| list.split(',').all(|value| is_value(value.trim())));
        }
    }
    for operator in ["!=", "==", "="] {
        if let Some(value) = rest.strip_prefix(operator) {
            return is_value(value.trim());
        }
    }
    let number = rest.strip_prefix(['<', '>']);
    number.is_some_and(|number| number.trim().parse::<i64>().is_ok())
}

/// Whether the text is a label's value; it may be empty.
fn is_value(text: &str) -> bool {
    text.is_empty() || (!text.contains('/') && is_qualified_name(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_those_of_kubernetes() {
        for (selector, expected) in [
            ("a=b", true),
            ("a == b , c != d", true),
            ("prow.k8s.io/x in (a, b),!y", true),
            ("x notin (a)", true),
            ("x", true),
            ("a=", true),
            ("x > 5", true),
            ("a=b,", false),
            ("a b", false),
            ("a in b", false),
            ("a=b=c", false),
            ("-a=b", false),
            ("x > y", false),
        ] {
            assert_eq!(
                split_requirements(selector).all(|part| is_requirement(part.trim())),
                expected,
                "{selector}"
            );
        }
    }
}
