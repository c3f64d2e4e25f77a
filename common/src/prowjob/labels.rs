//! Labels and annotations of `ProwJob`s and their pods, with Prow's rules for shortening values.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{ProwJobSpec, spec::StringMap};

pub const CREATED_BY_PROW: &str = "created-by-prow";
pub const TYPE: &str = "prow.k8s.io/type";
pub const JOB: &str = "prow.k8s.io/job";
pub const CONTEXT: &str = "prow.k8s.io/context";
pub const ID: &str = "prow.k8s.io/id";
pub const BUILD_ID: &str = "prow.k8s.io/build-id";
pub const PLANK_VERSION: &str = "prow.k8s.io/plank-version";
pub const ORG: &str = "prow.k8s.io/refs.org";
pub const REPO: &str = "prow.k8s.io/refs.repo";
pub const BASE_REF: &str = "prow.k8s.io/refs.base_ref";
pub const PULL: &str = "prow.k8s.io/refs.pull";
pub const RETEST: &str = "prow.k8s.io/retest";
/// The number of this retry of a periodic's run, from 1.
pub const RE_RUN: &str = "prow.k8s.io/re-run";
pub const IS_OPTIONAL: &str = "prow.k8s.io/is-optional";
/// Annotation of an aborted run: the newer run that replaced it. Not Prow's.
pub const SUPERSEDED_BY: &str = "prow.k8s.io/superseded-by";
/// Annotation: the obstacle that keeps the run waiting and since when, as JSON. Not Prow's.
pub const WAITING_FOR: &str = "prow.k8s.io/waiting-for";
/// Annotation: the run's `pod_revival_count`, which upstream's CRD of 2024 does not keep. Not Prow's.
pub const POD_REVIVAL_COUNT: &str = "prow.k8s.io/pod-revival-count";
/// Annotation of a pod: the uid of its `ProwJob`, because a later `ProwJob` may have the same name.
/// Not Prow's.
pub const JOB_UID: &str = "prow.k8s.io/job-uid";
/// The delivery id of the webhook event that made the job.
pub const EVENT_GUID: &str = "event-GUID";

/// Longest label value Kubernetes takes, in bytes.
const MAX_VALUE: usize = 63;

/// Labels and annotations for a job; the job's own `labels` and `annotations` win.
///
/// Annotations keep the full job name and context; labels are truncated. A label value that
/// Kubernetes would refuse is replaced by its last path segment, and left out if that is invalid,
/// too.
pub fn labels_and_annotations(
    spec: &ProwJobSpec,
    labels: &StringMap,
    annotations: &StringMap,
) -> (StringMap, StringMap) {
    let mut all = StringMap::from([
        (CREATED_BY_PROW.into(), "true".into()),
        (TYPE.into(), spec.job_type.to_string()),
        (JOB.into(), truncate_label_value(&spec.job)),
        (CONTEXT.into(), truncate_label_value(&spec.context)),
    ]);
    if let Some(refs) = spec.main_refs() {
        all.insert(ORG.into(), refs.org.clone());
        all.insert(REPO.into(), refs.repo.clone());
        all.insert(BASE_REF.into(), refs.base_ref.clone());
        if let Some(pull) = refs.pulls.first() {
            all.insert(PULL.into(), pull.number.to_string());
        }
    }
    all.extend(labels.clone());
    let labels = all
        .into_iter()
        .filter_map(|(key, value)| Some((key, valid_label_value(&value)?.to_owned())))
        .collect();

    let mut notes = BTreeMap::from([
        (JOB.to_owned(), spec.job.clone()),
        (CONTEXT.to_owned(), spec.context.clone()),
    ]);
    notes.extend(annotations.clone());
    (labels, notes)
}

/// The value of [`EVENT_GUID`]: the delivery id, or its hash if Kubernetes would refuse the id as a
/// label value.
pub fn event_guid(delivery: &str) -> String {
    if is_label_value(delivery) {
        return delivery.to_owned();
    }
    hex::encode(&Sha256::digest(delivery)[..16])
}

