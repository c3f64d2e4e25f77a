//! Which key holds what: Prow's layout, so that existing readers find everything.
//!
//! ```text
//! [path_prefix/]pr-logs/pull/SEG/PR/JOB/BUILD      presubmit
//! [path_prefix/]pr-logs/pull/batch/JOB/BUILD       batch
//! [path_prefix/]logs/JOB/BUILD                     postsubmit, periodic
//! pr-logs/directory/JOB/BUILD.txt                  alias of a presubmit: the URL of its folder
//! logs/JOB/latest-build.txt                        the newest build id of a job
//! pr-logs/directory/JOB/latest-build.txt           the same
//! pr-logs/pull/SEG/PR/JOB/latest-build.txt         the same, of a pull request
//! ```
//!
//! A job without a name has no segment JOB.

use crate::prowjob::{GcsConfiguration, PathStrategy, ProwJobType, Refs};

use self::inverse::FolderKind;
use super::{StorageError, key};

pub mod inverse;

/// The files of a run, below its folder.
pub const STARTED: &str = "started.json";
pub const FINISHED: &str = "finished.json";
pub const BUILD_LOG: &str = "build-log.txt";
pub const CLONE_LOG: &str = "clone-log.txt";
pub const CLONE_RECORDS: &str = "clone-records.json";
pub const SIDECAR_LOG: &str = "sidecar-logs.json";
pub const PROW_JOB: &str = "prowjob.json";
pub const POD_INFO: &str = "podinfo.json";
/// The failure digest; Prow has no such file.
pub const FAILURE_DIGEST: &str = "failure.json";
pub const ARTIFACTS: &str = "artifacts";
/// The name that plank gives the only container of a test.
pub const TEST_CONTAINER: &str = "test";
/// The newest build id of a job.
pub const LATEST_BUILD: &str = "latest-build.txt";
const NAMELESS: &str = "the job has no name, and the repository no segment of its own";
const INSIDE_ANOTHER: &str = "it reads as a part of another run's folder";

/// The name of a container's log, for a test with that number of containers.
#[must_use]
pub fn build_log(container: &str, containers: usize) -> String {
    if containers > 1 {
        format!("{container}-{BUILD_LOG}")
    } else {
        BUILD_LOG.to_owned()
    }
}

/// The part of a job that its keys depend on.
#[derive(Debug, Clone, Copy)]
pub struct JobPathParts<'a> {
    pub job_type: ProwJobType,
    pub name: &'a str,
    pub build_id: &'a str,
    pub refs: Option<&'a Refs>,
}

/// The folder of one run, without a slash at the end.
///
/// An error if a presubmit has no pull request, if a name cannot be part of a key, or if
/// [`inverse`] would attribute the folder's objects to another run: no two runs share a key.
pub fn job_dir(config: &GcsConfiguration, job: &JobPathParts<'_>) -> Result<String, StorageError> {
    let base = match job.job_type {
        ProwJobType::Presubmit => join_segments(&[&pull_dir(config, job)?, job.name, job.build_id]),
        ProwJobType::Batch => join_segments(&["pr-logs/pull/batch", job.name, job.build_id]),
        ProwJobType::Postsubmit | ProwJobType::Periodic => {
            join_segments(&["logs", job.name, job.build_id])
        }
        ProwJobType::Unset => return Err(missing_type_error(job)),
    };
    let dir = join_segments(&[config.path_prefix.trim_matches('/'), &base]);
    if job.name.contains('/') {
        let fault = "the job's name has to be one segment";
        return Err(StorageError::InvalidKey(dir, fault));
    }
    key::validate_key(&dir)?;
    if !inverse::is_number(job.build_id) {
        return Err(StorageError::InvalidKey(
            dir,
            "the build id has to be a number",
        ));
    }
    // A repository with a slash could imitate a segment and the folder above it.
    let own = own_segment(config, job);
    let is_own = |run: &inverse::RunKey<'_>| {
        run.rest.is_empty() && run.job == job.name && run.segment.unwrap_or_default() == own
    };
    match inverse::find_runs(&dir).as_slice() {
        [run] if is_own(run) => Ok(dir),
        [] if job.name.is_empty() => Err(StorageError::InvalidKey(dir, NAMELESS)),
        [] => Err(StorageError::InvalidKey(
            dir,
            "organisation or repository has a slash",
        )),
        _ => Err(StorageError::InvalidKey(dir, INSIDE_ANOTHER)),
    }
}

/// The segment that represents a presubmit's repository; other jobs have none.
fn own_segment(config: &GcsConfiguration, job: &JobPathParts<'_>) -> String {
    let refs = job.refs.filter(|_| job.job_type == ProwJobType::Presubmit);
    refs.map_or_else(String::new, |refs| {
        repo_segment(config, &refs.org, &refs.repo)
    })
}

