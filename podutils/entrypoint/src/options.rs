//! The options of the entrypoint: `ENTRYPOINT_OPTIONS`, or flags spelled as Go reads them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    duration::{self, DurationNanos},
    variables,
};

/// How long the process may run when the options do not say.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2 * 60 * 60);
/// How long the process has between SIGINT and SIGKILL when the options do not say.
pub const DEFAULT_GRACE_PERIOD: Duration = Duration::from_secs(15);
/// Where `--copy-mode-only` puts the binary.
const DEFAULT_COPY_DESTINATION: &str = "/tools/entrypoint";

/// What the entrypoint of one container and the sidecar have to agree on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WrapperOptions {
    /// The command and its arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// The container, empty when the pod has only one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub container_name: String,
    /// Where output is written, in addition to standard output.
    pub process_log: String,
    /// Where the exit code is written, as a decimal number.
    pub marker_file: String,
    /// Where the job may leave JSON that the sidecar merges into `finished.json`.
    pub metadata_file: String,
}

/// `ENTRYPOINT_OPTIONS`. Unknown fields are ignored, as Prow ignores them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EntrypointOptions {
    /// After this the process gets SIGINT; zero means [`DEFAULT_TIMEOUT`].
    pub timeout: DurationNanos,
    /// Between SIGINT and SIGKILL; zero means [`DEFAULT_GRACE_PERIOD`].
    pub grace_period: DurationNanos,
    /// A folder for the job's files, created before the process starts.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub artifact_dir: String,
    /// If set: wait for this marker, and run only if it says 0.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub previous_marker: String,
    /// Exit with 0 whatever the process did; the marker keeps the true code.
    #[serde(skip_serializing_if = "is_false")]
    pub always_zero: bool,
    /// After a timeout or an interrupt report the code of the process, not 127 or 130.
    #[serde(skip_serializing_if = "is_false")]
    pub propagate_error_code: bool,
    /// Copy this binary to `copy_dst` and do nothing else.
    #[serde(skip_serializing_if = "is_false")]
    pub copy_mode_only: bool,
    /// Empty means `/tools/entrypoint`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub copy_dst: String,
    /// The process and its files.
    #[serde(flatten)]
    pub wrapper: WrapperOptions,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde asks for"
)]
fn is_false(value: &bool) -> bool {
    !value
}

impl EntrypointOptions {
    /// Options from the environment, or from the arguments where it holds none.
    ///
    /// # Errors
    ///
    /// If they cannot be read; the message says in which variable or flag.
    pub fn from_env_or_args(
        variable: impl Fn(&str) -> Option<String>,
        args: &[String],
    ) -> Result<Self, String> {
        let mut options = match variables::read_options(variable) {
            Some(options) => options?,
            None => Self::from_args(args)?,
        };
        if options.timeout.is_zero() {
            options.timeout = DEFAULT_TIMEOUT.into();
        }
        if options.grace_period.is_zero() {
            options.grace_period = DEFAULT_GRACE_PERIOD.into();
        }
        if options.copy_dst.is_empty() {
            options.copy_dst = DEFAULT_COPY_DESTINATION.to_owned();
        }
        Ok(options)
    }

    /// Checks what a run needs (copying the binary needs none of it).
    pub(crate) fn validate(&self) -> Result<(), String> {
        if self.wrapper.args.is_empty() {
            return Err("no process to wrap was given".to_owned());
        }
        if self.propagate_error_code && self.always_zero {
            let both = "propagate_error_code and always_zero exclude each other";
            return Err(both.to_owned());
        }
        if self.wrapper.process_log.is_empty() {
            return Err("no log file was given with --process-log".to_owned());
        }
        if self.wrapper.marker_file.is_empty() {
            return Err("no marker file was given with --marker-file".to_owned());
        }
        Ok(())
    }

    /// Flags have one dash or two: `--x=v`, `--x v`, `--b` or `--b=false`; the rest is the command.
    fn from_args(args: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            let Some(flag) = arg.strip_prefix('-').filter(|f| !f.is_empty()) else {
                options.wrapper.args.push(arg.clone());
                break;
            };
            let flag = flag.strip_prefix('-').unwrap_or(flag);
            if flag.is_empty() {
                break;
            }
            let (name, inline) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (flag, None),
            };
            if let Some(field) = options.bool_field(name) {
                *field = parse_bool(name, inline.unwrap_or("true"))?;
                continue;
            }
            let value = match inline {
                Some(value) => value.to_owned(),
                None => rest
                    .next()
                    .cloned()
                    .ok_or_else(|| format!("flag needs an argument: -{name}"))?,
            };
            match name {
                "timeout" => options.timeout = duration::parse_duration(&value)?.into(),
                "grace-period" => options.grace_period = duration::parse_duration(&value)?.into(),
                _ => {
                    *options
                        .text_field(name)
                        .ok_or_else(|| format!("unknown flag: -{name}"))? = value
                }
            }
        }
        options.wrapper.args.extend(rest.cloned());
        Ok(options)
    }

    fn bool_field(&mut self, flag: &str) -> Option<&mut bool> {
        match flag {
            "always-zero" => Some(&mut self.always_zero),
            "propagate-error-code" => Some(&mut self.propagate_error_code),
            "copy-mode-only" => Some(&mut self.copy_mode_only),
            _ => None,
        }
    }

    fn text_field(&mut self, flag: &str) -> Option<&mut String> {
        match flag {
            "artifact-dir" => Some(&mut self.artifact_dir),
            "previous-marker" => Some(&mut self.previous_marker),
            "copy-destination" => Some(&mut self.copy_dst),
            "process-log" => Some(&mut self.wrapper.process_log),
            "marker-file" => Some(&mut self.wrapper.marker_file),
            "metadata-file" => Some(&mut self.wrapper.metadata_file),
            "container-name" => Some(&mut self.wrapper.container_name),
            _ => None,
        }
    }
}

