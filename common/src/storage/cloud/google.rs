//! The credentials for Google's buckets.
//!
//! They are found as Google's own clients find them: a key file, or what the environment and
//! `gcloud` name, or the machine's account. Without any of these, only public objects can be read.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use object_store::CredentialProvider;
use object_store::gcp::{
    GcpCredential, GcpCredentialProvider, GoogleCloudStorage, GoogleCloudStorageBuilder,
    GoogleConfigKey,
};
use tokio::sync::OnceCell;

use crate::storage::StorageCredentials;

/// The path in the home folder that `gcloud auth application-default login` writes.
const GCLOUD_FILE: &str = ".config/gcloud/application_default_credentials.json";
/// The address at which a Google machine serves its account, and the file with its product name.
const METADATA_SERVER: &str = "169.254.169.254";
const MACHINE_NAME_FILE: &str = "/sys/class/dmi/id/product_name";
/// The metadata server is on the machine itself: it answers at once or does not exist.
const METADATA_WAIT: Duration = Duration::from_secs(1);

pub(super) fn open_google_bucket(
    bucket: &str,
    credentials: &StorageCredentials,
) -> Result<GoogleCloudStorage, object_store::Error> {
    if let Some(file) = &credentials.gcs_credentials_file {
        return GoogleCloudStorageBuilder::new()
            .with_service_account_path(file.display().to_string())
            .with_bucket_name(bucket)
            .build();
    }
    let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket);
    let home = std::env::var_os("HOME").unwrap_or_default();
    if has_configured_credentials(&builder, Path::new(&home)) {
        return builder.build();
    }
    let machine = builder.clone().build()?.credentials().clone();
    let ambient = Arc::new(AmbientCredentials {
        machine,
        is_known: detect_google_machine,
    });
    builder.with_credentials(ambient).build()
}

/// Whether the environment or a file of `gcloud` has credentials.
fn has_configured_credentials(builder: &GoogleCloudStorageBuilder, home: &Path) -> bool {
    [
        GoogleConfigKey::ServiceAccount,
        GoogleConfigKey::ServiceAccountKey,
        GoogleConfigKey::ApplicationCredentials,
    ]
    .iter()
    .any(|key| builder.get_config_value(key).is_some())
        || home.join(GCLOUD_FILE).exists()
}

/// The machine's account, if it has one.
struct AmbientCredentials {
    machine: GcpCredentialProvider,
    is_known: fn() -> GoogleDetection,
}

type GoogleDetection = Pin<Box<dyn Future<Output = bool> + Send>>;

impl std::fmt::Debug for AmbientCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ambient")
    }
}

impl CredentialProvider for AmbientCredentials {
    type Credential = GcpCredential;

    fn get_credential<'a, 'b>(
        &'a self,
    ) -> Pin<Box<dyn Future<Output = object_store::Result<Arc<GcpCredential>>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async {
            if (self.is_known)().await {
                return self.machine.get_credential().await;
            }
            // An empty token: requests are sent without an `Authorization` header.
            let bearer = String::new();
            Ok(Arc::new(GcpCredential { bearer }))
        })
    }
}

/// Whether this is a Google machine; determined once.
fn detect_google_machine() -> GoogleDetection {
    static FOUND: OnceCell<bool> = OnceCell::const_new();
    Box::pin(async {
        *FOUND
            .get_or_init(|| async {
                let named = std::env::var("GCE_METADATA_HOST").is_ok_and(|host| !host.is_empty());
                let machine = std::fs::read_to_string(MACHINE_NAME_FILE).unwrap_or_default();
                let found = named
                    || is_google_product_name(&machine)
                    || is_google_metadata_server(METADATA_SERVER).await;
                if !found {
                    tracing::info!("no Google credentials were found: gs:// is read without");
                }
                found
            })
            .await
    })
}

/// Checked first: the metadata server may need some seconds before it answers a new pod.
fn is_google_product_name(machine: &str) -> bool {
    ["Google", "Google Compute Engine"].contains(&machine.trim())
}

