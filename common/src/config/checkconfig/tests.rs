//! Each warning once, with its whole message.

use super::*;
use crate::config::{ConfigOptions, plugins};

/// Files of an installation, and values of flags.
#[derive(Default)]
pub(super) struct Case<'a> {
    pub(super) config: &'a str,
    pub(super) plugins: Option<&'a str>,
    pub(super) annotations: &'a [String],
    pub(super) clusters: Option<&'a BTreeMap<String, String>>,
}

/// The diagnostics of one warning.
pub(super) fn found(warning: &'static str, case: &Case<'_>) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let config_path = write("config.yaml", case.config);
    let config = Config::load_files(&ConfigOptions {
        config_path,
        ..ConfigOptions::default()
    });
    let plugin_config = write("plugins.yaml", case.plugins.unwrap_or_default());
    let plugins = case.plugins.map(|_| {
        PluginConfiguration::load_files(&plugins::PluginOptions {
            plugin_config: plugin_config.clone(),
            supplemental_plugin_config_dir: Vec::new(),
            supplemental_plugin_configs_filename_suffix: "_pluginconfig.yaml".into(),
        })
        .unwrap()
    });
    let subject = CheckconfigInput {
        config: &config.unwrap(),
        plugins: plugins.as_ref(),
        required_annotations: case.annotations,
        clusters: case.clusters,
    };
    let prefix = format!("{}/", folder.path().display());
    let problems = subject.find_warnings(&BTreeSet::from([warning]));
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
        [r#"config.yaml:8:3: periodics[0].decorate: "plain" runs without the pod utilities"#]
    );
}

