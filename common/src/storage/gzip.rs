//! Decompresses objects that were compressed for the upload.

use std::io::Write;

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures::stream::{BoxStream, StreamExt, TryStreamExt, try_unfold};

use super::{BucketObject, StorageError};

impl BucketObject {
    /// The bytes as they arrive, decompressed if their encoding is gzip. A small object may
    /// decompress to a very long stream.
    #[must_use]
    pub fn into_plain_stream(self) -> BoxStream<'static, Result<Bytes, StorageError>> {
        let gzip = self.attributes.content_encoding.as_deref() == Some("gzip");
        let bytes = self.into_stream();
        if gzip { gunzip_stream(bytes) } else { bytes }
    }
}

/// The input that is decompressed at once; the output may be a thousand times as long.
const GUNZIP_CHUNK_SIZE: usize = 8 << 10;

/// Decompresses chunk by chunk.
fn gunzip_stream(
    bytes: BoxStream<'static, Result<Bytes, StorageError>>,
) -> BoxStream<'static, Result<Bytes, StorageError>> {
    let start = Some((bytes, Bytes::new(), MultiGzDecoder::new(Vec::new())));
    let plain = try_unfold(start, |state| async move {
        let Some((mut bytes, mut packed, mut decoder)) = state else {
            return Ok::<_, StorageError>(None);
        };
        if packed.is_empty() {
            match bytes.try_next().await? {
                Some(chunk) => packed = chunk,
                None => {
                    let rest = decoder.finish().map_err(StorageError::other)?;
                    return Ok(Some((Bytes::from(rest), None)));
                }
            }
        }
        let piece = packed.split_to(packed.len().min(GUNZIP_CHUNK_SIZE));
        decoder.write_all(&piece).map_err(StorageError::other)?;
        let out = std::mem::take(decoder.get_mut());
        Ok(Some((Bytes::from(out), Some((bytes, packed, decoder)))))
    });
    plain.boxed()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::{Compression, read::GzEncoder};
    use futures::stream;

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
        let plain: Vec<Bytes> = gunzip_stream(stream::iter(pieces).boxed())
            .try_collect()
            .await
            .unwrap();
        assert_eq!(plain.concat(), text.as_bytes());
    }

    #[tokio::test]
    async fn a_bomb_comes_out_in_pieces() {
        let mut packed = Vec::new();
        GzEncoder::new(&vec![0; 64 << 20][..], Compression::best())
            .read_to_end(&mut packed)
            .unwrap();
        let packed = stream::iter([Ok(Bytes::from(packed))]).boxed();
        let sizes: Vec<usize> = gunzip_stream(packed)
            .map_ok(|piece| piece.len())
            .try_collect()
            .await
            .unwrap();
        assert_eq!(sizes.iter().sum::<usize>(), 64 << 20);
        assert!(sizes.iter().all(|size| *size <= 16 << 20), "{sizes:?}");
    }
}
