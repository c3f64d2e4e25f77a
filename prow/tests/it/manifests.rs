//! The manifests under `k8s/`: they render, a cluster accepts them, and each service starts with
//! the arguments in them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use clap::Args;
use local::{
    apiserver::ApiServer,
    github::{self, FakeGithub},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::support::{Program, eventually, free_port, kubectl};

fn k8s() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../k8s")
        .canonicalize()
        .unwrap()
}

fn yaml(documents: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(documents).unwrap()
}

/// What `kubectl apply -k` would send.
fn rendered() -> String {
    let output = Command::new("kubectl")
        .args([
            "kustomize",
            k8s().join("overlays/nodeport").to_str().unwrap(),
        ])
        .output()
        .expect("kubectl is installed: apt-get install kubernetes-client");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> impl Iterator<Item = &'a Value> {
    documents
        .iter()
        .filter(move |document| document["kind"] == kind)
}

fn arguments(deployment: &Value) -> Vec<String> {
    let arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
        .as_array()
        .unwrap();
    arguments
        .iter()
        .map(|argument| argument.as_str().unwrap().to_owned())
        .collect()
}

fn command(program: &str) -> clap::Command {
    let command = clap::Command::new("program");
    match program {
        "hook" => hook::HookOptions::augment_args(command),
        "prow-controller-manager" => plank::PlankOptions::augment_args(command),
        "crier" => plank::crier::CrierOptions::augment_args(command),
        "horologium" => plank::horologium::HorologiumOptions::augment_args(command),
        "deck" => deck::DeckOptions::augment_args(command),
        "sinker" => sinker::SinkerOptions::augment_args(command),
        other => panic!("no program {other}"),
    }
}

#[test]
fn the_crd_is_the_one_the_types_give() {
    let generated = serde_saphyr::to_string(&common::prowjob::build_prowjob_crd()).unwrap();
    let path = k8s().join("crd.yaml");
    if std::env::var_os("PROW_UPDATE").is_some() {
        fs::write(&path, &generated).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == generated,
        "k8s/crd.yaml is not what the types give: run this test with PROW_UPDATE=1"
    );
}

#[test]
fn every_flag_is_one_that_the_program_has() {
    for deployment in of_kind(&yaml(&rendered()), "Deployment") {
        let program = deployment["metadata"]["name"].as_str().unwrap();
        let command = command(program);
        let known: BTreeSet<&str> = command
            .get_arguments()
            .filter_map(clap::Arg::get_long)
            .collect();
        for argument in arguments(deployment) {
            let name = argument.trim_start_matches('-').split('=').next().unwrap();
            assert!(known.contains(name), "{program}: --{name}");
        }
    }
}

/// With `latest`, or without a tag, the kubelet asks a registry each time, and none has the images.
#[test]
fn every_image_is_one_that_make_image_builds_and_none_is_pulled_anew() {
    let make = Command::new("make")
        .args(["--silent", "images"])
        .current_dir(k8s().join(".."))
        .output()
        .expect("make is installed: apt-get install make");
    let built = String::from_utf8(make.stdout).unwrap();
    let built: BTreeSet<&str> = built.split_whitespace().collect();
    let tag = concat!(":v", env!("CARGO_PKG_VERSION"));
    assert!(built.len() > 1 && built.iter().all(|image| image.ends_with(tag)));
    let documents = yaml(&rendered());
    for deployment in of_kind(&documents, "Deployment") {
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let image = container["image"].as_str().unwrap();
        assert!(built.contains(image), "{image}");
        assert_eq!(container["imagePullPolicy"], "IfNotPresent", "{image}");
    }
    let map = of_kind(&documents, "ConfigMap").find(|map| map["metadata"]["name"] == "config");
    let config = yaml(map.unwrap()["data"]["config.yaml"].as_str().unwrap());
    let images =
        &config[0]["plank"]["default_decoration_config_entries"][0]["config"]["utility_images"];
    for program in ["clonerefs", "initupload", "entrypoint", "sidecar"] {
        let image = images[program].as_str().unwrap();
        assert!(built.contains(image), "{image}");
    }
}

