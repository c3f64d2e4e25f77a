use proptest::prelude::*;

use crate::prowjob::{GcsConfiguration, PathStrategy, ProwJobType, Pull, Refs};

use super::super::{JobPathParts, alias_key, job_dir, latest_build_keys};
use super::*;

fn told(key: &str) -> Vec<(&str, FolderKind, &str, &str, &str)> {
    let runs = find_runs(key).into_iter();
    runs.map(|run| (run.folder, run.kind, run.job, run.build_id, run.rest))
        .collect()
}

#[test]
fn keys_tell_their_runs() {
    use FolderKind::{Batch, Logs, Pull};
    for (key, expected) in [
        (
            "pr-logs/pull/o_r/7/unit/1234/artifacts/a/b.xml",
            vec![(
                "pr-logs/pull/o_r/7/unit/1234",
                Pull,
                "unit",
                "1234",
                "artifacts/a/b.xml",
            )],
        ),
        (
            "pr-logs/pull/7/unit/1234/x",
            vec![("pr-logs/pull/7/unit/1234", Pull, "unit", "1234", "x")],
        ),
        (
            "pr-logs/pull/batch/unit/1234",
            vec![("pr-logs/pull/batch/unit/1234", Batch, "unit", "1234", "")],
        ),
        (
            "pre/fix/logs/nightly/9/build-log.txt",
            vec![(
                "pre/fix/logs/nightly/9",
                Logs,
                "nightly",
                "9",
                "build-log.txt",
            )],
        ),
        (
            "tenant/logs/logs/secret/7/build-log.txt",
            vec![(
                "tenant/logs/logs/secret/7",
                Logs,
                "secret",
                "7",
                "build-log.txt",
            )],
        ),
        (
            "logs/outer/1/artifacts/logs/inner/2/x",
            vec![
                (
                    "logs/outer/1",
                    Logs,
                    "outer",
                    "1",
                    "artifacts/logs/inner/2/x",
                ),
                (
                    "logs/outer/1/artifacts/logs/inner/2",
                    Logs,
                    "inner",
                    "2",
                    "x",
                ),
            ],
        ),
        (
            // A job's name may be a number.
            "logs/logs/12/34",
            vec![
                ("logs/logs/12", Logs, "logs", "12", "34"),
                ("logs/logs/12/34", Logs, "12", "34", ""),
            ],
        ),
        ("logs/nightly/latest-build.txt", vec![]),
        ("logs/nightly/abc/build-log.txt", vec![]),
        ("logs//1/x", vec![]),
        ("pr-logs/directory/unit/1234.txt", vec![]),
        ("terraform.tfstate", vec![]),
        ("logs", vec![]),
        ("", vec![]),
        ("pr-logs/pull/o_r/seven/unit/1/x", vec![]),
    ] {
        assert_eq!(told(key), expected, "{key}");
    }
    let segment = |folder| parse_run_folder(folder).unwrap().segment;
    assert_eq!(segment("pr-logs/pull/o_r/7/unit/1234"), Some("o_r"));
    assert_eq!(segment("pr-logs/pull/7/unit/1234"), None);
    assert_eq!(segment("logs/unit/1234"), None);
}

#[test]
fn a_run_without_a_jobs_name_is_told_where_it_is_no_job_with_a_number_for_its_name() {
    use FolderKind::{Batch, Logs, Pull};
    for (key, expected) in [
        (
            "p/logs/12/artifacts/7",
            vec![("p/logs/12", Logs, "", "12", "artifacts/7")],
        ),
        ("logs/12", vec![("logs/12", Logs, "", "12", "")]),
        ("logs/12/7", vec![("logs/12/7", Logs, "12", "7", "")]),
        ("logs/12/7/x", vec![("logs/12/7", Logs, "12", "7", "x")]),
        ("logs/12/latest-build.txt", vec![]),
        (
            "pr-logs/pull/batch/12/x",
            vec![("pr-logs/pull/batch/12", Batch, "", "12", "x")],
        ),
        (
            "pr-logs/pull/o_r/7/12/x",
            vec![("pr-logs/pull/o_r/7/12", Pull, "", "12", "x")],
        ),
        (
            "pr-logs/pull/o_r/7/12/34",
            vec![("pr-logs/pull/o_r/7/12/34", Pull, "12", "34", "")],
        ),
        (
            "pr-logs/pull/8/7/12/x",
            vec![("pr-logs/pull/8/7/12", Pull, "7", "12", "x")],
        ),
        ("pr-logs/pull/7/12/x", vec![]),
    ] {
        assert_eq!(told(key), expected, "{key}");
    }
}

#[test]
fn keys_beside_the_folders_tell_their_job() {
    for (key, expected) in [
        (
            "pr-logs/directory/unit/1234.txt",
            Some(("unit", Some("1234"), None)),
        ),
        (
            "pr-logs/directory/unit/latest-build.txt",
            Some(("unit", None, None)),
        ),
        (
            "logs/nightly/latest-build.txt",
            Some(("nightly", None, None)),
        ),
        (
            "pr-logs/pull/o_r/7/unit/latest-build.txt",
            Some(("unit", None, Some("o_r"))),
        ),
        (
            "pr-logs/pull/7/unit/latest-build.txt",
            Some(("unit", None, None)),
        ),
        ("pr-logs/directory/1234.txt", Some(("", Some("1234"), None))),
        ("pr-logs/directory/latest-build.txt", Some(("", None, None))),
        ("logs/latest-build.txt", Some(("", None, None))),
        (
            "pr-logs/pull/o_r/7/latest-build.txt",
            Some(("", None, Some("o_r"))),
        ),
        ("pr-logs/directory/x.txt", None),
        ("logs/1234.txt", None),
        ("pr-logs/directory/unit/x.txt", None),
        ("pr-logs/directory/unit/1234", None),
        ("logs/nightly/1234.txt", None),
        ("pre/logs/nightly/latest-build.txt", None),
        ("logs//latest-build.txt", None),
    ] {
        let found = parse_pointer_key(key).map(|key| (key.job, key.build_id, key.segment));
        assert_eq!(found, expected, "{key}");
    }
}

