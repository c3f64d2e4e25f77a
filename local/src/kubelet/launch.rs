//! One container as a process: what is executed, with which words and where. It is what the runner tells the
//! container's own process ([`super::container`]), and what that one answers.
//!
//! Pure: plan and folders in, [`Launch`] out.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, Volume};
use serde::{Deserialize, Serialize};

use super::env::expand;
use super::translate::Translation;
use super::{Utility, volume};

/// Where a utility's binary appears in a container's root.
const BINARIES: &str = "/.runner/bin";
/// Kubernetes' default for `terminationMessagePath`.
const TERMINATION_LOG: &str = "/dev/termination-log";

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Launch {
    pub(crate) program: String,
    /// The program's own name for itself, where it differs.
    pub(crate) arg0: Option<String>,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) dir: PathBuf,
    /// None where the container shares the machine's own root.
    pub(crate) root: Option<Root>,
}

/// A root of a container's own.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Root {
    pub(crate) hostname: String,
    /// Whom to be again once it is built, where only a user namespace's root may build it.
    pub(crate) user: Option<User>,
    /// An empty folder to build it in.
    pub(crate) staging: PathBuf,
    /// In the order in which they are mounted.
    pub(crate) binds: Vec<Bind>,
    /// Folders of the runner that no container is to see.
    pub(crate) hidden: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// A folder or file of this machine at a path of the container.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bind {
    pub(crate) source: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) read_only: bool,
}

/// The answer of a container's process, one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    Started,
    Failed(String),
}

/// The folders of one pod, below the runner's state.
#[derive(Clone, Debug)]
pub(crate) struct PodDir(pub(crate) PathBuf);

impl PodDir {
    pub(crate) fn volumes(&self) -> PathBuf {
        self.0.join("volumes")
    }

    pub(crate) fn volume(&self, name: &str) -> PathBuf {
        self.volumes().join(name)
    }

    pub(crate) fn containers(&self) -> PathBuf {
        self.0.join("containers")
    }

    pub(crate) fn container(&self, name: &str) -> ContainerDir {
        ContainerDir(self.containers().join(name))
    }
}

/// The folders of one container, below its pod's.
#[derive(Clone, Debug)]
pub(crate) struct ContainerDir(pub(crate) PathBuf);

impl ContainerDir {
    /// The record of its process.
    pub(crate) fn process(&self) -> PathBuf {
        self.0.join("process.json")
    }

    pub(crate) fn termination_log(&self) -> PathBuf {
        self.0.join("termination-log")
    }

    /// Folders that are writable and the container's own, and where it sees them.
    pub(crate) fn scratch(&self) -> [(PathBuf, &'static str); 2] {
        [
            (self.0.join("tmp"), "/tmp"),
            (self.0.join("var-tmp"), "/var/tmp"),
        ]
    }
}

/// Everything that decides how a container is executed.
pub(crate) struct Inputs<'a> {
    pub(crate) container: &'a Container,
    pub(crate) volumes: &'a [Volume],
    /// The container's variables, resolved.
    pub(crate) env: Vec<(String, String)>,
    /// The runner's own PATH, where the pod sets none.
    pub(crate) path: &'a str,
    /// What the image stands for, if it stands for anything.
    pub(crate) utility: Option<&'a Utility>,
    pub(crate) pod: &'a PodDir,
}

/// Where a container of its own root is built, and what it must not see.
pub(crate) struct Isolated<'a> {
    pub(crate) hostname: &'a str,
    pub(crate) user: Option<User>,
    pub(crate) staging: &'a Path,
    pub(crate) hidden: &'a [PathBuf],
}

