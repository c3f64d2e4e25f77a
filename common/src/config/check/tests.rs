//! Each warning once, with its whole message.

use super::*;
use crate::config::{Options, plugins};

/// Files of an installation, and what the command line adds.
#[derive(Default)]
pub(super) struct Case<'a> {
    pub(super) config: &'a str,
    pub(super) plugins: Option<&'a str>,
    pub(super) annotations: &'a [String],
    pub(super) clusters: Option<&'a BTreeMap<String, String>>,
}

/// The findings of one warning.
pub(super) fn found(warning: &'static str, case: &Case<'_>) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let config_path = write("config.yaml", case.config);
    let config = Config::load(&Options {
        config_path: config_path.clone(),
        ..Options::default()
    });
    let plugin_config = write("plugins.yaml", case.plugins.unwrap_or_default());
    let plugins = case.plugins.map(|_| {
        Plugins::load(&plugins::Options {
            plugin_config: plugin_config.clone(),
            supplemental_plugin_config_dir: Vec::new(),
            supplemental_plugin_configs_filename_suffix: "_pluginconfig.yaml".into(),
        })
        .unwrap()
    });
    let subject = Subject {
        config: &config.unwrap(),
        config_file: config_path.display().to_string().into(),
        plugins: plugins.as_ref(),
        plugins_file: plugin_config.display().to_string().into(),
        required_annotations: case.annotations,
        clusters: case.clusters,
    };
    let prefix = format!("{}/", folder.path().display());
    let problems = subject.warnings(&BTreeSet::from([warning]));
    assert!(problems.iter().all(|problem| problem.rule == warning));
    let texts = problems.iter().map(ToString::to_string);
    texts.map(|text| text.replace(&prefix, "")).collect()
}

const DECORATION: &str = "\
plank:
  default_decoration_configs:
    '*':
      utility_images: {clonerefs: c, initupload: i, entrypoint: e, sidecar: s}
      gcs_configuration: {bucket: b, path_strategy: explicit}
";

#[test]
fn jobs_in_kubernetes_are_decorated() {
    let jobs = "
periodics:
- {name: plain, interval: 1h, spec: {containers: [{image: a}]}}
- {name: wrapped, decorate: true, interval: 1h, spec: {containers: [{image: a, args: [b]}]}}
- {name: elsewhere, agent: other, interval: 1h}
";
    let case = Case {
        config: &format!("{DECORATION}{jobs}"),
        ..Case::default()
    };
    assert_eq!(
        found("non-decorated-jobs", &case),
        [
            r#"config.yaml:8:3: periodics[0].decorate: "plain" runs without the pod utilities"#
        ]
    );
}

#[test]
fn names_fit_into_labels() {
    let (fits, long) = ("a".repeat(63), "b".repeat(64));
    let config = format!(
        "presubmits:\n  o/r:\n  - {{name: {fits}, spec: {{containers: [{{image: a}}]}}}}\n  - spec: {{containers: [{{image: a}}]}}\n    name: {long}\n"
    );
    let case = Case {
        config: &config,
        ..Case::default()
    };
    assert_eq!(
        found("long-job-names", &case),
        [format!(
            r#"config.yaml:5:5: presubmits."o/r"[1].name: {long:?} has 64 characters; labels hold 63, so they name the job cut off"#
        )]
    );
}

#[test]
fn a_presubmit_clones_each_repository_once() {
    let case = Case {
        config: "
presubmits:
  o/r:
  - name: a
    spec: {containers: [{image: a}]}
    extra_refs:
    - {org: o, repo: other, base_ref: main}
    - {org: o, repo: r, base_ref: main}
    - {org: o, repo: other, base_ref: main}
postsubmits:
  o/r:
  - name: b
    spec: {containers: [{image: a}]}
    extra_refs: [{org: o, repo: r, base_ref: main}]
",
        ..Case::default()
    };
    assert_eq!(
        found("duplicate-job-refs", &case),
        [
            r#"config.yaml:8:7: presubmits."o/r"[0].extra_refs[1]: "a" clones o/r more than once"#,
            r#"config.yaml:9:7: presubmits."o/r"[0].extra_refs[2]: "a" clones o/other more than once"#,
        ]
    );
}

#[test]
fn required_annotations_are_there() {
    let case = Case {
        config: "
periodics:
- name: a
  interval: 1h
  spec: {containers: [{image: a}]}
  annotations: {owner: me}
",
        annotations: &["owner".into(), "team".into()],
        ..Case::default()
    };
    assert_eq!(
        found("required-job-annotations", &case),
        [r#"config.yaml:6:3: periodics[0].annotations: "a" lacks the annotation "team""#]
    );
}

#[test]
fn a_periodic_has_no_repository_to_clone() {
    let case = Case {
        config: "
periodics:
- name: a
  interval: 1h
  clone_depth: 1
  path_alias: k8s.io/x
  spec: {containers: [{image: a}]}
",
        ..Case::default()
    };
    assert_eq!(
        found("periodic-default-clone-config", &case),
        [
            r#"config.yaml:5:3: periodics[0].clone_depth: clone_depth of "a" has no effect: a periodic clones its extra_refs only"#,
            r#"config.yaml:6:3: periodics[0].path_alias: path_alias of "a" has no effect: a periodic clones its extra_refs only"#,
        ]
    );
}

#[test]
fn clusters_are_those_that_plank_and_the_agent_know() {
    let clusters = BTreeMap::from([("default".to_owned(), "Reachable".to_owned())]);
    let case = Case {
        config: "
periodics:
- {name: a, interval: 1h, cluster: arm, spec: {containers: [{image: a}]}}
- {name: b, interval: 1h, spec: {containers: [{image: a}]}}
- {name: c, interval: 1h, agent: jenkins, cluster: default}
- {name: d, interval: 1h, agent: jenkins, cluster: arm}
",
        clusters: Some(&clusters),
        ..Case::default()
    };
    assert_eq!(
        found("validate-cluster-field", &case),
        [
            r#"config.yaml:3:27: periodics[0].cluster: plank knows no build cluster "arm""#,
            r#"config.yaml:6:43: periodics[3].cluster: "d" has a cluster, which jenkins does not use"#,
        ]
    );
}
