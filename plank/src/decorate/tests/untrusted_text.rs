//! Text that strangers chose (titles, branches, logins) arrives as they wrote it, although the
//! kubelet expands variables.

use std::collections::BTreeMap;

use common::expansion::expand_variables;
use podutils::{JobSpec, clonerefs};
use proptest::prelude::*;

use super::*;

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("$(MINE)".to_owned()),
        Just("$(JOB_NAME)".to_owned()),
        Just("$(KUBERNETES_SERVICE_HOST)".to_owned()),
        Just("$$".to_owned()),
        r#"[$()"\\a\u{20ac}]"#,
    ];
    prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat())
}

/// The variables of a container as the kubelet makes them, Services of the namespace included.
fn kubelet(container: &Value) -> BTreeMap<String, String> {
    let mut env = BTreeMap::from([("KUBERNETES_SERVICE_HOST".to_owned(), "10.0.0.1".to_owned())]);
    for variable in container["env"].as_array().into_iter().flatten() {
        let value = expand_variables(variable["value"].as_str().unwrap(), |name| {
            env.get(name).cloned()
        });
        env.insert(variable["name"].as_str().unwrap().to_owned(), value);
    }
    env
}

proptest! {
    #[test]
    fn a_strangers_words_arrive(title in text(), branch in text(), author in text(), decorate: bool) {
        let pod_spec = json!({"containers": [{
            "name": "a", "image": "i", "command": ["x"],
            "env": [{"name": "MINE", "value": "a\"b"}],
        }]});
        let mut spec = if decorate { decorated(pod_spec, json!({})) } else { presubmit(pod_spec) };
        spec["refs"]["base_ref"] = branch.as_str().into();
        spec["refs"]["pulls"][0]["title"] = title.as_str().into();
        spec["refs"]["pulls"][0]["head_ref"] = branch.as_str().into();
        spec["refs"]["pulls"][0]["author"] = author.as_str().into();
        let refs = job(spec.clone()).spec.refs.unwrap();
        let pod = make(spec).unwrap();
        let groups = ["initContainers", "containers"].into_iter();
        for container in groups.flat_map(|group| pod["spec"][group].as_array().into_iter().flatten()) {
            let env = kubelet(container);
            if let Some(json) = env.get(JobSpec::ENV) {
                let spec: JobSpec = serde_json::from_str(json).unwrap();
                prop_assert_eq!(spec.refs.as_ref(), Some(&refs));
            }
            if let Some(json) = env.get(clonerefs::ClonerefsOptions::ENV) {
                let options: clonerefs::ClonerefsOptions = serde_json::from_str(json).unwrap();
                prop_assert_eq!(&options.git_refs[0], &refs);
            }
            for name in ["INITUPLOAD_OPTIONS", "SIDECAR_OPTIONS", "ENTRYPOINT_OPTIONS"] {
                if let Some(json) = env.get(name) {
                    prop_assert!(serde_json::from_str::<Value>(json).is_ok(), "{} {}", name, json);
                }
            }
            if container["name"] == "test" {
                prop_assert_eq!(&env["PULL_TITLE"], &title);
                prop_assert_eq!(&env["PULL_HEAD_REF"], &branch);
                prop_assert_eq!(&env["PULL_BASE_REF"], &branch);
                prop_assert_eq!(&env["MINE"], "a\"b");
                prop_assert!(env[JobSpec::ENV].contains("pulls"));
            }
        }
    }
}
