//! One container as a process: which program is executed, with which arguments, and where. The
//! runner sends the [`LaunchSpec`] to the container's process ([`super::container`]), which answers
//! with a [`LaunchReport`].
//!
//! Pure: from the plan and folders to a [`LaunchSpec`].

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, Volume};
use serde::{Deserialize, Serialize};

use super::env::expand_variables;
use super::translate::PathTranslation;
use super::{UtilityImage, volume};

/// Where a utility image's binary is in the container's root.
const UTILITY_BIN_DIR: &str = "/.runner/bin";
/// Kubernetes' default for `terminationMessagePath`.
const TERMINATION_LOG: &str = "/dev/termination-log";

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LaunchSpec {
    pub(crate) program: String,
    /// The program's `argv[0]`, where it differs from its path.
    pub(crate) arg0: Option<String>,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) dir: PathBuf,
    /// `None` where the container shares the machine's own root.
    pub(crate) root: Option<ContainerRoot>,
}

/// The container's own root.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ContainerRoot {
    pub(crate) hostname: String,
    /// The user to become after the root is built, if only root in a user namespace may build it.
    pub(crate) user: Option<ContainerUser>,
    /// An empty folder in which the root is built.
    pub(crate) staging: PathBuf,
    /// In mount order.
    pub(crate) binds: Vec<BindMount>,
    /// Folders of the runner that no container may see.
    pub(crate) hidden: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContainerUser {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// A folder or file of this machine that is mounted at a path of the container.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BindMount {
    pub(crate) source: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) read_only: bool,
}

/// The answer of a container's process, one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum LaunchReport {
    Started,
    Failed(String),
}

/// The folders of one pod, below the runner's state folder.
#[derive(Clone, Debug)]
pub(crate) struct PodDir(pub(crate) PathBuf);

impl PodDir {
    pub(crate) fn volumes_dir(&self) -> PathBuf {
        self.0.join("volumes")
    }

    pub(crate) fn volume_dir(&self, name: &str) -> PathBuf {
        self.volumes_dir().join(name)
    }

    pub(crate) fn containers_dir(&self) -> PathBuf {
        self.0.join("containers")
    }

    pub(crate) fn container_dir(&self, name: &str) -> ContainerDir {
        ContainerDir(self.containers_dir().join(name))
    }
}

/// The folders of one container, below its pod's folder.
#[derive(Clone, Debug)]
pub(crate) struct ContainerDir(pub(crate) PathBuf);

impl ContainerDir {
    /// The record of the container's process.
    pub(crate) fn process_record_path(&self) -> PathBuf {
        self.0.join("process.json")
    }

    pub(crate) fn termination_log(&self) -> PathBuf {
        self.0.join("termination-log")
    }

    /// The container's own writable folders, with their paths inside the container.
    pub(crate) fn scratch_dirs(&self) -> [(PathBuf, &'static str); 2] {
        [
            (self.0.join("tmp"), "/tmp"),
            (self.0.join("var-tmp"), "/var/tmp"),
        ]
    }
}

/// Everything that decides how a container is executed.
pub(crate) struct LaunchInputs<'a> {
    pub(crate) container: &'a Container,
    pub(crate) volumes: &'a [Volume],
    /// The container's variables, resolved.
    pub(crate) env: Vec<(String, String)>,
    /// The runner's own `PATH`, for pods that set none.
    pub(crate) path: &'a str,
    /// The binary that stands for the image, if there is one.
    pub(crate) utility: Option<&'a UtilityImage>,
    pub(crate) pod: &'a PodDir,
}

/// Where a container's own root is built, and what the container must not see.
pub(crate) struct ContainerRootOptions<'a> {
    pub(crate) hostname: &'a str,
    pub(crate) user: Option<ContainerUser>,
    pub(crate) staging: &'a Path,
    pub(crate) hidden: &'a [PathBuf],
}

