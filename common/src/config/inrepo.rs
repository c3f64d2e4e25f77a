//! The jobs a repository brings itself. Pure: the files' contents come in, jobs or errors go
//! out; reading them from git is hook's.
//!
//! Strict where the central files are lenient: whoever wrote the file reads the errors. An
//! unknown field is one, with the nearest known name.

use std::sync::{Arc, LazyLock};

use serde_json::Value;

use super::{
    Config, Errors, JobBase, Origin, Path, Postsubmit, Preset, Presubmit, Problem, Segment,
    defaults::Completion,
    files::origin,
    findings::Findings,
    job::{InRepoFile, KeyedInRepoFile, Patterns, PostsubmitFields, PresubmitFields},
    preset,
    schema::{Shape, Unknown},
    validate,
    yaml::{self, Trust},
};

/// No file of a repository is larger.
pub const MAX_BYTES: usize = 1 << 20;

static LISTS: LazyLock<Shape> = LazyLock::new(Shape::of::<InRepoFile>);
static KEYED: LazyLock<Shape> = LazyLock::new(Shape::of::<KeyedInRepoFile>);

/// A repository's own jobs with defaults and presets, checked together with the central ones.
#[derive(Clone, Debug, Default)]
pub struct InRepo {
    pub presubmits: Vec<Arc<Presubmit>>,
    pub postsubmits: Vec<Arc<Postsubmit>>,
}

/// Reads `files`, pairs of path and content, for the repository `org_repo` (`org/repo`).
///
/// A file holds plain lists of jobs, as `.prow.yaml` does, or lists by repository, as a central
/// job file does; there, only the own repository may be named. Any mistake refuses all files.
pub fn parse(
    files: &[(String, String)],
    org_repo: &str,
    config: &Config,
) -> Result<InRepo, Errors> {
    let mut problems = Vec::new();
    let mut written = Vec::new();
    for (file, text) in files {
        match read(file, text, org_repo) {
            Ok(content) => written.push((Arc::from(file.as_str()), content)),
            Err(errors) => problems.extend(errors.0),
        }
    }
    if !problems.is_empty() {
        return Err(Errors(problems));
    }
    let mut findings = Findings::default();
    let own = complete(written, org_repo, config, &mut findings);
    check(&own, org_repo, config, &mut findings);
    findings.into_result(|file| text_of(files, file))?;
    Ok(own)
}

fn text_of(files: &[(String, String)], name: &str) -> Option<String> {
    let (_, text) = files.iter().find(|(file, _)| file == name)?;
    Some(text.clone())
}

/// A file's jobs with their place in the document.
#[derive(Default)]
struct Written {
    presets: Vec<Preset>,
    presubmits: Vec<(Origin, PresubmitFields)>,
    postsubmits: Vec<(Origin, PostsubmitFields)>,
}

fn read(file: &str, text: &str, org_repo: &str) -> Result<Written, Errors> {
    if text.len() > MAX_BYTES {
        let message = format!("is larger than {} KiB", MAX_BYTES >> 10);
        return Err(Problem::in_file("file", file, message).into());
    }
    let mut value: Value = yaml::read(file, text, Trust::Stranger)?;
    let keyed = ["presubmits", "postsubmits"]
        .iter()
        .any(|key| value.get(key).is_some_and(Value::is_object));
    let name: Arc<str> = file.into();
    let mut findings = Findings::default();
    let shape: &Shape = if keyed { &KEYED } else { &LISTS };
    shape.fit(
        &mut value,
        &Path::Root,
        Unknown::Refuse,
        &mut |path, message, hint| {
            let hint = match path.segments().as_slice() {
                [Segment::Key(key)] if key == "periodics" => {
                    Some("periodics stand in the central configuration".to_owned())
                }
                _ => hint,
            };
            findings.add_with_hint("field", &name, path, message, hint);
        },
    );
    let foreign = ["presubmits", "postsubmits"]
        .into_iter()
        .filter_map(|section| Some((section, value.get(section)?.as_object()?)))
        .flat_map(|(section, repos)| repos.keys().map(move |repo| (section, repo)))
        .filter(|(_, repo)| *repo != org_repo);
    for (section, repo) in foreign {
        findings.add_with_hint(
            "other-repository",
            &name,
            &Path::Root.key(section).key(repo),
            format!("found jobs of {repo:?}, expected only those of {org_repo:?}"),
            Some("a repository cannot bring jobs for another one".into()),
        );
    }
    findings.into_result(|_| Some(text.to_owned()))?;
    written(&name, text, keyed)
}

