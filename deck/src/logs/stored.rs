//! A log in storage; the sidecar may have compressed it.

use common::storage::paths;
use futures::{StreamExt, TryStreamExt};

use super::{Error, LogStream};
use crate::buckets::Place;

/// The log of a container, of a run that has so many, decompressed.
///
/// Where the clone failed, none of several containers has one, and the run's only log is the
/// clone's.
pub(crate) async fn stored(
    place: &Place,
    container: &str,
    containers: usize,
) -> Result<LogStream, Error> {
    let own = paths::build_log(container, containers);
    match read(place, &own).await {
        Err(Error::Absent) if own != paths::BUILD_LOG => read(place, paths::BUILD_LOG).await,
        result => result,
    }
}

async fn read(place: &Place, name: &str) -> Result<LogStream, Error> {
    let object = place.storage.get(&format!("{}/{name}", place.key)).await?;
    let plain = object.into_plain_stream();
    Ok(plain.map_err(anyhow::Error::from).boxed())
}
