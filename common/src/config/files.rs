//! Reading the files of an installation, and putting their content together.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use flate2::read::GzDecoder;
use serde_json::Value;

use super::{
    Config, Errors, JobConfig, Options, Origin, Preset, Problem, ProwConfig, Segment,
    defaults::Completion,
    findings::Findings,
    job::{JobFile, Patterns},
    preset, validate, yaml,
};

/// No configuration file is larger, packed or not.
const MAX_BYTES: u64 = 32 << 20;

/// Keys of `config.yaml` that are read here.
const USED: [&str; 16] = [
    "prowjob_namespace",
    "pod_namespace",
    "log_level",
    "github",
    "plank",
    "sinker",
    "in_repo_config",
    "github_reporter",
    "prowjob_default_entries",
    "deck",
    "decorate_all_jobs",
    "presets",
    "presubmits",
    "postsubmits",
    "periodics",
    "prow_ignored",
];

/// A file's text; gzip is recognised by its first bytes.
pub(super) fn read(path: &FilePath) -> Result<String, Errors> {
    read_bytes(path)
        .map_err(|message| Problem::in_file("file", path.display().to_string(), message).into())
}

fn read_bytes(path: &FilePath) -> Result<String, String> {
    let file = fs::File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    let bytes = take_all(file)?;
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        take_all(GzDecoder::new(bytes.as_slice()))?
    } else {
        bytes
    };
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
}

fn take_all(source: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    source
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("is larger than {} MiB", MAX_BYTES >> 20));
    }
    Ok(bytes)
}

/// Reads everything that `options` name.
pub(super) fn load(options: &Options) -> Result<Config, Errors> {
    refuse_unsupported(options)?;
    let config_file: Arc<str> = options.config_path.display().to_string().into();
    let text = read(&options.config_path)?;
    let mut prow: ProwConfig = yaml::parse(&config_file, &text)?;
    prow.unused = yaml::parse::<BTreeMap<String, Value>>(&config_file, &text)?;
    prow.unused.retain(|key, _| !USED.contains(&key.as_str()));

    let mut files = vec![(Arc::clone(&config_file), yaml::parse(&config_file, &text)?)];
    if let Some(path) = &options.job_config_path {
        files.extend(read_all(&job_files(path)?)?);
    }
    let mut findings = Findings::default();
    validate::sections(&config_file, &prow, &mut findings);
    let jobs = assemble(files, &prow, &mut findings);
    validate::jobs(&jobs, &prow, &mut findings);
    findings.into_result(|file| read_bytes(FilePath::new(file)).ok())?;
    Ok(Config { prow, jobs })
}

fn refuse_unsupported(options: &Options) -> Result<(), Errors> {
    let refuse =
        |what: String, message: &str| Err(Problem::in_file("options", what, message).into());
    if let Some(dir) = options.supplemental_prow_config_dir.first() {
        return refuse(
            dir.display().to_string(),
            "--supplemental-prow-config-dir is not supported yet",
        );
    }
    if options.moonraker_address.is_some() {
        return refuse(
            "--moonraker-address".into(),
            "there is no moonraker here: in-repo configuration is read by hook itself",
        );
    }
    if options.config_path.as_os_str().is_empty() {
        return refuse("--config-path".into(), "is required");
    }
    Ok(())
}

/// Job files below a path in a fixed order.
fn job_files(path: &FilePath) -> Result<Vec<PathBuf>, Errors> {
    let mut files = Vec::new();
    let mut problems = Vec::new();
    let metadata = fs::metadata(path);
    match metadata {
        Ok(metadata) if metadata.is_dir() => walk(path, &mut files, &mut problems),
        Ok(_) => files.push(path.to_owned()),
        Err(error) => problems.push(cannot_read(path, &error)),
    }
    files.sort();
    let mut seen: BTreeMap<_, &PathBuf> = BTreeMap::new();
    for file in &files {
        // One ConfigMap holds them all, keyed by base name.
        if let Some(first) = seen.insert(file.file_name(), file) {
            problems.push(Problem::in_file(
                "file-name",
                file.display().to_string(),
                format!("another job file has this name: {}", first.display()),
            ));
        }
    }
    if problems.is_empty() {
        Ok(files)
    } else {
        Err(Errors(problems))
    }
}

