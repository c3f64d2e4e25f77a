//! Reads the records of clonerefs and censors them.

use anyhow::Context;
use common::prowjob::Refs;
use common::redact::strip_url_credentials;
use serde_json::Value;

use crate::JobSpec;
use crate::censor::Censor;
use crate::clonerefs::{CloneRecord, map_texts, redact_credentials};
use crate::secrets::KnownSecrets;

use super::InituploadOptions;
use super::clone_log;

/// The result of all clones, and what of it may be shown. The error says why nothing may be.
pub(super) struct CloneResult {
    pub(super) failed: bool,
    pub(super) shown: Result<CensoredClone, String>,
}

/// The records without secrets and without credentials in addresses.
pub(super) struct CensoredClone {
    /// Their references are those that the job names, so that a record can be found by them.
    pub(super) records: Vec<CloneRecord>,
    /// `clone-records.json`: the bytes that clonerefs wrote, if nothing had to be masked.
    pub(super) json: Vec<u8>,
    /// `clone-log.txt`.
    pub(super) log: String,
}

/// Reads the records; `None` if nothing was cloned.
pub(super) async fn read_clone_records(
    options: &InituploadOptions,
    spec: &JobSpec,
) -> anyhow::Result<Option<CloneResult>> {
    let log = options.log.as_str();
    if log.is_empty() {
        return Ok(None);
    }
    let raw = std::fs::read(log).with_context(|| format!("reading the clone records {log}"))?;
    let json: Value =
        serde_json::from_slice(&raw).with_context(|| format!("parsing the clone records {log}"))?;
    let parse = |json: &Value| {
        serde_json::from_value::<Vec<CloneRecord>>(json.clone())
            .with_context(|| format!("parsing the clone records {log}"))
    };
    let failed = parse(&json)?.iter().any(|record| record.failed);
    let shown = match build_censor(options).await {
        Ok(censor) => {
            let shown = map_texts(json.clone(), &|text| {
                strip_url_credentials(&censor.mask_text(text))
            });
            let mut records = parse(&shown)?;
            let log = censor.mask_text(&clone_log::render_clone_log(&records));
            name_references(&mut records, spec);
            Ok(CensoredClone {
                records,
                json: match shown == json {
                    true => raw,
                    false => serde_json::to_vec(&shown)?,
                },
                log,
            })
        }
        Err(reason) => Err(reason),
    };
    Ok(Some(CloneResult { failed, shown }))
}

/// Builds a censor for the secrets of clonerefs. Without censoring options it masks nothing.
async fn build_censor(options: &InituploadOptions) -> Result<Censor, String> {
    let Some(options) = &options.censoring_options else {
        return Ok(Censor::default());
    };
    let known = KnownSecrets::default();
    known.learn_secrets(options).await?;
    known.build_censor(options)
}

/// Replaces the references without credentials by the job's own.
fn name_references(records: &mut [CloneRecord], spec: &JobSpec) {
    let named: Vec<&Refs> = spec.refs.iter().chain(&spec.extra_refs).collect();
    for record in records {
        let own = named
            .iter()
            .find(|refs| redact_credentials(**refs) == record.refs);
        if let Some(own) = own {
            record.refs = (*own).clone();
        }
    }
}
