//! What a run's own files state about who may see it.

use std::collections::BTreeMap;

use common::prowjob::Refs;
use common::storage::{BucketObject, ObjectAttributes, StorageError, paths};
use futures::TryStreamExt;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::buckets::StorageLocation;
use crate::stored_run::read_notes;
use crate::visibility::{HiddenRepos, VisibilitySource, VisibilityStatement};

/// Largest file that is read, in bytes.
const MAX_FILE: usize = 2 << 20;

#[derive(Deserialize)]
struct StoredProwJob {
    spec: StoredSpec,
}

/// The fields of a `ProwJob` that say who may see it; all others may be of any form.
#[derive(Deserialize)]
struct StoredSpec {
    #[serde(default)]
    hidden: bool,
    refs: Option<StoredRefs>,
    extra_refs: Option<Vec<StoredRefs>>,
    prowjob_defaults: Option<StoredDefaults>,
}

#[derive(Deserialize)]
struct StoredRefs {
    #[serde(default)]
    org: String,
    #[serde(default)]
    repo: String,
}

#[derive(Deserialize)]
struct StoredDefaults {
    #[serde(default)]
    tenant_id: String,
}

#[derive(Deserialize)]
struct StartedRepos {
    repos: Option<BTreeMap<String, IgnoredAny>>,
}

/// A file of the run.
enum StoredFile<T> {
    Absent,
    /// It exists, but its content is unknown: too large, or not JSON of this form.
    Unreadable,
    Read(T, ObjectAttributes),
}

/// The statements of `prowjob.json` and `started.json` in the folder. A file that exists and cannot
/// be read hides the run if anything is hidden here (`any_hidden`).
pub(super) async fn read_statements(
    folder: &StorageLocation,
    hidden_repos: &HiddenRepos,
    any_hidden: bool,
) -> Result<Vec<VisibilityStatement>, StorageError> {
    let (prowjob, started) = tokio::join!(
        read_file::<StoredProwJob>(folder, paths::PROW_JOB),
        read_file::<StartedRepos>(folder, paths::STARTED)
    );
    let unreadable = |witness| VisibilityStatement {
        witness,
        hidden: any_hidden,
        tenants: Vec::new(),
    };
    let prowjob = match prowjob? {
        StoredFile::Absent => None,
        StoredFile::Unreadable => Some(unreadable(VisibilitySource::StoredProwJob)),
        StoredFile::Read(prowjob, attributes) => Some(add_note(
            prowjob_statement(prowjob.spec, hidden_repos),
            &attributes,
        )),
    };
    let started = match started? {
        StoredFile::Absent => None,
        StoredFile::Unreadable => Some(unreadable(VisibilitySource::Started)),
        StoredFile::Read(started, attributes) => {
            let repos = started.repos.unwrap_or_default();
            let word = VisibilityStatement {
                witness: VisibilitySource::Started,
                hidden: repos.keys().any(|repo| hidden_repos.contains_repo(repo)),
                tenants: Vec::new(),
            };
            let speaks = !repos.is_empty() || read_notes(&attributes).is_some();
            speaks.then(|| add_note(word, &attributes))
        }
    };
    Ok(prowjob.into_iter().chain(started).collect())
}

fn prowjob_statement(spec: StoredSpec, hidden_repos: &HiddenRepos) -> VisibilityStatement {
    let refs = spec
        .refs
        .into_iter()
        .chain(spec.extra_refs.unwrap_or_default());
    let mut repos = refs.map(|refs| {
        let refs = Refs {
            org: refs.org,
            repo: refs.repo,
            ..Refs::default()
        };
        refs.org_repo()
    });
    let tenant = spec.prowjob_defaults.map(|defaults| defaults.tenant_id);
    VisibilityStatement {
        witness: VisibilitySource::StoredProwJob,
        hidden: spec.hidden || repos.any(|repo| hidden_repos.contains_repo(&repo)),
        tenants: vec![tenant.unwrap_or_default()],
    }
}

/// Adds what Deck itself noted with the file when it was uploaded.
fn add_note(mut word: VisibilityStatement, attributes: &ObjectAttributes) -> VisibilityStatement {
    if let Some(note) = read_notes(attributes) {
        word.hidden |= note.hidden;
        if !note.tenant.is_empty() {
            word.tenants.push(note.tenant.to_owned());
        }
    }
    word
}

async fn read_file<T: DeserializeOwned>(
    folder: &StorageLocation,
    name: &str,
) -> Result<StoredFile<T>, StorageError> {
    let object = match folder
        .storage
        .get_object(&format!("{}/{name}", folder.key))
        .await
    {
        Ok(object) => object,
        Err(StorageError::NotFound(_)) => return Ok(StoredFile::Absent),
        Err(error) => return Err(error),
    };
    let attributes = object.attributes.clone();
    let Some(text) = read_decompressed(object).await? else {
        return Ok(StoredFile::Unreadable);
    };
    Ok(match serde_json::from_slice(&text) {
        Ok(read) => StoredFile::Read(read, attributes),
        Err(_) => StoredFile::Unreadable,
    })
}

/// The decompressed bytes; `None` if there are too many.
async fn read_decompressed(object: BucketObject) -> Result<Option<Vec<u8>>, StorageError> {
    let mut bytes = Vec::new();
    let mut stream = object.into_plain_stream();
    while let Some(chunk) = stream.try_next().await? {
        if bytes.len() + chunk.len() > MAX_FILE {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}