#[test]
fn the_promises_of_the_tutorial_hold() {
    let documents = yaml(&rendered());
    let service = |name: &str| {
        let found =
            of_kind(&documents, "Service").find(|service| service["metadata"]["name"] == name);
        let service = found.unwrap();
        let port = &service["spec"]["ports"][0];
        (
            service["spec"]["selector"]["app"].clone(),
            port["port"].clone(),
            port["nodePort"].clone(),
        )
    };
    assert_eq!(service("hook"), ("hook".into(), 8888.into(), 30001.into()));
    assert_eq!(service("deck"), ("deck".into(), 80.into(), 30002.into()));
    let namespaces: Vec<_> = of_kind(&documents, "Namespace")
        .map(|n| n["metadata"]["name"].clone())
        .collect();
    assert_eq!(namespaces, ["prow", "test-pods"]);
    let text = rendered();
    for promised in [
        "secretName: hmac-token",
        "secretName: github-token",
        "key: app_private_key",
        "key: app_id",
    ] {
        assert!(text.contains(promised), "{promised}");
    }
}

/// The storage key must have no other use: whoever has a token can try keys at leisure.
#[test]
fn the_storage_key_is_a_secret_of_its_own_that_deck_alone_may_fill() {
    let documents = yaml(&rendered());
    let secrets: Vec<_> = of_kind(&documents, "Secret").collect();
    let [secret] = secrets.as_slice() else {
        panic!("{secrets:?}")
    };
    assert_eq!(secret["metadata"]["name"], "storage-key");
    assert_eq!(secret["metadata"]["namespace"], "prow");
    // Fields that are missing here are left alone when this is applied again.
    assert!(secret.get("data").is_none() && secret.get("stringData").is_none());

    let is_about_secrets = |rule: &&Value| rule["resources"].to_string().contains("secrets");
    let mut allowed = Vec::new();
    for role in of_kind(&documents, "Role").chain(of_kind(&documents, "ClusterRole")) {
        let rules = role["rules"].as_array().unwrap();
        for rule in rules.iter().filter(is_about_secrets) {
            let (name, namespace) = (&role["metadata"]["name"], &role["metadata"]["namespace"]);
            allowed.push(format!(
                "{}/{}: {} {}",
                namespace.as_str().unwrap(),
                name.as_str().unwrap(),
                rule["verbs"],
                rule["resourceNames"],
            ));
        }
    }
    allowed.sort();
    let expected = [
        r#"prow/deck-storage-key: ["get","patch"] ["storage-key"]"#,
        r#"test-pods/prow-controller-manager: ["create"] null"#,
    ];
    assert_eq!(allowed, expected);
    let binding = of_kind(&documents, "RoleBinding")
        .find(|binding| binding["roleRef"]["name"] == "deck-storage-key")
        .unwrap();
    let subject = json!([{"kind": "ServiceAccount", "name": "deck", "namespace": "prow"}]);
    assert_eq!(binding["subjects"], subject);

    for deployment in of_kind(&documents, "Deployment") {
        let name = deployment["metadata"]["name"].as_str().unwrap();
        let volumes = &deployment["spec"]["template"]["spec"]["volumes"];
        let volumes = volumes.as_array().map(Vec::as_slice).unwrap_or_default();
        let of = |secret: &str| {
            let is_it = |volume: &&Value| volume["secret"]["secretName"] == secret;
            volumes.iter().find(is_it).map(|found| &found["secret"])
        };
        let signs = ["prow-controller-manager", "crier"].contains(&name);
        // With `items`, a Secret that lacks them would keep the pod from starting.
        let whole = json!({"secretName": "storage-key"});
        assert_eq!(of("storage-key"), signs.then_some(&whole), "{name}");
        assert_eq!(of("hmac-token").is_some(), name == "hook", "{name}");
        let arguments = arguments(deployment);
        let given = arguments.iter().find(|it| it.starts_with("--storage-key"));
        let expected = match name {
            "deck" => Some("--storage-key-secret=storage-key"),
            _ if signs => Some("--storage-key-file=/etc/storage-key/key"),
            _ => None,
        };
        assert_eq!(given.map(String::as_str), expected, "{name}");
    }
}

#[test]
fn mirrors_leave_half_of_hooks_volume_to_its_deliveries() {
    let documents = yaml(&rendered());
    let named = |kind| of_kind(&documents, kind).find(|found| found["metadata"]["name"] == "hook");
    let size = &named("PersistentVolumeClaim").unwrap()["spec"]["resources"]["requests"]["storage"];
    assert_eq!(size, "2Gi");
    let arguments = arguments(named("Deployment").unwrap());
    assert!(
        arguments.contains(&"--mirror-disk-mib=1024".to_owned()),
        "{arguments:?}"
    );
}

