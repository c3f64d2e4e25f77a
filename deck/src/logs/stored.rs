//! A log in storage; the sidecar may have compressed it.

use futures::{StreamExt, TryStreamExt};

use super::{Error, LogStream};
use crate::buckets::Place;

/// The object `name` in the run's folder, decompressed.
pub(crate) async fn stored(place: &Place, name: &str) -> Result<LogStream, Error> {
    let object = place.storage.get(&format!("{}/{name}", place.key)).await?;
    let plain = object.into_plain_stream();
    Ok(plain.map_err(anyhow::Error::from).boxed())
}
