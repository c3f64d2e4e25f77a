//! Chooses the deliveries that were missed, from GitHub's list of its attempts.

use std::collections::HashMap;

use common::github::HookDelivery;

/// Attempts after which a delivery that is refused as bad (4xx) is left alone. While hook was down,
/// a proxy in front of it may have answered so.
const MAX_REFUSED: usize = 3;

/// The newest attempt of each delivery that never arrived, oldest first.
///
/// All attempts of a delivery have the same `guid`. A delivery answered with a 2xx is stored.
pub(super) fn choose_missed(attempts: &[HookDelivery]) -> Vec<&HookDelivery> {
    let mut by_guid: HashMap<&str, Vec<&HookDelivery>> = HashMap::new();
    for attempt in attempts {
        by_guid.entry(&attempt.guid).or_default().push(attempt);
    }
    let mut missed: Vec<_> = by_guid
        .values()
        .filter(|attempts| is_missed(attempts))
        .filter_map(|attempts| attempts.iter().max_by_key(|attempt| attempt.id))
        .copied()
        .collect();
    missed.sort_by_key(|attempt| attempt.id);
    missed
}

fn is_missed(attempts: &[&HookDelivery]) -> bool {
    let of = |class: u16| {
        let same = attempts
            .iter()
            .filter(move |attempt| attempt.status_code / 100 == class);
        same.count()
    };
    of(2) == 0 && of(4) < MAX_REFUSED
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn attempt(id: u64, guid: &str, status_code: u16) -> HookDelivery {
        HookDelivery {
            id,
            guid: guid.into(),
            delivered_at: Timestamp::UNIX_EPOCH,
            event: "push".into(),
            status: String::new(),
            status_code,
        }
    }

    #[test]
    fn each_that_never_arrived_is_asked_for_once_in_order() {
        for (name, attempts, expected) in [
            ("nothing", vec![], vec![]),
            ("all arrived", vec![(2, "b", 200), (1, "a", 202)], vec![]),
            (
                "hook was away",
                vec![(3, "c", 502), (2, "b", 0), (1, "a", 504)],
                vec![1, 2, 3],
            ),
            (
                "it arrived in the end",
                vec![(3, "a", 200), (2, "a", 503), (1, "a", 500)],
                vec![],
            ),
            (
                "it arrived first, and again in vain",
                vec![(2, "a", 502), (1, "a", 200)],
                vec![],
            ),
            (
                "asked for before, in vain",
                vec![(9, "a", 502), (5, "b", 500), (1, "a", 502)],
                vec![5, 9],
            ),
            (
                "the disk is full for long",
                (1..40).map(|id| (id, "a", 500)).collect(),
                vec![39],
            ),
            (
                "a secret was wrong",
                vec![(2, "a", 403), (1, "a", 403)],
                vec![2],
            ),
            (
                "it stays wrong",
                vec![(3, "a", 403), (2, "a", 413), (1, "a", 403)],
                vec![],
            ),
        ] {
            let attempts: Vec<_> = attempts
                .into_iter()
                .map(|(id, guid, code)| attempt(id, guid, code))
                .collect();
            let chosen: Vec<_> = choose_missed(&attempts)
                .iter()
                .map(|found| found.id)
                .collect();
            assert_eq!(chosen, expected, "{name}");
        }
    }
}
