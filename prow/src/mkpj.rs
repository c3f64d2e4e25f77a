//! `prow mkpj`: the `ProwJob` of a configured job, for a try by hand.
//!
//! What the command line leaves out of the refs is asked of the person or of GitHub, as upstream's
//! mkpj does. Not here: what a job's spec is made of, which is [`common::config`].

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

/// Ends with 0, with 1 where a triggered job fails and --fail-with-job is set, and with 2 where
/// there is no `ProwJob` to print.
pub(crate) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let options = match flags::parse_command::<MkpjOptions>(arguments) {
        Ok(options) => options,
        Err(error) => error.exit(),
    };
    service::install_crypto();
    match program::build_runtime().block_on(run_mkpj(&options)) {
        Ok(code) => code,
        Err(error) => program::print_usage_error(&format!("error: {error:#}")),
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

/// The job without a namespace: it goes where the person's kubectl creates things.
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