fn parse_bool(flag: &str, value: &str) -> Result<bool, String> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("invalid boolean value {value:?} for -{flag}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM_PLANK: &str = r#"{"timeout":7200000000000,"grace_period":10000000000,"artifact_dir":"/logs/artifacts","args":["/bin/thing","some","args"],"container_name":"test","process_log":"/logs/process-log.txt","marker_file":"/logs/marker-file.txt","metadata_file":"/logs/artifacts/metadata.json"}"#;

    fn variable(json: &str) -> impl Fn(&str) -> Option<String> {
        move |name| (name == crate::OPTIONS_ENV).then(|| json.to_owned())
    }

    fn from(json: &str) -> Result<EntrypointOptions, String> {
        EntrypointOptions::from_env_or_args(variable(json), &[])
    }

    fn args(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn json_as_plank_writes_it_survives_a_round_trip() {
        let options: EntrypointOptions = serde_json::from_str(FROM_PLANK).unwrap();
        assert_eq!(options.grace_period, Duration::from_secs(10).into());
        assert_eq!(options.wrapper.args, ["/bin/thing", "some", "args"]);
        assert_eq!(serde_json::to_string(&options).unwrap(), FROM_PLANK);
    }

    #[test]
    fn zero_durations_become_the_defaults() {
        let options = from(r#"{"timeout":0,"grace_period":0}"#).unwrap();
        assert_eq!(
            (options.timeout, options.grace_period),
            (DEFAULT_TIMEOUT.into(), DEFAULT_GRACE_PERIOD.into())
        );
        assert_eq!(options.copy_dst, "/tools/entrypoint");
    }

    #[test]
    fn a_negative_timeout_is_over_at_once() {
        let options = from(r#"{"timeout":-3600000000000}"#).unwrap();
        assert_eq!(options.timeout.to_duration(), Duration::ZERO);
        let written = serde_json::to_value(&options).unwrap();
        assert_eq!(written["timeout"], -3_600_000_000_000_i64);
    }

    #[test]
    fn the_environment_beats_the_flags() {
        let options =
            EntrypointOptions::from_env_or_args(variable(r#"{"args":["a"]}"#), &args("--bogus"))
                .unwrap();
        assert_eq!(options.wrapper.args, ["a"]);
    }

    #[test]
    fn flags_are_read_as_go_reads_them() {
        let line = "-timeout=5s --grace-period 2s --process-log=/p -marker-file /m --always-zero=false -- sh -c x";
        let options = EntrypointOptions::from_env_or_args(|_| None, &args(line)).unwrap();
        assert_eq!(options.timeout, Duration::from_secs(5).into());
        assert_eq!(options.grace_period, Duration::from_secs(2).into());
        assert_eq!(options.wrapper.process_log, "/p");
        assert_eq!(options.wrapper.marker_file, "/m");
        assert!(!options.always_zero);
        assert_eq!(options.wrapper.args, ["sh", "-c", "x"]);
        assert!(options.validate().is_ok());
    }

    #[test]
    fn flags_end_at_the_first_word_that_is_none() {
        let options = EntrypointOptions::from_env_or_args(
            |_| None,
            &args("--copy-mode-only cmd --timeout=1s"),
        )
        .unwrap();
        assert!(options.copy_mode_only);
        assert_eq!(options.wrapper.args, ["cmd", "--timeout=1s"]);
    }

    #[test]
    fn mistakes_are_told() {
        for (line, expected) in [
            ("--bogus=1", "unknown flag: -bogus"),
            ("--timeout", "flag needs an argument: -timeout"),
            ("--timeout=5", "invalid duration \"5\""),
            (
                "--always-zero=maybe",
                "invalid boolean value \"maybe\" for -always-zero",
            ),
        ] {
            assert_eq!(
                EntrypointOptions::from_env_or_args(|_| None, &args(line)).unwrap_err(),
                expected
            );
        }
        assert!(from("{").is_err());
        assert!(from(r#"{"timeout":1.5}"#).is_err());
        assert!(
            EntrypointOptions::from_env_or_args(|_| None, &[])
                .unwrap()
                .validate()
                .is_err()
        );
        let both = "--process-log=/p --marker-file=/m --always-zero --propagate-error-code sh";
        let both = EntrypointOptions::from_env_or_args(|_| None, &args(both))
            .unwrap()
            .validate();
        assert!(both.unwrap_err().contains("exclude each other"));
    }
}
