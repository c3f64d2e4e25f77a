use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    time::{Duration, Instant},
};

use prometheus_client::{encoding::text::encode, registry::Registry};
use tempfile::TempDir;

use super::*;
use crate::config::Diagnostic;

/// What the issue allows from a change of a file to its effect.
const TWO_SECONDS: Duration = Duration::from_secs(2);

/// A source whose value is the text of all files in a folder; it fails if `bad` is in the text.
fn text_of(folder: &Path) -> ReloadableFiles<String> {
    let path = folder.to_owned();
    ReloadableFiles::new([path.clone()], move || {
        let mut text = String::new();
        read(&path, &mut text);
        match text.contains("bad") {
            true => Err(Diagnostic::in_file("yaml", "a.yaml", format!("found {text:?}")).into()),
            false => Ok(text),
        }
    })
}

fn read(folder: &Path, text: &mut String) {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            !path
                .file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("..")
        })
        .collect();
    entries.sort();
    for path in entries {
        match path.is_dir() {
            true => read(&path, text),
            false => text.push_str(&fs::read_to_string(path).unwrap()),
        }
    }
}

struct AgentFixture {
    folder: TempDir,
    agent: ConfigAgent<String>,
    registry: Registry,
}

impl AgentFixture {
    fn new(prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let mut registry = Registry::default();
        let metrics = LoadMetrics::register_metrics(&mut registry);
        let (agent, _) =
            ConfigAgent::watch_source("config", text_of(folder.path()), &metrics).unwrap();
        Self {
            folder,
            agent,
            registry,
        }
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.path().join(file), text).unwrap();
    }

    fn becomes(&self, text: &str) {
        within(TWO_SECONDS, text, || {
            self.agent.current_config().as_str() == text
        });
    }

    fn failure(&self) -> Option<LoadFailure> {
        self.agent.watch_status().borrow().failure.clone()
    }

    fn metrics(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        text
    }
}

fn within(limit: Duration, what: &str, is: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is() {
        assert!(begin.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_changed_a_new_a_replaced_and_a_deleted_file_are_served() {
    let world = AgentFixture::new(|folder| fs::write(folder.join("a"), "one ").unwrap());
    world.write("a", "two ");
    world.becomes("two ");
    world.write("b", "new ");
    world.becomes("two new ");
    world.write(".tmp", "");
    let path = |name| world.folder.path().join(name);
    fs::write(path(".tmp"), "one ").unwrap();
    fs::rename(path(".tmp"), path("a")).unwrap();
    world.becomes("one new ");
    fs::remove_file(path("b")).unwrap();
    world.becomes("one ");
}

#[test]
fn a_file_in_a_folder_that_was_made_later_is_served() {
    let world = AgentFixture::new(|_| {});
    let nested = world.folder.path().join("x/y");
    fs::create_dir_all(&nested).unwrap();
    fs::write(nested.join("a"), "deep").unwrap();
    world.becomes("deep");
    fs::write(nested.join("a"), "deeper").unwrap();
    world.becomes("deeper");
}

#[test]
fn a_single_file_is_followed_through_every_change_and_no_other_file_is_watched() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    let jobs = folder.path().join("jobs");
    fs::create_dir_all(jobs.join("nested")).unwrap();
    fs::write(jobs.join("nested/a"), "").unwrap();
    fs::write(&file, "one").unwrap();
    let path = file.clone();
    let mut source = ReloadableFiles::new([file.clone(), jobs.clone()], move || {
        Ok(fs::read_to_string(&path).unwrap_or_default())
    });
    source.load_config().unwrap();
    assert_eq!(
        source.watched_paths(),
        [file.clone(), jobs.clone(), jobs.join("nested")],
        "not the folder of the file: a database may lie there, too"
    );

    let (agent, _) = ConfigAgent::watch_source("config", source, &LoadMetrics::default()).unwrap();
    let becomes = |text: &str| {
        within(TWO_SECONDS, text, || {
            agent.current_config().as_str() == text
        })
    };
    fs::write(&file, "two").unwrap();
    becomes("two");
    for text in ["three", "four"] {
        fs::write(folder.path().join("other"), text).unwrap();
        fs::rename(folder.path().join("other"), &file).unwrap();
        becomes(text);
    }
    fs::remove_file(&file).unwrap();
    becomes("");
    fs::write(&file, "five").unwrap();
    becomes("five");
    fs::write(&file, "six").unwrap();
    becomes("six");
}

#[test]
fn a_mounted_config_map_is_swapped() {
    let mount = |folder: &Path, version: &str, text: &str| {
        let data = folder.join(version);
        fs::create_dir(&data).unwrap();
        fs::write(data.join("a"), text).unwrap();
        symlink(version, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    };
    let world = AgentFixture::new(|folder| {
        mount(folder, "..2026_01", "old");
        symlink("..data/a", folder.join("a")).unwrap();
    });
    assert_eq!(*world.agent.current_config(), "old");
    mount(world.folder.path(), "..2026_02", "new");
    world.becomes("new");
}

#[test]
fn a_bad_file_changes_nothing_but_the_status() {
    let world = AgentFixture::new(|folder| fs::write(folder.join("a"), "good").unwrap());
    let counted = "prow_config_load_failures_total{what=\"config\"}";
    assert!(world.metrics().contains(&format!("{counted} 0")));
    let first = world.agent.watch_status().borrow().loaded_at;
    world.write("a", "bad");
    within(TWO_SECONDS, "the failure", || world.failure().is_some());
    assert_eq!(*world.agent.current_config(), "good");
    assert_eq!(world.agent.watch_status().borrow().loaded_at, first);
    assert!(world.metrics().contains(&format!("{counted} 1")));
    let failure = world.failure().unwrap();
    assert_eq!(failure.errors.to_string(), "a.yaml: found \"bad\"");

    world.write("a", "bad again");
    let errors = || world.failure().unwrap().errors.to_string();
    within(TWO_SECONDS, "the other failure", || {
        errors() == "a.yaml: found \"bad again\""
    });
    assert_eq!(world.failure().unwrap().since, failure.since);

    world.write("a", "mended");
    world.becomes("mended");
    within(TWO_SECONDS, "no failure", || world.failure().is_none());
    assert!(world.agent.watch_status().borrow().loaded_at > first);
}

#[test]
fn a_first_reading_that_fails_is_final() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), "bad").unwrap();
    let source = text_of(folder.path());
    assert!(ConfigAgent::watch_source("config", source, &LoadMetrics::default()).is_err());
}

#[test]
fn many_writes_are_one_reading() {
    let world = AgentFixture::new(|folder| fs::write(folder.join("a"), "0").unwrap());
    let mut receiver = world.agent.outlet.value.subscribe();
    for number in 1..=9 {
        world.write("a", &number.to_string());
    }
    world.becomes("9");
    assert!(receiver.has_changed().unwrap());
    receiver.mark_unchanged();
    std::thread::sleep(Duration::from_millis(1200));
    assert!(
        !receiver.has_changed().unwrap(),
        "nothing is read without a change"
    );
}
