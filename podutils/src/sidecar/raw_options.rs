//! `SIDECAR_OPTIONS` as any version of plank may have written them, old ones included.

use anyhow::bail;
use entrypoint::WrapperOptions;
use serde::Deserialize;

use super::options::{SidecarCensoringOptions, SidecarOptions};

/// The options, with deprecated fields and fields that have no effect.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawSidecarOptions {
    #[serde(flatten)]
    options: SidecarOptions,
    /// Deprecated: an entry before all others.
    wrapper_options: Option<WrapperOptions>,
    secret_directories: Option<Vec<String>>,
    censoring_concurrency: Option<i64>,
    /// Has no effect.
    censoring_buffer_size: Option<i64>,
    write_memory_profile: bool,
}

impl RawSidecarOptions {
    /// The options, with the values of deprecated fields moved to their successors.
    ///
    /// Setting the deprecated censoring fields together with `censoring_options` is an error: a secret
    /// would stay in clear.
    pub(super) fn into_options(self) -> anyhow::Result<SidecarOptions> {
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
        if options.censoring_options != SidecarCensoringOptions::default() {
            bail!(
                "the deprecated options secret_directories, censoring_concurrency and \
                 censoring_buffer_size exclude censoring_options"
            );
        }
        options.censoring_options.secret_directories = self.secret_directories.unwrap_or_default();
        options.censoring_options.config.censoring_concurrency = self.censoring_concurrency;
        Ok(options)
    }

    /// The options that are set although their feature does not exist here.
    pub(super) fn unimplemented_options(&self) -> impl Iterator<Item = &'static str> {
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
        let given = |json: &str| serde_json::from_str::<RawSidecarOptions>(json).unwrap();
        let old = r#"{"gcs_options":{"dry_run":true},"wrapper_options":{"marker_file":"/m"},"entries":[{"marker_file":"/n"}],
            "secret_directories":["/s"],"censoring_concurrency":3,"censoring_buffer_size":9,"censoring_options":null,
            "write_memory_profile":true}"#;
        let new = r#"{"gcs_options":{"dry_run":true},"entries":[{"marker_file":"/m"},{"marker_file":"/n"}],
            "censoring_options":{"secret_directories":["/s"],"censoring_concurrency":3},"write_memory_profile":true}"#;
        let (old, new) = (given(old), given(new));
        assert_eq!(
            old.unimplemented_options().collect::<Vec<_>>(),
            ["write_memory_profile"]
        );
        assert_eq!(old.into_options().unwrap(), new.into_options().unwrap());
        let both =
            r#"{"secret_directories":["/s"],"censoring_options":{"secret_directories":["/t"]}}"#;
        assert!(given(both).into_options().is_err());
    }
}
