//! What a key in storage says about the run that it belongs to. Prow's layout, read backwards.

/// A run, or with no build the keys that all runs of a job share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunKey<'a> {
    /// The run's folder; empty without a build.
    pub(crate) dir: &'a str,
    pub(crate) job: &'a str,
    pub(crate) build: Option<&'a str>,
    /// `org_repo`, where the path has it.
    pub(crate) repo: Option<&'a str>,
}

/// Reads `pr-logs/pull/SEG/PR/JOB/BUILD/…`, `pr-logs/pull/batch/JOB/BUILD/…`,
/// `logs/JOB/BUILD/…` and `pr-logs/directory/JOB/BUILD.txt`, each below any folder.
pub(crate) fn run_of(key: &str) -> Option<RunKey<'_>> {
    let segments: Vec<&str> = key.split('/').collect();
    for (at, segment) in segments.iter().enumerate() {
        let found = match (*segment, segments.get(at + 1).copied()) {
            ("pr-logs", Some("pull")) => pull(key, &segments, at + 2),
            ("pr-logs", Some("directory")) => return directory(&segments[at + 2..]),
            ("logs", _) => run(key, &segments, at + 1, None),
            _ => continue,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

fn pull<'a>(key: &'a str, segments: &[&'a str], at: usize) -> Option<RunKey<'a>> {
    let first = *segments.get(at)?;
    if first == "batch" {
        return run(key, segments, at + 1, None);
    }
    // With the strategies `single` and `legacy` the default repository has no segment.
    if is_number(first) {
        return run(key, segments, at + 1, None);
    }
    is_number(segments.get(at + 1)?).then(|| run(key, segments, at + 2, Some(first)))?
}

fn run<'a>(
    key: &'a str,
    segments: &[&'a str],
    at: usize,
    repo: Option<&'a str>,
) -> Option<RunKey<'a>> {
    let (job, build) = (*segments.get(at)?, *segments.get(at + 1)?);
    if build.ends_with(".txt") {
        return Some(RunKey {
            dir: "",
            job,
            build: None,
            repo,
        });
    }
    let length = segments[..at + 2]
        .iter()
        .map(|segment| segment.len() + 1)
        .sum::<usize>()
        - 1;
    Some(RunKey {
        dir: &key[..length],
        job,
        build: Some(build),
        repo,
    })
}

fn directory<'a>(rest: &[&'a str]) -> Option<RunKey<'a>> {
    let [job, file] = rest else {
        return None;
    };
    let name = file.strip_suffix(".txt").unwrap_or(file);
    Some(RunKey {
        dir: "",
        job,
        build: Some(name).filter(|name| *name != "latest-build"),
        repo: None,
    })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_their_run() {
        let of = |dir, job, build, repo| {
            Some(RunKey {
                dir,
                job,
                build,
                repo,
            })
        };
        for (key, expected) in [
            (
                "pr-logs/pull/o_r/7/unit/1234/artifacts/a/b.xml",
                of(
                    "pr-logs/pull/o_r/7/unit/1234",
                    "unit",
                    Some("1234"),
                    Some("o_r"),
                ),
            ),
            (
                "pr-logs/pull/7/unit/1234/x",
                of("pr-logs/pull/7/unit/1234", "unit", Some("1234"), None),
            ),
            (
                "pr-logs/pull/batch/unit/1234",
                of("pr-logs/pull/batch/unit/1234", "unit", Some("1234"), None),
            ),
            (
                "pre/fix/logs/nightly/9/build-log.txt",
                of("pre/fix/logs/nightly/9", "nightly", Some("9"), None),
            ),
            (
                "pr-logs/directory/unit/1234.txt",
                of("", "unit", Some("1234"), None),
            ),
            (
                "pr-logs/directory/unit/latest-build.txt",
                of("", "unit", None, None),
            ),
            (
                "logs/nightly/latest-build.txt",
                of("", "nightly", None, None),
            ),
            (
                "pr-logs/pull/o_r/7/unit/latest-build.txt",
                of("", "unit", None, Some("o_r")),
            ),
            ("something/else", None),
            ("logs", None),
            ("pr-logs/pull/o_r", None),
        ] {
            assert_eq!(run_of(key), expected, "{key}");
        }
    }
}