/// The process of a container; `isolated` is None where paths are translated instead.
pub(crate) fn launch(inputs: Inputs<'_>, isolated: Option<&Isolated<'_>>) -> Launch {
    let container = inputs.container;
    let mut env = inputs.env;
    let command = container.command.iter().flatten();
    // What stands for an image is its entry point; any other image is taken as one without.
    let utility = inputs.utility.filter(|_| command.clone().next().is_none());
    let args = container.args.iter().flatten();
    let mut words: Vec<String> = command.chain(args).map(|word| expand(word, &env)).collect();
    let program = match utility {
        Some(utility) => utility.binary.display().to_string(),
        None if words.is_empty() => String::new(),
        None => words.remove(0),
    };
    // As a variable of an image, which no reference means.
    if !env.iter().any(|(name, _)| name == "PATH") {
        env.push(("PATH".to_owned(), inputs.path.to_owned()));
    }
    let dir = container
        .working_dir
        .as_deref()
        .filter(|dir| !dir.is_empty());
    let mounts = mounts(container, inputs.volumes, inputs.pod);
    let launch = Launch {
        program,
        arg0: utility.map(|utility| utility.argv0.clone()),
        args: words,
        env,
        dir: dir.map_or_else(|| PathBuf::from("/"), PathBuf::from),
        root: None,
    };
    match isolated {
        Some(isolated) => with_root(
            launch,
            mounts,
            utility,
            &inputs.pod.container(&container.name),
            isolated,
        ),
        None => translated(
            launch,
            dir.is_none(),
            mounts,
            &inputs.pod.container(&container.name),
        ),
    }
}

/// The volumes of the container and its termination log.
fn mounts(container: &Container, volumes: &[Volume], pod: &PodDir) -> Vec<Bind> {
    let mounts = container.volume_mounts.iter().flatten().map(|mount| {
        let source = pod.volume(&mount.name);
        let fixed = volumes
            .iter()
            .any(|volume| volume.name == mount.name && volume::is_read_only(volume));
        Bind {
            source: mount
                .sub_path
                .as_ref()
                .filter(|path| !path.is_empty())
                .map_or(source.clone(), |path| source.join(path)),
            target: Path::new("/").join(&mount.mount_path),
            read_only: fixed || mount.read_only == Some(true),
        }
    });
    let log = container
        .termination_message_path
        .as_deref()
        .unwrap_or(TERMINATION_LOG);
    let log = Bind {
        source: pod.container(&container.name).termination_log(),
        target: log.into(),
        read_only: false,
    };
    mounts.chain([log]).collect()
}

fn with_root(
    mut launch: Launch,
    mounts: Vec<Bind>,
    utility: Option<&Utility>,
    dir: &ContainerDir,
    isolated: &Isolated<'_>,
) -> Launch {
    let scratch = dir.scratch().map(|(source, target)| Bind {
        source,
        target: target.into(),
        read_only: false,
    });
    let free = |bind: &Bind| !mounts.iter().any(|mount| mount.target == bind.target);
    let mut binds: Vec<Bind> = scratch.into_iter().filter(free).collect();
    if let Some(utility) = utility {
        // argv[0] may be a path; the file needs a name.
        let name = Path::new(&utility.argv0)
            .file_name()
            .unwrap_or("entry".as_ref());
        let target = Path::new(BINARIES).join(name);
        launch.program = target.display().to_string();
        binds.push(Bind {
            source: utility.binary.clone(),
            target,
            read_only: true,
        });
    }
    binds.extend(mounts);
    // What lies deeper is mounted later, or it would be covered.
    binds.sort_by_key(|bind| bind.target.components().count());
    launch.root = Some(Root {
        hostname: isolated.hostname.to_owned(),
        user: isolated.user,
        staging: isolated.staging.to_owned(),
        binds,
        hidden: isolated.hidden.to_vec(),
    });
    launch
}

