//! Rules for pods and presets.

use super::{check, periodic, postsubmit, presubmit};

#[test]
fn containers() {
    check([
        (
            "no-container",
            presubmit("spec: {}"),
            r#"jobs.yaml:4:5: presubmits."org/repo"[0].spec.containers: the pod needs a container"#,
        ),
        (
            "init-container",
            presubmit("spec: {initContainers: [{name: a}], containers: [{}]}"),
            r#"jobs.yaml:4:29: presubmits."org/repo"[0].spec.initContainers[0]: an init container is only allowed as a sidecar, with restartPolicy: Always"#,
        ),
        (
            "init-container",
            presubmit(
                "spec: {initContainers: [{name: a, restartPolicy: always}], containers: [{}]}",
            ),
            r#"jobs.yaml:4:29: presubmits."org/repo"[0].spec.initContainers[0]: found restartPolicy: always; an init container is only allowed as a sidecar, with restartPolicy: Always"#,
        ),
        (
            "several-containers",
            presubmit("spec: {containers: [{name: a}, {name: b}]}"),
            r#"jobs.yaml:4:12: presubmits."org/repo"[0].spec.containers: only a decorated job may have several containers"#,
        ),
        (
            "container-name",
            presubmit("decorate: true\nspec: {containers: [{name: a, args: [x]}, {args: [x]}]}"),
            r#"jobs.yaml:5:47: presubmits."org/repo"[0].spec.containers[1]: one of several containers needs a name"#,
        ),
        (
            "duplicate-container-name",
            presubmit(
                "decorate: true\nspec: {containers: [{name: a, args: [x]}, {name: a, args: [x]}]}",
            ),
            r#"jobs.yaml:5:48: presubmits."org/repo"[0].spec.containers[1].name: two containers are named "a""#,
        ),
        (
            "reserved-container-name",
            presubmit(
                "decorate: true\nspec: {containers: [{name: a, args: [x]}, {name: sidecar, args: [x]}]}",
            ),
            r#"jobs.yaml:5:48: presubmits."org/repo"[0].spec.containers[1].name: the container name "sidecar" is decoration's own"#,
        ),
    ]);
}

#[test]
fn amounts() {
    check([(
        "quantity",
        presubmit("spec: {containers: [{resources: {limits: {memory: 10Gb}}}]}"),
        r#"jobs.yaml:4:55: presubmits."org/repo"[0].spec.containers[0].resources.limits.memory: found "10Gb", expected an amount like 500m, 2 or 4Gi"#,
    )]);
}

#[test]
fn environment() {
    check([
        (
            "duplicate-env",
            presubmit(
                "spec:\n  containers:\n  - env:\n    - {name: A, value: x}\n    - {name: A, value: z}",
            ),
            r#"jobs.yaml:8:11: presubmits."org/repo"[0].spec.containers[0].env[1]: the variable "A" is set twice"#,
        ),
        (
            "reserved-env",
            presubmit("spec: {containers: [{env: [{name: PULL_NUMBER, value: x}]}]}"),
            r#"jobs.yaml:4:32: presubmits."org/repo"[0].spec.containers[0].env[0]: the variable PULL_NUMBER is set by Prow for every presubmit"#,
        ),
        (
            "reserved-env",
            postsubmit("spec: {containers: [{env: [{name: REPO_NAME, value: x}]}]}"),
            r#"jobs.yaml:4:32: postsubmits."org/repo"[0].spec.containers[0].env[0]: the variable REPO_NAME is set by Prow for every postsubmit"#,
        ),
        (
            "reserved-env",
            periodic("interval: 1h\nspec: {containers: [{env: [{name: JOB_NAME, value: x}]}]}"),
            "jobs.yaml:4:30: periodics[0].spec.containers[0].env[0]: the variable JOB_NAME is set by Prow for every periodic",
        ),
    ]);
}

