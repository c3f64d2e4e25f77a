//! The init container that checks the code out, and the secrets that only it may see.

use common::expansion::escape_literal;
use common::prowjob::{DecorationConfig, ProwJobSpec, Refs, SecretKey};
use podutils::clonerefs;
use serde_json::{Value, json};

use super::{
    DecorateError,
    json::{
        SpecObject, empty_dir_volume, go_json, literal_env_var, read_only_mount, secret_volume,
        volume_mount,
    },
};

/// Where the code is checked out; the job's `GOPATH`.
pub(crate) const CODE_DIR: &str = "/home/prow/go";
/// The record of what was cloned, for initupload.
pub(super) const CLONE_LOG: &str = "/logs/clone.json";

/// The volume of its temporary folder.
const TMP_VOLUME: &str = "clonerefs-tmp";
const DEFAULT_API: &str = "https://api.github.com";
/// Only the owner may read.
const OWNER_READ_ONLY: u32 = 0o400;

pub(super) struct CloneContainer {
    pub(super) container: SpecObject,
    pub(super) volumes: Vec<Value>,
    /// Mounts of its credentials: initupload hides these in clonerefs' output.
    pub(super) secret_mounts: Vec<Value>,
    /// The working directory of the test.
    pub(super) working_dir: String,
}

/// `None` if there is nothing to clone, or the job clones by itself.
pub(super) fn build_clonerefs(
    spec: &ProwJobSpec,
    config: &DecorationConfig,
) -> Result<Option<CloneContainer>, DecorateError> {
    let refs: Vec<Refs> = spec.refs.iter().chain(&spec.extra_refs).cloned().collect();
    let Some(first) = refs.first() else {
        return Ok(None);
    };
    if config.skip_cloning == Some(true) {
        return Ok(None);
    }
    let start = refs.iter().find(|refs| refs.workdir).unwrap_or(first);
    let working_dir = start.clone_dir(CODE_DIR);
    let mut secrets = CloneSecrets::new(config);
    secrets.add_tmp_and_cookiefile();
    let image = super::wrap::utility_image(
        config,
        |images| &images.clonerefs,
        "utility_images.clonerefs",
    )?;
    let options = clonerefs::ClonerefsOptions {
        src_root: CODE_DIR.into(),
        log: CLONE_LOG.into(),
        git_user_name: "ci-robot".into(),
        git_user_email: "ci-robot@k8s.io".into(),
        git_refs: refs,
        key_files: secrets.key_files,
        oauth_token_file: secrets.oauth_token_file,
        host_fingerprints: config.ssh_host_fingerprints.clone(),
        cookie_path: secrets.cookie_path.clone(),
        github_api_endpoints: match config.github_api_endpoints.as_slice() {
            [] => vec![DEFAULT_API.into()],
            some => some.to_vec(),
        },
        github_app_id: config.github_app_id.clone(),
        github_app_private_key_file: secrets.app_key_file,
        ..clonerefs::ClonerefsOptions::default()
    };
    let mut mounts = vec![
        volume_mount("logs", "/logs"),
        volume_mount("code", CODE_DIR),
    ];
    let is_secret = |mount: &&Value| mount["name"] != TMP_VOLUME;
    let secret_mounts = secrets.mounts.iter().filter(is_secret).cloned().collect();
    mounts.extend(secrets.mounts);
    let mut container = SpecObject::new();
    container.insert("name".into(), "clonerefs".into());
    container.insert("image".into(), image.into());
    if !secrets.cookie_path.is_empty() {
        container.insert(
            "args".into(),
            json!([escape_literal(&format!(
                "--cookiefile={}",
                secrets.cookie_path
            ))]),
        );
    }
    container.insert(
        "env".into(),
        json!([literal_env_var(
            clonerefs::ClonerefsOptions::ENV,
            &go_json(&options)
        )]),
    );
    container.insert("volumeMounts".into(), mounts.into());
    let mut volumes = secrets.volumes;
    volumes.push(empty_dir_volume("code"));
    Ok(Some(CloneContainer {
        container,
        volumes,
        secret_mounts,
        working_dir,
    }))
}

/// Credentials as volumes, as mounts, and as the paths that the options name.
#[derive(Default)]
struct CloneSecrets<'a> {
    cookiefile: Option<&'a str>,
    volumes: Vec<Value>,
    mounts: Vec<Value>,
    key_files: Vec<String>,
    oauth_token_file: String,
    app_key_file: String,
    cookie_path: String,
}

impl<'a> CloneSecrets<'a> {
    fn new(config: &'a DecorationConfig) -> Self {
        let mut all = Self {
            cookiefile: config
                .cookiefile_secret
                .as_deref()
                .filter(|name| !name.is_empty()),
            ..Self::default()
        };
        for name in &config.ssh_key_secrets {
            let (volume, path) = (format!("ssh-keys-{name}"), join_path("/secrets/ssh", name));
            all.volumes.push(private_secret_volume(&volume, name));
            all.mounts.push(read_only_mount(&volume, &path));
            all.key_files.push(path);
        }
        if let Some(token) = &config.oauth_token_secret {
            all.oauth_token_file = all.mount_secret_key(token, "/secrets/oauth");
        }
        if let Some(key) = &config.github_app_private_key_secret {
            all.app_key_file = all.mount_secret_key(key, "/secrets/github-app");
        }
        all
    }

    /// Adds what comes after the other secrets in Prow's order.
    fn add_tmp_and_cookiefile(&mut self) {
        self.volumes.push(empty_dir_volume(TMP_VOLUME));
        self.mounts.push(volume_mount(TMP_VOLUME, "/tmp"));
        if let Some(reference) = self.cookiefile {
            let (name, key) = reference.split_once('/').unwrap_or((reference, reference));
            self.volumes.push(private_secret_volume("cookiefile", name));
            self.mounts
                .push(read_only_mount("cookiefile", "/secrets/cookiefile"));
            self.cookie_path = join_path("/secrets/cookiefile", key);
        }
    }

    fn mount_secret_key(&mut self, secret: &SecretKey, folder: &str) -> String {
        let SecretKey { name, key } = secret;
        self.volumes.push(json!({
            "name": name,
            "secret": {"secretName": name, "items": [{"key": key, "path": format!("./{key}")}]},
        }));
        self.mounts.push(read_only_mount(name, folder));
        join_path(folder, key)
    }
}

/// The path of a file in a folder; without a name, the folder's.
fn join_path(folder: &str, name: &str) -> String {
    match name {
        "" => folder.to_owned(),
        name => format!("{folder}/{name}"),
    }
}

fn private_secret_volume(volume: &str, name: &str) -> Value {
    let mut volume = secret_volume(volume, name);
    volume["secret"]["defaultMode"] = OWNER_READ_ONLY.into();
    volume
}
