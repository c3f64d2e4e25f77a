//! `--trigger-job`: creates the job in Prow's cluster, and waits for its end.

use std::process::ExitCode;

use anyhow::Context as _;
use common::{
    config::Config,
    kube::infra_client,
    prowjob::{ProwJob, ProwJobState},
};
use kube::{Api, api::PostParams, runtime::wait};

use super::MkpjOptions;
use crate::print;

/// Prints the status at the end.
pub(super) async fn trigger_job(
    options: &MkpjOptions,
    config: &Config,
    job: ProwJob,
) -> anyhow::Result<ExitCode> {
    let client = infra_client(&options.kubernetes).await?;
    let jobs: Api<ProwJob> = Api::namespaced(client, &config.prow.prowjob_namespace);
    let name = job.metadata.name.clone().unwrap_or_default();
    jobs.create(&PostParams::default(), &job)
        .await
        .context("the ProwJob cannot be created")?;
    let ended = |job: Option<&ProwJob>| job.is_none_or(ProwJob::is_complete);
    let job = wait::await_condition(jobs, &name, ended)
        .await
        .with_context(|| format!("ProwJob {name} cannot be watched"))?
        .with_context(|| format!("ProwJob {name} was deleted before it ended"))?;
    print::print_yaml(&job.status)?;
    let failed = job.state() != ProwJobState::Success;
    Ok(if failed && options.fail_with_job {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