fn translated(mut launch: Launch, no_dir: bool, mounts: Vec<Bind>, dir: &ContainerDir) -> Launch {
    let translation = Translation::new(
        mounts
            .into_iter()
            .map(|mount| (mount.target, mount.source))
            .collect(),
    );
    launch.program = translation.word(&launch.program);
    launch
        .args
        .iter_mut()
        .for_each(|word| *word = translation.word(word));
    launch
        .env
        .iter_mut()
        .for_each(|(name, value)| *value = translation.variable(name, value));
    // The machine's `/` is no place to work in.
    launch.dir = if no_dir {
        dir.scratch()[0].0.clone()
    } else {
        translation.word(&launch.dir.to_string_lossy()).into()
    };
    launch
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn launched(container: serde_json::Value, utility: Option<&Utility>, isolated: bool) -> Launch {
        let container: Container = serde_json::from_value(container).unwrap();
        let volumes: Vec<Volume> =
            serde_json::from_value(json!([{"name": "logs", "emptyDir": {}}, {"name": "key", "secret": {"secretName": "k"}}])).unwrap();
        let hidden = [PathBuf::from("/state")];
        let isolated = isolated.then_some(Isolated {
            hostname: "p",
            user: None,
            staging: Path::new("/state/root"),
            hidden: &hidden,
        });
        let inputs = Inputs {
            container: &container,
            volumes: &volumes,
            env: vec![
                ("X".into(), "1".into()),
                ("ARTIFACTS".into(), "/logs/a".into()),
            ],
            path: "/bin",
            utility,
            pod: &PodDir("/p".into()),
        };
        launch(inputs, isolated.as_ref())
    }

    #[test]
    fn a_command_is_run_with_volumes_at_their_paths() {
        let launch = launched(
            json!({"name": "c", "command": ["sh", "-c"], "args": ["echo $(X) $(PATH)"], "workingDir": "/w", "volumeMounts": [
                {"name": "key", "mountPath": "/logs/deep/key"}, {"name": "logs", "mountPath": "/logs", "subPath": "s"}]}),
            None,
            true,
        );
        assert_eq!(
            (launch.program.as_str(), launch.args, launch.dir),
            (
                "sh",
                vec!["-c".into(), "echo 1 $(PATH)".into()],
                "/w".into()
            )
        );
        assert!(launch.env.contains(&("PATH".into(), "/bin".into())));
        let binds: Vec<_> = launch
            .root
            .unwrap()
            .binds
            .into_iter()
            .map(|b| (b.source, b.target, b.read_only))
            .collect();
        let bind = |source: &str, target: &str, read_only| {
            (PathBuf::from(source), PathBuf::from(target), read_only)
        };
        assert_eq!(
            binds,
            [
                bind("/p/containers/c/tmp", "/tmp", false),
                bind("/p/volumes/logs/s", "/logs", false),
                bind("/p/containers/c/var-tmp", "/var/tmp", false),
                bind(
                    "/p/containers/c/termination-log",
                    "/dev/termination-log",
                    false
                ),
                bind("/p/volumes/key", "/logs/deep/key", true),
            ]
        );
    }

    #[test]
    fn arguments_alone_are_a_program_and_its_arguments() {
        let launch = launched(json!({"name": "c", "args": ["echo", "hi"]}), None, true);
        assert_eq!(
            (&*launch.program, &*launch.args),
            ("echo", &["hi".to_owned()][..])
        );
    }

    #[test]
    fn a_utility_image_runs_its_binary_under_its_name() {
        let utility = Utility {
            binary: "/opt/prow".into(),
            argv0: "clonerefs".into(),
        };
        let own_root = launched(json!({"name": "c", "args": ["-x"]}), Some(&utility), true);
        assert_eq!(
            (own_root.program.as_str(), own_root.arg0.as_deref()),
            ("/.runner/bin/clonerefs", Some("clonerefs"))
        );
        let shared = launched(json!({"name": "c", "args": ["-x"]}), Some(&utility), false);
        assert_eq!(
            (shared.program.as_str(), shared.arg0.as_deref()),
            ("/opt/prow", Some("clonerefs"))
        );
        let command = launched(
            json!({"name": "c", "command": ["sh"]}),
            Some(&utility),
            true,
        );
        assert_eq!((command.program.as_str(), command.arg0), ("sh", None));
    }

    #[test]
    fn without_a_root_paths_are_translated() {
        let launch = launched(
            json!({"name": "c", "command": ["/logs/run"], "args": ["/logs/x", "cat /logs/x"], "volumeMounts": [{"name": "logs", "mountPath": "/logs"}]}),
            None,
            false,
        );
        assert_eq!(launch.program, "/p/volumes/logs/run");
        assert_eq!(launch.args, ["/p/volumes/logs/x", "cat /logs/x"]);
        assert!(
            launch
                .env
                .contains(&("ARTIFACTS".into(), "/p/volumes/logs/a".into()))
        );
        assert_eq!(launch.dir, Path::new("/p/containers/c/tmp"));
        assert!(launch.root.is_none());
    }
}
