//! The jobs in a repository's own files. Pure: the files' contents come in, jobs or errors go
//! out; hook reads the files from git.
//!
//! Strict where central files are lenient: whoever wrote the file reads the errors. An unknown
//! field is an error that suggests the nearest known name.

use std::sync::Arc;

use super::{
    Config, ConfigErrors, ConfigOrigin, ConfigPath, Diagnostic, JobBase, Postsubmit, Preset,
    Presubmit,
    buckets::AllowedBuckets,
    decoration_cache::DecorationCache,
    defaults::JobDefaulter,
    diagnostics::Diagnostics,
    file_jobs::config_origin,
    job::{GoRegexpCache, InRepoFile, KeyedInRepoFile, PostsubmitFields, PresubmitFields},
    validate,
    yaml::{self, DocumentTrust, GoType, YamlDocument},
};
use crate::repo_names;
use crate::storage::Bucket;

/// Maximum size of a file in a repository.
pub const MAX_BYTES: usize = 1 << 20;

/// A repository's own jobs with defaults and presets, validated together with the central ones.
#[derive(Clone, Debug, Default)]
pub struct InRepoJobs {
    pub presubmits: Vec<Arc<Presubmit>>,
    pub postsubmits: Vec<Arc<Postsubmit>>,
    /// Warnings about fields that have no effect.
    pub remarks: Vec<Diagnostic>,
}

/// Parses `files`, pairs of path and content, for the repository `org_repo` (`org/repo`).
///
/// A file holds plain lists of jobs, as `.prow.yaml` does, or lists by repository, as a central
/// job file does; there the only key is the own repository. An error in one refuses all files.
pub fn parse_in_repo_files(
    files: &[(String, String)],
    org_repo: &str,
    config: &Config,
) -> Result<InRepoJobs, ConfigErrors> {
    let mut problems = Vec::new();
    let mut written = Vec::new();
    for (file, text) in files {
        match parse_in_repo_file(file, text, org_repo) {
            Ok(content) => written.push((Arc::from(file.as_str()), content)),
            Err(errors) => problems.extend(errors.0),
        }
    }
    if !problems.is_empty() {
        return Err(ConfigErrors(problems));
    }
    let mut findings = Diagnostics::default();
    let own = complete_jobs(written, org_repo, config, &mut findings);
    check_jobs(&own, org_repo, config, &mut findings);
    findings.into_result(|file| text_of(files, file))?;
    Ok(own)
}

fn text_of(files: &[(String, String)], name: &str) -> Option<String> {
    let (_, text) = files.iter().find(|(file, _)| file == name)?;
    Some(text.clone())
}

/// A file's jobs with their origins.
#[derive(Default)]
struct ParsedInRepoFile {
    remarks: Vec<Diagnostic>,
    presets: Vec<Preset>,
    presubmits: Vec<(ConfigOrigin, PresubmitFields)>,
    postsubmits: Vec<(ConfigOrigin, PostsubmitFields)>,
}

fn parse_in_repo_file(
    file: &str,
    text: &str,
    org_repo: &str,
) -> Result<ParsedInRepoFile, ConfigErrors> {
    if text.len() > MAX_BYTES {
        let message = format!("is larger than {} KiB", MAX_BYTES >> 10);
        return Err(Diagnostic::in_file("file", file, message).into());
    }
    let tree = yaml::parse_tree(file, text, DocumentTrust::Stranger)?;
    let tree = tree.as_ref();
    let keyed = tree.is_some_and(|tree| {
        let mut sections = ["presubmits", "postsubmits"].into_iter();
        sections.any(|section| tree.has_mapping(section))
    });
    let name: Arc<str> = file.into();
    if !keyed {
        let document =
            yaml::deserialize_tree(file, tree, GoType::ProwYaml, DocumentTrust::Stranger)?;
        let (file, remarks): (InRepoFile, _) = refuse_remarks(document)?;
        return Ok(ParsedInRepoFile {
            remarks,
            presets: file.presets,
            presubmits: in_order(&name, "presubmits", None, file.presubmits),
            postsubmits: in_order(&name, "postsubmits", None, file.postsubmits),
        });
    }
    let document = yaml::deserialize_tree(file, tree, GoType::JobConfig, DocumentTrust::Stranger)?;
    let (file, remarks): (KeyedInRepoFile, _) = refuse_remarks(document)?;
    let mut findings = Diagnostics::default();
    let repos = file.presubmits.keys().map(|repo| ("presubmits", repo));
    let repos = repos.chain(file.postsubmits.keys().map(|repo| ("postsubmits", repo)));
    for (section, repo) in repos.filter(|(_, repo)| !repo_names::is_same_name(repo, org_repo)) {
        findings.add_with_hint(
            "other-repository",
            &name,
            &ConfigPath::Root.key(section).key(repo),
            format!("found jobs of {repo:?}, expected only those of {org_repo:?}"),
            Some("a repository cannot bring jobs for another one".into()),
        );
    }
    findings.into_result(|_| Some(text.to_owned()))?;
    Ok(ParsedInRepoFile {
        remarks,
        presets: file.presets,
        presubmits: by_key(&name, "presubmits", file.presubmits),
        postsubmits: by_key(&name, "postsubmits", file.postsubmits),
    })
}

