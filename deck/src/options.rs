//! Deck's flags, as Prow spells them, and Deck's own ones.

use std::path::PathBuf;

use anyhow::{Context, bail};
use common::duration::GoDuration;
use common::service::flags;
use common::storage::token::keys::StorageKeyFile;
use common::storage::{ObjectStorage, StorageCredentials};

use crate::access::Viewer;

/// Flags of `deck`. The README lists Prow's flags that change nothing here.
#[derive(Clone, Debug, clap::Args)]
pub struct DeckOptions {
    #[command(flatten)]
    pub config: common::config::ConfigOptions,
    #[command(flatten)]
    pub kube: common::kube::KubernetesOptions,
    #[command(flatten)]
    pub instrumentation: common::service::InstrumentationOptions,
    #[command(flatten)]
    pub credentials: CredentialOptions,
    #[command(flatten)]
    pub storage: StorageOptions,
    #[command(flatten)]
    pub visibility: VisibilityOptions,
    #[command(flatten)]
    pub later: UnimplementedOptions,
    #[command(flatten)]
    pub unused: UnusedOptions,
    /// Port where pages are served.
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// A name that a Deck on loopback answers to, besides localhost, addresses and the hosts of
    /// `job_url_prefix_config`; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub allowed_host: Vec<String>,
    /// How long the first listing of `ProwJobs` may take.
    #[arg(long, default_value = "30s")]
    pub timeout_listing_prowjobs: GoDuration,
}

/// Credentials for the buckets that Deck reads.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct CredentialOptions {
    /// Service account key for gs:// buckets.
    #[arg(long, value_name = "FILE")]
    pub gcs_credentials_file: Option<PathBuf>,
    /// Credentials for s3:// buckets, in Prow's JSON.
    #[arg(long, value_name = "FILE")]
    pub s3_credentials_file: Option<PathBuf>,
}

/// Deck's own storage of logs and artifacts.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct StorageOptions {
    /// Folder that /storage serves; without it there is no /storage.
    #[arg(long, value_name = "DIR")]
    pub storage_dir: Option<PathBuf>,
    /// File of the key that plank signs upload tokens with; created if there is none.
    #[arg(long, value_name = "FILE")]
    pub storage_key_file: Option<PathBuf>,
    /// Secret with that key instead, in the namespace of the `ProwJobs`; it has to exist.
    #[arg(long, value_name = "NAME", conflicts_with = "storage_key_file")]
    pub storage_key_secret: Option<String>,
    /// Largest object, in bytes.
    #[arg(long, default_value_t = 1 << 30)]
    pub storage_max_object_size: u64,
    /// Maximum bytes that one run may keep.
    #[arg(long, default_value_t = 10 << 30)]
    pub storage_max_job_size: u64,
}

/// Which jobs are shown.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct VisibilityOptions {
    /// Show hidden jobs, and only those.
    #[arg(long, value_parser = flags::parse_bool, default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub hidden_only: bool,
    /// Show hidden jobs as well.
    #[arg(long, value_parser = flags::parse_bool, default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub show_hidden: bool,
    /// Show the jobs of these tenants, and only those.
    #[arg(long, value_name = "ID")]
    pub tenant_id: Vec<String>,
}

/// Prow's flags for features that are not implemented: setting one is logged.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct UnimplementedOptions {
    #[arg(long, hide = true)]
    pub tide_url: Option<String>,
    #[arg(long, hide = true)]
    pub hook_url: Option<String>,
    #[arg(long, hide = true)]
    pub oauth_url: Option<String>,
    #[arg(long, hide = true)]
    pub redirect_http_to: Option<String>,
    #[arg(long, hide = true)]
    pub pregenerated_data: Option<PathBuf>,
    #[arg(long, hide = true, value_parser = flags::parse_bool, default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub rerun_creates_job: bool,
    #[arg(long, hide = true, value_parser = flags::parse_bool, default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub gcs_cookie_auth: bool,
}

/// Prow's flags that have no effect here.
#[derive(Clone, Debug, clap::Args)]
pub struct UnusedOptions {
    #[arg(long, hide = true, value_parser = flags::parse_bool, default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub spyglass: bool,
    #[arg(long, hide = true)]
    pub spyglass_files_location: Option<PathBuf>,
    #[arg(long, hide = true)]
    pub static_files_location: Option<PathBuf>,
    #[arg(long, hide = true)]
    pub template_files_location: Option<PathBuf>,
    #[arg(long, hide = true)]
    pub github_oauth_config_file: Option<PathBuf>,
    #[arg(long, hide = true)]
    pub cookie_secret: Option<PathBuf>,
    #[arg(long, hide = true)]
    pub plugin_config: Option<PathBuf>,
    #[arg(long, hide = true)]
    pub supplemental_plugin_config_dir: Vec<PathBuf>,
    #[arg(long, hide = true)]
    pub supplemental_plugin_configs_filename_suffix: Option<String>,
    #[arg(long, hide = true)]
    pub git_signing_key_path: Option<PathBuf>,
    #[arg(long, hide = true, value_parser = flags::parse_bool, default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub allow_insecure: bool,
    #[arg(long, hide = true, value_parser = flags::parse_bool, default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub dry_run: bool,
    #[command(flatten)]
    pub github: common::github::GithubOptions,
}

impl CredentialOptions {
    pub fn storage_credentials(&self) -> StorageCredentials {
        StorageCredentials {
            gcs_credentials_file: self.gcs_credentials_file.clone(),
            s3_credentials_file: self.s3_credentials_file.clone(),
            storage_token: None,
        }
    }
}

