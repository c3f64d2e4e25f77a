//! The log of a pod, through the build cluster's API. Reading logs is the only right it needs.

use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt, StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;

use super::{Error, LogStream};
use crate::app::App;
use crate::index::Job;

/// Most that one read takes.
const CHUNK: usize = 32 << 10;

/// Opens the container's log; with `follow` it ends when the container does.
pub(super) async fn open(
    app: &App,
    job: &Job,
    container: &str,
    follow: bool,
) -> Result<LogStream, Error> {
    let client = app
        .clusters
        .build_client(&job.cluster)
        .ok_or_else(|| Error::NoSuchCluster(job.cluster.clone()))?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), &app.settings().pod_namespace);
    let parameters = LogParams {
        container: Some(container.to_owned()),
        follow,
        ..LogParams::default()
    };
    let reader = pods
        .log_stream(&job.pod_name, &parameters)
        .await
        .map_err(refusal)?;
    Ok(chunks(reader))
}

fn chunks(reader: impl AsyncRead + Send + 'static) -> LogStream {
    let chunks = stream::try_unfold(Box::pin(reader), |mut reader| async move {
        let mut buffer = vec![0; CHUNK];
        let length = reader.read(&mut buffer).await?;
        buffer.truncate(length);
        Ok((length > 0).then(|| (Bytes::from(buffer), reader)))
    });
    chunks.boxed()
}

/// 404: there is no such pod. 400: the container is waiting to start, or is none of the pod's.
fn refusal(error: kube::Error) -> Error {
    match &error {
        kube::Error::Api(status) if status.code == 404 => Error::Absent,
        kube::Error::Api(status) if status.code == 400 => Error::NotStarted,
        _ => Error::Other(error.into()),
    }
}