/// At most 63 bytes, not ending in punctuation.
fn truncate_label_value(value: &str) -> String {
    if value.len() <= MAX_VALUE {
        return value.to_owned();
    }
    let end = (0..=MAX_VALUE)
        .rev()
        .find(|end| value.is_char_boundary(*end))
        .unwrap_or(0);
    value[..end].trim_end_matches(['.', '_', '-']).to_owned()
}

/// The value, or its last path segment, whichever Kubernetes takes first.
fn valid_label_value(value: &str) -> Option<&str> {
    [value, value.rsplit('/').next().unwrap_or(value)]
        .into_iter()
        .find(|candidate| is_label_value(candidate))
}

/// Whether Kubernetes takes `value` as a label value: empty, or alphanumeric at both ends with
/// `-`, `_`, `.` between, at most 63 bytes.
pub fn is_label_value(value: &str) -> bool {
    let bytes = value.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => {
            bytes.len() <= MAX_VALUE
                && first.is_ascii_alphanumeric()
                && last.is_ascii_alphanumeric()
                && bytes
                    .iter()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prowjob::{ProwJobType, Pull, Refs};

    fn spec(job: &str, context: &str, base_ref: &str) -> ProwJobSpec {
        ProwJobSpec {
            job_type: ProwJobType::Presubmit,
            job: job.into(),
            context: context.into(),
            refs: Some(Refs {
                org: "o".into(),
                repo: "r".into(),
                base_ref: base_ref.into(),
                pulls: vec![Pull {
                    number: 7,
                    ..Pull::default()
                }],
                ..Refs::default()
            }),
            ..ProwJobSpec::default()
        }
    }

    fn label(spec: &ProwJobSpec, key: &str) -> Option<String> {
        labels_and_annotations(spec, &StringMap::new(), &StringMap::new())
            .0
            .remove(key)
    }

    #[test]
    fn values_are_made_to_fit() {
        let long = format!("{}-.tail", "a".repeat(61));
        for (what, spec, key, expected) in [
            (
                "a plain job",
                spec("unit", "unit", "main"),
                JOB,
                Some("unit".to_owned()),
            ),
            (
                "the pull request",
                spec("unit", "unit", "main"),
                PULL,
                Some("7".to_owned()),
            ),
            (
                "a long name loses its end and dangling punctuation",
                spec(&long, "c", "main"),
                JOB,
                Some("a".repeat(61)),
            ),
            (
                "a branch with a slash keeps its last part",
                spec("j", "c", "feature/x"),
                BASE_REF,
                Some("x".to_owned()),
            ),
            (
                "what never fits is left out",
                spec("j", "c", "feature/-"),
                BASE_REF,
                None,
            ),
            (
                "no context, an empty label",
                spec("j", "", "main"),
                CONTEXT,
                Some(String::new()),
            ),
            (
                "a cut never splits a character",
                spec("j", &"é".repeat(40), "main"),
                CONTEXT,
                None,
            ),
        ] {
            assert_eq!(label(&spec, key), expected, "{what}");
        }
    }

    #[test]
    fn every_delivery_has_a_label() {
        assert_eq!(event_guid("72d3162e-cc78"), "72d3162e-cc78");
        for delivery in ["of a test", "-", &"x".repeat(64)] {
            let guid = event_guid(delivery);
            assert!(is_label_value(&guid) && !guid.is_empty(), "{guid}");
            assert_ne!(guid, event_guid(&format!("{delivery}!")));
        }
    }

    #[test]
    fn the_job_overrides_and_annotations_stay_whole() {
        let own = StringMap::from([(PULL.to_owned(), "mine".to_owned())]);
        let long = "x".repeat(80);
        let (labels, annotations) =
            labels_and_annotations(&spec(&long, "c", "main"), &own, &StringMap::new());
        assert_eq!(labels[PULL], "mine");
        assert_eq!(annotations[JOB], long);
    }
}
