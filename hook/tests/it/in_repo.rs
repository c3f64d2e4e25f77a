//! Jobs that a repository brings itself.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use common::config::Config;

use crate::world::{World, WorldOptions};

/// A world with in-repo configuration, and `jobs` as the central ones.
async fn world(jobs: &'static str) -> World {
    World::with_options(WorldOptions {
        jobs,
        in_repo: true,
        ..WorldOptions::default()
    })
    .await
}

const OWN: &str = "\
presubmits:
  acme/widgets:
  - name: own
    always_run: true
    spec: {containers: [{image: alpine, command: [\"true\"]}]}
postsubmits:
  acme/widgets:
  - name: publish
    branches: [^main$]
    spec: {containers: [{image: alpine, command: [\"true\"]}]}
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_request_runs_the_jobs_it_would_leave_behind() {
    let world = world(crate::world::JOBS).await;
    let (work, _number) = world.open_pull("prow-jobs.yaml", OWN).await;
    assert_eq!(world.states().await, ["own triggered", "unit triggered"]);
    work.push("prow-jobs.yaml", &OWN.replace("own", "renamed"));
    assert_eq!(
        world.states().await,
        [
            "own aborted",
            "renamed triggered",
            "unit aborted",
            "unit triggered"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_runs_the_postsubmits_it_brought() {
    let world = world("{}").await;
    let work = world.maria.clone_of("acme/widgets");
    let head = work.push("prow-jobs.yaml", OWN);
    assert_eq!(world.states().await, ["publish triggered"]);
    let jobs = world.prowjobs().await;
    let refs = jobs[0].spec.refs.as_ref().unwrap();
    assert_eq!((refs.base_ref.as_str(), &refs.base_sha), ("main", &head));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_told_once_and_kept_up_to_date() {
    let world = world(crate::world::JOBS).await;
    let (work, number) = world
        .open_pull(
            "prow-jobs.yaml",
            "presubmits:\n  acme/widgets:\n  - nmae: own\n",
        )
        .await;
    assert_eq!(world.states().await, ["unit triggered"], "central jobs run");
    let first = world.bot_comments(number).await;
    assert_eq!(first.len(), 1, "{first:?}");
    for part in ["prow-jobs.yaml, line 3", "nmae", "name"] {
        assert!(first[0].1.contains(part), "{part} in {first:?}");
    }

    work.push("prow-jobs.yaml", &OWN.replace("acme/widgets", "acme/other"));
    world.idle().await;
    let second = world.bot_comments(number).await;
    assert_eq!(
        (second.len(), second[0].0),
        (1, first[0].0),
        "the same comment"
    );
    assert!(second[0].1.contains("acme/other"), "{second:?}");

    work.push("prow-jobs.yaml", OWN);
    let states = world.states().await;
    assert!(states.contains(&"own triggered".to_owned()), "{states:?}");
    let third = world.bot_comments(number).await;
    assert_eq!(
        (third.len(), third[0].0),
        (1, first[0].0),
        "the same comment"
    );
    assert!(third[0].1.contains("can be used now"), "{third:?}");
}

/// With a commit status about in-repo configuration.
async fn judged() -> World {
    World::with_options(WorldOptions {
        in_repo: true,
        status_context: Some("prow/config"),
        ..WorldOptions::default()
    })
    .await
}

/// State, description and target of that status, on the newest commit.
async fn verdict(world: &World, number: u64) -> Option<(String, String, String)> {
    world.idle().await;
    let (org, repo) = ("acme", "widgets");
    let head = world
        .github
        .get_pull(org, repo, number)
        .await
        .unwrap()
        .head_sha;
    let statuses = world.github.list_statuses(org, repo, &head).await.unwrap();
    let status = statuses
        .into_iter()
        .find(|status| status.context == "prow/config")?;
    Some((status.state, status.description, status.target_url))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_configuration_is_a_red_status_until_it_is_mended() {
    let world = judged().await;
    let broken = "presubmits:\n  acme/widgets:\n  - nmae: own\n";
    let (work, number) = world.open_pull("prow-jobs.yaml", broken).await;
    let (state, description, target) = verdict(&world, number).await.unwrap();
    assert_eq!(state, "failure");
    assert!(
        description.starts_with("prow-jobs.yaml:3: "),
        "{description}"
    );
    assert!(description.chars().count() <= 140, "{description}");
    let comment = world.bot_comments(number).await[0].0;
    let page = format!("{}/acme/widgets/pull/{number}", world.github.url());
    assert_eq!(target, format!("{page}#issuecomment-{comment}"));

    work.push("prow-jobs.yaml", OWN);
    let (state, _, target) = verdict(&world, number).await.unwrap();
    assert_eq!(state, "success");
    assert_eq!(target, format!("{page}#issuecomment-{comment}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_never_broken_is_green_and_what_is_not_there_has_no_status() {
    for (file, content, expected) in [
        ("prow-jobs.yaml", OWN, Some("success")),
        ("plain.txt", "x", None),
    ] {
        let world = judged().await;
        let (_, number) = world.open_pull(file, content).await;
        let state = verdict(&world, number).await.map(|(state, ..)| state);
        assert_eq!(state.as_deref(), expected, "{file}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_context_there_is_no_status() {
    let world = world(crate::world::JOBS).await;
    let broken = "presubmits:\n  acme/widgets:\n  - nmae: own\n";
    let (_, number) = world.open_pull("prow-jobs.yaml", broken).await;
    assert_eq!(verdict(&world, number).await, None);
    assert_eq!(world.bot_comments(number).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_of_an_organisation_without_the_app_is_tried_once() {
    let world = world("{}").await;
    world.github.add_org("others", &["maria"]).await.unwrap();
    let options = local::github::RepoOptions::default();
    world
        .github
        .add_repo("others", "things", options)
        .await
        .unwrap();
    let payload = serde_json::json!({
        "ref": "refs/heads/main", "before": "0".repeat(40), "after": "1".repeat(40),
        "repository": {"name": "things", "full_name": "others/things",
            "owner": {"login": "others", "name": "others"}},
    });
    assert_eq!(world.hook.deliver("push", "elsewhere", &payload).await, 200);
    world.hook.idle().await;
    let ended = "guid = 'elsewhere' AND state = 'failed' AND attempts = 1";
    assert_eq!(world.hook.count(ended).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_not_followed() {
    let world = world("{}").await;
    let work = world.maria.clone_of("acme/widgets");
    std::os::unix::fs::symlink("/etc/passwd", work.path().join("prow-jobs.yaml")).unwrap();
    work.git(&["checkout", "--quiet", "-b", "topic"]);
    work.push("a.txt", "a\n");
    let wish = serde_json::json!({"title": "Link", "head": "topic", "base": "main"});
    world.maria.post("/repos/acme/widgets/pulls", &wish).await;
    assert!(world.states().await.is_empty());
    let said = world.bot_comments(1).await;
    assert!(said[0].1.contains("symbolic link"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_jobs_wait_and_their_mistakes_are_told() {
    let world = world(crate::world::JOBS).await;
    let (work, number) = world
        .open_strangers_pull("prow-jobs.yaml", "presubmits: 7\n")
        .await;
    assert!(world.states().await.is_empty());
    let said = world.bot_comments(number).await;
    assert!(
        said.iter()
            .any(|(_, body)| body.contains("prow-jobs.yaml, line 1")),
        "{said:?}"
    );

    work.push("prow-jobs.yaml", OWN);
    world.comment(&world.maria, number, "/test own").await;
    assert!(
        world.states().await.is_empty(),
        "its own jobs are not even known"
    );
    world.comment(&world.maria, number, "/ok-to-test").await;
    assert_eq!(world.states().await, ["own triggered", "unit triggered"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_runs_nothing_and_commands_are_answered() {
    let world = world(crate::world::JOBS).await;
    let work = world.maria.clone_of("acme/widgets");
    work.git(&["checkout", "--quiet", "-b", "topic"]);
    work.push("README.md", "one\n");
    let other = world.maria.clone_of("acme/widgets");
    other.push("README.md", "two\n");
    let wish = serde_json::json!({"title": "Conflict", "head": "topic", "base": "main"});
    world.maria.post("/repos/acme/widgets/pulls", &wish).await;
    assert!(world.states().await.is_empty());
    let reasons = world.hook.reasons().await;
    let why = "the pull request conflicts with main in README.md, so no job can run on it";
    assert!(reasons.contains(&why.to_owned()), "{reasons:?}");
    assert_eq!(world.bot_comments(1).await, [], "GitHub shows it");

    for command in ["/test unit", "/test own", "/retest", "/test ?"] {
        world.comment(&world.maria, 1, command).await;
        world.idle().await;
        let said = world.bot_comments(1).await;
        assert_eq!(
            said.len(),
            1,
            "{command}: the last answer replaces the others"
        );
        for part in [
            "it conflicts with `main`",
            "- `README.md`",
            "Rebase it",
            command,
        ] {
            assert!(said[0].1.contains(part), "{command}: {part} in {said:?}");
        }
    }
    assert!(world.states().await.is_empty());

    work.git(&["fetch", "--quiet", "origin"]);
    work.git(&["reset", "--quiet", "--hard", "origin/main"]);
    work.commit("a.txt", "a\n");
    work.git(&["push", "--quiet", "--force", "origin", "HEAD:topic"]);
    assert_eq!(world.states().await, ["unit triggered"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_is_read_without_what_it_leaves_out() {
    let world = world("{}").await;
    let work = world.maria.clone_of("acme/widgets");
    work.git(&["checkout", "--quiet", "-b", "topic"]);
    for (file, content) in [
        (".prow/a.yaml", job("first")),
        (".prow/sub/b.yml", job("second")),
        (".prow/sub/wip-c.yaml", "no: [yaml".to_owned()),
        (".prow/.prowignore", "wip-*\n".to_owned()),
        (".prow.yaml", job("never")),
        ("prow-jobs.yaml", job("nor")),
    ] {
        work.commit(file, &content);
    }
    work.git(&["push", "--quiet", "origin", "topic"]);
    let wish = serde_json::json!({"title": "Folder", "head": "topic", "base": "main"});
    world.maria.post("/repos/acme/widgets/pulls", &wish).await;
    let states = world.states().await;
    assert_eq!(states, ["first triggered", "second triggered"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_mirror_is_made_anew() {
    let world = world("{}").await;
    let (work, _) = world.open_pull("prow-jobs.yaml", OWN).await;
    assert_eq!(world.states().await, ["own triggered"]);
    for file in files_below(&world.mirror().join("objects")) {
        // Objects are read-only, so each file is replaced.
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, "").unwrap();
    }
    work.push("prow-jobs.yaml", &OWN.replace("own", "renamed"));
    assert_eq!(world.states().await, ["own aborted", "renamed triggered"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_git_cannot_read_is_told_and_not_tried_for_ever() {
    let door = Arc::new(AtomicBool::new(false));
    let world = World::with_options(WorldOptions {
        in_repo: true,
        git_door: Some(Arc::clone(&door)),
        ..WorldOptions::default()
    })
    .await;
    let (work, number) = world.open_pull("prow-jobs.yaml", OWN).await;
    assert_eq!(world.states().await, ["unit triggered"], "central jobs run");
    let said = world.bot_comments(number).await;
    assert!(said[0].1.contains("git cannot read"), "{said:?}");

    door.store(true, Ordering::Relaxed);
    work.push("prow-jobs.yaml", &OWN.replace("own", "mended"));
    let states = world.states().await;
    assert!(
        states.contains(&"mended triggered".to_owned()),
        "{states:?}"
    );
    let said = world.bot_comments(number).await;
    assert!(said[0].1.contains("can be used now"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_of_a_folder_is_read_from_a_mirror_that_has_it() {
    let world = World::new().await;
    let work = world.maria.clone_of("acme/widgets");
    let base = work.git(&["rev-parse", "HEAD"]);
    work.git(&["checkout", "--quiet", "-b", "topic"]);
    for number in 0..20 {
        let file = format!(".prow/{number}.yaml");
        work.commit(&file, &job(&format!("job-{number}")));
    }
    work.git(&["push", "--quiet", "origin", "topic"]);
    let head = work.git(&["rev-parse", "HEAD"]);
    let reader = world.in_repo_reader();
    let config = Arc::new(Config::default());
    for _ in 0..2 {
        let head = Some((7, head.as_str()));
        let read = reader.count_jobs("acme", "widgets", &base, head, &config);
        assert_eq!(read.await.unwrap(), 20);
    }
}

fn job(name: &str) -> String {
    let spec = "{containers: [{image: alpine, command: [\"true\"]}]}";
    format!("presubmits:\n- name: {name}\n  always_run: true\n  spec: {spec}\n")
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| match path.is_dir() {
            true => files_below(&path),
            false => vec![path],
        })
        .collect()
}
