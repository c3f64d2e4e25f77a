//! The credentials of git: cookies, SSH keys, a token or a GitHub App.
//!
//! Git gets them by environment: none is an argument or is written into the clone.

use std::fs;

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Parser;
use common::prowjob::Refs;
use secrecy::ExposeSecret;

use crate::censor::{Censor, secret_variants};

use super::git::GitEnvironment;
use super::hosts::origin_of_github;
use super::options::ClonerefsOptions;
use super::plan;
use super::ssh;

/// Credentials for all references, and the files they need while we run.
#[derive(Debug)]
pub(super) struct CloneCredentials {
    environment: GitEnvironment,
    source: TokenSource,
    /// The API endpoints of the GitHub whose hosts may get a token.
    github_api_endpoints: Vec<String>,
    /// Has the known hosts, and is git's `HOME` if the environment names none.
    _home: tempfile::TempDir,
}

enum TokenSource {
    Anonymous,
    Token(String),
    App(common::github::GithubClient),
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Token(_) => "Token",
            Self::App(_) => "App",
        })
    }
}

impl CloneCredentials {
    /// Reads the files, without network access.
    pub(super) fn new(options: &ClonerefsOptions) -> anyhow::Result<Self> {
        let home = tempfile::tempdir().context("making a temporary folder")?;
        let mut environment = GitEnvironment::default();
        if std::env::var_os("HOME").is_none() {
            environment
                .vars
                .push(("HOME".to_owned(), home.path().display().to_string()));
        }
        let is_ours = !["GIT_SSH", "GIT_SSH_COMMAND"]
            .iter()
            .any(|name| std::env::var_os(name).is_some());
        if let Some(ssh) = ssh::ssh_command(options, home.path(), is_ours)? {
            environment.vars.push(("GIT_SSH_COMMAND".to_owned(), ssh));
        }
        if !options.cookie_path.is_empty() {
            fs::metadata(&options.cookie_path)
                .with_context(|| format!("reading the cookie file {}", options.cookie_path))?;
            environment
                .config
                .push(("http.cookiefile".to_owned(), options.cookie_path.clone()));
        }
        Ok(Self {
            environment,
            source: load_token_source(options)?,
            github_api_endpoints: options.github_api_endpoints.clone(),
            _home: home,
        })
    }

    /// The environment of git for one reference. It is an error if GitHub gives no token: without
    /// it the clone would fail later or, worse, get other content. Other hosts get no token.
    pub(super) async fn git_environment(&self, refs: &Refs) -> anyhow::Result<GitEnvironment> {
        let uri = plan::repository_uri(refs);
        let Some(origin) = origin_of_github(&uri, &self.github_api_endpoints) else {
            return Ok(self.environment.clone());
        };
        let (user, password) = match &self.source {
            TokenSource::Anonymous => return Ok(self.environment.clone()),
            TokenSource::Token(token) => (token.clone(), "x-oauth-basic".to_owned()),
            TokenSource::App(client) => {
                let credentials = client.git_credentials(&refs.org).await;
                let credentials = credentials
                    .with_context(|| format!("getting a token for {} from GitHub", refs.org))?;
                let credentials = credentials.context("the GitHub App gave no token")?;
                (
                    credentials.username,
                    credentials.password.expose_secret().to_owned(),
                )
            }
        };
        let mut environment = self.environment.clone();
        let header = STANDARD.encode(format!("{user}:{password}"));
        let secrets = [user.as_str(), &password, &header]
            .into_iter()
            .filter(|s| !["x-oauth-basic", "x-access-token"].contains(s));
        environment.censor = Censor::new(secrets.flat_map(|s| secret_variants(s.as_bytes(), 0)))?;
        environment.config.push((
            format!("http.{origin}/.extraHeader"),
            format!("Authorization: Basic {header}"),
        ));
        Ok(environment)
    }
}

