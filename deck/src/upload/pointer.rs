//! The pointers outside a run's folder: what the run's token may write there.

use common::build_id::is_newer_build;
use common::storage::token::{GrantedKey, StorageGrant};
use jiff::Timestamp;

/// What happens to a pointer that a run writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PointerVerdict {
    Write,
    /// The present pointer is of a newer run, and stays.
    Keep,
    /// It names another run.
    Foreign,
}

/// Judges `text`, which the run of `grant` writes over the present content `standing`.
pub(super) fn judge_pointer(
    grant: &StorageGrant,
    reach: GrantedKey<'_>,
    text: &[u8],
    standing: Option<&[u8]>,
    now: Timestamp,
) -> PointerVerdict {
    let text = std::str::from_utf8(text).unwrap_or_default().trim();
    match reach {
        GrantedKey::Inside(_) => PointerVerdict::Write,
        GrantedKey::Alias => {
            let folder = text.strip_suffix(grant.folder());
            let before = folder.and_then(|rest| rest.strip_suffix('/'));
            let is_url = |url: &str| !url.chars().any(|c| c.is_whitespace() || c.is_control());
            match before.filter(|url| is_url(url)) {
                Some(_) => PointerVerdict::Write,
                None => PointerVerdict::Foreign,
            }
        }
        GrantedKey::LatestBuild if text != grant.build_id() => PointerVerdict::Foreign,
        GrantedKey::LatestBuild => match standing.map(std::str::from_utf8) {
            Some(Ok(standing)) if is_newer_build(standing, text, now) => PointerVerdict::Keep,
            _ => PointerVerdict::Write,
        },
    }
}

#[cfg(test)]
mod tests {
    use common::build_id::{BuildIdGenerator, SNOWFLAKE_NODE};
    use common::storage::token::{keys::StorageKeys, verify_token};
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    fn grant(folder: &str) -> StorageGrant {
        let keys = StorageKeys::new(Some(b"a key of 16 bytes"), None).unwrap();
        let expiry = Timestamp::from_second(9).unwrap();
        verify_token(
            &keys,
            &keys.sign_token(folder, expiry),
            Timestamp::UNIX_EPOCH,
        )
        .unwrap()
    }

    #[test]
    fn a_pointer_tells_of_its_own_run_and_never_goes_back() {
        use GrantedKey::{Alias, LatestBuild};
        use PointerVerdict::{Foreign, Keep, Write};
        let run = grant("pr-logs/pull/o_r/7/unit/100");
        let now = Timestamp::from_second(1_795_953_600).unwrap();
        for (reach, text, standing, expected) in [
            (LatestBuild, "100", None, Write),
            (LatestBuild, " 100\n", Some("99"), Write),
            (LatestBuild, "100", Some("100"), Write),
            (LatestBuild, "100", Some("101"), Keep),
            (LatestBuild, "100", Some("1000\n"), Keep),
            (LatestBuild, "100", Some("0000099"), Write),
            (LatestBuild, "100", Some("no number"), Write),
            (LatestBuild, "100", Some(""), Write),
            // A build id from a counter and one from a time are not compared.
            (LatestBuild, "100", Some("9223372036854775807"), Write),
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
            let got = judge_pointer(
                &run,
                reach,
                text.as_bytes(),
                standing.map(str::as_bytes),
                now,
            );
            assert_eq!(got, expected, "{text:?} over {standing:?}");
        }
    }

    /// What `latest-build.txt` says after runs with these ids wrote it, one after the other.
    fn write_all(ids: &[u64], now: Timestamp) -> Option<u64> {
        let mut standing: Option<String> = None;
        for id in ids {
            let text = id.to_string();
            let run = grant(&format!("logs/unit/{id}"));
            let before = standing.as_ref().map(String::as_bytes);
            let verdict =
                judge_pointer(&run, GrantedKey::LatestBuild, text.as_bytes(), before, now);
            if verdict == PointerVerdict::Write {
                standing = Some(text);
            }
        }
        standing.map(|text| text.parse().unwrap())
    }

    fn snowflake_at(now: Timestamp) -> u64 {
        let ids = BuildIdGenerator::new(SNOWFLAKE_NODE);
        ids.next_build_id(now).parse().unwrap()
    }

    /// Ids of a counter are smaller.
    const MIN_SNOWFLAKE: u64 = 1 << 48;

    proptest! {
        /// In whatever order runs write, the highest number is there in the end.
        #[test]
        fn the_newest_run_stands(
            second in 1_300_000_000..4_000_000_000_i64,
            has_counter in any::<bool>(),
            numbers in prop::collection::vec(any::<u64>(), 1..8),
        ) {
            let now = Timestamp::from_second(second).unwrap();
            let range = if has_counter {
                0..MIN_SNOWFLAKE
            } else {
                MIN_SNOWFLAKE..snowflake_at(now)
            };
            let ids: Vec<u64> = numbers
                .iter()
                .map(|number| range.start + number % (range.end - range.start))
                .collect();
            prop_assert_eq!(write_all(&ids, now), ids.iter().copied().max());
        }

        /// Whatever is there, a number that no build can have keeps no later run out.
        #[test]
        fn no_impossible_number_keeps_a_run_out(
            second in 1_300_000_000..4_000_000_000_i64,
            numbers in prop::collection::vec(any::<u64>(), 0..8),
        ) {
            let now = Timestamp::from_second(second).unwrap();
            let own = snowflake_at(now);
            let soon = snowflake_at(now + SignedDuration::from_hours(25));
            let mut ids = numbers;
            ids.retain(|id| *id < own || *id > soon);
            ids.push(own);
            prop_assert_eq!(write_all(&ids, now), Some(own));
        }
    }
}
