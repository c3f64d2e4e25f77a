//! Rules for decoration: what it needs once every default is merged in, and how sources are
//! fetched.

use super::pod;
use crate::{
    config::{JobBase, Path, findings::Findings},
    prowjob::{DecorationConfig, GcsConfiguration, PathStrategy},
};

pub(super) fn check(job: &JobBase, findings: &mut Findings) {
    clone_uris(job, findings);
    let Some(decoration) = &job.utility.decoration_config else {
        return;
    };
    let mut wrong =
        |message: String| findings.job("decoration", &job.origin, "decoration_config", message);
    images(decoration, &mut wrong);
    match &decoration.gcs_configuration {
        Some(storage) => self::storage(storage, &mut wrong),
        None => wrong("decoration needs gcs_configuration: where results are stored".into()),
    }
    if decoration.oauth_token_secret.is_some() && !decoration.ssh_key_secrets.is_empty() {
        wrong("oauth_token_secret and ssh_key_secrets exclude each other".into());
    }
    commands(job, findings);
}

fn images(decoration: &DecorationConfig, wrong: &mut impl FnMut(String)) {
    let images = decoration.utility_images.clone().unwrap_or_default();
    for (name, image) in [
        ("clonerefs", images.clonerefs),
        ("initupload", images.initupload),
        ("entrypoint", images.entrypoint),
        ("sidecar", images.sidecar),
    ] {
        if image.is_empty() {
            wrong(format!("decoration needs utility_images.{name}"));
        }
    }
}

fn storage(storage: &GcsConfiguration, wrong: &mut impl FnMut(String)) {
    let bucket = &storage.bucket;
    if bucket.contains("://") && url::Url::parse(bucket).is_err() {
        wrong(format!("the bucket {bucket:?} is no URL"));
    }
    for (extension, media_type) in &storage.media_types {
        let parts = media_type.split_once('/');
        if parts.is_none_or(|(kind, subtype)| kind.is_empty() || subtype.is_empty()) {
            wrong(format!(
                "mediaTypes.{extension}: {media_type:?} is no media type"
            ));
        }
    }
    match storage.path_strategy {
        None => wrong(
            "decoration needs gcs_configuration.path_strategy: \
                       explicit, legacy or single"
                .into(),
        ),
        Some(PathStrategy::Explicit) => {}
        Some(_) if storage.default_org.is_empty() || storage.default_repo.is_empty() => {
            wrong("a path_strategy other than explicit needs default_org and default_repo".into())
        }
        Some(_) => {}
    }
}

/// Decoration wraps a command, so there must be one.
fn commands(job: &JobBase, findings: &mut Findings) {
    let root = Path::Below(&job.origin.path);
    let spec = root.key("spec");
    let list = spec.key("containers");
    for (index, container) in pod::containers(job).enumerate() {
        let words = ["command", "args"].map(|key| &container[key]);
        let readable = words.iter().all(|list| list.is_null() || list.is_array());
        let first = words
            .iter()
            .filter_map(|list| list.as_array())
            .flatten()
            .next();
        // What is no list at all is told elsewhere.
        if readable && first.is_none_or(|word| word.as_str().unwrap_or_default().is_empty()) {
            findings.add(
                "command",
                &job.origin.file,
                &list.index(index),
                "a decorated container needs a command or args: \
                 decoration cannot know the image's own entry point",
            );
        }
    }
}

/// A clone URI is a URL, with or without a user before an `@`. With a token it must be HTTP.
fn clone_uris(job: &JobBase, findings: &mut Findings) {
    let with_token = job
        .utility
        .decoration_config
        .as_ref()
        .is_some_and(|decoration| decoration.oauth_token_secret.is_some());
    let own = std::iter::once(&job.utility.clone_uri);
    let extra = job.utility.extra_refs.iter().map(|refs| &refs.clone_uri);
    for uri in own.chain(extra).filter(|uri| !uri.is_empty()) {
        if let Err(message) = clone_uri(uri, with_token) {
            findings.job("clone-uri", &job.origin, "clone_uri", message);
        }
    }
}

fn clone_uri(uri: &str, with_token: bool) -> Result<(), String> {
    if let Some((_, host)) = uri.split_once('@') {
        // `git@host:path` is no URL; what git makes of it is git's.
        if with_token && !uri.starts_with("http") {
            return Err(format!(
                "{uri:?} cannot be cloned with oauth_token_secret: use https"
            ));
        }
        return if host.is_empty() {
            Err(format!("{uri:?} names no host"))
        } else {
            Ok(())
        };
    }
    let url = url::Url::parse(uri).map_err(|error| format!("{uri:?} is no URL: {error}"))?;
    if with_token && !matches!(url.scheme(), "http" | "https") {
        return Err(format!(
            "{uri:?} cannot be cloned with oauth_token_secret: use https"
        ));
    }
    Ok(())
}
