//! What was not uploaded, and why, in bounded memory.

use tracing::warn;

/// Something that was not uploaded, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UploadFailure {
    /// The object's key, or the file's path if the key is not known yet.
    pub(crate) key: String,
    pub(crate) reason: String,
    /// It was left out because it could not be censored.
    pub(crate) uncensored: bool,
}

/// Failures of each kind that are kept whole; the others are counted.
const KEPT: usize = 100;
/// How many of them one line names.
const NAMED: usize = 3;
/// The longest name and the longest reason in a line, in characters.
const SHOWN: usize = 160;

#[derive(Debug, Default)]
pub(crate) struct UploadFailures {
    uncensored: FailureList,
    others: FailureList,
}

#[derive(Debug, Default)]
struct FailureList {
    count: usize,
    first: Vec<UploadFailure>,
}

impl UploadFailures {
    pub(crate) fn push(&mut self, failure: UploadFailure) {
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

    pub(crate) fn total_count(&self) -> usize {
        self.uncensored.count + self.others.count
    }

    /// The failures that are kept whole.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &UploadFailure> {
        self.uncensored.first.iter().chain(&self.others.first)
    }

    /// One line for each file that could not be censored, named without `dir`. A name is untrusted
    /// text: it is masked whole, then escaped, and shortened last.
    pub(crate) fn left_out_lines(&self, dir: &str, mask: impl Fn(&str) -> String) -> Vec<String> {
        self.uncensored.format_lines(dir, KEPT, mask)
    }

    /// One line about all other failures, in the same format; `None` if there are none.
    pub(crate) fn summary_line(&self, dir: &str, mask: impl Fn(&str) -> String) -> Option<String> {
        let lines = self.others.format_lines(dir, NAMED, mask);
        let files = if self.others.count == 1 {
            "1 file was"
        } else {
            &format!("{} files were", self.others.count)
        };
        (!lines.is_empty()).then(|| format!("{files} not stored: {}", lines.join("; ")))
    }
}

impl FailureList {
    fn format_lines(&self, dir: &str, most: usize, mask: impl Fn(&str) -> String) -> Vec<String> {
        let shown = |text: &str| escape_and_shorten(&mask(text));
        let mut first: Vec<&UploadFailure> = self.first.iter().collect();
        first.sort_by(|a, b| a.key.cmp(&b.key));
        let mut lines: Vec<String> = first
            .into_iter()
            .take(most)
            .map(|failure| {
                let below = failure.key.strip_prefix(dir);
                let name = below.map_or(failure.key.as_str(), |name| name.trim_start_matches('/'));
                format!("{}: {}", shown(name), shown(&failure.reason))
            })
            .collect();
        if self.count > lines.len() {
            lines.push(format!("and {} more", self.count - lines.len()));
        }
        lines
    }
}

/// Escapes control characters; of a long text, keeps the beginning and the end.
fn escape_and_shorten(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|c| {
            if c.is_control() {
                c.escape_default().to_string()
            } else {
                c.to_string()
            }
        })
        .collect();
    let characters: Vec<char> = escaped.chars().collect();
    if characters.len() <= SHOWN {
        return escaped;
    }
    let half = (SHOWN - 1) / 2;
    let (head, tail) = (&characters[..half], &characters[characters.len() - half..]);
    head.iter().chain(['…'].iter()).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_it_is(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn a_strangers_name_is_masked_then_escaped_then_shortened() {
        let mut failures = UploadFailures::default();
        let secret = "hunter22";
        // The cut goes through the secret, of which half would be left.
        let name = format!(
            "{}{secret}\n{}.bin",
            "a".repeat(SHOWN / 2 - 4),
            "z".repeat(3_000)
        );
        failures.push(UploadFailure {
            key: format!("logs/j/1/{name}"),
            reason: "too large\r".repeat(100),
            uncensored: false,
        });
        let mask = |text: &str| text.replace(secret, "XXXXXXXX");
        let told = failures.summary_line("logs/j/1", mask).unwrap();
        assert!(
            told.starts_with(&format!(
                "1 file was not stored: {}XXX…zzz",
                "a".repeat(SHOWN / 2 - 4)
            )),
            "{told}"
        );
        assert!(told.contains("zzz.bin: too large\\r"), "{told}");
        assert!(
            told.chars().count() < 2 * SHOWN + 40 && !told.chars().any(char::is_control),
            "{told}"
        );
        assert!(!told.contains("hun"), "{told}");
    }

    fn failure(n: usize, uncensored: bool) -> UploadFailure {
        UploadFailure {
            key: format!("logs/j/1/artifacts/{n}"),
            reason: "no".to_owned(),
            uncensored,
        }
    }

    #[test]
    fn many_failures_are_a_line() {
        let mut failures = UploadFailures::default();
        assert_eq!(failures.summary_line("logs/j/1", as_it_is), None);
        failures.push(failure(2, false));
        assert_eq!(
            failures.summary_line("logs/j/1", as_it_is).unwrap(),
            "1 file was not stored: artifacts/2: no"
        );
        let mut more = UploadFailures::default();
        for n in 0..100_000 {
            more.push(failure(n, n % 2 == 0));
        }
        failures.append(more);
        assert_eq!(failures.total_count(), 100_001);
        assert!(failures.iter().count() <= 2 * KEPT);
        assert_eq!(
            failures.summary_line("logs/j/1", as_it_is).unwrap(),
            "50001 files were not stored: artifacts/1: no; artifacts/101: no; artifacts/103: no; and 49998 more"
        );
        let left_out = failures.left_out_lines("logs/j/1", as_it_is);
        assert_eq!(left_out.len(), KEPT + 1);
        assert_eq!(left_out[KEPT], "and 49900 more");
    }
}