fn written(name: &Arc<str>, text: &str, keyed: bool) -> Result<Written, Errors> {
    let (presets, presubmits, postsubmits) = if keyed {
        let file: KeyedInRepoFile = yaml::read(name, text, Trust::Stranger)?;
        (
            file.presets,
            by_key(name, "presubmits", file.presubmits),
            by_key(name, "postsubmits", file.postsubmits),
        )
    } else {
        let file: InRepoFile = yaml::read(name, text, Trust::Stranger)?;
        (
            file.presets,
            in_order(name, "presubmits", None, file.presubmits),
            in_order(name, "postsubmits", None, file.postsubmits),
        )
    };
    Ok(Written {
        presets,
        presubmits,
        postsubmits,
    })
}

fn by_key<T>(
    file: &Arc<str>,
    section: &str,
    repos: std::collections::BTreeMap<String, Option<Vec<T>>>,
) -> Vec<(Origin, T)> {
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
) -> Vec<(Origin, T)> {
    let jobs = jobs.into_iter().enumerate();
    jobs.map(|(index, job)| (origin(file, section, repo, index), job))
        .collect()
}

fn complete(
    written: Vec<(Arc<str>, Written)>,
    org_repo: &str,
    config: &Config,
    findings: &mut Findings,
) -> InRepo {
    let mut presets = config.jobs.presets.clone();
    for (file, content) in &written {
        for (index, preset) in content.presets.iter().enumerate() {
            let mut preset = preset.clone();
            preset.origin = origin(file, "presets", None, index);
            preset.normalise(findings);
            presets.push(preset);
        }
    }
    preset::check_distinct(&presets, findings);
    let mut completion = Completion {
        prow: &config.prow,
        presets: &presets,
        patterns: Patterns::default(),
        findings,
    };
    let mut own = InRepo::default();
    for (_, content) in written {
        for (origin, fields) in content.presubmits {
            let job = completion.presubmit(fields, origin, org_repo);
            own.presubmits.push(Arc::new(job));
        }
        for (origin, fields) in content.postsubmits {
            let job = completion.postsubmit(fields, origin, org_repo);
            own.postsubmits.push(Arc::new(job));
        }
    }
    own
}

/// The rules for every job, the rules between these and the central jobs, and the clusters that
/// the repository may use.
fn check(own: &InRepo, org_repo: &str, config: &Config, findings: &mut Findings) {
    let (org, repo) = org_repo.split_once('/').unwrap_or((org_repo, ""));
    let clusters = config.prow.in_repo_config.clusters(org, repo);
    for job in &own.presubmits {
        validate::presubmit(job, &config.prow, findings);
        cluster(&job.base, &clusters, findings);
    }
    for job in &own.postsubmits {
        validate::postsubmit(job, &config.prow, findings);
        cluster(&job.base, &clusters, findings);
    }
    let central = config.presubmits_for(org_repo);
    validate::presubmits(&[central, &own.presubmits].concat(), findings);
    let central = config.postsubmits_for(org_repo);
    validate::postsubmits(&[central, &own.postsubmits].concat(), findings);
}

fn cluster(job: &JobBase, allowed: &[&str], findings: &mut Findings) {
    if !allowed.contains(&job.cluster.as_str()) {
        findings.job(
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

#[cfg(test)]
mod tests;
