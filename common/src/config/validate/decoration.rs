//! Rules for a decoration with all defaults merged in.

use super::{add_at_field, clone_uri, pod};
use crate::{
    config::{ConfigPath, JobBase, diagnostics::Diagnostics},
    prowjob::{DecorationConfig, GcsConfiguration, PathStrategy, RawPodSpec},
    storage::paths,
};

pub(super) fn validate_decoration(job: &JobBase, pod: &RawPodSpec, findings: &mut Diagnostics) {
    let Some(decoration) = &job.utility.decoration_config else {
        return;
    };
    validate_decoration_config(decoration, Some(&job.name), &mut |rule, keys, message| {
        let keys = [&["decoration_config"], keys].concat();
        add_at_field(findings, rule, job, &keys, message);
    });
    validate_commands(job, pod, findings);
}

/// Checks a decoration config. `job` is the job's name if the config is that of a job; `wrong` gets
/// the rule, the keys below the config and the message.
pub(in crate::config) fn validate_decoration_config(
    decoration: &DecorationConfig,
    job: Option<&str>,
    wrong: &mut impl FnMut(&'static str, &[&str], String),
) {
    validate_utility_images(decoration, wrong);
    match &decoration.gcs_configuration {
        Some(storage) => self::validate_gcs_configuration(storage, job, wrong),
        None => wrong(
            "gcs-configuration",
            &["gcs_configuration"],
            "decoration needs gcs_configuration: where results are stored".into(),
        ),
    }
    if decoration.oauth_token_secret.is_some() && !decoration.ssh_key_secrets.is_empty() {
        wrong(
            "clone-secrets",
            &["oauth_token_secret"],
            "oauth_token_secret and ssh_key_secrets exclude each other".into(),
        );
    }
}

fn validate_utility_images(
    decoration: &DecorationConfig,
    wrong: &mut impl FnMut(&'static str, &[&str], String),
) {
    let images = decoration.utility_images.clone().unwrap_or_default();
    let missing: Vec<&str> = [
        ("clonerefs", images.clonerefs),
        ("initupload", images.initupload),
        ("entrypoint", images.entrypoint),
        ("sidecar", images.sidecar),
    ]
    .iter()
    .filter(|(_, image)| image.is_empty())
    .map(|(name, _)| *name)
    .collect();
    if !missing.is_empty() {
        wrong(
            "utility-images",
            &["utility_images"],
            format!("decoration needs an image for {}", missing.join(", ")),
        );
    }
}

fn validate_gcs_configuration(
    storage: &GcsConfiguration,
    job: Option<&str>,
    wrong: &mut impl FnMut(&'static str, &[&str], String),
) {
    let bucket = &storage.bucket;
    let with_scheme = match bucket.contains("://") {
        true => bucket.clone(),
        false => format!("gs://{bucket}"),
    };
    if let Err(error) = clone_uri::validate_url(&with_scheme) {
        wrong(
            "bucket",
            &["gcs_configuration", "bucket"],
            format!("{bucket:?} is no URL: {error}"),
        );
    }
    for (extension, media_type) in &storage.media_types {
        if !is_media_type(media_type) {
            wrong(
                "media-type",
                &["gcs_configuration", "mediaTypes", extension],
                format!("{media_type:?} is no media type; expected one like text/plain"),
            );
        }
    }
    let prefix = &storage.path_prefix;
    if let Err(error) = paths::check_path_prefix(prefix, job) {
        wrong(
            "path-prefix",
            &["gcs_configuration", "path_prefix"],
            format!("{prefix:?} is no prefix for results: {error}"),
        );
    }
    match storage.path_strategy {
        None => wrong(
            "path-strategy",
            &["gcs_configuration", "path_strategy"],
            "decoration needs a path_strategy: explicit, legacy or single".into(),
        ),
        Some(PathStrategy::Explicit) => {}
        Some(_) if storage.default_org.is_empty() || storage.default_repo.is_empty() => wrong(
            "path-strategy-defaults",
            &["gcs_configuration", "path_strategy"],
            "a path_strategy other than explicit needs default_org and default_repo".into(),
        ),
        Some(_) => {}
    }
}

/// Whether Go's `mime.ParseMediaType` accepts it: `type` or `type/subtype`, then parameters.
fn is_media_type(text: &str) -> bool {
    let token = |text: &str| {
        let special = |c: char| !c.is_ascii_graphic() || "()<>@,;:\\\"/[]?=".contains(c);
        !text.is_empty() && !text.contains(special)
    };
    let mut parts = text.split(';');
    let kind = parts.next().unwrap_or_default().trim();
    let is_kind = match kind.split_once('/') {
        Some((kind, subtype)) => token(kind) && token(subtype),
        None => token(kind),
    };
    let mut parameters = parts.map(str::trim).filter(|part| !part.is_empty());
    let quoted = |value: &str| value.len() > 1 && value.starts_with('"') && value.ends_with('"');
    let is_parameter = |part: &str| {
        part.split_once('=')
            .is_some_and(|(name, value)| token(name) && (token(value) || quoted(value)))
    };
    is_kind && parameters.all(is_parameter)
}

/// Decoration wraps a command, so a container must have one.
fn validate_commands(job: &JobBase, pod: &RawPodSpec, findings: &mut Diagnostics) {
    let root = ConfigPath::Below(&job.origin.path);
    let spec = root.key("spec");
    let list = spec.key("containers");
    for (index, container) in pod::pod_containers(pod).enumerate() {
        let words = ["command", "args"].map(|key| &container[key]);
        let readable = words.iter().all(|list| list.is_null() || list.is_array());
        let first = words
            .iter()
            .filter_map(|list| list.as_array())
            .flatten()
            .next();
        // Another rule reports what is no list at all.
        if readable && first.is_none_or(|word| word.as_str().unwrap_or_default().is_empty()) {
            findings.add_diagnostic(
                "command",
                &job.origin.file,
                &list.index(index),
                "a decorated container needs a command or args: \
                 decoration cannot know the image's own entry point",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types() {
        for (text, valid) in [
            ("text/plain", true),
            ("text/plain; charset=utf-8", true),
            ("text", true),
            ("application/vnd.api+json", true),
            ("text/", false),
            ("", false),
            ("text plain", false),
            ("text/plain; charset", false),
            ("text/plain; charset=\"a b\"", true),
            ("text/plain; charset=\"a b", false),
        ] {
            assert_eq!(is_media_type(text), valid, "{text:?}");
        }
    }
}
