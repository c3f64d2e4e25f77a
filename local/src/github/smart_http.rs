//! git over HTTP: checks access, then runs `git http-backend`.

use std::{io::SeekFrom, process::Stdio};

use anyhow::Context as _;
use axum::{
    body::Body,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use futures::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdout},
};
use tokio_util::io::ReaderStream;

use super::{
    FakeGithubContext,
    access::{self, CONTENTS, RequiredPermission},
    caller::{Caller, identify_caller},
    git, push,
    response::RestError,
    store::{StoredAccount, StoredRepo},
};

/// `GET …/info/refs`, `POST …/git-upload-pack`, `POST …/git-receive-pack`.
pub(crate) async fn serve_git(
    State(context): State<FakeGithubContext>,
    Path((owner, name)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    match handle_git_request(&context, &owner, &name, request).await {
        Ok(response) => response,
        // git asks for a password only after a challenge.
        Err(error @ (RestError::AuthenticationRequired | RestError::BadCredentials)) => {
            let mut response = error.into_response();
            let challenge = HeaderValue::from_static("Basic realm=\"GitHub\"");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
            response
        }
        Err(error) => error.into_response(),
    }
}

async fn handle_git_request(
    context: &FakeGithubContext,
    owner: &str,
    name: &str,
    request: Request<Body>,
) -> Result<Response, RestError> {
    let service = request
        .uri()
        .path()
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let pushes = service == "git-receive-pack" || query.contains("service=git-receive-pack");
    let caller = identify_caller(&context.store, request.headers(), jiff::Timestamp::now()).await?;
    let repo = context
        .store
        .find_repo_by_name(owner, name.trim_end_matches(".git"))
        .await?;
    let hidden = repo.as_ref().is_none_or(|repo| repo.private) || pushes;
    if matches!(caller, Caller::Anonymous) && hidden {
        return Err(RestError::AuthenticationRequired);
    }
    let repo = repo.ok_or(RestError::NotFound)?;
    let need = if pushes {
        RequiredPermission::to_write(CONTENTS)
    } else {
        RequiredPermission::to_read(CONTENTS)
    };
    access::check_access(&context.store, &caller, &repo, need).await?;

    let pusher = caller.require_account().ok().cloned();
    let headers = request.headers().clone();
    let input = spool_body(request.into_body()).await?;
    let suffix = if service == "refs" {
        "info/refs"
    } else {
        service.as_str()
    };
    let path = format!("/{}.git/{suffix}", repo.id);
    let call = HttpBackendCall {
        path,
        query,
        headers,
        input,
    };
    match pusher.filter(|_| service == "git-receive-pack") {
        Some(pusher) => receive_push(context.clone(), repo, pusher, call).await,
        None => Ok(call.run_backend(context).await?),
    }
}

/// Receives a push and processes the moved refs, as one write that no other interrupts. A client
/// that goes away does not stop it.
async fn receive_push(
    context: FakeGithubContext,
    repo: StoredRepo,
    pusher: StoredAccount,
    call: HttpBackendCall,
) -> Result<Response, RestError> {
    let work = tokio::spawn(async move {
        let _turn = context.turn.lock().await;
        let git = context.open_bare_repo(&repo);
        let before = git.list_refs("refs/").await?;
        let response = call.run_backend(&context).await?;
        let (parts, body) = response.into_parts();
        let report = axum::body::to_bytes(body, usize::MAX)
            .await
            .context("reading git's report")?;
        push::process_ref_updates(&context, &repo, &before, &pusher).await?;
        anyhow::Ok(Response::from_parts(parts, Body::from(report)))
    });
    Ok(work.await.map_err(anyhow::Error::from)??)
}

/// Writes the body to a file: a pack may be larger than memory, and a slow sender must delay
/// nobody.
async fn spool_body(body: Body) -> anyhow::Result<tokio::fs::File> {
    let mut file =
        tokio::fs::File::from_std(tempfile::tempfile().context("temporary file for a pack")?);
    let mut stream = body.into_data_stream();
    while let Some(chunk) = stream.next().await {
        file.write_all(&chunk.context("reading a pack")?).await?;
    }
    file.flush().await?;
    file.seek(SeekFrom::Start(0)).await?;
    Ok(file)
}

/// One CGI call of `git http-backend`.
struct HttpBackendCall {
    path: String,
    query: String,
    headers: HeaderMap,
    input: tokio::fs::File,
}

impl HttpBackendCall {
    async fn run_backend(self, context: &FakeGithubContext) -> anyhow::Result<Response> {
        let header = |name: &str| {
            self.headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        let length = self.input.metadata().await?.len();
        let method = if self.path.ends_with("/info/refs") {
            "GET"
        } else {
            "POST"
        };
        let mut child = git::git_command()
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", &context.repos)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("PATH_INFO", &self.path)
            .env("QUERY_STRING", &self.query)
            .env("REQUEST_METHOD", method)
            .env("CONTENT_TYPE", header("content-type"))
            .env("CONTENT_LENGTH", length.to_string())
            // git compresses long requests; the backend decompresses them.
            .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
            .env("GIT_PROTOCOL", header("git-protocol"))
            .stdin(self.input.into_std().await)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("running git http-backend (is git installed?)")?;
        let stdout = child.stdout.take().expect("stdout is piped");
        parse_cgi_response(child, BufReader::new(stdout)).await
    }
}

/// Reads the headers, then streams the body.
async fn parse_cgi_response(
    mut child: Child,
    mut output: BufReader<ChildStdout>,
) -> anyhow::Result<Response> {
    let mut response = Response::builder().status(StatusCode::OK);
    loop {
        let mut line = String::new();
        output
            .read_line(&mut line)
            .await
            .context("reading from git http-backend")?;
        anyhow::ensure!(!line.is_empty(), "git http-backend gave no answer");
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        if name.eq_ignore_ascii_case("status") {
            response = response.status(value.split(' ').next().unwrap_or(value));
        } else {
            response = response.header(HeaderName::try_from(name)?, HeaderValue::from_str(value)?);
        }
    }
    // The process ends when the reader goes away. It must still be waited for.
    tokio::spawn(async move { child.wait().await });
    Ok(response.body(Body::from_stream(ReaderStream::new(output)))?)
}