impl VisibilityOptions {
    /// The three flags exclude each other, as in Prow.
    pub fn resolve_viewer(&self) -> anyhow::Result<Viewer> {
        match (
            self.hidden_only,
            self.show_hidden,
            self.tenant_id.is_empty(),
        ) {
            (false, false, true) => Ok(Viewer::Public),
            (true, false, true) => Ok(Viewer::HiddenOnly),
            (false, true, true) => Ok(Viewer::Everything),
            (false, false, false) => Ok(Viewer::Tenants(self.tenant_id.iter().cloned().collect())),
            _ => bail!("--hidden-only, --show-hidden and --tenant-id exclude each other"),
        }
    }
}

impl UnimplementedOptions {
    /// The flags of these that are set.
    pub fn unimplemented_flags(&self) -> impl Iterator<Item = &'static str> + use<> {
        let all = [
            ("--tide-url", self.tide_url.is_some()),
            ("--hook-url", self.hook_url.is_some()),
            ("--oauth-url", self.oauth_url.is_some()),
            ("--redirect-http-to", self.redirect_http_to.is_some()),
            ("--pregenerated-data", self.pregenerated_data.is_some()),
            ("--rerun-creates-job", self.rerun_creates_job),
            ("--gcs-cookie-auth", self.gcs_cookie_auth),
        ];
        let given = all.into_iter().filter(|(_, given)| *given);
        given.map(|(flag, _)| flag)
    }
}

/// Where the key of Deck's storage is kept.
#[derive(Clone, Debug)]
pub enum KeyLocation {
    File(StorageKeyFile),
    /// A Secret of this name in the namespace of the `ProwJob`s.
    Secret(String),
}

/// Deck's own storage, after it was opened.
#[derive(Debug)]
pub struct DeckStorage {
    pub storage: ObjectStorage,
    /// Where the key is that signs tokens.
    pub key: KeyLocation,
    pub max_object_size: u64,
    pub max_job_size: u64,
}

impl StorageOptions {
    /// `None` without `--storage-dir`.
    pub fn open_storage(&self) -> anyhow::Result<Option<DeckStorage>> {
        let file = self.storage_key_file.clone();
        let file = file.map(|path| KeyLocation::File(StorageKeyFile::new(path)));
        let secret = self.storage_key_secret.clone().map(KeyLocation::Secret);
        let (dir, key) = match (&self.storage_dir, file.or(secret)) {
            (None, None) => return Ok(None),
            (Some(dir), Some(key)) => (dir, key),
            (Some(_), None) => bail!(
                "--storage-dir needs --storage-key-file or --storage-key-secret, the key that plank signs tokens with"
            ),
            (None, Some(_)) => bail!(
                "--storage-key-file and --storage-key-secret are for --storage-dir, which is not set"
            ),
        };
        let dir = std::path::absolute(dir).context("--storage-dir")?;
        let storage = ObjectStorage::open_bucket(
            &format!("file://{}", dir.display()),
            &StorageCredentials::default(),
        )?;
        Ok(Some(DeckStorage {
            storage,
            key,
            max_object_size: self.storage_max_object_size,
            max_job_size: self.storage_max_job_size,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn read(line: &str) -> DeckOptions {
        let line = format!("--config-path=c.yaml {line}");
        flags::parse_flags("deck", line.split_whitespace().map(OsString::from)).unwrap()
    }

    #[test]
    fn prows_flags_are_read() {
        let options =
            read("-config-path=/etc/config/config.yaml --spyglass --show-hidden=true --port 1");
        assert_eq!(options.port, 1);
        assert_eq!(
            options.visibility.resolve_viewer().unwrap(),
            Viewer::Everything
        );
        assert_eq!(options.later.unimplemented_flags().count(), 0);
        assert!(options.storage.open_storage().unwrap().is_none());
    }

    #[test]
    fn what_is_not_built_is_named() {
        let options = read("--tide-url=http://tide --rerun-creates-job --hook-url=");
        let given: Vec<_> = options.later.unimplemented_flags().collect();
        assert_eq!(given, ["--tide-url", "--hook-url", "--rerun-creates-job"]);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let refusal = |line: &str| {
            let options = read(line);
            let refused = options.visibility.resolve_viewer().map(drop);
            refused
                .and(options.storage.open_storage().map(drop))
                .unwrap_err()
                .to_string()
        };
        for (line, says) in [
            ("--hidden-only --show-hidden", "exclude each other"),
            ("--tenant-id=a --show-hidden", "exclude each other"),
            ("--storage-dir=/tmp/x", "needs --storage-key-file"),
            (
                "--storage-key-file=/tmp/x",
                "--storage-dir, which is not set",
            ),
        ] {
            let text = refusal(line);
            assert!(text.contains(says), "{line}: {text}");
        }
    }

    /// Names of the flags of a group, without those of other groups inside it.
    fn flags_of<G: clap::Args>() -> Vec<String> {
        let command = G::augment_args(clap::Command::new("deck"));
        let names = command.get_arguments().filter_map(|arg| arg.get_long());
        names
            .filter(|name| !name.starts_with("github-") || *name == "github-oauth-config-file")
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn the_readme_lists_what_has_no_effect() {
        let readme = include_str!("../README.md");
        for flag in [
            flags_of::<UnusedOptions>(),
            flags_of::<UnimplementedOptions>(),
        ]
        .concat()
        {
            assert!(
                readme.contains(&format!("`--{flag}`")),
                "--{flag} is not in the README"
            );
        }
    }
}