/// Whether a Google metadata server answers at `host`.
async fn is_google_metadata_server(host: &str) -> bool {
    crate::service::install_crypto();
    let client = reqwest::Client::builder()
        .timeout(METADATA_WAIT)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build();
    let Ok(client) = client else {
        return false;
    };
    let answer = client.get(format!("http://{host}")).send().await;
    answer.is_ok_and(|answer| {
        let flavor = answer.headers().get("Metadata-Flavor");
        flavor.is_some_and(|flavor| flavor == "Google")
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Instant;

    use axum::Router;
    use axum::extract::{Request, State};
    use object_store::client::StaticCredentialProvider;
    use object_store::{ClientOptions, ObjectStoreExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn listen(router: Router) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        host
    }

    #[tokio::test]
    async fn a_metadata_server_is_told_from_others_and_not_waited_for() {
        let google = Router::new().fallback(|| async { [("Metadata-Flavor", "Google")] });
        assert!(is_google_metadata_server(&listen(google).await).await);
        // Amazon's metadata server has the same address.
        assert!(!is_google_metadata_server(&listen(Router::new()).await).await);
        assert!(!is_google_metadata_server("127.0.0.1:1").await);

        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let start = Instant::now();
        assert!(!is_google_metadata_server(&silent.local_addr().unwrap().to_string()).await);
        assert!(start.elapsed() < 3 * METADATA_WAIT);
    }

    #[test]
    fn a_machine_of_googles_is_known_by_its_name() {
        for (name, is) in [
            ("Google\n", true),
            ("Google Compute Engine\n", true),
            ("", false),
            ("Standard PC (Q35 + ICH9, 2009)", false),
        ] {
            assert_eq!(is_google_product_name(name), is, "{name}");
        }
    }

    #[test]
    fn a_file_or_a_variable_says_who_we_are() {
        let home = tempfile::tempdir().unwrap();
        let builder = GoogleCloudStorageBuilder::new;
        assert!(!has_configured_credentials(&builder(), home.path()));
        assert!(has_configured_credentials(
            &builder().with_application_credentials("/key.json"),
            home.path()
        ));
        assert!(has_configured_credentials(
            &builder().with_service_account_key("{}"),
            home.path()
        ));
        let file = home.path().join(GCLOUD_FILE);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "{}").unwrap();
        assert!(has_configured_credentials(&builder(), home.path()));
    }

    #[tokio::test]
    async fn who_is_nobody_reads_what_is_public() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let serve = |State(seen): State<Arc<Mutex<Vec<_>>>>, request: Request| async move {
            let authorization = request.headers().get("authorization").cloned();
            seen.lock().unwrap().push(authorization);
            let headers = [
                ("etag", "\"1\""),
                ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
            ];
            (headers, "public")
        };
        let host = listen(Router::new().fallback(serve).with_state(seen.clone())).await;
        let bearer = "machine".to_owned();
        for (is_known, expected) in [
            (
                (|| -> GoogleDetection { Box::pin(async { false }) }) as fn() -> GoogleDetection,
                None,
            ),
            (|| Box::pin(async { true }), Some("Bearer machine")),
        ] {
            let machine = Arc::new(StaticCredentialProvider::new(GcpCredential {
                bearer: bearer.clone(),
            }));
            crate::service::install_crypto();
            let store = GoogleCloudStorageBuilder::new()
                .with_bucket_name("b")
                .with_base_url(&format!("http://{host}"))
                .with_client_options(ClientOptions::new().with_allow_http(true))
                .with_credentials(Arc::new(AmbientCredentials { machine, is_known }))
                .build()
                .unwrap();
            let object = store.get(&"logs/j/1/build-log.txt".into()).await.unwrap();
            assert_eq!(object.bytes().await.unwrap(), "public");
            let last = seen.lock().unwrap().pop().unwrap();
            assert_eq!(last.as_ref().map(|value| value.to_str().unwrap()), expected);
        }
    }
}
