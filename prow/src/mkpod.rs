//! `prow mkpod`: makes the pod that plank would make of a `ProwJob`, for a run by hand.
//!
//! Not here: how the pod is made, which is in [`plank::decorate`].

mod local;
mod options;

use std::{
    ffi::OsString,
    fs, io,
    io::{Read, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use common::{
    build_id::{BuildIdGenerator, SNOWFLAKE_NODE},
    config::yaml,
    prowjob::{ProwJob, ProwJobSpec, ProwJobStatus, StringMap, labels},
    service::flags,
};
use jiff::Timestamp;
use plank::decorate::{self, PodTarget};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::{print, program};
use options::MkpodOptions;

/// Exits with 0, or with 2 when there is no pod to print.
pub(crate) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let options = match flags::parse_command::<MkpodOptions>(arguments) {
        Ok(options) => options,
        Err(error) => error.exit(),
    };
    match run_mkpod(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => program::print_error(&format!("error: {error:#}")),
    }
}

fn run_mkpod(options: &MkpodOptions) -> anyhow::Result<()> {
    if !options.local && options.out_dir.is_some() {
        bail!("--out-dir is only for --local");
    }
    let job = read_prowjob(&options.prow_job)?;
    let build_id = build_id(&options.build_id, &job);
    if build_id.is_empty() {
        let text = "warning: the ProwJob has no build id and --build-id is not given: its results cannot be stored\n";
        io::stderr().write_all(text.as_bytes())?;
    }
    // The user's kubectl decides where it is created.
    let target = PodTarget {
        namespace: "",
        version: "",
    };
    let mut pod = if options.local {
        let folder = local::results_folder(options.out_dir.as_deref(), &job.spec.job, &build_id)?;
        let mut pod = decorate::build_pod_for_folder(&job, &build_id, &target, &folder)?;
        local::replace_volumes(&mut pod, &mut io::stdin().lock(), &mut io::stderr())?;
        pod
    } else {
        decorate::build_pod(&job, &build_id, &target)?
    };
    let metadata = pod["metadata"].as_object_mut();
    let metadata = metadata.context("a pod has metadata")?;
    metadata.remove("namespace");
    if let Some(Value::Object(all)) = metadata.get_mut("labels") {
        all.remove(labels::PLANK_VERSION);
        // Sinker deletes pods with this label that belong to no ProwJob in the cluster.
        all.remove(labels::CREATED_BY_PROW);
    }
    print::print_yaml(&pod)
}

/// `snowflake` asks for a new build id.
fn build_id(asked: &str, job: &ProwJob) -> String {
    let own = job.status.as_ref().map(|status| status.build_id.as_str());
    match asked {
        "" => own.unwrap_or_default().to_owned(),
        _ if asked.eq_ignore_ascii_case("snowflake") => {
            BuildIdGenerator::new(SNOWFLAKE_NODE).next_build_id(Timestamp::now())
        }
        _ => asked.to_owned(),
    }
}

/// The parts of a `ProwJob` that its pod depends on.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
struct ProwJobFile {
    metadata: ProwJobMetadata,
    spec: Option<ProwJobSpec>,
    status: Option<ProwJobStatus>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
struct ProwJobMetadata {
    name: String,
    labels: Option<StringMap>,
    annotations: Option<StringMap>,
}

fn read_prowjob(path: &Path) -> anyhow::Result<ProwJob> {
    let (name, text) = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        ("stdin".to_owned(), text)
    } else {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).with_context(|| name.clone())?;
        (name, text)
    };
    let file: ProwJobFile = yaml::parse_yaml(&name, &text)?;
    let spec = file
        .spec
        .with_context(|| format!("{name} holds no ProwJob: it has no spec"))?;
    let mut job = ProwJob::new(&file.metadata.name, spec);
    job.metadata.labels = file.metadata.labels;
    job.metadata.annotations = file.metadata.annotations;
    job.status = file.status;
    Ok(job)
}
