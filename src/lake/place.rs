//! A place: a folder on disk or a prefix in a bucket, named by URL or plain path.
//!
//! Objects are created atomically or not at all; a create that may have been retried underneath is settled by
//! reading back what is there. Credentials come from the environment alone and are never printed.

use std::path::{Component, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    RetryConfig,
};
use url::Url;
use uuid::Uuid;

use super::durable::Durable;
use crate::error::{Context, Error, Result};

/// A folder on disk or a prefix in a bucket.
#[derive(Clone, Debug)]
pub struct Place {
    url: Url,
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

/// One object below a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Path relative to the place.
    pub name: String,
    /// Size in bytes.
    pub size_bytes: u64,
}

impl Place {
    /// Opens `s3://bucket/prefix`, `file:///folder` or a plain path. Nothing is read or created.
    ///
    /// S3 settings come from the usual variables: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`,
    /// `AWS_REGION`, `AWS_ENDPOINT`, `AWS_ALLOW_HTTP`, and web-identity or container credentials.
    pub fn open(location: &str) -> Result<Place> {
        let url = parse(location)?;
        let (store, prefix): (Arc<dyn ObjectStore>, Path) = match url.scheme() {
            "file" => {
                let prefix = Path::from_url_path(url.path()).map_err(|e| Error::Usage(format!("{location}: {e}")))?;
                (Arc::new(Durable::new(LocalFileSystem::new())), prefix)
            }
            "s3" | "s3a" => {
                let bucket = url.host_str().ok_or_else(|| {
                    Error::Usage(format!("{location}: a bucket is missing; write s3://BUCKET/PREFIX"))
                })?;
                let prefix = Path::from_url_path(url.path()).map_err(|e| Error::Usage(format!("{location}: {e}")))?;
                (s3(bucket).context(|| location)?, prefix)
            }
            other => {
                return Err(Error::Usage(format!(
                    "{location}: the scheme {other}:// is not supported; use s3://, file:// or a plain path"
                )));
            }
        };
        Ok(Place { url, store, prefix })
    }

    /// The URL, without a slash at its end.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The store that holds the place; paths in it are absolute.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The path of the place in its store.
    pub fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// Whether the place is on this machine's disk.
    pub fn is_local(&self) -> bool {
        self.url.scheme() == "file"
    }

    /// A place below this one.
    pub fn child(&self, rel: &str) -> Place {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{}", url.path().trim_end_matches('/'), rel.trim_matches('/')));
        Place { url, store: Arc::clone(&self.store), prefix: self.path(rel) }
    }

    /// The path in the store of something below this place.
    pub fn path(&self, rel: &str) -> Path {
        rel.split('/').filter(|p| !p.is_empty()).fold(self.prefix.clone(), |path, part| path.join(part))
    }

    /// URL of something below this place, for people and records.
    pub fn url_of(&self, path: &Path) -> String {
        let mut url = self.url.clone();
        url.set_path(path.as_ref());
        url.to_string()
    }

    /// Reads a whole object; `None` when there is none.
    pub async fn get(&self, rel: &str) -> Result<Option<Bytes>> {
        self.get_bounded(rel, u64::MAX).await
    }

    /// Reads a whole object of at most `max_bytes`; a larger one is refused before it is read.
    pub async fn get_bounded(&self, rel: &str, max_bytes: u64) -> Result<Option<Bytes>> {
        match self.find_bounded(rel, max_bytes).await? {
            Some(found) => found.bytes().await.map(Some).context(|| format!("{}/{rel}", self.url)),
            None => Ok(None),
        }
    }