/// Refuses a document with unknown fields or duplicate keys. Two unknown fields are tolerated: keys
/// that begin with a dot, which hold anchors, and `periodics`, which belong to the central
/// configuration and get a warning.
fn refuse_remarks<T>(document: YamlDocument<T>) -> Result<(T, Vec<Diagnostic>), ConfigErrors> {
    let remarks = document.remarks.into_iter();
    let (passing, problems): (Vec<_>, Vec<_>) = remarks.partition(is_tolerated);
    if problems.is_empty() {
        let told = passing.into_iter().filter(|it| it.path == "periodics");
        let told = told.map(|problem| Diagnostic {
            message: "periodics of a repository do not run".into(),
            hint: Some("periodics stand in the central configuration".into()),
            ..problem
        });
        Ok((document.value, told.collect()))
    } else {
        Err(ConfigErrors(problems))
    }
}

fn is_tolerated(remark: &Diagnostic) -> bool {
    remark.rule == "unknown-field" && (remark.path == "periodics" || remark.path.starts_with("\"."))
}

fn by_key<T>(
    file: &Arc<str>,
    section: &str,
    repos: std::collections::BTreeMap<String, Option<Vec<T>>>,
) -> Vec<(ConfigOrigin, T)> {
    let lists = repos.into_iter();
    lists
        .flat_map(|(repo, jobs)| in_order(file, section, Some(&repo), jobs.unwrap_or_default()))
        .collect()
}

fn in_order<T>(
    file: &Arc<str>,
    section: &str,
    repo: Option<&str>,
    jobs: Vec<T>,
) -> Vec<(ConfigOrigin, T)> {
    let jobs = jobs.into_iter().enumerate();
    jobs.map(|(index, job)| (config_origin(file, section, repo, index), job))
        .collect()
}

fn complete_jobs(
    written: Vec<(Arc<str>, ParsedInRepoFile)>,
    org_repo: &str,
    config: &Config,
    findings: &mut Diagnostics,
) -> InRepoJobs {
    let mut presets = config.jobs.presets.clone();
    for (file, content) in &written {
        for (index, preset) in content.presets.iter().enumerate() {
            let mut preset = preset.clone();
            preset.origin = config_origin(file, "presets", None, index);
            presets.push(preset);
        }
    }
    let mut completion = JobDefaulter {
        prow: &config.prow,
        presets: &presets,
        decorations: &DecorationCache::new(&config.prow.plank),
        patterns: GoRegexpCache::default(),
        findings,
    };
    let mut own = InRepoJobs::default();
    for (_, content) in written {
        own.remarks.extend(content.remarks);
        for (origin, fields) in content.presubmits {
            let job = completion.complete_presubmit(fields, origin, org_repo);
            own.presubmits.push(Arc::new(job));
        }
        for (origin, fields) in content.postsubmits {
            let job = completion.complete_postsubmit(fields, origin, org_repo);
            own.postsubmits.push(Arc::new(job));
        }
    }
    own
}

/// Checks the rules for every job, the rules between these and the central jobs, and the clusters
/// and buckets that the repository may use.
fn check_jobs(own: &InRepoJobs, org_repo: &str, config: &Config, findings: &mut Diagnostics) {
    let (org, repo) = org_repo.split_once('/').unwrap_or((org_repo, ""));
    let clusters = config.prow.in_repo_config.allowed_clusters_for(org, repo);
    let buckets = AllowedBuckets::from_config(config);
    for job in &own.presubmits {
        validate::validate_presubmit(job, findings);
        check_cluster(&job.base, &clusters, findings);
        check_bucket(&job.base, &buckets, findings);
    }
    for job in &own.postsubmits {
        validate::validate_postsubmit(job, findings);
        check_cluster(&job.base, &clusters, findings);
        check_bucket(&job.base, &buckets, findings);
    }
    let central = config.presubmits_for(org_repo);
    validate::validate_unique_presubmits(&[central, &own.presubmits].concat(), findings);
    let central = config.postsubmits_for(org_repo);
    validate::validate_unique_postsubmits(&[central, &own.postsubmits].concat(), findings);
}

fn check_cluster(job: &JobBase, allowed: &[&str], findings: &mut Diagnostics) {
    if !allowed.contains(&job.cluster.as_str()) {
        findings.add_job_diagnostic(
            "cluster",
            &job.origin,
            "cluster",
            format!(
                "found {:?}, expected one of the clusters that this repository may use: {}",
                job.cluster,
                allowed.join(", ")
            ),
        );
    }
}

/// Results go to the installation's buckets only: pods and services send credentials there.
fn check_bucket(job: &JobBase, allowed: &AllowedBuckets, findings: &mut Diagnostics) {
    let decoration = job.utility.decoration_config.as_deref();
    let Some(storage) = decoration.and_then(|it| it.gcs_configuration.as_ref()) else {
        return;
    };
    let bucket = &storage.bucket;
    if bucket.is_empty() || Bucket::parse_url(bucket).is_ok_and(|it| allowed.names_bucket(&it)) {
        return;
    }
    let root = ConfigPath::Below(&job.origin.path);
    let decoration = root.key("decoration_config");
    let storage = decoration.key("gcs_configuration");
    findings.add_with_hint(
        "bucket",
        &job.origin.file,
        &storage.key("bucket"),
        format!("found {bucket:?}, expected a bucket that the installation's configuration names"),
        Some(
            "leave it out to store results where other jobs do, or ask the operator to add it to \
             deck.additional_allowed_buckets"
                .into(),
        ),
    );
}

#[cfg(test)]
mod tests;