/// Words of the layouts, numbers, and other path segments.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("logs".to_owned()),
        Just("pr-logs".to_owned()),
        Just("pull".to_owned()),
        Just("batch".to_owned()),
        Just("directory".to_owned()),
        "[0-9]{1,3}",
        "[a-z][a-z_.-]{0,4}",
    ]
}

fn path(segments: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    prop::collection::vec(word(), segments).prop_map(|words| words.join("/"))
}

fn configuration() -> impl Strategy<Value = GcsConfiguration> {
    let strategy = prop::sample::select(vec![
        None,
        Some(PathStrategy::Explicit),
        Some(PathStrategy::Legacy),
        Some(PathStrategy::Single),
    ]);
    (path(0..6), strategy, word(), word()).prop_map(|(prefix, strategy, org, repo)| {
        GcsConfiguration {
            path_prefix: prefix,
            path_strategy: strategy,
            default_org: org,
            default_repo: repo,
            ..GcsConfiguration::default()
        }
    })
}

fn refs() -> impl Strategy<Value = Refs> {
    let org = prop_oneof![word(), word().prop_map(|host| format!("https://{host}"))];
    (org, path(1..3), 0..1000_u64).prop_map(|(org, repo, number)| Refs {
        org,
        repo,
        pulls: vec![Pull {
            number,
            ..Pull::default()
        }],
        ..Refs::default()
    })
}

const TYPES: [ProwJobType; 5] = [
    ProwJobType::Unset,
    ProwJobType::Presubmit,
    ProwJobType::Batch,
    ProwJobType::Postsubmit,
    ProwJobType::Periodic,
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn what_job_dir_makes_is_read_back(
        mut config in configuration(),
        default_repository in any::<bool>(),
        refs in refs(),
        name in prop_oneof![9 => word(), 1 => Just(String::new())],
        build_id in "[0-9]{1,19}",
        job_type in prop::sample::select(TYPES.to_vec()),
        rest in path(0..9),
    ) {
        if default_repository {
            config.default_org.clone_from(&refs.org);
            config.default_repo.clone_from(&refs.repo);
        }
        let job = JobPathParts { job_type, name: &name, build_id: &build_id, refs: Some(&refs) };
        let Ok(folder) = job_dir(&config, &job) else { return Ok(()) };
        // A nameless run must not write names that begin like this below its folder.
        prop_assume!(!name.is_empty() || rest.is_empty() || !is_below_a_job(&rest));
        let key = if rest.is_empty() { folder.clone() } else { format!("{folder}/{rest}") };
        let all = find_runs(&key);
        // For any name below the folder and any prefix, the run itself comes first.
        prop_assert_eq!(all[0], RunKey { rest: &rest, ..parse_run_folder(&folder).unwrap() });
        prop_assert_eq!((all[0].job, all[0].build_id), (&*name, &*build_id));
        let kind = match job_type {
            ProwJobType::Presubmit => FolderKind::Pull,
            ProwJobType::Batch => FolderKind::Batch,
            ProwJobType::Postsubmit | ProwJobType::Periodic => FolderKind::Logs,
            ProwJobType::Unset => panic!("a job without a type has a folder"),
        };
        prop_assert_eq!(all[0].kind, kind);
        for key in latest_build_keys(&config, &job).unwrap() {
            let beside = parse_pointer_key(&key).unwrap();
            prop_assert_eq!((beside.job, beside.build_id), (&*name, None));
        }
        if let Some(key) = alias_key(&job) {
            let beside = parse_pointer_key(&key).unwrap();
            prop_assert_eq!((beside.job, beside.build_id), (&*name, Some(&*build_id)));
        }
    }

    #[test]
    fn no_two_runs_share_a_key(
        configs in (configuration(), configuration()),
        refs in (refs(), refs()),
        names in (
            prop_oneof![3 => word(), 1 => Just(String::new())],
            prop_oneof![3 => word(), 1 => Just(String::new())],
        ),
        types in (prop::sample::select(TYPES.to_vec()), prop::sample::select(TYPES.to_vec())),
    ) {
        let folder = |config, job_type, name: &str, refs| {
            job_dir(config, &JobPathParts { job_type, name, build_id: "5", refs: Some(refs) })
        };
        let (Ok(one), Ok(other)) = (
            folder(&configs.0, types.0, &names.0, &refs.0),
            folder(&configs.1, types.1, &names.1, &refs.1),
        ) else { return Ok(()) };
        let inside = one.strip_prefix(&format!("{other}/"));
        let is_its_own = names.1.is_empty() && inside.is_some_and(is_below_a_job);
        prop_assert!(inside.is_none() || is_its_own, "{} is inside {}", one, other);
    }

    #[test]
    fn any_text_is_read_without_a_panic(key in ".{0,60}", path in path(0..9)) {
        for key in [key, path] {
            for run in find_runs(&key) {
                prop_assert!(key.starts_with(run.folder) && key.ends_with(run.rest));
            }
            let _ = parse_pointer_key(&key);
        }
    }
}