    /// Opens a whole object of at most `max_bytes`; a larger one is refused before it is read.
    pub async fn find_bounded(&self, rel: &str, max_bytes: u64) -> Result<Option<GetResult>> {
        let name = || format!("{}/{rel}", self.url);
        let found = match self.store.get_opts(&self.path(rel), GetOptions::default()).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(e) => return Err(e).context(name),
        };
        if found.meta.size > max_bytes {
            return Err(Error::Input(format!(
                "{}: {} bytes is more than the {max_bytes} that such a file may have",
                name(),
                found.meta.size
            )));
        }
        Ok(Some(found))
    }

    /// Size and ETag of an object; `None` when there is none.
    pub async fn head(&self, path: &Path) -> Result<Option<ObjectMeta>> {
        match self.store.head(path).await {
            Ok(meta) => Ok(Some(meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(e).context(|| self.url_of(path)),
        }
    }

    /// Writes an object, replacing what is there.
    pub async fn put(&self, rel: &str, bytes: Bytes) -> Result<()> {
        self.store
            .put(&self.path(rel), bytes.into())
            .await
            .map(|_| ())
            .context(|| format!("cannot write {}/{rel}", self.url))
    }

    /// Creates an object if there is none; `false` when another's is there.
    ///
    /// The answer of a store is ambiguous after a retry: our own write can come back as "already exists". So the
    /// object is read back and compared; give `bytes` a nonce where equal content from two writers must differ.
    pub async fn create(&self, rel: &str, bytes: Bytes) -> Result<bool> {
        let path = self.path(rel);
        let name = || format!("cannot create {}/{rel}", self.url);
        let options = PutOptions { mode: PutMode::Create, ..Default::default() };
        match self.store.put_opts(&path, bytes.clone().into(), options).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(self.get(rel).await?.is_some_and(|there| there == bytes))
            }
            Err(e) => {
                let e = Error::from(e);
                // A time-out says nothing about the write: look.
                match self.get(rel).await {
                    Ok(Some(there)) if there == bytes => Ok(true),
                    _ => Err(e).context(name),
                }
            }
        }
    }

    /// Creates a marker twice: the store must refuse the second. The marker, and folders made for it, are removed.
    ///
    /// # Errors
    /// `Storage` when the store lets a second writer overwrite the first; else why it cannot be written to.
    pub async fn try_writing(&self) -> Result<()> {
        let made = self.missing_folders();
        let name = format!("_harmonize_check_{}", Uuid::new_v4());
        let tried: Result<()> = async {
            if !self.create(&name, Bytes::from_static(b"first")).await? {
                return Err(Error::Storage(format!("{}/{name} was there already", self.url)));
            }
            if self.create(&name, Bytes::from_static(b"second")).await? {
                return Err(Error::Storage(format!(
                    "{} let a second writer overwrite the first: it does not honour If-None-Match, so commits would \
                     be lost; use another store",
                    self.url
                )));
            }
            Ok(())
        }
        .await;
        let removed = self.delete(&name).await;
        for folder in made {
            // Only if it is still empty.
            let _ = std::fs::remove_dir(folder);
        }
        tried?;
        removed
    }

    /// Folders that a first write here would make, innermost first.
    fn missing_folders(&self) -> Vec<std::path::PathBuf> {
        match self.url.to_file_path() {
            Ok(path) if self.is_local() => {
                path.ancestors().take_while(|p| !p.exists()).map(std::path::Path::to_path_buf).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Removes an object; one that is not there is no error.
    pub async fn delete(&self, rel: &str) -> Result<()> {
        match self.store.delete(&self.path(rel)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(e).context(|| format!("cannot delete {}/{rel}", self.url)),
        }
    }

    /// Everything below `rel`, recursively, sorted by name; empty when nothing is there.
    pub async fn list(&self, rel: &str) -> Result<Vec<Listed>> {
        let root = self.prefix.as_ref().len();
        let mut names: Vec<Listed> = self
            .objects(rel)
            .await?
            .into_iter()
            .map(|meta| Listed {
                name: meta.location.as_ref()[root..].trim_start_matches('/').to_string(),
                size_bytes: meta.size,
            })
            .collect();
        names.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(names)
    }

    /// Metadata of everything below `rel`, recursively, sorted by path.
    pub async fn objects(&self, rel: &str) -> Result<Vec<ObjectMeta>> {
        let path = self.path(rel);
        let mut objects: Vec<ObjectMeta> = match self.store.list(Some(&path)).try_collect().await {
            Ok(objects) => objects,
            Err(object_store::Error::NotFound { .. }) => Vec::new(),
            Err(e) => return Err(e).context(|| format!("cannot list {}/{rel}", self.url)),
        };
        objects.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(objects)
    }
}

fn parse(location: &str) -> Result<Url> {
    if location.trim().is_empty() {
        return Err(Error::Usage("an empty location was given; name a folder, a file or s3://BUCKET/PREFIX".into()));
    }
    let mut url = if location.contains("://") {
        Url::parse(location).map_err(|e| Error::Usage(format!("{location}: {e}")))?
    } else {
        let path = absolute(location)?;
        Url::from_file_path(&path).map_err(|()| Error::Usage(format!("{location}: not a path that a URL can name")))?
    };
    let trimmed = url.path().trim_end_matches('/').to_string();
    url.set_path(&trimmed);
    Ok(url)
}

/// Absolute path with `.` and `..` taken out; links are left as they are.
fn absolute(location: &str) -> Result<PathBuf> {
    let path = std::path::absolute(location).context(|| location)?;
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            part => clean.push(part),
        }
    }
    Ok(clean)
}

