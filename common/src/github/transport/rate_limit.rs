//! Tells a rate limit from a refusal.

use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;

/// GitHub asks for at least this long if its response gives no time.
const DEFAULT_RETRY_AFTER_SECONDS: i64 = 60;

/// When the limit that caused this response ends; `None` if no limit caused it.
///
/// GitHub answers 403 or 429, with `retry-after`, or with an exhausted `x-ratelimit-remaining` and
/// the time of the reset. A secondary limit may have only its message, which means to wait for a
/// minute:
/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>.
pub(super) fn rate_limit_reset(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Option<Timestamp> {
    if status != StatusCode::FORBIDDEN && status != StatusCode::TOO_MANY_REQUESTS {
        return None;
    }
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    let after = |seconds: i64| Timestamp::from_second(now.as_second().saturating_add(seconds)).ok();
    if headers.contains_key("retry-after") {
        let told = number("retry-after").map(|seconds| seconds.max(0).saturating_add(1));
        return told
            .and_then(after)
            .or_else(|| after(DEFAULT_RETRY_AFTER_SECONDS));
    }
    if number("x-ratelimit-remaining") == Some(0) {
        let reset = number("x-ratelimit-reset").and_then(|it| it.checked_add(1));
        let reset = reset.and_then(|it| Timestamp::from_second(it).ok());
        return reset.map_or_else(
            || after(DEFAULT_RETRY_AFTER_SECONDS),
            |reset| after(1).map(|soon| soon.max(reset)),
        );
    }
    if status == StatusCode::TOO_MANY_REQUESTS || is_rate_limit_message(body) {
        return after(DEFAULT_RETRY_AFTER_SECONDS);
    }
    None
}

/// Whether GitHub's message is about a limit: "You have exceeded a secondary rate limit", "API rate
/// limit exceeded", "You have triggered an abuse detection mechanism".
fn is_rate_limit_message(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct RateLimitBody {
        message: String,
    }
    serde_json::from_slice(body).is_ok_and(|RateLimitBody { message }| {
        let message = message.to_ascii_lowercase();
        message.contains("rate limit") || message.contains("abuse detection")
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const SECONDARY: &str = r#"{"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}"#;
    const PRIMARY: &str = r#"{"message": "API rate limit exceeded for installation ID 7."}"#;
    const REFUSED: &str = r#"{"message": "Resource not accessible by integration"}"#;

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table")]
    fn tells_a_limit_from_a_refusal() {
        let now = Timestamp::from_second(1_000).unwrap();
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            pairs
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
                .collect()
        };
        let gone = ("x-ratelimit-remaining", "0");
        let left = ("x-ratelimit-remaining", "10");
        let reset = ("x-ratelimit-reset", "1100");
        for (what, status, pairs, body, ends) in [
            ("a plain 403", 403, &[][..], REFUSED, None),
            ("a 403 without a body", 403, &[], "", None),
            ("quota left", 403, &[left, reset], REFUSED, None),
            ("quota gone", 403, &[gone, reset], PRIMARY, Some(1101)),
            (
                "quota gone, a reset that is past",
                403,
                &[gone, ("x-ratelimit-reset", "900")],
                PRIMARY,
                Some(1001),
            ),
            ("quota gone, no reset", 403, &[gone], PRIMARY, Some(1060)),
            (
                "quota gone, a reset that is no number",
                403,
                &[gone, ("x-ratelimit-reset", "soon")],
                "",
                Some(1060),
            ),
            (
                "quota gone, a reset beyond time",
                403,
                &[gone, ("x-ratelimit-reset", "9223372036854775807")],
                "",
                Some(1060),
            ),
            ("told when", 403, &[("retry-after", "30")], "", Some(1031)),
            (
                "told when, secondary",
                403,
                &[("retry-after", "30"), left, reset],
                SECONDARY,
                Some(1031),
            ),
            (
                "told in words",
                403,
                &[("retry-after", "soon")],
                "",
                Some(1060),
            ),
            (
                "told beyond time",
                403,
                &[("retry-after", "9223372036854775807")],
                "",
                Some(1060),
            ),
            (
                "secondary, nothing but words",
                403,
                &[],
                SECONDARY,
                Some(1060),
            ),
            (
                "secondary with quota left",
                403,
                &[left, reset],
                SECONDARY,
                Some(1060),
            ),
            ("primary, nothing but words", 403, &[], PRIMARY, Some(1060)),
            (
                "abuse",
                403,
                &[],
                r#"{"message": "You have triggered an abuse detection mechanism."}"#,
                Some(1060),
            ),
            ("a bare 429", 429, &[], "", Some(1060)),
            ("a 404 with the words", 404, &[], SECONDARY, None),
            (
                "a success with an empty quota",
                200,
                &[gone, reset],
                "",
                None,
            ),
            (
                "a value that is no number",
                429,
                &[("retry-after", "soon")],
                "",
                Some(1060),
            ),
        ] {
            let ends = ends.map(|second| Timestamp::from_second(second).unwrap());
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                rate_limit_reset(status, &headers(pairs), body.as_bytes(), now),
                ends,
                "{what}"
            );
        }
    }
}
