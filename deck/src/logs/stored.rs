//! A log in storage; the sidecar may have compressed it.

use std::io::Write;

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures::{StreamExt, TryStreamExt, stream};

use super::{Error, LogStream};
use crate::buckets::Place;

/// The object `name` in the run's folder, decompressed.
pub(crate) async fn stored(place: &Place, name: &str) -> Result<LogStream, Error> {
    let object = place.storage.get(&format!("{}/{name}", place.key)).await?;
    let gzip = object.attributes.content_encoding.as_deref() == Some("gzip");
    let bytes = object.into_stream().map_err(anyhow::Error::from).boxed();
    Ok(if gzip { gunzip(bytes) } else { bytes })
}

/// Decompresses piece by piece.
fn gunzip(bytes: LogStream) -> LogStream {
    let start = Some((bytes, MultiGzDecoder::new(Vec::new())));
    let plain = stream::try_unfold(start, |state| async move {
        let Some((mut bytes, mut decoder)) = state else {
            return Ok::<_, anyhow::Error>(None);
        };
        match bytes.try_next().await? {
            Some(chunk) => {
                decoder.write_all(&chunk)?;
                let out = std::mem::take(decoder.get_mut());
                Ok(Some((Bytes::from(out), Some((bytes, decoder)))))
            }
            None => Ok(Some((Bytes::from(decoder.finish()?), None))),
        }
    });
    plain.boxed()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::{Compression, read::GzEncoder};

    use super::*;

    #[tokio::test]
    async fn what_was_compressed_is_read_in_any_pieces() {
        let text = "line\n".repeat(10_000);
        let mut packed = Vec::new();
        GzEncoder::new(text.as_bytes(), Compression::fast())
            .read_to_end(&mut packed)
            .unwrap();
        let pieces: Vec<_> = packed
            .chunks(7)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        let plain: Vec<Bytes> = gunzip(stream::iter(pieces).boxed())
            .try_collect()
            .await
            .unwrap();
        assert_eq!(plain.concat(), text.as_bytes());
    }
}
