//! YAML as Prow accepts it.

use serde::de::DeserializeOwned;

use super::{Errors, Problem};

pub(super) fn parse<T: DeserializeOwned + Default>(file: &str, text: &str) -> Result<T, Errors> {
    serde_saphyr::from_str(text)
        .map_err(|error| Problem::in_file(file, error.without_snippet().to_string()).into())
}
