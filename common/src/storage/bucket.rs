//! The URL of a bucket: parsed, formatted, and as a part of Deck's `/view/…` paths.

use std::fmt;

use super::StorageError;

/// A kind of bucket, with its name in Deck's URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StorageProvider {
    /// Google Cloud Storage.
    Gs,
    /// Amazon S3, and compatible servers.
    S3,
    /// Azure Blob Storage.
    Az,
    /// A folder of this machine.
    File,
    /// Deck's own storage, over HTTP.
    Storage,
}

impl StorageProvider {
    /// The scheme of the URL; for Deck's own storage, the path of the URL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gs => "gs",
            Self::S3 => "s3",
            Self::Az => "az",
            Self::File => "file",
            Self::Storage => "storage",
        }
    }
}

impl fmt::Display for StorageProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A bucket, or a folder of one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Bucket {
    provider: StorageProvider,
    /// The bucket's own name; empty for a folder of this machine and for Deck's storage.
    name: String,
    /// Folder in the bucket without slashes at the ends, or the absolute folder of this machine.
    path: String,
    /// Without a slash at the end.
    url: String,
}

impl Bucket {
    /// Parses `gs://b/path`, `s3://…`, `az://…`, `file:///dir`, `http(s)://host/storage`, or a bare
    /// name, which means `gs`.
    pub fn parse_url(url: &str) -> Result<Self, StorageError> {
        let bad = |why: &str| StorageError::InvalidBucket(url.to_owned(), why.to_owned());
        let (scheme, rest) = url.split_once("://").unwrap_or(("gs", url));
        let rest = rest.trim_end_matches('/');
        let provider = match scheme {
            "gs" => StorageProvider::Gs,
            "s3" => StorageProvider::S3,
            "az" => StorageProvider::Az,
            "file" => StorageProvider::File,
            "http" | "https" => StorageProvider::Storage,
            _ => return Err(bad("the scheme has to be gs, s3, az, file, http or https")),
        };
        let (name, path) = match provider {
            StorageProvider::File => {
                let folder = rest.trim_start_matches('/');
                if folder.len() == rest.len() || folder.is_empty() {
                    return Err(bad("the folder has to be absolute, as in file:///data"));
                }
                super::key::validate_key(folder)?;
                (String::new(), format!("/{folder}"))
            }
            StorageProvider::Storage => {
                return Ok(Self {
                    provider,
                    name: String::new(),
                    path: String::new(),
                    url: storage_url(url).map_err(|why| bad(&why))?,
                });
            }
            StorageProvider::Gs | StorageProvider::S3 | StorageProvider::Az => {
                let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
                if name.is_empty() {
                    return Err(bad("the bucket has no name"));
                }
                if !is_bucket_name(name) {
                    return Err(bad("the bucket's name has a character that none has"));
                }
                if !path.is_empty() {
                    super::key::validate_key(path)?;
                }
                (name.to_owned(), path.to_owned())
            }
        };
        let url = match provider {
            StorageProvider::File => format!("file://{path}"),
            _ => format!("{scheme}://{rest}"),
        };
        Ok(Self {
            provider,
            name,
            path,
            url,
        })
    }

    /// The kind of the bucket.
    #[must_use]
    pub fn provider(&self) -> StorageProvider {
        self.provider
    }

    /// The bucket's name without a path; empty if it has none.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder within the bucket (may be empty), or the absolute folder of this machine.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The bucket's URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL of one key, as alias objects contain it.
    #[must_use]
    pub fn url_of(&self, key: &str) -> String {
        format!("{}/{key}", self.url)
    }

    /// The bucket in Deck's `/view/…` paths: provider, bucket and folder.
    #[must_use]
    pub fn view_path(&self) -> String {
        [
            self.provider.as_str(),
            &self.name,
            self.path.trim_start_matches('/'),
        ]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("/")
    }
}

/// Whether a cloud can have a bucket of this name (without a slash). It becomes part of URLs.
fn is_bucket_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    name.chars().all(plain) && name.chars().any(|c| c.is_ascii_alphanumeric())
}

/// The canonical URL of a Deck's storage, so that two URLs of one storage are equal.
fn storage_url(url: &str) -> Result<String, String> {
    let parsed = ::url::Url::parse(url).map_err(|e| e.to_string())?;
    let says_more = parsed.query().is_some()
        || parsed.fragment().is_some()
        || !parsed.username().is_empty()
        || parsed.password().is_some();
    let path = parsed.path().trim_end_matches('/');
    if says_more || !path.ends_with("/storage") {
        return Err("it has to be http(s)://host/storage and nothing more".into());
    }
    Ok(parsed.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_kind() {
        for (url, provider, name, path, view) in [
            ("gs://b", StorageProvider::Gs, "b", "", "gs/b"),
            ("b", StorageProvider::Gs, "b", "", "gs/b"),
            (
                "b/some/path/",
                StorageProvider::Gs,
                "b",
                "some/path",
                "gs/b/some/path",
            ),
            ("s3://prow", StorageProvider::S3, "prow", "", "s3/prow"),
            ("az://c/x", StorageProvider::Az, "c", "x", "az/c/x"),
            (
                "file:///data/logs",
                StorageProvider::File,
                "",
                "/data/logs",
                "file/data/logs",
            ),
            (
                "http://deck:8080/storage",
                StorageProvider::Storage,
                "",
                "",
                "storage",
            ),
            (
                "https://prow.example.com/storage/",
                StorageProvider::Storage,
                "",
                "",
                "storage",
            ),
        ] {
            let bucket = Bucket::parse_url(url).unwrap();
            assert_eq!(
                (
                    bucket.provider(),
                    bucket.name(),
                    bucket.path(),
                    bucket.view_path().as_str()
                ),
                (provider, name, path, view),
                "{url}"
            );
        }
    }

    #[test]
    fn refuses_the_rest() {
        for url in [
            "",
            "gs://",
            "ftp://b",
            "file://data",
            "http://deck/other",
            "http://deck/storage?x=1",
            "http://deck/storage#x",
            "http://user@deck/storage",
            "gs://b/../c",
            "gs://..",
            "gs://b?x/y",
            "gs://user@b",
            "file:///data/../etc",
            "file:///data/./x",
            "file:///data//x",
            "file://",
            "file:///",
            "file:///..",
            "file:///data/..",
            "file:///a\0b",
        ] {
            assert!(Bucket::parse_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn one_place_has_one_url() {
        for (url, expected) in [
            ("http://DECK:80/storage/", "http://deck/storage"),
            ("http://deck/x/../storage", "http://deck/storage"),
            ("b/x/", "gs://b/x"),
            ("file:////data/", "file:///data"),
        ] {
            let bucket = Bucket::parse_url(url).unwrap();
            assert_eq!(bucket.url(), expected);
            assert_eq!(Bucket::parse_url(expected).unwrap(), bucket);
        }
    }

    #[test]
    fn keys_have_urls() {
        for (url, expected) in [
            ("b", "gs://b/logs/j/1"),
            ("http://deck/storage/", "http://deck/storage/logs/j/1"),
        ] {
            assert_eq!(Bucket::parse_url(url).unwrap().url_of("logs/j/1"), expected);
        }
    }
}
