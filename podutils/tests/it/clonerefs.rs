mod addresses;
mod ssh;

use std::fs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use common::prowjob::{Pull, Refs};
use podutils::clonerefs::{CloneRecord, ClonerefsOptions, run_clonerefs};

use crate::support::{Pod, Repository};

struct Clone {
    records: Vec<CloneRecord>,
    code: ExitCode,
}

async fn clone_with(
    pod: &Pod,
    git_refs: Vec<Refs>,
    change: impl FnOnce(&mut ClonerefsOptions),
) -> Clone {
    let mut options = ClonerefsOptions {
        src_root: pod.path("go"),
        log: pod.path("logs/clone.json"),
        git_user_name: "ci-robot".into(),
        git_user_email: "ci-robot@k8s.io".into(),
        git_refs,
        ..ClonerefsOptions::default()
    };
    change(&mut options);
    let code = run_clonerefs(&options).await.unwrap();
    Clone {
        records: serde_json::from_str(&pod.read("logs/clone.json")).unwrap(),
        code,
    }
}

async fn clone(pod: &Pod, git_refs: Vec<Refs>) -> Clone {
    clone_with(pod, git_refs, |_| {}).await
}

const TREE: &str = "go/src/github.com/o/r";

#[tokio::test]
async fn the_merged_tree_is_checked_out_on_the_base_branch() {
    let pod = Pod::new();
    let repository = Repository::new(&pod.at("origin"));
    let pulls = vec![
        repository.pull(1, "one", "1"),
        repository.pull(2, "two", "2"),
    ];
    repository.commit("later", "on main");
    let clone = clone(&pod, vec![repository.refs(pulls)]).await;

    assert!(
        !clone.records.iter().any(|r| r.failed),
        "{:#?}",
        clone.records
    );
    for (file, content) in [
        ("README", "hello"),
        ("one", "1"),
        ("two", "2"),
        ("later", "on main"),
    ] {
        assert_eq!(pod.read(&format!("{TREE}/{file}")), content);
    }
    assert_eq!(
        pod.read(&format!("{TREE}/.git/HEAD")).trim(),
        "ref: refs/heads/main"
    );
    let head = pod.read(&format!("{TREE}/.git/refs/heads/main"));
    assert_eq!(clone.records[1].final_sha, head.trim());
    assert!(
        clone.records[1]
            .commands
            .iter()
            .any(|c| c.command.contains("git merge --no-ff"))
    );
}