/// Where `object_store` takes the keys for S3 from, going by the environment.
pub fn key_source() -> &'static str {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    match () {
        () if set("AWS_ACCESS_KEY_ID") && set("AWS_SECRET_ACCESS_KEY") => "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        () if set("AWS_WEB_IDENTITY_TOKEN_FILE") => "AWS_WEB_IDENTITY_TOKEN_FILE",
        () if set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") || set("AWS_CONTAINER_CREDENTIALS_FULL_URI") => {
            "the container's credentials"
        }
        () => "the machine's metadata service, as no AWS_* variable names any",
    }
}

fn s3(bucket: &str) -> Result<Arc<dyn ObjectStore>> {
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        },
        max_retries: 6,
        retry_timeout: Duration::from_secs(60),
    };
    let client = ClientOptions::new()
        .with_connect_timeout(Duration::from_secs(5))
        .with_timeout(Duration::from_secs(60))
        .with_allow_http(env_flag("AWS_ALLOW_HTTP"));
    let store =
        AmazonS3Builder::from_env().with_bucket_name(bucket).with_client_options(client).with_retry(retry).build()?;
    Ok(Arc::new(store))
}

fn env_flag(name: &str) -> bool {
    std::env::var(name).is_ok_and(|v| matches!(v.to_ascii_lowercase().as_str(), "1" | "true" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_become_file_urls_without_dots_or_a_last_slash() {
        let place = Place::open("/tmp/a/./b/../c/").unwrap();
        assert_eq!(place.url().as_str(), "file:///tmp/a/c");
        assert_eq!(place.child("x/y").url().as_str(), "file:///tmp/a/c/x/y");
        assert_eq!(place.path("x/y").as_ref(), "tmp/a/c/x/y");
    }

    #[test]
    fn an_unknown_scheme_is_a_usage_error_that_names_those_there_are() {
        let e = Place::open("ftp://host/x").unwrap_err();
        assert_eq!(e.exit_code(), 2);
        assert!(e.to_string().contains("s3://"), "{e}");
    }

    #[tokio::test]
    async fn of_two_creators_one_is_told_no_and_a_repeat_of_the_same_bytes_is_told_yes() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::open(dir.path().to_str().unwrap()).unwrap();
        assert!(place.create("a/claim", Bytes::from("one")).await.unwrap());
        assert!(!place.create("a/claim", Bytes::from("two")).await.unwrap());
        assert!(place.create("a/claim", Bytes::from("one")).await.unwrap());
        assert_eq!(place.get("a/claim").await.unwrap().unwrap(), Bytes::from("one"));
        assert_eq!(place.list("").await.unwrap(), vec![Listed { name: "a/claim".into(), size_bytes: 3 }]);
        assert!(place.get("b").await.unwrap().is_none());
        assert!(place.get_bounded("a/claim", 2).await.is_err());
    }
}
