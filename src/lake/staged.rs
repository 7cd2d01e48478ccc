//! Rows for one of the program's own tables, written to data files and not yet visible.
//!
//! Several tables can be staged before the first commit, so that what can fail fails while nothing is visible. A commit
//! happens once for each fingerprint. What is staged and not committed is discarded, or stays as files that nobody sees.

use arrow::array::RecordBatch;
use serde_json::Map;

use super::Place;
use super::commit::{Committed, Nonce, Outcome};
use super::delta::{RunTag, Table, discard};
use super::writer::{NewFile, SinkOptions};
use crate::contract::Contract;
use crate::error::Result;

/// Appends rows to one of the program's own tables in one commit, unless one of the same fingerprint is there.
///
/// # Errors
/// `Input` when the table has another shape, `RaceLost` and `CommitUnknown` each with the next step; whatever the store says.
pub async fn append_once(
    lake: &Place,
    contract: Contract,
    rows: &[RecordBatch],
    fingerprint: &str,
    nonce: Nonce,
) -> Result<Committed> {
    if let Some(table) = Table::open(&lake.child(contract.table())).await?
        && table.committed(fingerprint).await?.is_some()
    {
        return Ok(Committed::Before);
    }
    Staged::write(lake, contract, rows, fingerprint).await?.settle(nonce, None).await
}

/// Size at which a data file is closed, in bytes.
const FILE_BYTES: u64 = 16 << 20;

/// Written rows that wait for their commit.
pub struct Staged {
    table: Table,
    files: Vec<NewFile>,
    fingerprint: String,
}

impl Staged {
    /// Writes rows for the contract's table in the lake, which is created when it is missing.
    ///
    /// # Errors
    /// `Input` when the table has another shape; whatever the store says.
    pub async fn write(lake: &Place, contract: Contract, rows: &[RecordBatch], fingerprint: &str) -> Result<Staged> {
        let place = lake.child(contract.table());
        let table = Table::open_or_create(&place, contract).await?;
        let options = SinkOptions {
            run_date: None,
            target_file_bytes: FILE_BYTES,
            stats_columns: contract.stats().to_vec(),
            repeating_columns: contract.repeats().to_vec(),
        };
        let mut writer = table.writer(&options)?;
        let mut written = Ok(());
        for batch in rows {
            written = writer.write(batch).await;
            if written.is_err() {
                break;
            }
        }
        if written.is_ok() {
            written = writer.close().await;
        }
        let files = writer.into_files();
        if let Err(e) = written {
            discard(&table, &files).await;
            return Err(e);
        }
        Ok(Staged { table, files, fingerprint: fingerprint.into() })
    }

    /// Makes the rows visible, unless a commit of the same fingerprint did before.
    ///
    /// # Errors
    /// `RaceLost` and `CommitUnknown`, each with the next step.
    pub async fn commit(self) -> Result<Committed> {
        self.settle(Nonce::new(), None).await
    }

    /// The same, if the table is still at `version`: what was read there is what the rows rest on. A table that was not there
    /// is at version 0 once it is created.
    ///
    /// # Errors
    /// As `commit`; `RaceLost` when another writer was there meanwhile.
    pub async fn commit_after(self, version: u64) -> Result<Committed> {
        self.settle(Nonce::new(), Some(version)).await
    }

    async fn settle(mut self, nonce: Nonce, after: Option<u64>) -> Result<Committed> {
        let tag = RunTag { fingerprint: self.fingerprint.clone(), nonce };
        let files = self.files.clone();
        let outcome = match after {
            None => self.table.append(files, &tag, Map::new()).await?,
            Some(version) => self.table.append_after(version, files, &tag).await?,
        };
        if matches!(outcome, Outcome::Lost(_) | Outcome::AlreadyThere) {
            self.discard().await;
        }
        outcome.into_result()
    }

    /// Removes the files: they were never visible.
    pub async fn discard(&self) {
        discard(&self.table, &self.files).await;
    }
}
