//! What a run's own files say of who may see it.

use std::collections::BTreeMap;

use common::prowjob::Refs;
use common::storage::{Attributes, Error, Object, paths};
use futures::TryStreamExt;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::buckets::Place;
use crate::stored_run::noted;
use crate::visibility::{HiddenRepos, Witness, Word};

/// Largest of these files that is read, in bytes; the cluster keeps no larger object.
const LIMIT: usize = 2 << 20;

#[derive(Deserialize)]
struct StoredProwJob {
    spec: StoredSpec,
}

/// The parts of a `ProwJob` that tell who may see it; the rest may be of any form.
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

/// A file of the run's.
enum File<T> {
    Absent,
    /// It is there, but nobody knows what it says: too large, or no such JSON.
    Unreadable,
    Read(T, Attributes),
}

/// What `prowjob.json` and `started.json` in the folder say. One that is there and cannot be
/// read hides the run if anything is hidden here (`any_hidden`).
pub(super) async fn stored(
    folder: &Place,
    hidden_repos: &HiddenRepos,
    any_hidden: bool,
) -> Result<Vec<Word>, Error> {
    let (prowjob, started) = tokio::join!(
        read::<StoredProwJob>(folder, paths::PROW_JOB),
        read::<StartedRepos>(folder, paths::STARTED)
    );
    let unreadable = |witness| Word {
        witness,
        hidden: any_hidden,
        tenants: Vec::new(),
    };
    let prowjob = match prowjob? {
        File::Absent => None,
        File::Unreadable => Some(unreadable(Witness::StoredProwJob)),
        File::Read(prowjob, attributes) => Some(with_note(
            of_prowjob(prowjob.spec, hidden_repos),
            &attributes,
        )),
    };
    let started = match started? {
        File::Absent => None,
        File::Unreadable => Some(unreadable(Witness::Started)),
        File::Read(started, attributes) => {
            let repos = started.repos.unwrap_or_default();
            let word = Word {
                witness: Witness::Started,
                hidden: repos.keys().any(|repo| hidden_repos.has(repo)),
                tenants: Vec::new(),
            };
            let speaks = !repos.is_empty() || noted(&attributes).is_some();
            speaks.then(|| with_note(word, &attributes))
        }
    };
    Ok(prowjob.into_iter().chain(started).collect())
}

fn of_prowjob(spec: StoredSpec, hidden_repos: &HiddenRepos) -> Word {
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
    Word {
        witness: Witness::StoredProwJob,
        hidden: spec.hidden || repos.any(|repo| hidden_repos.has(&repo)),
        tenants: vec![tenant.unwrap_or_default()],
    }
}

/// With what Deck itself noted beside the file when it was uploaded.
fn with_note(mut word: Word, attributes: &Attributes) -> Word {
    if let Some(note) = noted(attributes) {
        word.hidden |= note.hidden;
        if !note.tenant.is_empty() {
            word.tenants.push(note.tenant.to_owned());
        }
    }
    word
}

async fn read<T: DeserializeOwned>(folder: &Place, name: &str) -> Result<File<T>, Error> {
    let object = match folder.storage.get(&format!("{}/{name}", folder.key)).await {
        Ok(object) => object,
        Err(Error::NotFound(_)) => return Ok(File::Absent),
        Err(error) => return Err(error),
    };
    let attributes = object.attributes.clone();
    let Some(text) = plain(object).await? else {
        return Ok(File::Unreadable);
    };
    Ok(match serde_json::from_slice(&text) {
        Ok(read) => File::Read(read, attributes),
        Err(_) => File::Unreadable,
    })
}

/// The decompressed bytes; `None`: too many.
async fn plain(object: Object) -> Result<Option<Vec<u8>>, Error> {
    let mut bytes = Vec::new();
    let mut stream = object.into_plain_stream();
    while let Some(chunk) = stream.try_next().await? {
        if bytes.len() + chunk.len() > LIMIT {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}