/// The launch spec of a container. `isolated` is `None` where paths are translated instead.
pub(crate) fn build_launch_spec(
    inputs: LaunchInputs<'_>,
    isolated: Option<&ContainerRootOptions<'_>>,
) -> LaunchSpec {
    let container = inputs.container;
    let mut env = inputs.env;
    let command = container.command.iter().flatten();
    // A utility image's binary is its entry point. Any other image counts as one without an entry
    // point.
    let utility = inputs.utility.filter(|_| command.clone().next().is_none());
    let args = container.args.iter().flatten();
    let mut words: Vec<String> = command
        .chain(args)
        .map(|word| expand_variables(word, &env))
        .collect();
    let program = match utility {
        Some(utility) => utility.binary.display().to_string(),
        None if words.is_empty() => String::new(),
        None => words.remove(0),
    };
    // Added last, like a variable of the image: no reference in the pod means it.
    if !env.iter().any(|(name, _)| name == "PATH") {
        env.push(("PATH".to_owned(), inputs.path.to_owned()));
    }
    let dir = container
        .working_dir
        .as_deref()
        .filter(|dir| !dir.is_empty());
    let mounts = list_bind_mounts(container, inputs.volumes, inputs.pod);
    let launch = LaunchSpec {
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
            &inputs.pod.container_dir(&container.name),
            isolated,
        ),
        None => with_translated_paths(
            launch,
            dir.is_none(),
            mounts,
            &inputs.pod.container_dir(&container.name),
        ),
    }
}

/// The bind mounts of the container's volumes and termination log.
fn list_bind_mounts(container: &Container, volumes: &[Volume], pod: &PodDir) -> Vec<BindMount> {
    let mounts = container.volume_mounts.iter().flatten().map(|mount| {
        let source = pod.volume_dir(&mount.name);
        let fixed = volumes
            .iter()
            .any(|volume| volume.name == mount.name && volume::is_read_only(volume));
        BindMount {
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
    let log = BindMount {
        source: pod.container_dir(&container.name).termination_log(),
        target: log.into(),
        read_only: false,
    };
    mounts.chain([log]).collect()
}

fn with_root(
    mut launch: LaunchSpec,
    mounts: Vec<BindMount>,
    utility: Option<&UtilityImage>,
    dir: &ContainerDir,
    isolated: &ContainerRootOptions<'_>,
) -> LaunchSpec {
    let scratch = dir.scratch_dirs().map(|(source, target)| BindMount {
        source,
        target: target.into(),
        read_only: false,
    });
    let free = |bind: &BindMount| !mounts.iter().any(|mount| mount.target == bind.target);
    let mut binds: Vec<BindMount> = scratch.into_iter().filter(free).collect();
    if let Some(utility) = utility {
        // argv[0] may be a path; the file needs a name.
        let name = Path::new(&utility.argv0)
            .file_name()
            .unwrap_or("entry".as_ref());
        let target = Path::new(UTILITY_BIN_DIR).join(name);
        launch.program = target.display().to_string();
        binds.push(BindMount {
            source: utility.binary.clone(),
            target,
            read_only: true,
        });
    }
    binds.extend(mounts);
    // Deeper paths are mounted later, or they would be covered.
    binds.sort_by_key(|bind| bind.target.components().count());
    launch.root = Some(ContainerRoot {
        hostname: isolated.hostname.to_owned(),
        user: isolated.user,
        staging: isolated.staging.to_owned(),
        binds,
        hidden: isolated.hidden.to_vec(),
    });
    launch
}

fn with_translated_paths(
    mut launch: LaunchSpec,
    no_dir: bool,
    mounts: Vec<BindMount>,
    dir: &ContainerDir,
) -> LaunchSpec {
    let translation = PathTranslation::new(
        mounts
            .into_iter()
            .map(|mount| (mount.target, mount.source))
            .collect(),
    );
    launch.program = translation.translate_word(&launch.program);
    launch
        .args
        .iter_mut()
        .for_each(|word| *word = translation.translate_word(word));
    launch
        .env
        .iter_mut()
        .for_each(|(name, value)| *value = translation.translate_variable(name, value));
    // The machine's `/` is not useful as a working directory.
    launch.dir = if no_dir {
        dir.scratch_dirs()[0].0.clone()
    } else {
        translation
            .translate_word(&launch.dir.to_string_lossy())
            .into()
    };
    launch
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn launched(
        container: serde_json::Value,
        utility: Option<&UtilityImage>,
        isolated: bool,
    ) -> LaunchSpec {
        let container: Container = serde_json::from_value(container).unwrap();
        let volumes: Vec<Volume> =
            serde_json::from_value(json!([{"name": "logs", "emptyDir": {}}, {"name": "key", "secret": {"secretName": "k"}}])).unwrap();
        let hidden = [PathBuf::from("/state")];
        let isolated = isolated.then_some(ContainerRootOptions {
            hostname: "p",
            user: None,
            staging: Path::new("/state/root"),
            hidden: &hidden,
        });
        let inputs = LaunchInputs {
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
        build_launch_spec(inputs, isolated.as_ref())
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
        let utility = UtilityImage {
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
