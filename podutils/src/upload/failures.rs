//! What was not uploaded, and why, in bounded memory.

use tracing::warn;

/// Something that was not uploaded, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The object's key, or where that is not known yet the file's path.
    pub(crate) key: String,
    pub(crate) reason: String,
    /// It was left out because it could not be censored.
    pub(crate) uncensored: bool,
}

/// Failures that are kept whole, of each kind; the others are counted.
const KEPT: usize = 100;
/// Of those, what one line names.
const NAMED: usize = 3;

#[derive(Debug, Default)]
pub(crate) struct Failures {
    uncensored: Told,
    others: Told,
}

#[derive(Debug, Default)]
struct Told {
    count: usize,
    first: Vec<Failure>,
}

impl Failures {
    pub(crate) fn push(&mut self, failure: Failure) {
        let told = if failure.uncensored {
            &mut self.uncensored
        } else {
            &mut self.others
        };
        told.count += 1;
        if told.first.len() < KEPT {
            warn!(key = failure.key, reason = failure.reason, "not uploaded");
            told.first.push(failure);
        }
    }

    pub(crate) fn append(&mut self, other: Self) {
        for (into, from) in [
            (&mut self.uncensored, other.uncensored),
            (&mut self.others, other.others),
        ] {
            into.count += from.count;
            let room = KEPT - into.first.len();
            into.first.extend(from.first.into_iter().take(room));
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.uncensored.count + self.others.count
    }

    /// Those that are known by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Failure> {
        self.uncensored.first.iter().chain(&self.others.first)
    }

    /// What could not be censored, a line each; names without `dir`.
    pub(crate) fn left_out(&self, dir: &str) -> Vec<String> {
        self.uncensored.lines(dir, KEPT)
    }

    /// What else is not there, as one line; `None`: all of it is.
    pub(crate) fn summary(&self, dir: &str) -> Option<String> {
        let lines = self.others.lines(dir, NAMED);
        let files = if self.others.count == 1 {
            "1 file was"
        } else {
            &format!("{} files were", self.others.count)
        };
        (!lines.is_empty()).then(|| format!("{files} not stored: {}", lines.join("; ")))
    }
}

impl Told {
    fn lines(&self, dir: &str, most: usize) -> Vec<String> {
        let mut first: Vec<&Failure> = self.first.iter().collect();
        first.sort_by(|a, b| a.key.cmp(&b.key));
        let mut lines: Vec<String> = first
            .into_iter()
            .take(most)
            .map(|failure| {
                let below = failure.key.strip_prefix(dir);
                let name = below.map_or(failure.key.as_str(), |name| name.trim_start_matches('/'));
                format!("{name}: {}", failure.reason)
            })
            .collect();
        if self.count > lines.len() {
            lines.push(format!("and {} more", self.count - lines.len()));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(n: usize, uncensored: bool) -> Failure {
        Failure {
            key: format!("logs/j/1/artifacts/{n}"),
            reason: "no".to_owned(),
            uncensored,
        }
    }

    #[test]
    fn many_failures_are_a_line() {
        let mut failures = Failures::default();
        assert_eq!(failures.summary("logs/j/1"), None);
        failures.push(failure(2, false));
        assert_eq!(
            failures.summary("logs/j/1").unwrap(),
            "1 file was not stored: artifacts/2: no"
        );
        let mut more = Failures::default();
        for n in 0..100_000 {
            more.push(failure(n, n % 2 == 0));
        }
        failures.append(more);
        assert_eq!(failures.count(), 100_001);
        assert!(failures.iter().count() <= 2 * KEPT);
        assert_eq!(
            failures.summary("logs/j/1").unwrap(),
            "50001 files were not stored: artifacts/1: no; artifacts/101: no; artifacts/103: no; and 49998 more"
        );
        let left_out = failures.left_out("logs/j/1");
        assert_eq!(left_out.len(), KEPT + 1);
        assert_eq!(left_out[KEPT], "and 49900 more");
    }
}
