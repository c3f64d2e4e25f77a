//! The upload options as flags, as Prow spells them.

use common::prowjob::{GcsConfiguration, PathStrategy};

use super::GcsUploadOptions;

/// The flags of every utility that uploads.
#[derive(Debug, clap::Args)]
pub(crate) struct UploadFlags {
    /// A folder below the job's folder; everything is uploaded into it.
    #[arg(long, default_value = "")]
    sub_dir: String,
    /// How a repository becomes a part of the path: explicit, legacy or single.
    #[arg(long, value_parser = parse_path_strategy, default_value = "explicit")]
    path_strategy: PathStrategy,
    /// The organisation that the path strategy leaves out.
    #[arg(long, default_value = "")]
    default_org: String,
    /// The repository that the path strategy leaves out.
    #[arg(long, default_value = "")]
    default_repo: String,
    /// The bucket, with or without a folder, as in `gs://bucket/folder`.
    #[arg(long, value_parser = parse_bucket_path, default_value = "")]
    gcs_path: BucketPath,
    /// Log what would be uploaded, and upload nothing.
    #[arg(long, value_parser = common::service::flags::parse_bool, default_value = "true", num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    dry_run: bool,
    /// Media types of file extensions, as in log:text/plain; may be repeated.
    #[arg(long, value_parser = parse_media_type, value_delimiter = ',')]
    media_type: Vec<(String, String)>,
    /// Copy to this folder instead of uploading.
    #[arg(long, default_value = "")]
    local_output_dir: String,
    /// A Google service account key.
    #[arg(long, default_value = "")]
    gcs_credentials_file: String,
    /// Credentials for S3 as JSON.
    #[arg(long, default_value = "")]
    s3_credentials_file: String,
    /// Folders and files to upload.
    items: Vec<String>,
}

/// A bucket and a folder in it.
#[derive(Debug, Clone, Default)]
struct BucketPath {
    bucket: String,
    path_prefix: String,
}

impl From<UploadFlags> for GcsUploadOptions {
    fn from(flags: UploadFlags) -> Self {
        let file = |path: String| (!path.is_empty()).then_some(path);
        Self {
            items: flags.items,
            sub_dir: flags.sub_dir,
            config: GcsConfiguration {
                bucket: flags.gcs_path.bucket,
                path_prefix: flags.gcs_path.path_prefix,
                path_strategy: Some(flags.path_strategy),
                default_org: flags.default_org,
                default_repo: flags.default_repo,
                media_types: flags.media_type.into_iter().collect(),
                local_output_dir: flags.local_output_dir,
                ..GcsConfiguration::default()
            },
            gcs_credentials_file: file(flags.gcs_credentials_file),
            s3_credentials_file: file(flags.s3_credentials_file),
            storage_token_file: None,
            dry_run: flags.dry_run,
        }
    }
}

fn parse_path_strategy(text: &str) -> Result<PathStrategy, String> {
    match text {
        "explicit" => Ok(PathStrategy::Explicit),
        "legacy" => Ok(PathStrategy::Legacy),
        "single" => Ok(PathStrategy::Single),
        _ => Err("expected explicit, legacy or single".to_owned()),
    }
}

fn parse_bucket_path(text: &str) -> Result<BucketPath, String> {
    if text.is_empty() {
        return Ok(BucketPath::default());
    }
    let rest = text.strip_prefix("gs://");
    let rest = rest.ok_or_else(|| "expected gs://bucket/folder".to_owned())?;
    let (bucket, path_prefix) = rest.split_once('/').unwrap_or((rest, ""));
    Ok(BucketPath {
        bucket: bucket.to_owned(),
        path_prefix: path_prefix.trim_matches('/').to_owned(),
    })
}

fn parse_media_type(text: &str) -> Result<(String, String), String> {
    let (extension, media_type) = text
        .split_once(':')
        .ok_or_else(|| "expected extension:media-type, as in log:text/plain".to_owned())?;
    Ok((extension.to_owned(), media_type.to_owned()))
}
