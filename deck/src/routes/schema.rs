//! The JSON Schemas of job files, for editors, made from the types that parse the files.

use std::sync::LazyLock;

use axum::response::Response;
use common::config::{job_file_schema, prow_jobs_schema};
use http::HeaderMap;

use super::static_files;
use crate::assets::Asset;

/// The schemas change only with a new release; an editor asks again after an hour.
const AN_HOUR: &str = "public, max-age=3600";

const SCHEMA_MEDIA_TYPE: &str = "application/schema+json";

static PROW_JOBS_SCHEMA: LazyLock<Asset> =
    LazyLock::new(|| Asset::new(SCHEMA_MEDIA_TYPE, prow_jobs_schema().to_string()));
static JOBS_SCHEMA: LazyLock<Asset> =
    LazyLock::new(|| Asset::new(SCHEMA_MEDIA_TYPE, job_file_schema().to_string()));

/// The schema of `prow-jobs.yaml`, `.prow.yaml` and the files of `.prow/`.
pub(super) async fn get_prow_jobs_schema(headers: HeaderMap) -> Response {
    static_files::asset_response(&PROW_JOBS_SCHEMA, &headers, AN_HOUR)
}

/// The schema of the files below `--job-config-path`.
pub(super) async fn get_jobs_schema(headers: HeaderMap) -> Response {
    static_files::asset_response(&JOBS_SCHEMA, &headers, AN_HOUR)
}
