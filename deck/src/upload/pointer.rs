//! The keys beside a run's folder: what its token may write there.

use common::storage::token::{Grant, Reach};

/// What becomes of a pointer that a run writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Write,
    /// What stands is of a newer run, and stays.
    Keep,
    /// It would tell of another run.
    Foreign,
}

/// Judges `text`, which the run of `grant` wants to write where `standing` is now.
pub(super) fn judge(
    grant: &Grant,
    reach: Reach<'_>,
    text: &[u8],
    standing: Option<&[u8]>,
) -> Verdict {
    let text = std::str::from_utf8(text).unwrap_or_default().trim();
    match reach {
        Reach::Inside(_) => Verdict::Write,
        Reach::Alias => {
            let folder = text.strip_suffix(grant.folder());
            let before = folder.and_then(|rest| rest.strip_suffix('/'));
            let is_url = |url: &str| !url.chars().any(|c| c.is_whitespace() || c.is_control());
            match before.filter(|url| is_url(url)) {
                Some(_) => Verdict::Write,
                None => Verdict::Foreign,
            }
        }
        Reach::LatestBuild if text != grant.build_id() => Verdict::Foreign,
        Reach::LatestBuild => {
            let standing = standing.and_then(number);
            match (standing, number(text.as_bytes())) {
                (Some(standing), Some(own)) if standing > own => Verdict::Keep,
                _ => Verdict::Write,
            }
        }
    }
}

/// A number of any length, so that it can be compared; `None`: it is none.
fn number(text: &[u8]) -> Option<(usize, &[u8])> {
    let text = text.trim_ascii();
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let zeros = text.iter().take_while(|digit| **digit == b'0').count();
    Some((text.len() - zeros, &text[zeros..]))
}

#[cfg(test)]
mod tests {
    use common::storage::token::{keys::Keys, verify};
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn grant(folder: &str) -> Grant {
        let keys = Keys::new(Some(b"a key of 16 bytes"), None).unwrap();
        let expiry = Timestamp::from_second(9).unwrap();
        verify(&keys, &keys.sign(folder, expiry), Timestamp::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn a_pointer_tells_of_its_own_run_and_never_goes_back() {
        use Reach::{Alias, LatestBuild};
        use Verdict::{Foreign, Keep, Write};
        let run = grant("pr-logs/pull/o_r/7/unit/100");
        for (reach, text, standing, expected) in [
            (LatestBuild, "100", None, Write),
            (LatestBuild, " 100\n", Some("99"), Write),
            (LatestBuild, "100", Some("100"), Write),
            (LatestBuild, "100", Some("101"), Keep),
            (LatestBuild, "100", Some("1000\n"), Keep),
            (LatestBuild, "100", Some("0000099"), Write),
            (LatestBuild, "100", Some("no number"), Write),
            (LatestBuild, "100", Some(""), Write),
            (LatestBuild, "101", None, Foreign),
            (LatestBuild, "0100", None, Foreign),
            (LatestBuild, "99999999999999999999999", None, Foreign),
            (LatestBuild, "", None, Foreign),
            (
                Alias,
                "http://deck/storage/pr-logs/pull/o_r/7/unit/100",
                None,
                Write,
            ),
            (
                Alias,
                "gs://b/x/pr-logs/pull/o_r/7/unit/100\n",
                Some("x"),
                Write,
            ),
            (
                Alias,
                "http://deck/storage/pr-logs/pull/o_r/7/unit/101",
                None,
                Foreign,
            ),
            (
                Alias,
                "http://deck/storage/x pr-logs/pull/o_r/7/unit/100",
                None,
                Foreign,
            ),
            (
                Alias,
                "http://evil/\nhttp://deck/pr-logs/pull/o_r/7/unit/100",
                None,
                Foreign,
            ),
            (Alias, "pr-logs/pull/o_r/7/unit/100", None, Foreign),
            (Alias, "", None, Foreign),
        ] {
            let got = judge(&run, reach, text.as_bytes(), standing.map(str::as_bytes));
            assert_eq!(got, expected, "{text:?} over {standing:?}");
        }
    }

    proptest! {
        /// In whatever order runs write, the highest number stands in the end.
        #[test]
        fn the_newest_run_stands(ids in prop::collection::vec(0..u64::MAX, 1..8)) {
            let mut standing: Option<String> = None;
            for id in &ids {
                let text = id.to_string();
                let run = grant(&format!("logs/unit/{id}"));
                let before = standing.as_ref().map(String::as_bytes);
                if judge(&run, Reach::LatestBuild, text.as_bytes(), before) == Verdict::Write {
                    standing = Some(text);
                }
            }
            let newest = ids.iter().max().map(u64::to_string);
            prop_assert_eq!(standing, newest);
        }
    }
}
