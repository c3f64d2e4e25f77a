//! Command lines as Go parses them: one dash or two, `--x=v` or `--x v`, booleans as `--b` or
//! `--b=false`, and the last of repeated flags wins.

use std::ffi::OsString;

use clap::{Arg, CommandFactory, FromArgMatches};

/// Parses `args` (without the program's name) into a group of options.
///
/// `name` is the program's name in messages. The error prints itself as clap's errors do, help and
/// version included.
pub fn parse_flags<O: clap::Args>(
    name: &'static str,
    args: impl IntoIterator<Item = OsString>,
) -> Result<O, clap::Error> {
    let command = O::augment_args(clap::Command::new(name))
        .version(env!("CARGO_PKG_VERSION"))
        .args_override_self(true)
        .no_binary_name(true);
    let args = normalize_args(args, &command);
    let matches = command.try_get_matches_from(args)?;
    O::from_arg_matches(&matches)
}

/// Logs one line for each given flag of Prow's whose feature is not implemented.
pub fn warn_unimplemented_flags(given: impl IntoIterator<Item = &'static str>) {
    for flag in given {
        tracing::warn!(
            flag,
            "this flag has no effect: what it asks for is not built yet"
        );
    }
}

/// As [`parse_flags`], for a type that is a whole command with its own settings.
pub fn parse_command<P: clap::Parser>(
    args: impl IntoIterator<Item = OsString>,
) -> Result<P, clap::Error> {
    let command = <P as CommandFactory>::command()
        .version(env!("CARGO_PKG_VERSION"))
        .args_override_self(true)
        .no_binary_name(true);
    let args = normalize_args(args, &command);
    let matches = command.try_get_matches_from(args)?;
    <P as FromArgMatches>::from_arg_matches(&matches)
}

/// Rewrites `args` for clap: two dashes, and a value joined to its flag, so that a value may begin
/// with a dash.
pub fn normalize_args(
    args: impl IntoIterator<Item = OsString>,
    command: &clap::Command,
) -> Vec<OsString> {
    let mut out = Vec::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let Some(text) = arg.to_str() else {
            out.push(arg);
            continue;
        };
        if text == "--" {
            out.push(arg);
            out.extend(args);
            break;
        }
        let name = text.strip_prefix("--").or_else(|| text.strip_prefix('-'));
        let Some(name) = name.filter(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()))
        else {
            out.push(arg);
            continue;
        };
        if name == "h" {
            out.push("--help".into());
            continue;
        }
        let mut flag = OsString::from(format!("--{name}"));
        if !name.contains('=')
            && find_arg(command, name).is_some_and(takes_next_arg)
            && let Some(value) = args.next()
        {
            flag.push("=");
            flag.push(value);
        }
        out.push(flag);
    }
    out
}

fn find_arg<'a>(command: &'a clap::Command, name: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| {
        arg.get_long() == Some(name)
            || arg
                .get_all_aliases()
                .is_some_and(|aliases| aliases.contains(&name))
    })
}

/// A boolean takes its value only after `=`.
fn takes_next_arg(arg: &Arg) -> bool {
    arg.get_action().takes_values() && !arg.is_require_equals_set()
}

/// Parses a boolean in any of Go's spellings. Declare one as
/// `#[arg(long, value_parser = flags::parse_bool, default_value = "true", num_args = 0..=1,
/// require_equals = true, default_missing_value = "true")]`.
pub fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("expected true or false".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duration::GoDuration;

    #[derive(Debug, PartialEq, clap::Args)]
    struct Options {
        #[arg(long, default_value_t = 8888, allow_negative_numbers = true)]
        port: i64,
        #[arg(long, default_value = "180s")]
        grace_period: GoDuration,
        #[arg(
            long,
            value_parser = parse_bool,
            default_value = "true",
            num_args = 0..=1,
            require_equals = true,
            default_missing_value = "true"
        )]
        dry_run: bool,
        #[arg(long)]
        github_endpoint: Vec<String>,
    }

    fn read(line: &str) -> Result<Options, String> {
        parse_flags("hook", line.split_whitespace().map(OsString::from)).map_err(|e| e.to_string())
    }

    #[test]
    fn reads_gos_spellings() {
        let defaults = read("").unwrap();
        assert!(defaults.dry_run);
        for line in [
            "-port 1",
            "--port=1",
            "-port=1",
            "--port 1",
            "--port=7 -port 1",
        ] {
            assert_eq!(read(line).unwrap().port, 1, "{line}");
        }
        assert_eq!(read("--port -1").unwrap().port, -1);
        assert_eq!(
            read("-grace-period=1m30s").unwrap().grace_period,
            GoDuration::from_secs(90)
        );
        for (line, expected) in [
            ("--dry-run", true),
            ("--dry-run=false", false),
            ("-dry-run=F", false),
            ("--dry-run=false --dry-run=1", true),
        ] {
            assert_eq!(read(line).unwrap().dry_run, expected, "{line}");
        }
        assert_eq!(
            read("--github-endpoint=a -github-endpoint b")
                .unwrap()
                .github_endpoint,
            ["a", "b"]
        );
    }

    #[test]
    fn refuses_what_go_refuses() {
        for line in ["--nope", "--port=x", "--dry-run=maybe", "--grace-period=3"] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
