//! The init container that checks the code out, and the secrets that only it may see.

use common::expansion::literal;
use common::prowjob::{DecorationConfig, ProwJobSpec, Refs, SecretKey};
use podutils::clonerefs;
use serde_json::{Value, json};

use super::{
    Error,
    json::{Object, empty_dir, go_json, mount, read_only, secret, variable},
};

/// Where the code lands; the job's `GOPATH`.
pub(crate) const CODE: &str = "/home/prow/go";
/// What was cloned, for initupload.
pub(super) const CLONE_LOG: &str = "/logs/clone.json";

/// Its temporary folder.
const SCRATCH: &str = "clonerefs-tmp";
const DEFAULT_API: &str = "https://api.github.com";
/// Only the owner may read.
const PRIVATE: u32 = 0o400;

pub(super) struct Clone {
    pub(super) container: Object,
    pub(super) volumes: Vec<Value>,
    /// Its credentials, for initupload to know what to hide of what it says.
    pub(super) secret_mounts: Vec<Value>,
    /// Where the test starts.
    pub(super) working_dir: String,
}

/// `None` if there is nothing to clone, or the job clones by itself.
pub(super) fn clone(spec: &ProwJobSpec, config: &DecorationConfig) -> Result<Option<Clone>, Error> {
    let refs: Vec<Refs> = spec.refs.iter().chain(&spec.extra_refs).cloned().collect();
    let Some(first) = refs.first() else {
        return Ok(None);
    };
    if config.skip_cloning == Some(true) {
        return Ok(None);
    }
    let start = refs.iter().find(|refs| refs.workdir).unwrap_or(first);
    let working_dir = start.clone_dir(CODE);
    let mut secrets = Secrets::new(config);
    secrets.finish();
    let image = super::wrap::image(
        config,
        |images| &images.clonerefs,
        "utility_images.clonerefs",
    )?;
    let options = clonerefs::Options {
        src_root: CODE.into(),
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
        ..clonerefs::Options::default()
    };
    let mut mounts = vec![mount("logs", "/logs"), mount("code", CODE)];
    let is_secret = |mount: &&Value| mount["name"] != SCRATCH;
    let secret_mounts = secrets.mounts.iter().filter(is_secret).cloned().collect();
    mounts.extend(secrets.mounts);
    let mut container = Object::new();
    container.insert("name".into(), "clonerefs".into());
    container.insert("image".into(), image.into());
    if !secrets.cookie_path.is_empty() {
        container.insert(
            "args".into(),
            json!([literal(&format!("--cookiefile={}", secrets.cookie_path))]),
        );
    }
    container.insert(
        "env".into(),
        json!([variable(clonerefs::Options::ENV, &go_json(&options))]),
    );
    container.insert("volumeMounts".into(), mounts.into());
    let mut volumes = secrets.volumes;
    volumes.push(empty_dir("code"));
    Ok(Some(Clone {
        container,
        volumes,
        secret_mounts,
        working_dir,
    }))
}

/// Credentials as volumes, as mounts, and as the paths that the options name.
#[derive(Default)]
struct Secrets<'a> {
    cookiefile: Option<&'a str>,
    volumes: Vec<Value>,
    mounts: Vec<Value>,
    key_files: Vec<String>,
    oauth_token_file: String,
    app_key_file: String,
    cookie_path: String,
}

impl<'a> Secrets<'a> {
    fn new(config: &'a DecorationConfig) -> Self {
        let mut all = Self {
            cookiefile: config
                .cookiefile_secret
                .as_deref()
                .filter(|name| !name.is_empty()),
            ..Self::default()
        };
        for name in &config.ssh_key_secrets {
            let (volume, path) = (format!("ssh-keys-{name}"), below("/secrets/ssh", name));
            all.volumes.push(private(&volume, name));
            all.mounts.push(read_only(&volume, &path));
            all.key_files.push(path);
        }
        if let Some(token) = &config.oauth_token_secret {
            all.oauth_token_file = all.one_key(token, "/secrets/oauth");
        }
        if let Some(key) = &config.github_app_private_key_secret {
            all.app_key_file = all.one_key(key, "/secrets/github-app");
        }
        all
    }

    /// What comes after the other secrets, in Prow's order.
    fn finish(&mut self) {
        self.volumes.push(empty_dir(SCRATCH));
        self.mounts.push(mount(SCRATCH, "/tmp"));
        if let Some(reference) = self.cookiefile {
            let (name, key) = reference.split_once('/').unwrap_or((reference, reference));
            self.volumes.push(private("cookiefile", name));
            self.mounts
                .push(read_only("cookiefile", "/secrets/cookiefile"));
            self.cookie_path = below("/secrets/cookiefile", key);
        }
    }

    fn one_key(&mut self, secret: &SecretKey, folder: &str) -> String {
        let SecretKey { name, key } = secret;
        self.volumes.push(json!({
            "name": name,
            "secret": {"secretName": name, "items": [{"key": key, "path": format!("./{key}")}]},
        }));
        self.mounts.push(read_only(name, folder));
        below(folder, key)
    }
}

/// A file of a folder; without a name, the folder.
fn below(folder: &str, name: &str) -> String {
    match name {
        "" => folder.to_owned(),
        name => format!("{folder}/{name}"),
    }
}

fn private(volume: &str, name: &str) -> Value {
    let mut volume = secret(volume, name);
    volume["secret"]["defaultMode"] = PRIVATE.into();
    volume
}
