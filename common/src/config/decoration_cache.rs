//! Decoration configs with all defaults merged in, made once for all jobs with the same settings:
//! a large configuration has thousands of jobs and some dozen decorations.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use super::prow::PlankConfig;
use crate::prowjob::DecorationConfig;

/// The decorations of one load.
#[derive(Debug)]
pub(super) struct DecorationCache<'a> {
    plank: &'a PlankConfig,
    made: Mutex<HashMap<DecorationKey, Arc<DecorationConfig>>>,
}

/// What a decoration is made from.
#[derive(Debug, PartialEq, Eq, Hash)]
struct DecorationKey {
    /// Indexes of the installation's default entries that apply.
    defaults: Vec<usize>,
    /// The job's own decoration config, as JSON.
    own: Option<String>,
}

impl<'a> DecorationCache<'a> {
    pub(super) fn new(plank: &'a PlankConfig) -> Self {
        Self {
            plank,
            made: Mutex::default(),
        }
    }

    /// Merges `own` over the installation's defaults for the repository (`org/repo`) and cluster.
    pub(super) fn merge_decoration(
        &self,
        own: Option<DecorationConfig>,
        org_repo: Option<&str>,
        cluster: &str,
    ) -> Arc<DecorationConfig> {
        let defaults = self.plank.default_decorations(org_repo, cluster);
        let (numbers, defaults): (_, Vec<_>) = defaults.unzip();
        let json = |own| serde_json::to_string(own).expect("a decoration config is JSON");
        let key = DecorationKey {
            defaults: numbers,
            own: own.as_ref().map(json),
        };
        let mut made = self.made.lock().expect("merging does not panic");
        let decoration = made.entry(key).or_insert_with(|| {
            let all = defaults.into_iter().cloned().chain(own);
            let merged = all.reduce(|earlier, later| later.apply_default(&earlier));
            Arc::new(merged.unwrap_or_default())
        });
        Arc::clone(decoration)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn jobs_that_say_the_same_share_a_decoration() {
        let plank: PlankConfig =
            serde_json::from_value(json!({"default_decoration_config_entries": [
                {"config": {"timeout": "1m", "grace_period": "1s"}},
                {"repo": "o/r", "config": {"timeout": "4m"}},
            ]}))
            .unwrap();
        let decorations = DecorationCache::new(&plank);
        let of = |own, org_repo| {
            decorations.merge_decoration(serde_json::from_value(own).unwrap(), org_repo, "")
        };
        let plain = of(json!(null), Some("a/b"));
        assert!(Arc::ptr_eq(&plain, &of(json!(null), Some("c/d"))));
        assert!(Arc::ptr_eq(&plain, &of(json!(null), None)));
        for (own, org_repo, expected) in [
            (
                json!(null),
                "a/b",
                json!({"timeout": "1m0s", "grace_period": "1s"}),
            ),
            (
                json!(null),
                "o/r",
                json!({"timeout": "4m0s", "grace_period": "1s"}),
            ),
            (
                json!({"timeout": "9m"}),
                "o/r",
                json!({"timeout": "9m0s", "grace_period": "1s"}),
            ),
        ] {
            let decoration = of(own, Some(org_repo));
            assert_eq!(serde_json::to_value(&*decoration).unwrap(), expected);
        }
        assert_eq!(
            *DecorationCache::new(&PlankConfig::default()).merge_decoration(None, None, ""),
            DecorationConfig::default()
        );
    }
}
