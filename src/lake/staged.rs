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
    pub async fn write(lake: &Place, contract: Contract, rows: &RecordBatch, fingerprint: &str) -> Result<Staged> {
        let place = lake.child(contract.table());
        let table =
            Table::open_or_create(&place, contract.schema(), &contract.partition_by(), contract.about()).await?;
        let options = SinkOptions {
            run_date: None,
            target_file_bytes: FILE_BYTES,
            stats_columns: contract.stats().to_vec(),
            repeating_columns: contract.repeats().to_vec(),
        };
        let mut writer = table.writer(&options)?;
        let written = match writer.write(rows).await {
            Ok(()) => writer.close().await,
            Err(e) => Err(e),
        };
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
    pub async fn commit(mut self) -> Result<Committed> {
        let tag = RunTag { fingerprint: self.fingerprint.clone(), nonce: Nonce::new() };
        let outcome = self.table.append(self.files.clone(), &tag, Map::new()).await?;
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