/// A cluster on a port, with the CRD and the overlay applied by kubectl.
async fn cluster(folder: &Path) -> PathBuf {
    common::service::install_crypto();
    let options = local::apiserver::ApiServerOptions {
        db: None,
        logs: folder.join("logs"),
    };
    let server = ApiServer::start(options).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = server
        .serve_loopback(listener, CancellationToken::new())
        .await
        .unwrap();
    let kubeconfig = folder.join("kubeconfig");
    endpoint.write_kubeconfig(&kubeconfig).unwrap();
    let applied = kubeconfig.clone();
    tokio::task::spawn_blocking(move || {
        kubectl(
            &applied,
            &["apply", "-f", k8s().join("crd.yaml").to_str().unwrap()],
        );
        kubectl(
            &applied,
            &[
                "apply",
                "-k",
                k8s().join("overlays/nodeport").to_str().unwrap(),
            ],
        );
        let again = kubectl(
            &applied,
            &[
                "apply",
                "-k",
                k8s().join("overlays/nodeport").to_str().unwrap(),
            ],
        );
        assert!(
            again.lines().all(|line| line.ends_with("unchanged")),
            "{again}"
        );
    })
    .await
    .unwrap();
    kubeconfig
}

/// Writes the files that the pod would have mounted, below `root`.
fn lay_out(documents: &[Value], root: &Path, private_key: &str) {
    for (folder, map) in [("etc/config", "config"), ("etc/plugins", "plugins")] {
        let map = of_kind(documents, "ConfigMap")
            .find(|found| found["metadata"]["name"] == map)
            .unwrap();
        fs::create_dir_all(root.join(folder)).unwrap();
        for (name, text) in map["data"].as_object().unwrap() {
            fs::write(root.join(folder).join(name), text.as_str().unwrap()).unwrap();
        }
    }
    for (file, text) in [
        (
            "etc/webhook/hmac",
            "0123456789abcdef0123456789abcdef01234567",
        ),
        ("etc/github/app_private_key", private_key),
    ] {
        fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
        fs::write(root.join(file), text).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_takes_them_and_every_service_gets_ready() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    let kubeconfig = cluster(&root).await;
    let documents = yaml(&rendered());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let github = FakeGithub::start(
        github::FakeGithubOptions::default(),
        listener,
        CancellationToken::new(),
    )
    .await
    .unwrap();
    let app = github
        .add_app("prow", "http://127.0.0.1:1/hook", "secret")
        .await
        .unwrap();
    lay_out(&documents, &root, &app.private_key_pem);
    for deployment in of_kind(&documents, "Deployment") {
        let program = deployment["metadata"]["name"].as_str().unwrap().to_owned();
        let health = free_port();
        let mut line = vec![program.clone()];
        for argument in arguments(deployment) {
            let argument = argument.replace("$(GITHUB_APP_ID)", &app.app_id.to_string());
            line.push(match argument.split_once("=/") {
                Some((flag, path)) => format!("{flag}={}/{path}", root.display()),
                None => argument,
            });
        }
        line.push(format!("--health-port={health}"));
        line.push(format!("--metrics-port={}", free_port()));
        let known = command(&program);
        if known
            .get_arguments()
            .any(|argument| argument.get_long() == Some("port"))
        {
            line.push(format!("--port={}", free_port()));
        }
        if known
            .get_arguments()
            .any(|argument| argument.get_long() == Some("github-endpoint"))
        {
            line.push(format!("--github-endpoint={}", github.url()));
        }
        let kubeconfig = kubeconfig.clone();
        tokio::task::spawn_blocking(move || {
            let line: Vec<&str> = line.iter().map(String::as_str).collect();
            let running =
                Program::with_environment(&line, &[("KUBECONFIG", kubeconfig.to_str().unwrap())]);
            eventually(&program, Duration::from_secs(20), || {
                let url = format!("http://127.0.0.1:{health}/healthz/ready");
                let output = Command::new("curl")
                    .args(["--silent", "--fail", &url])
                    .output();
                output
                    .expect("curl is installed: apt-get install curl")
                    .status
                    .success()
                    .then_some(())
            });
            if program == "deck" {
                the_key_outlives_an_apply(&kubeconfig);
            }
            drop(running);
        })
        .await
        .unwrap();
    }
}

/// Deck has filled the Secret, and another apply by the operator leaves it as it is.
fn the_key_outlives_an_apply(kubeconfig: &Path) {
    let overlay = k8s().join("overlays/nodeport");
    let key = || {
        let path = "jsonpath={.data.key}";
        let get = ["get", "secret", "storage-key", "-n", "prow", "-o", path];
        kubectl(kubeconfig, &get)
    };
    let filled = eventually("Deck's key", Duration::from_secs(20), || {
        Some(key()).filter(|key| !key.is_empty())
    });
    kubectl(kubeconfig, &["apply", "-k", overlay.to_str().unwrap()]);
    assert_eq!(key(), filled);
}
