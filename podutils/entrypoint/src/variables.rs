//! The options in the environment.
//!
//! `ENTRYPOINT_OPTIONS` is Prow's. The kubelet expands variables in it that only it knows (of
//! Secrets, say), and a value with a quote breaks the JSON. If arguments name such variables, plank
//! adds the same options without these arguments, and each of these arguments as a variable of its
//! own, where any value is valid.

use std::ffi::OsStr;

use crate::options::{EntrypointOptions, WrapperOptions};

/// Holds [`EntrypointOptions`] as JSON. If it is set, flags are ignored.
pub const OPTIONS_ENV: &str = "ENTRYPOINT_OPTIONS";
/// The same without arguments that have their own variables. Only we read it; it comes first.
pub const PLAIN_OPTIONS_ENV: &str = "ENTRYPOINT_PLAIN_OPTIONS";
/// Followed by the index of an argument: the variable of that argument.
pub const ARGUMENT_ENV: &str = "ENTRYPOINT_ARGUMENT_";

/// The options, if the environment holds any.
pub(crate) fn read_options(
    variable: impl Fn(&str) -> Option<String>,
) -> Option<Result<EntrypointOptions, String>> {
    let parse = |name: &str, json: &str| {
        serde_json::from_str(json).map_err(|e| format!("{name} is not valid: {e}"))
    };
    let Some(plain) = variable(PLAIN_OPTIONS_ENV) else {
        return variable(OPTIONS_ENV).map(|json| parse(OPTIONS_ENV, &json));
    };
    let options = parse(PLAIN_OPTIONS_ENV, &plain).map(|mut options: EntrypointOptions| {
        for (place, word) in options.wrapper.args.iter_mut().enumerate() {
            if let Some(whole) = variable(&format!("{ARGUMENT_ENV}{place}")) {
                *word = whole;
            }
        }
        options
    });
    Some(options)
}

/// Whether a variable is only for the entrypoint, so that the job does not get it.
pub(crate) fn is_own_variable(name: &OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| name == PLAIN_OPTIONS_ENV || name.starts_with(ARGUMENT_ENV))
}

/// Finds the paths of log and marker in options that are not JSON, to report the error there.
pub(crate) fn find_wrapper_files(variable: impl Fn(&str) -> Option<String>) -> WrapperOptions {
    let texts = [variable(PLAIN_OPTIONS_ENV), variable(OPTIONS_ENV)];
    let field = |name: &str| {
        texts
            .iter()
            .flatten()
            .find_map(|text| find_string_field(text, name))
    };
    WrapperOptions {
        process_log: field("process_log").unwrap_or_default(),
        marker_file: field("marker_file").unwrap_or_default(),
        ..WrapperOptions::default()
    }
}

/// The last string of that name. Names inside arguments have escaped quotes, so they do not match.
fn find_string_field(text: &str, name: &str) -> Option<String> {
    let (_, value) = text.rsplit_once(&format!("\"{name}\":"))?;
    let mut values = serde_json::Deserializer::from_str(value).into_iter();
    values.next()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_their_own_are_put_in() {
        let load = |variables: &[(&str, &str)]| {
            let value = |name: &str| {
                variables
                    .iter()
                    .find(|(n, _)| *n == name)
                    .map(|v| v.1.to_owned())
            };
            read_options(value).map(|options| options.map(|options| options.wrapper.args))
        };
        let args = |words: &[&str]| Some(Ok(words.iter().map(|w| (*w).to_owned()).collect()));
        assert_eq!(load(&[]), None);
        assert_eq!(load(&[(OPTIONS_ENV, r#"{"args":["a"]}"#)]), args(&["a"]));
        let both = [
            (OPTIONS_ENV, r#"{"args":["a","say "hi""]}"#),
            (PLAIN_OPTIONS_ENV, r#"{"args":["a",""]}"#),
            ("ENTRYPOINT_ARGUMENT_1", "say \"hi\""),
        ];
        assert_eq!(load(&both), args(&["a", "say \"hi\""]));
        let broken = load(&both[..1]).unwrap().unwrap_err();
        assert!(
            broken.starts_with("ENTRYPOINT_OPTIONS is not valid: "),
            "{broken}"
        );
    }

    #[test]
    fn the_files_are_found_in_what_is_no_json() {
        let text = r#"{"timeout":1,"args":["say "hi"", "\"marker_file\":\"/x\""],"process_log":"/logs/p","marker_file":"/logs/m"}"#;
        let found = find_wrapper_files(|name| (name == OPTIONS_ENV).then(|| text.to_owned()));
        assert_eq!(
            (found.process_log.as_str(), found.marker_file.as_str()),
            ("/logs/p", "/logs/m")
        );
        let found = find_wrapper_files(|name| {
            Some(if name == OPTIONS_ENV { text } else { "{" }.to_owned())
        });
        assert_eq!(found.marker_file, "/logs/m");
        assert_eq!(find_wrapper_files(|_| None), WrapperOptions::default());
        assert_eq!(
            find_wrapper_files(|_| Some("{".to_owned())),
            WrapperOptions::default()
        );
    }
}
