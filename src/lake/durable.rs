//! A local object store whose acknowledged writes survive a power cut.
//!
//! `LocalFileSystem` never calls fsync. Here a put or a finished upload is answered only after the file and the
//! folders that name it are on disk.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result, UploadPart,
};

/// Folders above a file that a first write may have made: `<lake>/models/<name>/versions/<n>` is the deepest.
const FOLDERS: usize = 6;

/// See the module.
#[derive(Debug)]
pub struct Durable {
    inner: LocalFileSystem,
}

impl Durable {
    /// Wraps a store that is rooted at `/`.
    pub fn new(inner: LocalFileSystem) -> Self {
        Durable { inner }
    }

    async fn sync(&self, location: &Path) -> Result<()> {
        sync(self.inner.path_to_filesystem(location)?).await
    }
}

/// Syncs a file and the folders above it, any of which may be new.
async fn sync(file: PathBuf) -> Result<()> {
    let done = tokio::task::spawn_blocking(move || {
        std::fs::File::open(&file)?.sync_all()?;
        for folder in file.ancestors().skip(1).take(FOLDERS) {
            std::fs::File::open(folder)?.sync_all()?;
        }
        Ok::<_, std::io::Error>(())
    })
    .await;
    let failed = |source| object_store::Error::Generic { store: "local", source };
    match done {
        Ok(Ok(())) => Ok(()),
        Ok(Err(e)) => Err(failed(Box::new(e))),
        Err(e) => Err(failed(Box::new(e))),
    }
}

impl fmt::Display for Durable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Durable({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Durable {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let result = self.inner.put_opts(location, payload, opts).await?;
        self.sync(location).await?;
        Ok(result)
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.inner.put_multipart_opts(location, opts).await?;
        Ok(Box::new(DurableUpload { inner, file: self.inner.path_to_filesystem(location)? }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await?;
        self.sync(to).await
    }
}

#[derive(Debug)]
struct DurableUpload {
    inner: Box<dyn MultipartUpload>,
    file: PathBuf,
}

#[async_trait]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let result = self.inner.complete().await?;
        sync(self.file.clone()).await?;
        Ok(result)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}
