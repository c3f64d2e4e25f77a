//! The key in a Secret, which the manifests create without `data`. Deck reads no other Secret.

use common::storage::token::keys::{StorageKeyError, StorageKeys, generate_key, previous_key_name};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

/// The field with the key; the previous key is in `key.previous`.
const KEY_FIELD: &str = "key";
/// Others may fill the field at the same time.
const MAX_TRIES: usize = 5;

/// The Secret with the key.
#[derive(Debug)]
pub(crate) struct SecretKeyStore {
    api: Api<Secret>,
    name: String,
}

impl SecretKeyStore {
    pub(crate) fn new(client: kube::Client, namespace: &str, name: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
        }
    }

    /// Reads the keys, and creates one if there is none.
    pub(super) async fn read_or_create_keys(&self) -> Result<StorageKeys, StorageKeyError> {
        self.try_read_or_create().await.unwrap_or_else(|error| {
            tracing::warn!(secret = self.name, %error, "the storage key cannot be read or made");
            Err(StorageKeyError::Unreadable)
        })
    }

    async fn try_read_or_create(&self) -> kube::Result<Result<StorageKeys, StorageKeyError>> {
        let mut last = None;
        for _ in 0..MAX_TRIES {
            let secret = self.api.get(&self.name).await?;
            if secret_field(&secret, KEY_FIELD).is_some() {
                return Ok(read_keys(&secret));
            }
            let key = ByteString(generate_key().into_bytes());
            // Patches the version that has no key: of two writers, one succeeds.
            let patch = json!({
                "metadata": {"resourceVersion": secret.resource_version()},
                "data": {KEY_FIELD: key},
            });
            let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
            match self.api.patch(&self.name, &params, &patch).await {
                Ok(secret) => return Ok(read_keys(&secret)),
                Err(kube::Error::Api(status)) if status.code == 409 => {
                    last = Some(kube::Error::Api(status));
                }
                Err(error) => return Err(error),
            }
        }
        last.map_or(Ok(Err(StorageKeyError::Missing)), Err)
    }
}

fn read_keys(secret: &Secret) -> Result<StorageKeys, StorageKeyError> {
    StorageKeys::new(
        secret_field(secret, KEY_FIELD),
        secret_field(secret, &previous_key_name(KEY_FIELD)),
    )
}

/// `None` if the field is missing or empty.
fn secret_field<'a>(secret: &'a Secret, name: &str) -> Option<&'a [u8]> {
    let value = secret.data.as_ref()?.get(name)?.0.as_slice();
    Some(value).filter(|value| !value.trim_ascii().is_empty())
}
