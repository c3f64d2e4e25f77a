//! The programs in this binary, by name, and how each is started.

use std::{
    ffi::OsString,
    future::Future,
    io::{self, Write},
    process::ExitCode,
};

use clap::{ArgMatches, Args, Command, FromArgMatches};
use common::{service, untrusted_text::escape_terminal_lines};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::{check, demo, github, mkpj, mkpod, schema};

/// Most characters of an error that is printed.
const MAX_ERROR_TEXT: usize = 100_000;

/// A program, by the name that this binary answers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Hook,
    ControllerManager,
    Crier,
    Horologium,
    Deck,
    Sinker,
    Clonerefs,
    Initupload,
    Entrypoint,
    Sidecar,
    Demo,
    Check,
    Schema,
    Mkpj,
    Mkpod,
    /// The GitHub stand-in alone, for `make test-node`.
    Github,
    /// One container of the pod runner; only the runner starts it.
    Container,
    /// One of Prow's names that has no program yet.
    NotYet(&'static str),
}

/// Names as a user types them and as images are called.
const NAMES: [(&str, Program); 21] = [
    ("hook", Program::Hook),
    ("plank", Program::ControllerManager),
    ("prow-controller-manager", Program::ControllerManager),
    ("crier", Program::Crier),
    ("deck", Program::Deck),
    ("sinker", Program::Sinker),
    ("clonerefs", Program::Clonerefs),
    ("initupload", Program::Initupload),
    ("entrypoint", Program::Entrypoint),
    ("sidecar", Program::Sidecar),
    ("demo", Program::Demo),
    ("github", Program::Github),
    ("container", Program::Container),
    ("horologium", Program::Horologium),
    ("checkconfig", Program::Check),
    ("check", Program::Check),
    ("mkpj", Program::Mkpj),
    ("mkpod", Program::Mkpod),
    ("up", Program::NotYet("up")),
    ("run", Program::NotYet("run")),
    ("schema", Program::Schema),
];

const USAGE: &str = "\
Usage: prow <COMMAND> [FLAGS]

Commands:
  demo                     the whole system on this machine, on a sample repository
  hook                     receives webhooks, creates ProwJobs
  prow-controller-manager  runs ProwJobs as pods (also: plank)
  crier                    reports results to GitHub, Slack and storage
  horologium               creates ProwJobs of periodics
  deck                     shows jobs and logs
  sinker                   deletes what is no longer needed
  check                    says what is wrong with a configuration (also: checkconfig)
  schema                   writes the JSON Schema of job files, for editors
  mkpj, mkpod              print a job's ProwJob, a ProwJob's pod
  clonerefs, initupload, entrypoint, sidecar
                           run inside a job's pod

Each takes Prow's flags; `prow <COMMAND> --help` lists them. Started under the name of a
command (by a link), prow is that command.
";

/// The titles of the services' help.
const TITLES: [(&str, &str); 6] = [
    (
        "hook",
        "Receives GitHub's webhooks, decides what they start, and creates ProwJobs",
    ),
    (
        "prow-controller-manager",
        "Runs ProwJobs as pods, and keeps their state",
    ),
    (
        "crier",
        "Reports the results of ProwJobs to GitHub, Slack and storage",
    ),
    (
        "horologium",
        "Creates ProwJobs of periodics when they are due",
    ),
    ("deck", "Shows jobs and their logs in a browser"),
    (
        "sinker",
        "Deletes ProwJobs and pods that are no longer needed",
    ),
];

const VERSION: &str = concat!("prow ", env!("CARGO_PKG_VERSION"), "\n");

