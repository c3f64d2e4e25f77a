//! What is read again when files have changed, and what is kept.

use std::os::unix::fs::symlink;

use super::*;

fn periodic(name: &str) -> String {
    format!("periodics:\n- {{name: {name}, interval: 1h, spec: {{containers: [{{image: a}}]}}}}\n")
}

/// Mounts files as Kubernetes does: they are links into a folder that is replaced.
fn mount(dir: &TempDir, version: &str, files: &[(&str, String)]) {
    for (name, content) in files {
        write(dir, &format!("jobs/..{version}/{name}"), content);
    }
    let folder = dir.path().join("jobs");
    symlink(format!("..{version}"), folder.join("..tmp")).unwrap();
    fs::rename(folder.join("..tmp"), folder.join("..data")).unwrap();
    for (name, _) in files {
        let _ = symlink(format!("..data/{name}"), folder.join(name));
    }
}

fn loader(dir: &TempDir) -> ConfigLoader {
    ConfigLoader::new(ConfigOptions {
        config_path: dir.path().join("config.yaml"),
        job_config_path: Some(dir.path().join("jobs")),
        ..ConfigOptions::default()
    })
}

fn job<'a>(config: &'a Config, name: &str) -> &'a Arc<Periodic> {
    let mut jobs = config.jobs.periodics.iter();
    jobs.find(|job| job.base.name == name).unwrap()
}

#[test]
fn only_what_says_something_else_is_read_when_a_config_map_is_swapped() {
    let dir = TempDir::new().unwrap();
    write(&dir, "config.yaml", CONFIG);
    let files = [
        ("a.yaml", periodic("a")),
        ("b.yaml", periodic("b")),
        ("presets.yaml", "presets: [{labels: {a: b}}]\n".to_owned()),
    ];
    mount(&dir, "1", &files);
    let mut loader = loader(&dir);
    let first = loader.load_config().unwrap();

    mount(&dir, "2", &files);
    write(&dir, "config.yaml", CONFIG);
    assert!(loader.is_stale());
    assert!(Arc::ptr_eq(&loader.load_config().unwrap(), &first));
    assert!(!loader.is_stale());

    let mut files = files;
    files[1].1 = periodic("c");
    mount(&dir, "3", &files);
    let second = loader.load_config().unwrap();
    assert!(Arc::ptr_eq(job(&second, "a"), job(&first, "a")));
    assert_eq!(job(&second, "c").base.name, "c");
    assert_eq!(second.jobs.periodics.len(), 2);

    files[2].1 = "presets: [{env: [{name: A, value: b}]}]\n".to_owned();
    mount(&dir, "4", &files);
    let third = loader.load_config().unwrap();
    let pod = job(&third, "a").base.spec.as_ref().unwrap().to_pod_spec();
    assert_eq!(pod.0["containers"][0]["env"][0]["name"], "A");

    files[0].1 = "periodics: 3\n".to_owned();
    mount(&dir, "5", &files);
    assert!(
        loader
            .load_config()
            .unwrap_err()
            .to_string()
            .contains("a.yaml")
    );
    files[0].1 = periodic("d");
    mount(&dir, "6", &files);
    let fourth = loader.load_config().unwrap();
    assert!(Arc::ptr_eq(job(&fourth, "c"), job(&third, "c")));
    assert_eq!(job(&fourth, "d").base.name, "d");
}

#[test]
fn a_version_is_taken_though_nothing_else_changed() {
    let dir = TempDir::new().unwrap();
    write(&dir, "config.yaml", CONFIG);
    write(&dir, "jobs/a.yaml", periodic("a"));
    write(&dir, "VERSION", "1\n");
    let mut loader = loader(&dir);
    let first = loader.load_config().unwrap();
    write(&dir, "VERSION", "2\n");
    let second = loader.load_config().unwrap();
    assert_eq!(second.prow.config_version_sha, "2");
    assert!(Arc::ptr_eq(job(&second, "a"), job(&first, "a")));
}

#[test]
fn presets_reach_the_jobs_of_other_files_however_their_key_is_written() {
    for key in [
        "presets",
        "Presets",
        "\"pre\\x73ets\"",
        "!!binary cHJlc2V0cw==",
    ] {
        let dir = TempDir::new().unwrap();
        write(&dir, "config.yaml", CONFIG);
        write(&dir, "jobs/a.yaml", periodic("a"));
        let presets = format!("{key}: [{{env: [{{name: A, value: b}}]}}]\n");
        write(&dir, "jobs/z.yaml", presets);
        let config = load_dir(&dir).unwrap();
        let pod = job(&config, "a").base.spec.as_ref().unwrap().to_pod_spec();
        assert_eq!(pod.0["containers"][0]["env"][0]["name"], "A", "{key}");
    }
}
