//! The flags of initupload, as Prow spells them.

use std::ffi::OsString;

use super::InituploadOptions;
use crate::gcs;

/// Uploads the beginning of a run.
#[derive(Debug, clap::Args)]
struct InituploadFlags {
    /// The records of clonerefs.
    #[arg(long, default_value = "")]
    clone_log: String,
    #[command(flatten)]
    gcs: gcs::UploadFlags,
}

/// Options from the arguments, without the program's name.
pub(super) fn parse_flags(
    args: impl IntoIterator<Item = OsString>,
) -> Result<InituploadOptions, clap::Error> {
    let flags: InituploadFlags = common::service::flags::parse_flags("initupload", args)?;
    Ok(InituploadOptions {
        gcs: flags.gcs.into(),
        log: flags.clone_log,
        censoring_options: None,
    })
}

#[cfg(test)]
mod tests {
    use common::prowjob::PathStrategy;

    use super::*;

    fn options(line: &str) -> Result<InituploadOptions, clap::Error> {
        parse_flags(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn flags_are_read_as_prow_reads_them() {
        let line = "-clone-log=/l --sub-dir s --path-strategy=legacy --default-org=o --default-repo=r \
            --gcs-path=gs://b/a/f/ --dry-run=false --media-type=log:text/plain --gcs-credentials-file=/g \
            --s3-credentials-file=/s /logs/artifacts /x";
        let options = options(line).unwrap();
        assert_eq!(options.log, "/l");
        let json = serde_json::to_value(&options.gcs).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "items": ["/logs/artifacts", "/x"], "sub_dir": "s", "bucket": "b", "path_prefix": "a/f",
                "path_strategy": "legacy", "default_org": "o", "default_repo": "r",
                "mediaTypes": {"log": "text/plain"}, "gcs_credentials_file": "/g", "s3_credentials_file": "/s",
                "dry_run": false,
            })
        );
    }

    #[test]
    fn nothing_is_uploaded_unless_somebody_says_so() {
        let options = options("--local-output-dir=/o --media-type=a:b --media-type=c:d").unwrap();
        assert!(options.gcs.dry_run);
        let strategy = options.gcs.config.path_strategy;
        assert_eq!(strategy, Some(PathStrategy::Explicit));
        assert_eq!(options.gcs.config.local_output_dir, "/o");
        assert_eq!(options.gcs.config.media_types.len(), 2);
    }

    #[test]
    fn mistakes_are_told() {
        for line in [
            "--bogus",
            "--path-strategy=none",
            "--gcs-path=s3://b",
            "--media-type=log",
        ] {
            assert!(options(line).is_err(), "{line}");
        }
    }
}
