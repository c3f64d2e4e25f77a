//! The JSON Schemas of job files, for editors: made from the types that read the files.

use std::sync::LazyLock;

use axum::response::Response;
use common::config::{job_file_schema, prow_jobs_schema};
use http::HeaderMap;

use super::statics;
use crate::assets::Asset;

/// They change with a new release only; an editor asks again after an hour.
const AN_HOUR: &str = "public, max-age=3600";

const SCHEMA: &str = "application/schema+json";

static PROW_JOBS: LazyLock<Asset> =
    LazyLock::new(|| Asset::new(SCHEMA, prow_jobs_schema().to_string()));
static JOBS: LazyLock<Asset> = LazyLock::new(|| Asset::new(SCHEMA, job_file_schema().to_string()));

/// Of `prow-jobs.yaml`, `.prow.yaml` and the files of `.prow/`.
pub(super) async fn prow_jobs(headers: HeaderMap) -> Response {
    statics::answer(&PROW_JOBS, &headers, AN_HOUR)
}

/// Of the files below `--job-config-path`.
pub(super) async fn jobs(headers: HeaderMap) -> Response {
    statics::answer(&JOBS, &headers, AN_HOUR)
}
