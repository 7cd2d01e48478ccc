//! What the log of a Delta table says: which runs it holds, what their commits carried, and which files a version has.

use std::collections::BTreeSet;

use futures::TryStreamExt;

use super::Place;
use super::commit::Nonce;
use super::delta::Table;
use crate::error::{Error, Result};

impl Table {
    /// The nonce under which a run with this fingerprint was committed; `None` when none was.
    pub async fn committed(&self, fingerprint: &str) -> Result<Option<Nonce>> {
        let log_store = self.inner.log_store();
        let version = self.inner.snapshot()?.transaction_version(log_store.as_ref(), fingerprint).await?;
        Ok(version.map(Nonce))
    }

    /// What the commit of a fingerprint carried in its metadata under `key`.
    pub async fn commit_metadata(&self, fingerprint: &str, key: &str) -> Result<Option<serde_json::Value>> {
        let mut history = self.inner.history(None);
        while let Some(info) = history.try_next().await? {
            if info.info.get("fingerprint").and_then(|f| f.as_str()) == Some(fingerprint) {
                return Ok(info.info.get(key).cloned());
            }
        }
        Ok(None)
    }

    /// What the newest commit carried in its metadata under `key`, of those for which `wanted` holds.
    pub async fn last_metadata(
        &self,
        key: &str,
        wanted: impl Fn(&serde_json::Value) -> bool,
    ) -> Result<Option<serde_json::Value>> {
        let mut history = self.inner.history(None);
        while let Some(info) = history.try_next().await? {
            if let Some(value) = info.info.get(key).filter(|value| wanted(value)) {
                return Ok(Some(value.clone()));
            }
        }
        Ok(None)
    }

    /// Data files of the version that is held which the store does not have, by name: an older version loses its files when
    /// another tool has rewritten them and cleaned up.
    pub async fn lost_files(&self) -> Result<Vec<String>> {
        let there: BTreeSet<String> = self.place.list("").await?.into_iter().map(|object| object.name).collect();
        Ok(self.files().await?.into_iter().filter(|name| !there.contains(name)).collect())
    }

    /// Data files of the version that is held, relative to the table.
    async fn files(&self) -> Result<BTreeSet<String>> {
        let log_store = self.inner.log_store();
        let views = self.inner.snapshot()?.snapshot().file_views(log_store.as_ref(), None);
        let adds: Vec<_> = views.try_collect().await?;
        let mut names = BTreeSet::new();
        for add in adds {
            if add.deletion_vector_descriptor().is_some() {
                return Err(Error::Input(format!(
                    "{} has deletion vectors, which this version does not read; rewrite the table without them \
                     (REORG TABLE … APPLY (PURGE))",
                    self.place.url()
                )));
            }
            names.insert(add.path().to_string());
        }
        Ok(names)
    }
}

/// Data files of the current version of the Delta table at `place`, relative to it.
pub(super) async fn live_files(place: &Place) -> Result<BTreeSet<String>> {
    match Table::open(place).await? {
        Some(table) => table.files().await,
        None => Ok(BTreeSet::new()),
    }
}