fn load_token_source(options: &ClonerefsOptions) -> anyhow::Result<TokenSource> {
    let app = (
        options.github_app_id.as_str(),
        options.github_app_private_key_file.as_str(),
    );
    match (options.oauth_token_file.as_str(), app) {
        ("", ("", "")) => Ok(TokenSource::Anonymous),
        (file, ("", "")) => {
            let token = fs::read_to_string(file)
                .with_context(|| format!("reading the OAuth token {file}"))?;
            let token = token.trim().to_owned();
            if token.is_empty() {
                bail!("the OAuth token in {file} is empty");
            }
            Ok(TokenSource::Token(token))
        }
        ("", ("", _) | (_, "")) => {
            bail!("github_app_id and github_app_private_key_file go together")
        }
        ("", (id, key)) => Ok(TokenSource::App(app_client(options, id, key)?)),
        _ => bail!("an OAuth token and a GitHub App exclude each other"),
    }
}

/// Makes the client from flags, because their defaults are the right ones here, too.
fn app_client(
    options: &ClonerefsOptions,
    id: &str,
    key: &str,
) -> anyhow::Result<common::github::GithubClient> {
    #[derive(clap::Parser)]
    struct GithubFlags {
        #[command(flatten)]
        github: common::github::GithubOptions,
    }
    let mut flags = vec![
        "clonerefs".to_owned(),
        format!("--github-app-id={id}"),
        format!("--github-app-private-key-path={key}"),
    ];
    flags.extend(
        options
            .github_api_endpoints
            .iter()
            .map(|endpoint| format!("--github-endpoint={endpoint}")),
    );
    let flags = GithubFlags::try_parse_from(flags).context("reading the GitHub options")?;
    common::github::GithubClient::new(&flags.github, "clonerefs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refs(clone_uri: &str) -> Refs {
        Refs {
            org: "o".into(),
            repo: "r".into(),
            clone_uri: clone_uri.into(),
            ..Refs::default()
        }
    }

    #[tokio::test]
    async fn a_token_goes_to_the_configured_host_by_header() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "hunter22\n").unwrap();
        let options = ClonerefsOptions {
            oauth_token_file: file.path().display().to_string(),
            github_api_endpoints: vec!["https://git.example.com:8443/api/v3".into()],
            ..ClonerefsOptions::default()
        };
        let credentials = CloneCredentials::new(&options).unwrap();
        let environment = credentials
            .git_environment(&refs("https://git.example.com:8443/o/r.git"))
            .await
            .unwrap();
        let header = STANDARD.encode("hunter22:x-oauth-basic");
        assert_eq!(
            environment.config,
            [(
                "http.https://git.example.com:8443/.extraHeader".to_owned(),
                format!("Authorization: Basic {header}")
            )]
        );
        assert!(
            !environment
                .censor
                .mask_text(&format!("{header} hunter22"))
                .contains("hunter22")
        );
        assert!(!environment.censor.mask_text(&header).contains(&header));
        for uri in [
            "git@github.com:o/r.git",
            "file:///srv/r",
            "https://evil.example/o/r",
            "http://git.example.com:8443/o/r.git",
        ] {
            assert!(
                credentials
                    .git_environment(&refs(uri))
                    .await
                    .unwrap()
                    .config
                    .is_empty(),
                "{uri}"
            );
        }
    }

    #[test]
    fn mistakes_are_errors() {
        let options = |json: &str| serde_json::from_str::<ClonerefsOptions>(json).unwrap();
        for json in [
            r#"{"oauth_token_file":"/no/such/file"}"#,
            r#"{"github_app_id":"1"}"#,
            r#"{"oauth_token_file":"/x","github_app_id":"1","github_app_private_key_file":"/y"}"#,
            r#"{"key_files":["/no/such/file"]}"#,
            r#"{"cookie_path":"/no/such/file"}"#,
        ] {
            assert!(CloneCredentials::new(&options(json)).is_err(), "{json}");
        }
    }
}
