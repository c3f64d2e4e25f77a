use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;

use proptest::prelude::*;

use super::*;

#[test]
fn names_and_types() {
    let config = GcsConfiguration::default();
    for (name, object, content_type, encoding) in [
        ("a.txt", "a.txt", Some("text/plain; charset=utf-8"), None),
        (
            "a.txt.gz",
            "a.txt",
            Some("text/plain; charset=utf-8"),
            Some("gzip"),
        ),
        (
            "a.unheardof.gz",
            "a.unheardof",
            Some("application/gzip"),
            None,
        ),
        ("a", "a", None, None),
        (".gz", ".gz", Some("application/gzip"), None),
        ("d/.gz", "d/.gz", Some("application/gzip"), None),
    ] {
        let (found, attributes) = name_and_attributes(name, &config);
        assert_eq!(found, object);
        assert_eq!(attributes.content_type.as_deref(), content_type, "{name}");
        assert_eq!(attributes.content_encoding.as_deref(), encoding, "{name}");
    }
}

#[test]
fn filters_as_the_censoring_options_say() {
    for (include, exclude, path, expected) in [
        (&[][..], &[][..], "a/b.txt", true),
        (&["**/*.log"], &[], "a/b.txt", false),
        (&["**/*.log"], &[], "a/b.log", true),
        (&["**/*.log"], &[], "b.log", true),
        (&["*.log"], &[], "a/b.log", false),
        (&[], &["a/**"], "a/b/c", false),
        (&["a/**"], &["a/b/**"], "a/b/c", false),
    ] {
        let list = |patterns: &[&str]| patterns.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
        let filter = CensorFilter::new(&list(include), &list(exclude)).unwrap();
        assert_eq!(filter.applies_to(Path::new(path)), expected, "{path}");
    }
    assert!(CensorFilter::new(&["[".to_owned()], &[]).is_err());
}

fn walk(items: &[&Path]) -> (Vec<String>, Vec<UploadFailure>) {
    let items: Vec<String> = items
        .iter()
        .map(|item| item.to_str().unwrap().to_owned())
        .collect();
    let plan = ArtifactPlan {
        dir: "d".to_owned(),
        config: GcsConfiguration::default(),
        filter: CensorFilter::default(),
        censor: Censor::new(["hunter22", "swordfsh"]).unwrap(),
        passed_over: UncensoredFiles::default(),
    };
    let (mut keys, mut failures) = (Vec::new(), Vec::new());
    for found in ArtifactWalk::new(&items, plan) {
        match found {
            Ok(upload) => keys.push(upload.key),
            Err(failure) => failures.push(failure),
        }
    }
    keys.sort();
    (keys, failures)
}

#[test]
fn walks_files_once_and_no_linked_folders() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("artifacts");
    fs::create_dir_all(root.join("sub")).unwrap();
    fs::create_dir(root.join("b.txt")).unwrap();
    for name in ["a.txt", "a.txt.gz", "b.txt.gz", "c.txt.gz", "sub/x#1.log"] {
        fs::write(root.join(name), "x").unwrap();
    }
    symlink("/etc", root.join("etc")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    let (keys, failures) = walk(&[&root, Path::new("/no/such/item")]);
    assert_eq!(
        keys,
        [
            "d/artifacts/a.txt",
            "d/artifacts/a.txt.gz",
            "d/artifacts/b.txt.gz",
            "d/artifacts/c.txt",
            "d/artifacts/loop",
            "d/artifacts/sub/x%231.log"
        ]
    );
    assert_eq!(failures, []);
}

#[test]
fn what_has_a_name_that_is_taken_is_told() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["one/a/x", "two/a/x", "three/a/hunter22", "three/a/swordfsh"] {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    let items = ["one/a", "two/a", "three/a"].map(|name| dir.path().join(name));
    let (keys, failures) = walk(&[&items[0], &items[1], &items[2]]);
    assert_eq!(keys, ["d/a/XXXXXXXX", "d/a/x"]);
    assert_eq!(failures[0].key, items[1].join("x").display().to_string());
    assert_eq!(failures.len(), 2);
}

#[test]
fn a_folder_that_cannot_be_read_does_not_end_the_walk() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(dir.path(), 0o755);
    let root = dir.path().join("artifacts");
    for name in ["a/x", "closed/y", "b/z", "c"] {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    mode(&root.join("closed"), 0o000);
    let walked = std::thread::spawn({
        let root = root.clone();
        // Changes the user of this thread alone, so that the test works for root, too.
        move || {
            nix::unistd::setfsuid(65534.into());
            walk(&[&root])
        }
    });
    let (keys, failures) = walked.join().unwrap();
    mode(&root.join("closed"), 0o755);
    assert_eq!(
        keys,
        ["d/artifacts/a/x", "d/artifacts/b/z", "d/artifacts/c"]
    );
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].key, root.join("closed").display().to_string());
    assert!(
        failures[0].reason.contains("Permission denied"),
        "{failures:?}"
    );
}

#[test]
fn a_folder_that_is_too_deep_is_left_out_and_the_others_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("artifacts");
    let deep = root.join("d/".repeat(MAX_DEPTH + 20));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("lost"), "x").unwrap();
    fs::write(root.join("found"), "x").unwrap();
    let (keys, failures) = walk(&[&root]);
    assert_eq!(keys, ["d/artifacts/found"]);
    assert!(failures[0].reason.contains("nested deeper"));
    assert_eq!(failures.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever files are called, each is uploaded under a unique name or is a failure.
    #[test]
    fn no_file_vanishes(
        names in prop::collection::btree_set("[ab]/?[a#%\u{e4}23 ]{1,3}(\\.gz|\\.txt)?", 1..12),
        odd in prop::collection::vec(128_u8..=255, 0..3),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut files = 0;
        let odd = odd.iter().map(|byte| OsString::from_vec(vec![b'o', *byte]));
        for name in names.into_iter().map(OsString::from).chain(odd) {
            let path = dir.path().join(name);
            let made = fs::create_dir_all(path.parent().unwrap()).is_ok() && !path.exists();
            // A name may also be the folder of another file.
            if made && fs::write(path, "x").is_ok() {
                files += 1;
            }
        }
        let (keys, failures) = walk(&[dir.path()]);
        prop_assert_eq!(keys.len() + failures.len(), files);
        let unique: HashSet<&String> = keys.iter().collect();
        prop_assert_eq!(unique.len(), keys.len());
        for key in &keys {
            prop_assert!(common::storage::validate_key(key).is_ok(), "{}", key);
        }
    }
}

#[test]
fn a_file_given_by_itself_lies_beside_the_runs_own() {
    let dir = tempfile::tempdir().unwrap();
    let files = [
        "report.html",
        "x.txt.gz",
        "finished.json",
        "a-build-log.txt",
    ];
    let files = files.map(|name| dir.path().join(name));
    for file in &files {
        fs::write(file, "x").unwrap();
    }
    let (keys, failures) = walk(&files.each_ref().map(PathBuf::as_path));
    assert_eq!(keys, ["d/report.html", "d/x.txt"]);
    let refused: Vec<_> = failures
        .iter()
        .map(|failure| failure.key.as_str())
        .collect();
    assert_eq!(
        refused,
        [files[2].to_str().unwrap(), files[3].to_str().unwrap()]
    );
}