/// Refuses a `path_prefix` below which a run's folder would be inside another's.
///
/// Pass the job's name if it is known: it may be a number and look like a build id.
pub fn check_path_prefix(prefix: &str, job: Option<&str>) -> Result<(), StorageError> {
    let prefix = prefix.trim_matches('/');
    // An invalid name is reported elsewhere.
    let job = job.filter(|job| key::validate_key(job).is_ok() && !job.contains('/'));
    let job = job.unwrap_or("job");
    ["logs", "pr-logs/pull/batch", "pr-logs/pull/org_repo/1"]
        .into_iter()
        .try_for_each(|base| {
            let dir = join_segments(&[prefix, base, job, "1"]);
            key::validate_key(&dir)?;
            match inverse::find_runs(&dir).len() {
                1 => Ok(()),
                _ => Err(StorageError::InvalidKey(dir, INSIDE_ANOTHER)),
            }
        })
}

/// The key that holds the URL of a presubmit's folder; other types have none.
#[must_use]
pub fn alias_key(job: &JobPathParts<'_>) -> Option<String> {
    (job.job_type == ProwJobType::Presubmit).then(|| {
        join_segments(&[
            "pr-logs/directory",
            job.name,
            &format!("{}.txt", job.build_id),
        ])
    })
}

/// The keys that hold the newest build id of the job.
pub fn latest_build_keys(
    config: &GcsConfiguration,
    job: &JobPathParts<'_>,
) -> Result<Vec<String>, StorageError> {
    let directory = join_segments(&["pr-logs/directory", job.name, LATEST_BUILD]);
    Ok(match job.job_type {
        ProwJobType::Postsubmit | ProwJobType::Periodic => {
            vec![join_segments(&["logs", job.name, LATEST_BUILD])]
        }
        ProwJobType::Batch => vec![directory],
        ProwJobType::Unset => return Err(missing_type_error(job)),
        ProwJobType::Presubmit => vec![
            directory,
            join_segments(&[&pull_dir(config, job)?, job.name, LATEST_BUILD]),
        ],
    })
}

/// Upstream's programs exit here.
fn missing_type_error(job: &JobPathParts<'_>) -> StorageError {
    StorageError::InvalidKey(job.name.to_owned(), "the job has no type")
}

fn pull_dir(config: &GcsConfiguration, job: &JobPathParts<'_>) -> Result<String, StorageError> {
    let missing =
        || StorageError::InvalidKey(job.name.to_owned(), "a presubmit needs a pull request");
    let refs = job.refs.ok_or_else(missing)?;
    let pull = refs.pulls.first().ok_or_else(missing)?;
    Ok(join_segments(&[
        "pr-logs/pull",
        &repo_segment(config, &refs.org, &refs.repo),
        &pull.number.to_string(),
    ]))
}

/// The segment that represents a repository; may be empty. Without a strategy, `explicit` applies.
#[must_use]
pub fn repo_segment(config: &GcsConfiguration, org: &str, repo: &str) -> String {
    let (default_org, default_repo) = (org == config.default_org, repo == config.default_repo);
    let host = org.strip_prefix("https://").unwrap_or(org);
    let host = host.strip_prefix("http://").unwrap_or(host);
    let full = || format!("{}_{}", host.trim_end_matches('/'), repo.replace('/', "_"));
    match config.path_strategy.unwrap_or(PathStrategy::Explicit) {
        PathStrategy::Single | PathStrategy::Legacy if default_org && default_repo => String::new(),
        PathStrategy::Legacy if default_org => repo.to_owned(),
        _ => full(),
    }
}

/// The pointer keys of a run: the alias and the latest builds, which are outside its folder.
///
/// They are derived from the folder alone, for callers that know nothing else. The configuration
/// never chooses its last segments, so no `path_prefix` can make it refer to another job's keys.
#[must_use]
pub fn pointer_keys(job_dir: &str) -> Vec<String> {
    let Some(run) = inverse::parse_run_folder(job_dir) else {
        return Vec::new();
    };
    let (job, build) = (run.job, run.build_id);
    let directory = join_segments(&["pr-logs/directory", job, LATEST_BUILD]);
    match run.kind {
        FolderKind::Batch => vec![directory],
        FolderKind::Logs => vec![join_segments(&["logs", job, LATEST_BUILD])],
        FolderKind::Pull => vec![
            join_segments(&["pr-logs/directory", job, &format!("{build}.txt")]),
            directory,
            join_segments(&[
                "pr-logs/pull",
                run.segment.unwrap_or_default(),
                run.pull.unwrap_or_default(),
                job,
                LATEST_BUILD,
            ]),
        ],
    }
}

