//! `latest-build.txt`: the newest build id of a job, which all its runs write.

use common::storage::{Attributes, Error, Version};
use jiff::{Span, Timestamp};
use tracing::info;

use super::{Failures, Upload, Uploader};

/// More than any build id has.
const LIMIT: usize = 256;
/// Runs of one job that may write at the same time before one writes whatever is there.
const RACES: usize = 10;
/// Ids that a counter makes are smaller, those that are times are greater: see `plank`'s.
const LEAST_TIME: u64 = 1 << 48;
/// Of ids that are times: milliseconds from the Unix epoch to their own, and bits after them.
const EPOCH: i64 = 1_288_834_974_657;
const BITS: u32 = 22;

impl Uploader {
    /// Records that this build is the newest of its job, unless a newer one already has: an old
    /// run that ends late does not rewind it, nor one that writes at the same moment.
    pub(crate) async fn upload_latest(
        &self,
        key: &str,
        build_id: &str,
        now: Timestamp,
    ) -> Failures {
        for _ in 0..RACES {
            let recorded = match self.recorded(key).await {
                Ok(recorded) => recorded,
                // Not ours to read, or away: what we know is the best that can be known.
                Err(_) => break,
            };
            let attributes = Upload::text(key.to_owned(), "").attributes;
            let written = match &recorded {
                Some((text, _)) if is_newer(text, build_id, now) => {
                    info!(key, build_id, "a newer build is recorded already");
                    return Failures::default();
                }
                Some((_, version)) => self.replace(key, build_id, &attributes, version).await,
                None => {
                    let put = self
                        .storage
                        .put_if_absent(key, build_id.to_owned(), &attributes);
                    put.await
                }
            };
            match written {
                Ok(true) => return Failures::default(),
                Ok(false) => {}
                Err(_) => break,
            }
        }
        self.upload(vec![Upload::text(key.to_owned(), build_id.to_owned())])
            .await
    }

    async fn replace(
        &self,
        key: &str,
        build_id: &str,
        attributes: &Attributes,
        version: &Version,
    ) -> Result<bool, Error> {
        let build_id = build_id.to_owned();
        self.storage
            .put_if_unchanged(key, build_id, attributes, version)
            .await
    }

    /// What is recorded there, if anything is.
    async fn recorded(&self, key: &str) -> Result<Option<(String, Version)>, Error> {
        let object = match self.storage.get(key).await {
            Ok(object) => object,
            Err(Error::NotFound(_)) => return Ok(None),
            Err(e) => return Err(e),
        };
        let version = object.version.clone();
        // What is too long is nothing to go by.
        let text = object.bytes(LIMIT).await.unwrap_or_default();
        Ok(Some((String::from_utf8_lossy(&text).into_owned(), version)))
    }
}

/// Whether the recorded build is newer. Only numbers can tell, of the same kind, and a time that
/// is not yet is none: it would stay for ever.
fn is_newer(recorded: &str, ours: &str, now: Timestamp) -> bool {
    let (Ok(recorded), Ok(ours)) = (recorded.trim().parse::<u64>(), ours.parse::<u64>()) else {
        return false;
    };
    let is_time = |id| id >= LEAST_TIME;
    is_time(recorded) == is_time(ours)
        && recorded > ours
        && (!is_time(recorded) || recorded <= tomorrow(now))
}

/// The greatest id of a time until tomorrow: clocks differ.
fn tomorrow(now: Timestamp) -> u64 {
    let tomorrow = now.saturating_add(Span::new().hours(24)).unwrap_or(now);
    let millis = u64::try_from(tomorrow.as_millisecond() - EPOCH).unwrap_or(0);
    millis.saturating_mul(1 << BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-29.
    const NOW: i64 = 1_795_953_600;

    #[test]
    fn newer_is_the_greater_number_that_can_be() {
        let now = Timestamp::from_second(NOW).unwrap();
        let time = |second: i64| ((second * 1000 - EPOCH) << BITS).to_string();
        let (past, soon) = (time(NOW - 9), time(NOW + 9));
        let later = time(NOW + 2 * 24 * 3600);
        for (recorded, ours, expected) in [
            ("10", "9", true),
            ("9", "10", false),
            ("7\n", "7", false),
            ("abc", "7", false),
            ("8", "abc", false),
            ("", "1", false),
            (&soon, &past, true),
            (&past, &soon, false),
            // What no run can have written stays for ever, if it counts.
            (&later, &past, false),
            ("9223372036854775807", &past, false),
            ("99999999999999999999999", &past, false),
            // Neither does a counter begin anew, nor ids of another kind, and nothing counts.
            (&past, "3", false),
            ("3", &past, false),
        ] {
            assert_eq!(is_newer(recorded, ours, now), expected, "{recorded} {ours}");
        }
    }
}
