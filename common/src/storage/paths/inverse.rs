//! From a key back to its run or its job.
//!
//! A folder is parsed from its end (build id, job, and the segments before them), because it begins
//! with a `path_prefix`, which may be anything. A key continues below its folder with names that
//! the run chose, so it can be parsed in several ways; [`find_runs`] returns all of them. The first
//! one is the run that wrote the key, because [`super::job_dir`] makes no folder inside another.

/// The part of the layout that a run's folder is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderKind {
    /// `pr-logs/pull/[SEG/]PR`: presubmits.
    Pull,
    /// `pr-logs/pull/batch`: batches.
    Batch,
    /// `logs`: postsubmits and periodics.
    Logs,
}

/// A run's folder, and the rest of the key below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunKey<'a> {
    /// Without a slash at the end.
    pub folder: &'a str,
    pub kind: FolderKind,
    /// Empty for a run whose job has no name.
    pub job: &'a str,
    /// It is a number.
    pub build_id: &'a str,
    /// The segment that represents the repository, such as `org_repo`; `None` if the layout or the
    /// path strategy has none.
    pub segment: Option<&'a str>,
    /// The pull request's number; `None` unless the run is a presubmit.
    pub pull: Option<&'a str>,
    /// Without a slash at the start; empty for the folder itself.
    pub rest: &'a str,
}

/// A key outside the runs' folders: a presubmit's alias, or a job's newest build id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PointerKey<'a> {
    /// Empty for runs whose job has no name.
    pub job: &'a str,
    /// The build id of an alias; `None` for `latest-build.txt`, which all runs of the job share.
    pub build_id: Option<&'a str>,
    /// As in [`RunKey::segment`].
    pub segment: Option<&'a str>,
}

/// Every run that the key may belong to, the outermost folder first; empty if it belongs to none.
#[must_use]
pub fn find_runs(key: &str) -> Vec<RunKey<'_>> {
    let ends = key.match_indices('/').map(|(at, _)| at);
    ends.chain([key.len()])
        .filter_map(|end| {
            let run = parse_run_folder(&key[..end])?;
            let rest = key[end..].trim_start_matches('/');
            let is_a_jobs = run.job.is_empty() && is_below_a_job(rest);
            (!is_a_jobs).then_some(RunKey { rest, ..run })
        })
        .collect()
}

/// Whether `rest` shows that the folder is not that of a run without a job's name, but that of a
/// job whose name is a number.
fn is_below_a_job(rest: &str) -> bool {
    rest == super::LATEST_BUILD || rest.split('/').next().is_some_and(is_number)
}

/// The run whose folder this is, without anything below it.
#[must_use]
pub fn parse_run_folder(folder: &str) -> Option<RunKey<'_>> {
    let mut segments = folder.rsplit('/');
    let build_id = segments.next().filter(|id| is_number(id))?;
    let before: [Option<&str>; 5] = std::array::from_fn(|_| segments.next());
    let (kind, job, segment, pull) = match before {
        [Some(""), ..] => return None,
        [Some(job), Some("logs"), ..] => (FolderKind::Logs, job, None, None),
        [Some(job), Some("batch"), Some("pull"), Some("pr-logs"), _] => {
            (FolderKind::Batch, job, None, None)
        }
        [Some(job), Some(pull), Some("pull"), Some("pr-logs"), _] if is_number(pull) => {
            (FolderKind::Pull, job, None, Some(pull))
        }
        [
            Some(job),
            Some(pull),
            Some(segment),
            Some("pull"),
            Some("pr-logs"),
        ] if is_number(pull) => (FolderKind::Pull, job, Some(segment), Some(pull)),
        // Without a job's name, its segment is missing.
        [Some("logs"), ..] => (FolderKind::Logs, "", None, None),
        [Some("batch"), Some("pull"), Some("pr-logs"), ..] => (FolderKind::Batch, "", None, None),
        [Some(pull), Some(segment), Some("pull"), Some("pr-logs"), _]
            if is_number(pull) && !is_number(segment) =>
        {
            (FolderKind::Pull, "", Some(segment), Some(pull))
        }
        _ => return None,
    };
    Some(RunKey {
        folder,
        kind,
        job,
        build_id,
        segment,
        pull,
        rest: "",
    })
}

/// Parses a pointer key. Pointer keys have no prefix, even if the folders have one.
#[must_use]
pub fn parse_pointer_key(key: &str) -> Option<PointerKey<'_>> {
    let segments: Vec<&str> = key.split('/').collect();
    let (job, name, segment) = match segments.as_slice() {
        ["logs", "", ..] | ["pr-logs", "directory", "", ..] => return None,
        ["logs", job, name] => (*job, *name, None),
        ["pr-logs", "directory", job, name] => (*job, *name, None),
        ["pr-logs", "pull", pull, job, name] if is_number(pull) => (*job, *name, None),
        ["pr-logs", "pull", segment, pull, job, name] if is_number(pull) => {
            (*job, *name, Some(*segment))
        }
        // Without a job's name, its segment is missing.
        ["logs", name @ super::LATEST_BUILD] => ("", *name, None),
        ["pr-logs", "directory", name] => ("", *name, None),
        ["pr-logs", "pull", segment, pull, name @ super::LATEST_BUILD] if is_number(pull) => {
            ("", *name, Some(*segment))
        }
        _ => return None,
    };
    let alias = || name.strip_suffix(".txt").filter(|id| is_number(id));
    let build_id = match (name == super::LATEST_BUILD, segments[1]) {
        (true, _) => None,
        (false, "directory") => Some(alias()?),
        (false, _) => return None,
    };
    Some(PointerKey {
        job,
        build_id,
        segment,
    })
}

pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
