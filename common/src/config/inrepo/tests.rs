use super::*;
use crate::config::ProwConfig;

const TUTORIAL: &str = r#"presubmits:
  your-org/your-repo:
  - name: unit-test
    always_run: true
    decorate: true
    spec:
      containers:
      - image: golang:1.18
        command: ["sh"]
        args: ["-c", "./run-tests.sh"]
"#;

fn config() -> Config {
    let prow: ProwConfig = yaml::parse_yaml(
        "config.yaml",
        r"
pod_namespace: test-pods
plank:
  default_decoration_config_entries:
  - config:
      utility_images: {clonerefs: c, initupload: i, entrypoint: e, sidecar: s}
      gcs_configuration: {bucket: 'http://deck/storage', path_strategy: explicit}
",
    )
    .unwrap();
    Config {
        prow,
        ..Config::default()
    }
}

fn read_one(text: &str, config: &Config) -> Result<InRepoJobs, String> {
    let files = [("prow-jobs.yaml".to_owned(), text.to_owned())];
    parse_in_repo_files(&files, "your-org/your-repo", config).map_err(|errors| errors.to_string())
}

#[test]
fn the_tutorials_file_is_one_decorated_job() {
    let own = read_one(TUTORIAL, &config()).unwrap();
    let [job] = own.presubmits.as_slice() else {
        panic!("{own:?}")
    };
    assert_eq!(job.base.name, "unit-test");
    assert_eq!(job.context, "unit-test");
    assert_eq!(job.base.namespace, "test-pods");
    assert_eq!(job.base.cluster, "default");
    assert_eq!(job.rerun_command, "/test unit-test");
    for (comment, triggers) in [
        ("/test unit-test", true),
        ("please\n/test unit-test\nthanks", true),
        ("/test other unit-test", true),
        ("/test unit-tests", false),
        ("/test all", false),
        ("say /test unit-test", false),
    ] {
        assert_eq!(job.trigger_matches(comment), triggers, "{comment}");
    }
    let decoration = job.base.utility.decoration_config.as_ref().unwrap();
    assert_eq!(decoration.utility_images.as_ref().unwrap().sidecar, "s");
}

#[test]
fn plain_lists_are_the_same() {
    let lists = TUTORIAL.replace("  your-org/your-repo:\n", "");
    let own = read_one(&lists, &config()).unwrap();
    assert_eq!(own.presubmits[0].base.name, "unit-test");
    assert!(read_one("", &config()).unwrap().presubmits.is_empty());
}

#[test]
fn every_mistake_has_its_place_and_a_way_out() {
    for (from, to, message) in [
        (
            "decorate:",
            "decorated:",
            r#"prow-jobs.yaml:5:5: presubmits."your-org/your-repo"[0].decorated: unknown field "decorated"; did you mean "decorate"?"#,
        ),
        (
            "image:",
            "imagge:",
            r#"prow-jobs.yaml:8:9: presubmits."your-org/your-repo"[0].spec.containers[0].imagge: unknown field "imagge"; did you mean "image"?"#,
        ),
        (
            "your-org/your-repo",
            "other/repo",
            r#"prow-jobs.yaml:2:3: presubmits."other/repo": found jobs of "other/repo", expected only those of "your-org/your-repo"; a repository cannot bring jobs for another one"#,
        ),
        (
            "always_run: true",
            "always_run: perhaps",
            r#"prow-jobs.yaml:4:17: presubmits."your-org/your-repo"[0].always_run: found "perhaps", expected true or false"#,
        ),
        (
            "always_run: true",
            "cluster: expensive",
            r#"prow-jobs.yaml:4:5: presubmits."your-org/your-repo"[0].cluster: found "expensive", expected one of the clusters that this repository may use: default"#,
        ),
        (
            "always_run: true",
            "run_if_changed: '('",
            r#"prow-jobs.yaml:4:5: presubmits."your-org/your-repo"[0].run_if_changed: "(" is no regular expression: missing closing )"#,
        ),
        (
            "name: unit-test",
            "name: unit test",
            r#"prow-jobs.yaml:3:5: presubmits."your-org/your-repo"[0].name: found "unit test", expected letters, digits, '-', '.' and '_' only"#,
        ),
        (
            "presubmits:",
            "presets: []\npostsubmit: []\npresubmits:",
            r#"prow-jobs.yaml:2:1: postsubmit: unknown field "postsubmit"; did you mean "postsubmits"?"#,
        ),
    ] {
        let text = TUTORIAL.replace(from, to);
        assert_eq!(read_one(&text, &config()).unwrap_err(), message);
    }
}