#[tokio::test]
async fn the_same_input_makes_the_same_commits() {
    let pod = Pod::new();
    let repository = Repository::new(&pod.at("origin"));
    let pulls = vec![
        repository.pull(1, "one", "1"),
        repository.pull(2, "two", "2"),
    ];
    repository.commit("later", "on main");
    let refs = repository.refs(pulls);
    let mut shas = Vec::new();
    for root in ["a", "b"] {
        let options = |o: &mut ClonerefsOptions| o.src_root = pod.path(root);
        shas.push(
            clone_with(&pod, vec![refs.clone()], options).await.records[1]
                .final_sha
                .clone(),
        );
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    assert_eq!(shas[0], shas[1]);
    assert_eq!(shas[0].len(), 40);
}

#[tokio::test]
async fn a_pull_request_without_a_sha_is_found_by_its_number() {
    let pod = Pod::new();
    let repository = Repository::new(&pod.at("origin"));
    let pull = repository.pull(3, "three", "3");
    let refs = Refs {
        base_sha: String::new(),
        ..repository.refs(vec![Pull {
            number: 3,
            ..Pull::default()
        }])
    };
    let clone = clone(&pod, vec![refs]).await;
    assert_eq!(clone.records[1].final_sha.len(), 40, "{:#?}", clone.records);
    assert_ne!(
        clone.records[1].final_sha, pull.sha,
        "merged, not fast-forwarded"
    );
    assert_eq!(pod.read(&format!("{TREE}/three")), "3");
}

#[tokio::test]
async fn several_references_are_cloned_side_by_side() {
    let pod = Pod::new();
    let (one, two) = (
        Repository::new(&pod.at("one")),
        Repository::new(&pod.at("two")),
    );
    two.commit("only-here", "x");
    let other = Refs {
        path_alias: "k8s.io/two".into(),
        ..two.refs(Vec::new())
    };
    let clone = clone(&pod, vec![one.refs(Vec::new()), other.clone()]).await;
    assert_eq!(clone.records.len(), 3);
    assert_eq!(
        clone.records[2].refs, other,
        "records are in the order of the options"
    );
    assert!(pod.at("go/src/k8s.io/two/only-here").exists());
    assert!(pod.at(&format!("{TREE}/README")).exists());
}

#[tokio::test]
async fn shallow_blobless_and_sparse_clones_work() {
    let pod = Pod::new();
    let repository = Repository::new(&pod.at("origin"));
    repository.git(&["config", "uploadpack.allowFilter", "true"]);
    fs::create_dir(pod.at("origin/sub")).unwrap();
    repository.commit("sub/file", "deep");
    repository.commit("top", "x");
    let base = repository.refs(Vec::new());
    for (alias, refs) in [
        (
            "shallow",
            Refs {
                clone_depth: 1,
                skip_fetch_head: true,
                ..base.clone()
            },
        ),
        (
            "blobless",
            Refs {
                blobless_fetch: Some(true),
                ..base.clone()
            },
        ),
        (
            "sparse",
            Refs {
                sparse_checkout_files: vec!["sub".into()],
                ..base
            },
        ),
    ] {
        let clone = clone(
            &pod,
            vec![Refs {
                path_alias: alias.into(),
                ..refs
            }],
        )
        .await;
        assert!(!clone.records[1].failed, "{:#?}", clone.records);
        assert_eq!(pod.read(&format!("go/src/{alias}/sub/file")), "deep");
    }
    assert!(pod.at("go/src/shallow/.git/shallow").exists());
}

#[tokio::test]
async fn a_conflict_is_a_failed_record_and_not_a_crash() {
    let pod = Pod::new();
    let repository = Repository::new(&pod.at("origin"));
    let pulls = vec![
        repository.pull(1, "README", "mine"),
        repository.pull(2, "README", "yours"),
    ];
    let refs = vec![repository.refs(pulls)];
    let clone = clone(&pod, refs.clone()).await;
    assert_eq!(clone.code, ExitCode::SUCCESS, "initupload tells of it");
    let record = &clone.records[1];
    assert!(record.failed);
    assert_eq!(record.final_sha, "");
    let last = record.commands.last().unwrap();
    assert!(
        last.command.contains("git merge"),
        "the first command that fails is the last"
    );
    assert!(last.output.contains("CONFLICT"), "{}", last.output);

    let pod = Pod::new();
    assert_eq!(
        clone_with(&pod, refs, |o| o.fail = true).await.code,
        ExitCode::FAILURE
    );
}

#[tokio::test]
async fn a_repository_that_does_not_exist_is_asked_for_once() {
    let pod = Pod::new();
    let repository = Repository::new(&pod.at("origin"));
    let nowhere = Refs {
        clone_uri: "file:///no/such/repository".into(),
        ..repository.refs(Vec::new())
    };
    let start = Instant::now();
    let clone = clone(&pod, vec![nowhere]).await;
    assert!(clone.records[1].failed);
    let fetches = clone.records[1].commands.iter();
    let fetches = fetches.filter(|command| command.command.contains(" fetch "));
    assert_eq!(fetches.count(), 1);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_branch_that_comes_a_little_later_is_waited_for() {
    let pod = Pod::new();
    let repository = Repository::new(&pod.at("origin"));
    let late = Refs {
        base_ref: "late".into(),
        base_sha: String::new(),
        ..repository.refs(Vec::new())
    };
    let cloning = clone(&pod, vec![late]);
    let pushing = async {
        // Longer than the one second for which a fetch was once retried.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        repository.git(&["branch", "late"]);
    };
    let (clone, ()) = tokio::join!(cloning, pushing);
    assert!(!clone.records[1].failed, "{:#?}", clone.records);
    assert_eq!(pod.read(&format!("{TREE}/README")), "hello");
}

#[tokio::test]
async fn paths_are_cleaned_as_prow_cleans_them() {
    let pod = Pod::new();
    let repository = Repository::new(&pod.at("origin"));
    let refs = Refs {
        org: String::new(),
        path_alias: "/a//b/./-c/".into(),
        clone_depth: -1,
        ..repository.refs(Vec::new())
    };
    let clone = clone(&pod, vec![refs]).await;
    assert!(!clone.records[1].failed, "{:#?}", clone.records);
    assert_eq!(pod.read("go/src/a/b/-c/README"), "hello");
}

#[tokio::test]
async fn hostile_references_run_nothing() {
    let pod = Pod::new();
    let repository = Repository::new(&pod.at("origin"));
    let touch = format!("touch {}", pod.path("owned"));
    let good = repository.refs(Vec::new());
    for refs in [
        Refs {
            base_ref: format!("--upload-pack={touch}"),
            base_sha: String::new(),
            ..good.clone()
        },
        Refs {
            clone_uri: format!("ext::sh -c {touch}"),
            ..good.clone()
        },
        Refs {
            clone_uri: format!("--upload-pack={touch}"),
            ..good.clone()
        },
        Refs {
            path_alias: "../../escaped".into(),
            ..good.clone()
        },
        Refs {
            org: "../../escaped".into(),
            ..good
        },
    ] {
        let clone = clone(&pod, vec![refs]).await;
        assert!(clone.records[1].failed);
        assert!(
            clone.records[1].commands[0]
                .error
                .contains("is not allowed"),
            "{:#?}",
            clone.records
        );
    }
    assert!(!pod.at("owned").exists());
    assert!(!pod.at("escaped").exists());
}

#[tokio::test]
async fn a_token_that_cannot_be_read_is_a_failed_record() {
    let pod = Pod::new();
    let repository = Repository::new(&pod.at("origin"));
    let clone = clone_with(&pod, vec![repository.refs(Vec::new())], |o| {
        o.oauth_token_file = "/no/such/token".into()
    })
    .await;
    assert!(clone.records[0].failed);
    assert!(
        clone.records[0].commands[0]
            .error
            .contains("/no/such/token")
    );
    assert!(!pod.at(TREE).exists(), "nothing is cloned without it");
}

#[tokio::test]
async fn two_references_for_one_folder_are_refused() {
    let pod = Pod::new();
    let repository = Repository::new(&pod.at("origin"));
    let clone = clone(
        &pod,
        vec![repository.refs(Vec::new()), repository.refs(Vec::new())],
    )
    .await;
    assert!(clone.records[0].failed);
}
