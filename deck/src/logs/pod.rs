//! A pod's log, through the build cluster's API. Deck needs no other right there.

use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt, StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;

use super::{LogError, LogStream};
use crate::app::DeckState;
use crate::index::IndexedJob;

/// Maximum bytes of one read.
const CHUNK: usize = 32 << 10;

/// Opens the container's log; with `follow` the stream ends when the container does.
pub(super) async fn open_pod_log(
    app: &DeckState,
    job: &IndexedJob,
    container: &str,
    follow: bool,
) -> Result<LogStream, LogError> {
    let client = app
        .clusters
        .build_client(&job.cluster)
        .ok_or_else(|| LogError::NoSuchCluster(job.cluster.clone()))?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), &app.current_settings().pod_namespace);
    let parameters = LogParams {
        container: Some(container.to_owned()),
        follow,
        ..LogParams::default()
    };
    let reader = pods
        .log_stream(&job.pod_name, &parameters)
        .await
        .map_err(map_kube_error)?;
    Ok(read_chunks(reader))
}

fn read_chunks(reader: impl AsyncRead + Send + 'static) -> LogStream {
    let chunks = stream::try_unfold(Box::pin(reader), |mut reader| async move {
        let mut buffer = vec![0; CHUNK];
        let length = reader.read(&mut buffer).await?;
        buffer.truncate(length);
        Ok((length > 0).then(|| (Bytes::from(buffer), reader)))
    });
    chunks.boxed()
}

/// 404: there is no such pod. 400: the container waits to start, or is none of the pod's.
fn map_kube_error(error: kube::Error) -> LogError {
    match &error {
        kube::Error::Api(status) if status.code == 404 => LogError::Absent,
        kube::Error::Api(status) if status.code == 400 => LogError::NotStarted,
        _ => LogError::Other(error.into()),
    }
}