#[test]
fn helper_keys_and_periodics_pass() {
    let helper = TUTORIAL.replace(
        "presubmits:",
        ".common: &common\n  always_run: true\nperiodics:\n- name: nightly\npresubmits:",
    );
    let text = helper.replace("    always_run: true", "    <<: *common");
    let lists = text.replace("  your-org/your-repo:\n", "");
    for text in [text, lists] {
        let own = read_one(&text, &config()).unwrap();
        assert!(own.presubmits[0].always_run);
        let remarks: Vec<_> = own.remarks.iter().map(ToString::to_string).collect();
        assert_eq!(
            remarks,
            [
                "prow-jobs.yaml:3:1: periodics: periodics of a repository do not run; periodics stand in the central configuration"
            ]
        );
    }
}

#[test]
fn a_job_may_not_take_a_central_jobs_name_or_context() {
    let mut config = config();
    let central = read_one(TUTORIAL, &config).unwrap().presubmits;
    config
        .jobs
        .presubmits
        .insert("your-org/your-repo".into(), central);
    let error = read_one(TUTORIAL, &config).unwrap_err();
    assert!(error.contains("two jobs named \"unit-test\""), "{error}");
    let other = TUTORIAL.replace("name: unit-test", "name: mine\n    context: unit-test");
    let error = read_one(&other, &config).unwrap_err();
    assert!(
        error.contains("write one status context \"unit-test\""),
        "{error}"
    );
    let elsewhere = TUTORIAL.replace("unit-test", "mine");
    assert!(read_one(&elsewhere, &config).is_ok());
}

#[test]
fn a_large_or_broken_file_is_refused_with_one_message() {
    let large = format!("# {}", "x".repeat(MAX_BYTES));
    for text in [
        large.as_str(),
        "presubmits: [",
        "a: b: c",
        "\0",
        &"[".repeat(10_000),
    ] {
        let error = read_one(text, &config()).unwrap_err();
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn results_go_to_the_installations_buckets_only() {
    let mut config = config();
    config.prow.deck.additional_allowed_buckets = vec!["s3://more".into(), "file:///data".into()];
    let with = |bucket: &str| {
        let decoration = format!(
            "decorate: true\n    decoration_config:\n      gcs_configuration:\n        bucket: {bucket}"
        );
        read_one(&TUTORIAL.replace("decorate: true", &decoration), &config)
    };
    for bucket in [
        "http://deck/storage",
        "http://deck/storage/",
        "s3://more",
        "file:///data",
    ] {
        assert!(with(bucket).is_ok(), "{bucket}");
    }
    for bucket in [
        "http://evil/storage",
        "https://deck/storage",
        "file:///etc",
        "file:///data/../etc",
        "file:///data/inner",
        "gs://more",
        "anything",
    ] {
        assert_eq!(
            with(bucket).unwrap_err(),
            format!(
                r#"prow-jobs.yaml:8:9: presubmits."your-org/your-repo"[0].decoration_config.gcs_configuration.bucket: found {bucket:?}, expected a bucket that the installation's configuration names; leave it out to store results where other jobs do, or ask the operator to add it to deck.additional_allowed_buckets"#
            )
        );
    }
    // Prow's setting allows more buckets to other ProwJobs, but not to a repository's jobs.
    config.prow.deck.skip_storage_path_validation = Some(true);
    let file = TUTORIAL.replace(
        "decorate: true",
        "decorate: true\n    decoration_config: {gcs_configuration: {bucket: anything}}",
    );
    assert!(read_one(&file, &config).is_err());
}

#[test]
fn a_preset_may_have_the_labels_of_a_central_one() {
    let mut config = config();
    let central = serde_json::json!([{"labels": {"a": "b"}, "env": [{"name": "X", "value": "1"}]}]);
    config.jobs.presets = serde_json::from_value(central).unwrap();
    let text = r#"
presets:
- {labels: {a: b}, env: [{name: Z, value: "2"}]}
presubmits:
- name: unit
  labels: {a: b}
  spec: {containers: [{image: i}]}
"#;
    let own = read_one(text, &config).unwrap();
    let spec = own.presubmits[0].base.spec.as_ref().unwrap().to_pod_spec();
    let names: Vec<_> = spec.0["containers"][0]["env"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variable| variable["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["X", "Z"]);
}
