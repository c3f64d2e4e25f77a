//! A job of each type with every value set that a template may use, so that only a field that no
//! job has can be missing.

use crate::prowjob::{
    ProwJob, ProwJobAgent, ProwJobSpec, ProwJobStatus, ProwJobType, Pull, Refs, ReporterConfig,
};

const TYPES: [ProwJobType; 4] = [
    ProwJobType::Presubmit,
    ProwJobType::Postsubmit,
    ProwJobType::Periodic,
    ProwJobType::Batch,
];

pub(super) fn sample_jobs() -> [ProwJob; 4] {
    TYPES.map(sample_job)
}

fn sample_job(job_type: ProwJobType) -> ProwJob {
    let refs = Refs {
        org: "org".into(),
        repo: "repo".into(),
        pulls: vec![Pull::default()],
        ..Refs::default()
    };
    let spec = ProwJobSpec {
        job_type,
        job: "job".into(),
        agent: ProwJobAgent::kubernetes(),
        refs: Some(refs.clone()),
        extra_refs: vec![refs],
        reporter_config: Some(ReporterConfig {
            slack: Some(Default::default()),
        }),
        ..ProwJobSpec::default()
    };
    let mut job = ProwJob::new("name", spec);
    job.status = Some(ProwJobStatus::default());
    job
}
