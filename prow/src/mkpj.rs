//! `prow mkpj`: makes the `ProwJob` of a configured job, for a run by hand.
//!
//! Refs that the command line leaves out are asked of the user or of GitHub, as upstream's mkpj
//! does. Not here: how a job's spec is made, which is in [`common::config`].

mod find;
mod options;
mod refs;
mod trigger;

use std::{ffi::OsString, process::ExitCode};

use anyhow::Context as _;
use common::{
    config::Config,
    prowjob::{ProwJob, new_prowjob},
    service::{self, flags},
};
use jiff::Timestamp;
use uuid::Uuid;

use crate::{print, program};
use options::MkpjOptions;

/// Exits with 0; with 1 when a triggered job fails and --fail-with-job is set; with 2 when there is
/// no `ProwJob` to print.
pub(crate) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let options = match flags::parse_command::<MkpjOptions>(arguments) {
        Ok(options) => options,
        Err(error) => error.exit(),
    };
    service::install_crypto();
    match program::build_runtime().block_on(run_mkpj(&options)) {
        Ok(code) => code,
        Err(error) => program::print_error(&format!("error: {error:#}")),
    }
}

async fn run_mkpj(options: &MkpjOptions) -> anyhow::Result<ExitCode> {
    let config = Config::load_files(&options.config).context("the configuration does not load")?;
    let job = make_prowjob(options, &config).await?;
    if options.trigger_job {
        return trigger::trigger_job(options, &config, job).await;
    }
    print::print_yaml(&job)?;
    Ok(ExitCode::SUCCESS)
}

/// Makes the job without a namespace: the user's kubectl decides where it goes.
async fn make_prowjob(options: &MkpjOptions, config: &Config) -> anyhow::Result<ProwJob> {
    let mut found = find::find_job(&config.jobs, &options.job, &options.partial_refs())?;
    if let Some(refs) = &mut found.spec.refs {
        refs::complete_refs(refs, &options.github).await?;
    }
    let mut job = new_prowjob(
        Uuid::new_v4().to_string(),
        "",
        found.spec,
        &found.labels,
        &found.annotations,
        config.prow.scheduler.first_state(),
        Timestamp::now(),
    );
    job.metadata.namespace = None;
    Ok(job)
}
