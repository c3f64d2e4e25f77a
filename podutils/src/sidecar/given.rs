//! `SIDECAR_OPTIONS` as any plank may have written them, those of years ago included.

use anyhow::bail;
use entrypoint::WrapperOptions;
use serde::Deserialize;

use super::options::{CensoringOptions, Options};

/// The options, with fields that mean others and such that have no effect.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Given {
    #[serde(flatten)]
    options: Options,
    /// An entry before all others.
    wrapper_options: Option<WrapperOptions>,
    secret_directories: Option<Vec<String>>,
    censoring_concurrency: Option<i64>,
    /// Has no effect.
    censoring_buffer_size: Option<i64>,
    write_memory_profile: bool,
}

impl Given {
    /// The options, with what deprecated fields say in its place.
    ///
    /// An error if these say what their successors say, too: some secret would not be hidden.
    pub(super) fn options(self) -> anyhow::Result<Options> {
        let mut options = self.options;
        if let Some(entry) = self.wrapper_options {
            options.entries.insert(0, entry);
        }
        let is_old = self.secret_directories.is_some()
            || self.censoring_concurrency.is_some()
            || self.censoring_buffer_size.is_some();
        if !is_old {
            return Ok(options);
        }
        if options.censoring_options != CensoringOptions::default() {
            bail!(
                "the deprecated options secret_directories, censoring_concurrency and \
                 censoring_buffer_size exclude censoring_options"
            );
        }
        options.censoring_options.secret_directories = self.secret_directories.unwrap_or_default();
        options.censoring_options.config.censoring_concurrency = self.censoring_concurrency;
        Ok(options)
    }

    /// Options of Prow's whose feature is absent.
    pub(super) fn unbuilt(&self) -> impl Iterator<Item = &'static str> {
        let absent = [("write_memory_profile", self.write_memory_profile)];
        absent
            .into_iter()
            .filter_map(|(name, given)| given.then_some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deprecated_fields_say_what_their_successors_do() {
        let given = |json: &str| serde_json::from_str::<Given>(json).unwrap();
        let old = r#"{"gcs_options":{"dry_run":true},"wrapper_options":{"marker_file":"/m"},"entries":[{"marker_file":"/n"}],
            "secret_directories":["/s"],"censoring_concurrency":3,"censoring_buffer_size":9,"censoring_options":null,
            "write_memory_profile":true}"#;
        let new = r#"{"gcs_options":{"dry_run":true},"entries":[{"marker_file":"/m"},{"marker_file":"/n"}],
            "censoring_options":{"secret_directories":["/s"],"censoring_concurrency":3},"write_memory_profile":true}"#;
        let (old, new) = (given(old), given(new));
        assert_eq!(old.unbuilt().collect::<Vec<_>>(), ["write_memory_profile"]);
        assert_eq!(old.options().unwrap(), new.options().unwrap());
        let both =
            r#"{"secret_directories":["/s"],"censoring_options":{"secret_directories":["/t"]}}"#;
        assert!(given(both).options().is_err());
    }
}