#[test]
fn volumes() {
    check([
        (
            "duplicate-volume",
            presubmit("spec: {containers: [{}], volumes: [{name: a}, {name: a}]}"),
            r#"jobs.yaml:4:51: presubmits."org/repo"[0].spec.volumes[1]: two volumes are named "a""#,
        ),
        (
            "reserved-volume",
            presubmit("spec: {containers: [{}], volumes: [{name: gcs-credentials}]}"),
            r#"jobs.yaml:4:40: presubmits."org/repo"[0].spec.volumes[0]: the volume name "gcs-credentials" is decoration's own"#,
        ),
        (
            "reserved-volume",
            presubmit(
                "decorate: true\ndecoration_config: {ssh_key_secrets: [key]}\nspec: {containers: [{args: [x]}], volumes: [{name: key}]}",
            ),
            r#"jobs.yaml:6:49: presubmits."org/repo"[0].spec.volumes[0]: the volume name "key" is decoration's own"#,
        ),
        (
            "unknown-volume",
            presubmit(
                "spec: {containers: [{volumeMounts: [{name: cahce, mountPath: /c}]}], volumes: [{name: cache}]}",
            ),
            r#"jobs.yaml:4:41: presubmits."org/repo"[0].spec.containers[0].volumeMounts[0]: no volume is named "cahce"; did you mean "cache"?"#,
        ),
        // No job may mount decoration's own volumes.
        (
            "unknown-volume",
            presubmit("spec: {containers: [{volumeMounts: [{name: log, mountPath: /l}]}]}"),
            r#"jobs.yaml:4:41: presubmits."org/repo"[0].spec.containers[0].volumeMounts[0]: no volume is named "log""#,
        ),
        (
            "reserved-volume-mount",
            presubmit("spec: {containers: [{volumeMounts: [{name: code, mountPath: /c}]}]}"),
            r#"jobs.yaml:4:41: presubmits."org/repo"[0].spec.containers[0].volumeMounts[0]: the volume "code" is decoration's own"#,
        ),
        (
            "reserved-mount-path",
            presubmit(
                "spec: {containers: [{volumeMounts: [{name: a, mountPath: /tools}]}], volumes: [{name: a}]}",
            ),
            r#"jobs.yaml:4:41: presubmits."org/repo"[0].spec.containers[0].volumeMounts[0]: /tools is decoration's own folder"#,
        ),
    ]);
}

#[test]
fn presets() {
    check([
        (
            "preset-env",
            "presets:\n- {labels: {p: 'yes'}, env: [{name: A, value: x}]}\npresubmits:\n  org/repo:\n  - name: unit\n    labels: {p: 'yes'}\n    spec: {containers: [{env: [{name: A, value: z}]}]}\n".into(),
            r#"jobs.yaml:7:5: presubmits."org/repo"[0].spec: the preset p: "yes" brings the variable "A", which is there already"#,
        ),
        (
            "preset-volume",
            "presets:\n- {labels: {p: 'yes'}, volumes: [{name: v}]}\npresubmits:\n  org/repo:\n  - name: unit\n    labels: {p: 'yes'}\n    spec: {containers: [{}], volumes: [{name: v}]}\n".into(),
            r#"jobs.yaml:7:5: presubmits."org/repo"[0].spec: the preset p: "yes" brings the volume "v", which is there already"#,
        ),
        (
            "preset-volume-mount",
            "presets:\n- {labels: {p: 'yes'}, volumeMounts: [{name: v, mountPath: /a}]}\npresubmits:\n  org/repo:\n  - name: unit\n    labels: {p: 'yes'}\n    spec: {containers: [{volumeMounts: [{name: v, mountPath: /b}]}], volumes: [{name: v}]}\n".into(),
            r#"jobs.yaml:7:5: presubmits."org/repo"[0].spec: the preset p: "yes" brings the volume mount "v", which is there already"#,
        ),
        (
            "preset-toleration",
            "presets:\n- {labels: {p: 'yes'}, tolerations: [{key: k}]}\npresubmits:\n  org/repo:\n  - name: unit\n    labels: {p: 'yes'}\n    spec: {containers: [{}], tolerations: [{key: k}]}\n".into(),
            r#"jobs.yaml:7:5: presubmits."org/repo"[0].spec: the preset p: "yes" brings the toleration {"key":"k"}, which is there already"#,
        ),
        (
            "preset-label",
            "presets:\n- labels: {p: 'yes'}\n- labels: {p: 'yes'}\n".into(),
            r#"jobs.yaml:3:12: presets[1].labels.p: the label p: "yes" chooses a preset in jobs.yaml already; a pair of label and value may stand in one preset only"#,
        ),
    ]);
}