fn walk(dir: &FilePath, files: &mut Vec<PathBuf>, problems: &mut Vec<Problem>) {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => return problems.push(cannot_read(dir, &error)),
    };
    for entry in entries {
        let (path, is_dir) = match entry.and_then(|entry| Ok((entry.path(), entry.file_type()?))) {
            Ok((path, kind)) => (path, kind.is_dir()),
            Err(error) => {
                problems.push(cannot_read(dir, &error));
                continue;
            }
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_yaml = path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        if name.starts_with("..") {
            // How Kubernetes swaps a mounted ConfigMap.
        } else if is_dir {
            walk(&path, files, problems);
        } else if name == ".prowignore" {
            problems.push(Problem::in_file(
                "file",
                path.display().to_string(),
                "leaving files out by .prowignore is not supported yet",
            ));
        } else if is_yaml {
            files.push(path);
        }
    }
}

fn cannot_read(path: &FilePath, error: &std::io::Error) -> Problem {
    Problem::in_file(
        "file",
        path.display().to_string(),
        format!("cannot be read: {error}"),
    )
}

/// Reads files on all processors; every broken one is told.
fn read_all(files: &[PathBuf]) -> Result<Vec<(Arc<str>, JobFile)>, Errors> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let chunk = files.len().div_ceil(threads).max(1);
    let results: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = files
            .chunks(chunk)
            .map(|chunk| {
                scope.spawn(move || chunk.iter().map(|path| read_one(path)).collect::<Vec<_>>())
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("reading a file does not panic"))
            .collect()
    });
    let mut read = Vec::new();
    let mut problems = Vec::new();
    for result in results {
        match result {
            Ok(file) => read.push(file),
            Err(errors) => problems.extend(errors.0),
        }
    }
    if problems.is_empty() {
        Ok(read)
    } else {
        Err(Errors(problems))
    }
}

fn read_one(path: &FilePath) -> Result<(Arc<str>, JobFile), Errors> {
    let file: Arc<str> = path.display().to_string().into();
    let jobs = yaml::parse(&file, &read(path)?)?;
    Ok((file, jobs))
}

/// Completes the jobs of all files with the presets of all files.
fn assemble(
    files: Vec<(Arc<str>, JobFile)>,
    prow: &ProwConfig,
    findings: &mut Findings,
) -> JobConfig {
    let mut files = files;
    let mut presets: Vec<Preset> = Vec::new();
    for (file, content) in &mut files {
        for (index, mut preset) in content.presets.drain(..).enumerate() {
            preset.origin = Origin {
                file: Arc::clone(file),
                path: vec![Segment::Key("presets".into()), Segment::Index(index)],
            };
            preset.normalise(findings);
            presets.push(preset);
        }
    }
    preset::check_distinct(&presets, findings);
    let mut jobs = JobConfig::default();
    let mut completion = Completion {
        prow,
        presets: &presets,
        patterns: Patterns::default(),
        findings,
    };
    for (file, content) in files {
        for (repo, list) in content.presubmits {
            let complete = list
                .into_iter()
                .flatten()
                .enumerate()
                .map(|(index, fields)| {
                    let origin = origin(&file, "presubmits", Some(&repo), index);
                    Arc::new(completion.presubmit(fields, origin, &repo))
                });
            jobs.presubmits
                .entry(repo.clone())
                .or_default()
                .extend(complete);
        }
        for (repo, list) in content.postsubmits {
            let complete = list
                .into_iter()
                .flatten()
                .enumerate()
                .map(|(index, fields)| {
                    let origin = origin(&file, "postsubmits", Some(&repo), index);
                    Arc::new(completion.postsubmit(fields, origin, &repo))
                });
            jobs.postsubmits
                .entry(repo.clone())
                .or_default()
                .extend(complete);
        }
        for (index, fields) in content.periodics.into_iter().enumerate() {
            let origin = origin(&file, "periodics", None, index);
            jobs.periodics
                .push(Arc::new(completion.periodic(fields, origin)));
        }
    }
    jobs.presets = presets;
    jobs
}

pub(super) fn origin(file: &Arc<str>, section: &str, repo: Option<&str>, index: usize) -> Origin {
    let keys = [Some(section), repo];
    let mut path: Vec<_> = keys
        .into_iter()
        .flatten()
        .map(|key| Segment::Key(key.to_owned()))
        .collect();
    path.push(Segment::Index(index));
    Origin {
        file: Arc::clone(file),
        path,
    }
}

#[cfg(test)]
mod tests;
