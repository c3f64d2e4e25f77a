use super::*;

pub(in crate::kube) fn kubeconfig(names: &[&str], current: &str) -> String {
    let entries = |kind: &str| -> String {
        names
            .iter()
            .map(|name| format!("- name: {name}\n  {kind}\n"))
            .collect()
    };
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: {current}\nclusters:\n{}contexts:\n{}",
        entries("cluster: {server: 'http://127.0.0.1:1'}"),
        entries(&format!("context: {{cluster: {}}}", names[0])),
    )
}

fn in_folder(folder: &Path) -> KubernetesOptions {
    KubernetesOptions {
        kubeconfig_dir: Some(folder.into()),
        ..KubernetesOptions::default()
    }
}

#[test]
fn every_context_of_every_file_counts_and_none_twice() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    write("a.yaml", kubeconfig(&["a", "b"], "a"));
    write("..data", "not yaml: [".into());
    let contexts = KubeconfigContexts::read_kubeconfigs(&in_folder(folder.path())).unwrap();
    assert_eq!(contexts.all.keys().collect::<Vec<_>>(), ["a", "b"]);

    write("b.yaml", kubeconfig(&["b"], "b"));
    let refusal = KubeconfigContexts::read_kubeconfigs(&in_folder(folder.path())).unwrap_err();
    let refusal = refusal.to_string();
    assert!(refusal.contains("context b is defined twice"), "{refusal}");
}

#[test]
fn files_that_nobody_named_are_one_to_kubectl() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("1"), kubeconfig(&["a", "b"], "b")).unwrap();
    let second = kubeconfig(&["b", "default"], "default").replace("127.0.0.1:1", "127.0.0.1:2");
    std::fs::write(path("2"), second).unwrap();
    let contexts = KubeconfigContexts::merge_kubeconfigs(&[path("1"), path("2")]).unwrap();
    let names: Vec<_> = contexts.all.keys().collect();
    assert_eq!(names, ["a", "b", "default"]);
    let current = contexts.current_context(&[]).unwrap().unwrap();
    assert_eq!(
        (&*current.name, current.server_url()),
        ("b", Some("http://127.0.0.1:1"))
    );
    assert!(
        KubeconfigContexts::merge_kubeconfigs(&[])
            .unwrap()
            .all
            .is_empty()
    );
    std::fs::write(path("2"), "contexts: [").unwrap();
    let error = KubeconfigContexts::merge_kubeconfigs(&[path("1"), path("2")]).unwrap_err();
    assert!(error.to_string().contains("reading kubeconfig"), "{error}");
}

#[test]
fn the_infrastructure_is_the_last_files_current_context_that_is_not_disabled() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    write("1.yaml", kubeconfig(&["z", "y"], "z"));
    write("2.yaml", kubeconfig(&["a"], "a"));
    write("3.yaml", kubeconfig(&["b"], "''"));
    let contexts = KubeconfigContexts::read_kubeconfigs(&in_folder(folder.path())).unwrap();
    let current = |disabled: &[&str]| {
        let disabled: Vec<_> = disabled.iter().map(|it| (*it).to_owned()).collect();
        let current = contexts.current_context(&disabled).unwrap();
        current.map(|context| context.name.clone())
    };
    assert_eq!(current(&[]).as_deref(), Some("a"));
    assert_eq!(current(&["a"]).as_deref(), Some("z"));
    assert_eq!(current(&["a", "z"]), None);

    write("4.yaml", kubeconfig(&["c"], "nowhere"));
    let contexts = KubeconfigContexts::read_kubeconfigs(&in_folder(folder.path())).unwrap();
    let error = contexts.current_context(&[]).unwrap_err().to_string();
    assert!(error.contains("current-context nowhere"), "{error}");
}

#[test]
fn another_token_or_certificate_is_another_origin_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = (folder.path().join("config"), folder.path().join("key"));
    let origin = |token: &str, key_text: &str, other: &str| {
        std::fs::write(&key, key_text).unwrap();
        let text = format!(
            "{}- name: other\n  context: {{cluster: {other}}}\nusers:\n- name: u\n  user: {{token: {token}, client-key: key}}\n",
            kubeconfig(&["a"], "a").replace("{cluster: a}", "{cluster: a, user: u}")
        );
        std::fs::write(&path, text).unwrap();
        let options = KubernetesOptions {
            kubeconfig: Some(path.clone()),
            ..KubernetesOptions::default()
        };
        KubeconfigContexts::read_kubeconfigs(&options).unwrap().all["a"].compute_fingerprint()
    };
    let first = origin("t", "k", "a");
    assert_eq!(origin("t", "k", "b"), first, "another context's change");
    assert_ne!(origin("u", "k", "a"), first, "a rotated token");
    assert_ne!(origin("t", "l", "a"), first, "a rotated key");
}