#[test]
fn who_owns_his_node_is_told_once_where_there_are_tokens() {
    let jobs = "
periodics:
- {name: plain, decorate: true, interval: 1h, spec: {containers: [{image: a, args: [b]}]}}
- {name: pid, interval: 1h, spec: {hostPID: true, containers: [{image: a}]}}
- {name: net, interval: 1h, spec: {hostNetwork: true, containers: [{image: a}]}}
- {name: path, interval: 1h, spec: {volumes: [{name: v, hostPath: {path: /}}], containers: [{image: a}]}}
- {name: init, interval: 1h, spec: {initContainers: [{name: i, image: a, restartPolicy: Always, securityContext: {privileged: true}}], containers: [{image: a}]}}
- {name: capable, interval: 1h, spec: {containers: [{image: a, securityContext: {capabilities: {add: [CAP_SYS_ADMIN]}}}]}}
- {name: harmless, interval: 1h, spec: {hostPID: false, containers: [{image: a, securityContext: {privileged: false, capabilities: {add: [NET_ADMIN]}}}]}}
";
    let config = |bucket: &str| format!("{DECORATION}{jobs}").replace("bucket: b", bucket);
    let of = |config: &str| {
        let case = Case {
            config,
            ..Case::default()
        };
        found("storage-token-on-own-node", &case)
    };
    let deck = config("bucket: 'http://deck/storage'");
    assert_eq!(
        of(&deck),
        [
            r#"config.yaml:9:29: periodics[1].spec: the pods of "pid" and 4 more jobs own their nodes (hostPID), and with them the storage tokens of every pod there; let such jobs run on nodes of their own, or store results in a bucket of a cloud"#
        ]
    );
    assert_eq!(of(&config("bucket: b")), [""; 0]);
    let elsewhere = deck.replace("{name: plain,", "{name: plain, cluster: build2,");
    assert_eq!(of(&elsewhere), [""; 0], "tokens are in another cluster");
    let start = deck.find("- {name: pid").unwrap();
    assert_eq!(of(&deck[..start]), [""; 0], "nobody owns his node");
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

/// Checks jobs of all types. A branch whose name only begins with HEAD can be cloned.
#[test]
fn head_is_no_branch_that_can_be_cloned() {
    let case = Case {
        config: "
presubmits:
  o/r:
  - name: a
    spec: {containers: [{image: a}]}
    extra_refs:
    - {org: o, repo: lib, base_ref: main}
    - {org: o, repo: tools, base_ref: HEAD}
periodics:
- name: b
  interval: 1h
  spec: {containers: [{image: a}]}
  extra_refs: [{org: o, repo: lib, base_ref: HEADS}, {org: o, repo: tools, base_ref: HEAD}]
",
        ..Case::default()
    };
    assert_eq!(
        found("extra-refs-head", &case),
        [
            r#"config.yaml:8:29: presubmits."o/r"[0].extra_refs[1].base_ref: "a" cannot clone HEAD of o/tools; name the branch"#,
            r#"config.yaml:13:76: periodics[0].extra_refs[1].base_ref: "b" cannot clone HEAD of o/tools; name the branch"#,
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
            r#"config.yaml:3:27: periodics[0].cluster: "a" is to run in "arm", a build cluster that plank does not know"#,
            r#"config.yaml:6:43: periodics[3].cluster: "d" has a cluster, which jenkins does not use"#,
        ]
    );
}

#[test]
fn owners_files_are_verified_where_they_are_read() {
    let case = Case {
        plugins: Some(
            "\
plugins:
  a: {plugins: [approve, verify-owners], excluded_repos: [x]}
  b: {plugins: [rifle], excluded_repos: [out]}
  c/d: {plugins: [owners-label]}
  c/e: {plugins: [lgtm]}
",
        ),
        ..Case::default()
    };
    let rest = "has a plugin that reads OWNERS files (approve, blunderbuss, rifle, owners-label), \
                and not verify-owners, which keeps them valid";
    assert_eq!(
        found("validate-owners", &case),
        [
            format!("plugins.yaml:3:3: plugins.b: b (without b/out) {rest}"),
            format!(r#"plugins.yaml:4:3: plugins."c/d": c/d {rest}"#),
        ]
    );
}

#[test]
fn repositories_with_jobs_have_trigger() {
    let case = Case {
        config: "
presubmits:
  a/x: [{name: a, spec: {containers: [{image: a}]}}]
  a/out: [{name: b, spec: {containers: [{image: a}]}}]
postsubmits:
  b/y: [{name: c, spec: {containers: [{image: a}]}}]
  c/z: []
",
        plugins: Some("plugins: {a: {plugins: [trigger], excluded_repos: [out]}}"),
        ..Case::default()
    };
    assert_eq!(
        found("missing-trigger", &case),
        [
            "config.yaml:2:1: c/z has jobs, and the trigger plugin is not enabled for it",
            r#"config.yaml:4:3: presubmits."a/out": a/out has jobs, and the trigger plugin is not enabled for it"#,
            r#"config.yaml:6:3: postsubmits."b/y": b/y has jobs, and the trigger plugin is not enabled for it"#,
        ]
    );
}

#[test]
fn restricted_labels_have_names_and_are_not_free() {
    let case = Case {
        plugins: Some(
            "\
label:
  additional_labels: [free, other]
  restricted_labels:
    o:
    - label: fine
    - label: free
    '*':
    - allowed_users: [a]
",
        ),
        ..Case::default()
    };
    assert_eq!(
        found("validate-label", &case),
        [
            r#"plugins.yaml:6:7: label.restricted_labels.o[1]: o restricts "free", which is one of the additional_labels that everybody may set"#,
            r#"plugins.yaml:8:7: label.restricted_labels."*"[0]: * restricts a label without a name"#,
        ]
    );
}

#[test]
fn config_updater_names_repositories() {
    let case = Case {
        plugins: Some(
            "\
config_updater:
  maps:
    a.yaml: {name: c, allowed_repos: [o, o/r, ''], denied_repos: [a/b/c, /r]}
",
        ),
        ..Case::default()
    };
    let at = r#"config_updater.maps."a.yaml""#;
    assert_eq!(
        found("validate-config-updater-acls", &case),
        [
            format!(
                r#"plugins.yaml:3:47: {at}.allowed_repos[2]: found "", expected org or org/repo"#
            ),
            format!(
                r#"plugins.yaml:3:67: {at}.denied_repos[0]: found "a/b/c", expected no more than one slash"#
            ),
            format!(
                r#"plugins.yaml:3:74: {at}.denied_repos[1]: found "/r", expected an organisation before the slash"#
            ),
        ]
    );
}

#[test]
fn labels_of_queries_have_their_plugins() {
    let case = Case {
        config: "
tide:
  queries:
  - orgs: [o]
    excludedRepos: [o/out]
    labels: [lgtm]
    missingLabels: [needs-rebase]
  - repos: [p/r]
    labels: [approved]
",
        plugins: Some(
            "\
plugins:
  o: {plugins: [lgtm, hold]}
  p/r: {plugins: [lgtm]}
external_plugins:
  o/a: [{name: needs-rebase}]
",
        ),
        ..Case::default()
    };
    let all = [
        r#"config.yaml:4:5: tide.queries[0]: o (without o/a, o/out) is merged by a query that forbids the label "needs-rebase", and the needs-rebase plugin is not enabled there"#,
        r#"config.yaml:8:5: tide.queries[1]: p/r is merged by a query that requires the label "approved", and the approve plugin is not enabled there"#,
        r#"plugins.yaml:2:3: plugins.o: o (without o/out) enables the hold plugin, and Tide does not forbid the label "do-not-merge/hold" there"#,
        r#"plugins.yaml:3:3: plugins."p/r": p/r enables the lgtm plugin, and Tide does not require the label "lgtm" there"#,
    ];
    assert_eq!(found("mismatched-tide", &case), all);
    assert_eq!(found("mismatched-tide-lenient", &case), [all[1], all[3]]);
}

#[test]
fn a_query_does_not_forbid_needs_ok_to_test() {
    let case = Case {
        config: "
tide:
  queries:
  - {orgs: [o], labels: [lgtm]}
  - {orgs: [p], labels: [lgtm], missingLabels: [needs-ok-to-test]}
",
        ..Case::default()
    };
    let told = found("needs-ok-to-test", &case);
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with(
            "config.yaml:5:33: tide.queries[1].missingLabels: the query requires lgtm and forbids \
             needs-ok-to-test"
        ),
        "{told:?}"
    );
}

#[test]
fn webhooks_are_one_for_each_repository() {
    let case = Case {
        config: "
managed_webhooks:
  org_repo_config:
    o: {token_created_after: 2024-01-01T00:00:00Z}
    o/r: {token_created_after: 2024-01-01T00:00:00Z}
    p/r: {token_created_after: 2024-01-01T00:00:00Z}
",
        ..Case::default()
    };
    assert_eq!(
        found("managed-webhooks", &case),
        [
            r#"config.yaml:5:5: managed_webhooks.org_repo_config."o/r": o/r and o both have a webhook: events come twice"#
        ]
    );
}

#[test]
fn links_are_urls() {
    let case = Case {
        config: "status_error_link: 'https://a b/'",
        plugins: Some(""),
        ..Case::default()
    };
    assert_eq!(
        found("validate-urls", &case),
        [r#"config.yaml:1:1: status_error_link: found "https://a b/", expected a URL"#]
    );
    let without_plugins = Case {
        plugins: None,
        ..case
    };
    assert_eq!(
        found("validate-urls", &without_plugins),
        Vec::<String>::new()
    );
}

#[test]
fn branches_that_tide_merges_need_not_be_up_to_date() {
    let queries = "tide: {queries: [{orgs: [o], repos: [p/r]}]}\n";
    let strict = "protect: true, required_status_checks: {strict: true}";
    let told = "is merged by Tide, and branch protection wants its branches up to date, which \
                Tide cannot wait for";
    for (protection, expected) in [
        (
            format!("{{{strict}}}"),
            vec![
                "config.yaml:2:1: branch-protection: every branch has to be up to date to merge, \
                 which Tide cannot wait for"
                    .to_owned(),
            ],
        ),
        (
            format!("{{orgs: {{o: {{{strict}, repos: {{out: {{protect: false}}}}}}}}}}"),
            vec![format!(
                "config.yaml:2:28: branch-protection.orgs.o: o (without o/out) {told}"
            )],
        ),
        (
            format!(
                "{{orgs: {{p: {{repos: {{r: {{branches: {{main: {{{strict}}}}}}}, x: {{{strict}}}}}}}}}}}"
            ),
            vec![format!(
                "config.yaml:2:40: branch-protection.orgs.p.repos.r: p/r {told}"
            )],
        ),
    ] {
        let config = format!("{queries}branch-protection: {protection}");
        let case = Case {
            config: &config,
            ..Case::default()
        };
        assert_eq!(found("tide-strict-branch", &case), expected);
    }
}

#[test]
fn what_is_unmanaged_has_no_settings() {
    let case = Case {
        config: "
branch-protection:
  orgs:
    a:
      unmanaged: true
      protect: true
    b:
      unmanaged: true
      protect: true
      repos:
        managed: {unmanaged: false}
    c:
      repos:
        r:
          unmanaged: true
          branches:
            main: {protect: true}
            own: {unmanaged: false, protect: true}
        s:
          branches:
            main: {unmanaged: true, protect: true}
",
        ..Case::default()
    };
    assert_eq!(
        found("validate-unmanaged-branchconfig-has-no-subconfig", &case),
        [
            "config.yaml:4:5: branch-protection.orgs.a: a is unmanaged, and has settings",
            "config.yaml:11:9: branch-protection.orgs.b.repos.managed: b/managed is configured, and its organisation is unmanaged",
            "config.yaml:17:13: branch-protection.orgs.c.repos.r.branches.main: c/r is unmanaged, and has settings for main",
            "config.yaml:21:13: branch-protection.orgs.c.repos.s.branches.main: c/s has settings for main, which is unmanaged",
        ]
    );
    let everything = Case {
        config: "branch-protection: {unmanaged: true, protect: true, orgs: {o: {}}}",
        ..Case::default()
    };
    assert_eq!(
        found(
            "validate-unmanaged-branchconfig-has-no-subconfig",
            &everything
        ),
        [
            "config.yaml:1:1: branch-protection: everything is unmanaged, and has settings",
            "config.yaml:1:60: branch-protection.orgs.o: o is configured, and everything is unmanaged",
        ]
    );
}

#[test]
fn tide_is_told_one_thing_of_a_context() {
    let case = Case {
        config: "
tide:
  context_options:
    orgs:
      o:
        repos:
          a: {required-contexts: [x], optional-contexts: [x]}
          b: {optional-regex-contexts: ['^unit']}
          c: {from-branch-protection: true}
branch-protection:
  orgs:
    o:
      protect: true
      required_status_checks: {contexts: [lint]}
presubmits:
  o/b: [{name: unit, always_run: true, branches: [main], spec: {containers: [{image: a}]}}]
  o/c: [{name: lint, optional: true, spec: {containers: [{image: a}]}}]
  o/d: [{name: lint, optional: true, spec: {containers: [{image: a}]}}]
",
        ..Case::default()
    };
    assert_eq!(
        found("tide-context-policy", &case),
        [
            r#"config.yaml:7:11: tide.context_options.orgs.o.repos.a: o/a tells Tide two things of branch master: the context "x" is required and optional"#,
            r#"config.yaml:8:11: tide.context_options.orgs.o.repos.b: o/b tells Tide two things of branch main: the context "unit" is required and optional, by "^unit""#,
            r#"config.yaml:9:11: tide.context_options.orgs.o.repos.c: o/c tells Tide two things of branch master: the context "lint" is required and optional"#,
        ]
    );
}