fn join_segments(parts: &[&str]) -> String {
    parts
        .iter()
        .filter(|part| !part.is_empty())
        .copied()
        .collect::<Vec<_>>()
        .join("/")
}

#[cfg(test)]
mod tests {
    use crate::prowjob::Pull;

    use super::*;

    fn config(strategy: PathStrategy, path_prefix: &str) -> GcsConfiguration {
        GcsConfiguration {
            path_strategy: Some(strategy),
            path_prefix: path_prefix.into(),
            default_org: "kubernetes".into(),
            default_repo: "kubernetes".into(),
            ..GcsConfiguration::default()
        }
    }

    fn refs(org: &str, repo: &str) -> Refs {
        let pulls = vec![Pull {
            number: 7,
            ..Pull::default()
        }];
        Refs {
            org: org.into(),
            repo: repo.into(),
            pulls,
            ..Refs::default()
        }
    }

    fn job(job_type: ProwJobType, refs: Option<&Refs>) -> JobPathParts<'_> {
        JobPathParts {
            job_type,
            name: "unit",
            build_id: "1234",
            refs,
        }
    }

    #[test]
    fn segments_by_strategy() {
        use PathStrategy::{Explicit, Legacy, Single};
        for (strategy, org, repo, expected) in [
            (
                Explicit,
                "kubernetes",
                "kubernetes",
                "kubernetes_kubernetes",
            ),
            (
                Explicit,
                "https://gerrit.example.com",
                "a/b",
                "gerrit.example.com_a_b",
            ),
            (Single, "kubernetes", "kubernetes", ""),
            (Single, "kubernetes", "test-infra", "kubernetes_test-infra"),
            (Legacy, "kubernetes", "kubernetes", ""),
            (Legacy, "kubernetes", "test-infra", "test-infra"),
            (Legacy, "istio", "istio", "istio_istio"),
            (
                Legacy,
                "https://kubernetes",
                "kubernetes",
                "kubernetes_kubernetes",
            ),
            (Explicit, "http://h/", "r", "h_r"),
            (Explicit, "", "foo1", "_foo1"),
        ] {
            assert_eq!(
                repo_segment(&config(strategy, ""), org, repo),
                expected,
                "{strategy:?} {org}/{repo}"
            );
        }
    }

    #[test]
    fn folders_and_the_keys_beside_them() {
        let (kubernetes, other) = (refs("kubernetes", "kubernetes"), refs("o", "r"));
        let latest = "pr-logs/directory/unit/latest-build.txt";
        for (job_type, refs, strategy, prefix, dir, latest_builds_expected) in [
            (
                ProwJobType::Presubmit,
                Some(&other),
                PathStrategy::Explicit,
                "",
                "pr-logs/pull/o_r/7/unit/1234",
                vec![latest, "pr-logs/pull/o_r/7/unit/latest-build.txt"],
            ),
            (
                ProwJobType::Presubmit,
                Some(&kubernetes),
                PathStrategy::Legacy,
                "/a/b/",
                "a/b/pr-logs/pull/7/unit/1234",
                vec![latest, "pr-logs/pull/7/unit/latest-build.txt"],
            ),
            (
                ProwJobType::Batch,
                Some(&other),
                PathStrategy::Explicit,
                "x",
                "x/pr-logs/pull/batch/unit/1234",
                vec![latest],
            ),
            (
                ProwJobType::Postsubmit,
                Some(&other),
                PathStrategy::Explicit,
                "",
                "logs/unit/1234",
                vec!["logs/unit/latest-build.txt"],
            ),
            (
                ProwJobType::Periodic,
                None,
                PathStrategy::Single,
                "p",
                "p/logs/unit/1234",
                vec!["logs/unit/latest-build.txt"],
            ),
        ] {
            let (config, job) = (config(strategy, prefix), job(job_type, refs));
            assert_eq!(job_dir(&config, &job).unwrap(), dir);
            assert_eq!(
                latest_build_keys(&config, &job).unwrap(),
                latest_builds_expected
            );
            let own: Vec<String> = alias_key(&job)
                .into_iter()
                .chain(latest_build_keys(&config, &job).unwrap())
                .collect();
            assert_eq!(pointer_keys(dir), own, "the folder alone tells the same");
        }
        assert_eq!(
            alias_key(&job(ProwJobType::Presubmit, None)).unwrap(),
            "pr-logs/directory/unit/1234.txt"
        );
    }

    /// The keys that Prow's initupload writes for the same jobs.
    #[test]
    fn a_job_without_a_name_has_no_segment_of_it() {
        let (other, no_org) = (refs("o", "r"), refs("", "foo1"));
        let of = |job_type, refs| JobPathParts {
            name: "",
            ..job(job_type, refs)
        };
        for (job, dir, beside) in [
            (
                of(ProwJobType::Presubmit, Some(&other)),
                "pr-logs/pull/o_r/7/1234",
                vec![
                    "pr-logs/directory/1234.txt",
                    "pr-logs/directory/latest-build.txt",
                    "pr-logs/pull/o_r/7/latest-build.txt",
                ],
            ),
            (
                of(ProwJobType::Presubmit, Some(&no_org)),
                "pr-logs/pull/_foo1/7/1234",
                vec![
                    "pr-logs/directory/1234.txt",
                    "pr-logs/directory/latest-build.txt",
                    "pr-logs/pull/_foo1/7/latest-build.txt",
                ],
            ),
            (
                of(ProwJobType::Batch, Some(&other)),
                "pr-logs/pull/batch/1234",
                vec!["pr-logs/directory/latest-build.txt"],
            ),
            (
                of(ProwJobType::Postsubmit, Some(&no_org)),
                "logs/1234",
                vec!["logs/latest-build.txt"],
            ),
            (
                of(ProwJobType::Periodic, None),
                "logs/1234",
                vec!["logs/latest-build.txt"],
            ),
        ] {
            let config = config(PathStrategy::Explicit, "");
            assert_eq!(job_dir(&config, &job).unwrap(), dir);
            let own: Vec<String> = alias_key(&job)
                .into_iter()
                .chain(latest_build_keys(&config, &job).unwrap())
                .collect();
            assert_eq!(own, beside);
            assert_eq!(pointer_keys(dir), own, "the folder alone tells the same");
        }
        // This is refused where the folder would look like another job's run.
        let job = of(ProwJobType::Periodic, None);
        for (prefix, allowed) in [("p", true), ("logs", false), ("logs/j", true)] {
            let config = config(PathStrategy::Explicit, prefix);
            assert_eq!(job_dir(&config, &job).is_ok(), allowed, "{prefix}");
        }
        let kubernetes = refs("kubernetes", "kubernetes");
        let job = of(ProwJobType::Presubmit, Some(&kubernetes));
        assert!(job_dir(&config(PathStrategy::Legacy, ""), &job).is_err());
    }

    #[test]
    fn a_prefix_cannot_claim_another_jobs_keys() {
        for (dir, job) in [
            (
                "pr-logs/pull/o_r/7/victim/pr-logs/pull/o_r/8/mine/1",
                "mine",
            ),
            ("logs/victim/1/logs/mine/1", "mine"),
            ("pr-logs/pull/logs/mine/1", "mine"),
        ] {
            assert!(
                pointer_keys(dir)
                    .iter()
                    .all(|key| key.contains(job) && !key.contains("victim")),
                "{dir}"
            );
        }
        assert!(pointer_keys("mine/1").is_empty());
        assert!(pointer_keys("x").is_empty());
    }

    #[test]
    fn a_prefix_is_no_way_into_another_run() {
        for (prefix, job, allowed) in [
            ("", None, true),
            ("", Some("123"), true),
            ("/tenant/logs/", None, true),
            ("pr-logs", Some("unit"), true),
            ("a/logs/x", Some("123"), true),
            ("tenant/logs", Some("123"), false),
            ("logs/victim/1", None, false),
            ("logs/victim/1/artifacts", Some("unit"), false),
            ("x/pr-logs/pull/o_r/7/victim/1", None, false),
            ("pr-logs/pull/batch/victim/1/a", None, false),
            ("a/../b", None, false),
        ] {
            assert_eq!(
                check_path_prefix(prefix, job).is_ok(),
                allowed,
                "{prefix} {job:?}"
            );
            let config = config(PathStrategy::Explicit, prefix);
            let named = JobPathParts {
                name: job.unwrap_or("unit"),
                ..self::job(ProwJobType::Periodic, None)
            };
            assert_eq!(
                job_dir(&config, &named).is_ok(),
                allowed,
                "{prefix} {job:?}"
            );
        }
    }

    #[test]
    fn names_that_are_no_keys_are_refused() {
        let config = config(PathStrategy::Explicit, "");
        let refs = refs("o", "r");
        for (name, build_id) in [
            ("..", "1"),
            ("a/b", "1"),
            ("..", ""),
            ("", ""),
            ("a", ""),
            ("a", "b"),
            ("a", "../1"),
        ] {
            let job = JobPathParts {
                job_type: ProwJobType::Presubmit,
                name,
                build_id,
                refs: Some(&refs),
            };
            assert!(job_dir(&config, &job).is_err(), "{name} {build_id}");
        }
        assert!(job_dir(&config, &job(ProwJobType::Presubmit, None)).is_err());
        assert!(
            job_dir(
                &config,
                &job(ProwJobType::Presubmit, Some(&Refs::default()))
            )
            .is_err()
        );
    }
}