impl Program {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, program)| *program)
    }

    /// Runs the program to its end. `arguments` begin with its own name.
    pub(crate) fn run_program(self, arguments: Vec<OsString>) -> ExitCode {
        let flags = arguments.into_iter().skip(1);
        match self {
            Self::Hook => run_service("hook", flags, hook::main),
            Self::ControllerManager => run_service_on(
                build_waiting_runtime(),
                "prow-controller-manager",
                flags,
                plank::main,
            ),
            Self::Crier => run_service("crier", flags, plank::crier::main),
            Self::Horologium => run_service("horologium", flags, plank::horologium::main),
            Self::Deck => run_service("deck", flags, deck::main),
            Self::Sinker => run_service("sinker", flags, sinker::main),
            Self::Clonerefs => podutils::clonerefs::main(),
            Self::Initupload => podutils::initupload::main(),
            Self::Sidecar => podutils::sidecar::main(),
            Self::Entrypoint => entrypoint::main(),
            Self::Container => local::kubelet::container_main(),
            Self::Github => github::main(flags),
            Self::Demo => demo::main(flags),
            Self::Check => check::main(flags),
            Self::Schema => schema::main(flags),
            Self::Mkpj => mkpj::main(flags),
            Self::Mkpod => mkpod::main(flags),
            Self::NotYet(name) => print_error(&format!("prow {name} is not built yet")),
        }
    }
}

fn run_service<O, M, F>(
    name: &'static str,
    flags: impl Iterator<Item = OsString>,
    main: M,
) -> ExitCode
where
    O: clap::Args,
    M: FnOnce(O, CancellationToken) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    run_service_on(build_runtime(), name, flags, main)
}

/// Starts a service and waits for its end; an error is one log line and exit code 1.
fn run_service_on<O, M, F>(
    runtime: Runtime,
    name: &'static str,
    flags: impl Iterator<Item = OsString>,
    main: M,
) -> ExitCode
where
    O: clap::Args,
    M: FnOnce(O, CancellationToken) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let options = match service::flags::parse_flags::<TitledArgs<O>>(name, flags) {
        Ok(TitledArgs(options)) => options,
        Err(error) => error.exit(),
    };
    service::install_crypto();
    let outcome = runtime.block_on(async { main(options, service::shutdown_signal()).await });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "{name} ends");
            ExitCode::FAILURE
        }
    }
}

/// The flags of a service, with a title that says what the service does. The options that they are
/// made of have titles of their own.
#[derive(Clone)]
struct TitledArgs<O>(O);

impl<O: FromArgMatches> FromArgMatches for TitledArgs<O> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        O::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl<O: Args> Args for TitledArgs<O> {
    fn augment_args(command: Command) -> Command {
        set_title(O::augment_args(command))
    }

    fn augment_args_for_update(command: Command) -> Command {
        set_title(O::augment_args_for_update(command))
    }
}

fn set_title(command: Command) -> Command {
    let title = TITLES.iter().find(|(name, _)| *name == command.get_name());
    let title = title.map(|(_, title)| *title);
    command.about(title).long_about(None::<&str>)
}

pub(crate) fn build_runtime() -> Runtime {
    let built = Builder::new_multi_thread().enable_all().build();
    built.expect("the system has threads to give")
}

/// For a service that mostly waits for an API: there, threads that wake one another take a quarter
/// of the processor time, and save none.
fn build_waiting_runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    let built = builder.worker_threads(1).enable_all().build();
    built.expect("the system has threads to give")
}

/// What `prow` prints when no program is named.
pub(crate) fn print_usage(asked: Option<&OsString>) -> ExitCode {
    let text = match asked.and_then(|name| name.to_str()) {
        Some("help" | "--help" | "-help" | "-h") => USAGE,
        Some("version" | "--version" | "-version" | "-V") => VERSION,
        Some(name) => return print_error(&format!("no command {name:?}\n\n{USAGE}")),
        None => return print_error(USAGE),
    };
    // The reader may be gone.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// Prints to standard error; exit code 2.
pub(crate) fn print_error(text: &str) -> ExitCode {
    let text = escape_terminal_lines(text.trim_end(), MAX_ERROR_TEXT);
    let _ = writeln!(io::stderr(), "{text}");
    ExitCode::from(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_begins_with_what_a_program_does() {
        for (name, title) in TITLES {
            let command = TitledArgs::<hook::HookOptions>::augment_args(Command::new(name));
            assert_eq!(command.get_about().unwrap().to_string(), title);
            assert!(Program::from_name(name).is_some());
        }
    }

    #[test]
    fn answers_to_prows_names() {
        assert_eq!(
            Program::from_name("plank"),
            Program::from_name("prow-controller-manager")
        );
        assert_eq!(Program::from_name("prow"), None);
        assert_eq!(Program::from_name("horologium"), Some(Program::Horologium));
    }
}
