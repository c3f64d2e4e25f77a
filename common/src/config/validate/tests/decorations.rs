//! Rules for decoration.

use super::{check, presubmit};

#[test]
fn what_decoration_needs() {
    check([
        (
            "utility-images",
            presubmit(
                "decoration_config:\n  utility_images: {clonerefs: c, sidecar: s}\n  gcs_configuration: {bucket: b, path_strategy: explicit}\nspec: {containers: [{command: [make]}]}",
            ),
            r#"jobs.yaml:5:7: presubmits."org/repo"[0].decoration_config.utility_images: decoration needs an image for initupload, entrypoint"#,
        ),
        (
            "gcs-configuration",
            presubmit(
                "decoration_config:\n  utility_images: {clonerefs: c, initupload: i, entrypoint: e, sidecar: s}\nspec: {containers: [{command: [make]}]}",
            ),
            r#"jobs.yaml:4:5: presubmits."org/repo"[0].decoration_config.gcs_configuration: decoration needs gcs_configuration: where results are stored"#,
        ),
        (
            "path-strategy",
            presubmit(
                "decoration_config:\n  utility_images: {clonerefs: c, initupload: i, entrypoint: e, sidecar: s}\n  gcs_configuration: {bucket: b}\nspec: {containers: [{command: [make]}]}",
            ),
            r#"jobs.yaml:6:7: presubmits."org/repo"[0].decoration_config.gcs_configuration.path_strategy: decoration needs a path_strategy: explicit, legacy or single"#,
        ),
        (
            "value",
            presubmit(
                "decorate: true\ndecoration_config:\n  gcs_configuration: {path_strategy: explict}\nspec: {containers: [{command: [make]}]}",
            ),
            r#"jobs.yaml:6:42: presubmits."org/repo"[0].decoration_config.gcs_configuration.path_strategy: found "explict", expected one of explicit, legacy, single; did you mean "explicit"?"#,
        ),
        (
            "command",
            presubmit("decorate: true\nspec: {containers: [{image: golang}]}"),
            r#"jobs.yaml:5:25: presubmits."org/repo"[0].spec.containers[0]: a decorated container needs a command or args: decoration cannot know the image's own entry point"#,
        ),
        (
            "command",
            presubmit("decorate: true\nspec: {containers: [{args: ['']}]}"),
            r#"jobs.yaml:5:25: presubmits."org/repo"[0].spec.containers[0]: a decorated container needs a command or args: decoration cannot know the image's own entry point"#,
        ),
    ]);
}

#[test]
fn what_it_does_not_take() {
    check([
        (
            "bucket",
            presubmit(
                "decorate: true\ndecoration_config:\n  gcs_configuration: {bucket: 's3://my bucket'}\nspec: {containers: [{command: [make]}]}",
            ),
            r#"jobs.yaml:6:27: presubmits."org/repo"[0].decoration_config.gcs_configuration.bucket: "s3://my bucket" is no URL: its host has a character that no host has"#,
        ),
        (
            "media-type",
            presubmit(
                "decorate: true\ndecoration_config:\n  gcs_configuration: {mediaTypes: {log: text/}}\nspec: {containers: [{command: [make]}]}",
            ),
            r#"jobs.yaml:6:40: presubmits."org/repo"[0].decoration_config.gcs_configuration.mediaTypes.log: "text/" is no media type; expected one like text/plain"#,
        ),
        (
            "path-prefix",
            presubmit(
                "decorate: true\ndecoration_config:\n  gcs_configuration: {path_prefix: logs/victim/1/artifacts}\nspec: {containers: [{command: [make]}]}",
            ),
            r#"jobs.yaml:6:27: presubmits."org/repo"[0].decoration_config.gcs_configuration.path_prefix: "logs/victim/1/artifacts" is no prefix for results: "logs/victim/1/artifacts/logs/unit/1" is no object name: it reads as a part of another run's folder"#,
        ),
        (
            "path-prefix",
            presubmit(
                "decorate: true\ndecoration_config:\n  gcs_configuration: {path_prefix: ../up}\nspec: {containers: [{command: [make]}]}",
            ),
            r#"jobs.yaml:6:27: presubmits."org/repo"[0].decoration_config.gcs_configuration.path_prefix: "../up" is no prefix for results: "../up/logs/unit/1" is no object name: it has a relative segment"#,
        ),
        (
            "path-strategy-defaults",
            presubmit(
                "decorate: true\ndecoration_config:\n  gcs_configuration: {path_strategy: legacy}\nspec: {containers: [{command: [make]}]}",
            ),
            r#"jobs.yaml:6:27: presubmits."org/repo"[0].decoration_config.gcs_configuration.path_strategy: a path_strategy other than explicit needs default_org and default_repo"#,
        ),
        (
            "clone-secrets",
            presubmit(
                "decorate: true\ndecoration_config:\n  oauth_token_secret: {name: s, key: k}\n  ssh_key_secrets: [key]\nspec: {containers: [{command: [make]}]}",
            ),
            r#"jobs.yaml:6:7: presubmits."org/repo"[0].decoration_config.oauth_token_secret: oauth_token_secret and ssh_key_secrets exclude each other"#,
        ),
    ]);
}
