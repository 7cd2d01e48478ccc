//! How a run becomes visible: one commit that carries its record, and what is found of a run that was there before.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::record::RunRecord;
use super::stage::{Progress, Stage, reached};
use crate::error::{Context, Error, Result};
use crate::lake::{Committed, NewFile, Nonce, Place, RunTag, Table, discard};

/// How a run ended well.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// It is visible now; and where the time went, all threads together.
    Done(Box<RunRecord>, Vec<(&'static str, Duration)>),
    /// An equal run was visible before; nothing was added.
    AlreadyDone(Box<RunRecord>),
    /// Every file is as earlier runs with the same model, policy and query read it: so many files and rows.
    NothingNew { files: u64, rows: u64 },
}

/// Key of the run record in the commit.
const RUN_KEY: &str = "run";

/// Finds the record of a run that is visible, and sees to it that it is in `runs`.
pub(super) async fn already_done(table: &Table, fingerprint: &str, nonce: Nonce, lake: &Place) -> Result<Ending> {
    let record = table.commit_metadata(fingerprint, RUN_KEY).await?.ok_or_else(|| {
        Error::Input(format!(
            "{} holds this run already, nothing was added; its commit was cleaned from the log, so how it went \
             stands only in the table runs, under fingerprint {fingerprint}",
            table.place().url(),
        ))
    })?;
    let record = read(&record).map_err(|e| Error::Input(format!("the run record in {}: {e}", table.place().url())))?;
    record.append(lake, nonce).await.context(|| "the record of the run")?;
    Ok(Ending::AlreadyDone(Box::new(record)))
}

/// Sees to it that the last run of a command that is visible has its record in `runs`: its process may have died before that.
pub(super) async fn record_again(table: &Table, command: &str, lake: &Place) -> Result<()> {
    let of_command = |value: &serde_json::Value| read(value).is_ok_and(|record| record.command == command);
    let Some(value) = table.last_metadata(RUN_KEY, of_command).await? else { return Ok(()) };
    let Ok(record) = read(&value) else { return Ok(()) };
    match table.committed(&record.fingerprint).await? {
        Some(nonce) => record.append(lake, nonce).await.context(|| "the record of the run before"),
        None => Ok(()),
    }
}

/// The record that a commit carried. Delta's commit information keeps nested values as text.
fn read(value: &serde_json::Value) -> serde_json::Result<RunRecord> {
    match value {
        serde_json::Value::String(text) => serde_json::from_str(text),
        other => serde_json::from_value(other.clone()),
    }
}

/// Makes files visible in one commit that carries the record of the run, and adds the record to `runs`. Files of a run that
/// was there before, or that another writer kept out, are removed.
pub(super) async fn settle(
    table: &mut Table,
    files: Vec<NewFile>,
    tag: &RunTag,
    record: &RunRecord,
    lake: &Place,
    progress: &Arc<dyn Progress>,
) -> Result<Ending> {
    let mut metadata = serde_json::Map::new();
    let record_json = serde_json::to_string(record).map_err(|e| Error::Bug(e.to_string()))?;
    metadata.insert(RUN_KEY.into(), record_json.into());
    let outcome = table.append(files.clone(), tag, metadata).await?;
    match outcome.into_result() {
        Ok(Committed::Now(_)) => {}
        Ok(Committed::Before) => {
            discard(table, &files).await;
            let nonce = table.committed(&tag.fingerprint).await?.unwrap_or(tag.nonce);
            return already_done(table, &tag.fingerprint, nonce, lake).await;
        }
        Err(e @ Error::RaceLost(_)) => {
            discard(table, &files).await;
            return Err(e);
        }
        Err(e) => return Err(e),
    }
    reached(Stage::Committed, progress.as_ref()).await;
    record.append(lake, tag.nonce).await.map_err(|e| {
        e.context(format!(
            "the predictions of run {} are visible, but its record is not; run the same command again to add it",
            record.run_id
        ))
    })?;
    reached(Stage::Recorded, progress.as_ref()).await;
    Ok(Ending::Done(Box::new(record.clone()), Vec::new()))
}

/// SHA-256 of a document, which a run is known by.
pub(super) fn digest_of(json: &serde_json::Value) -> String {
    Sha256::digest(json.to_string()).iter().map(|b| format!("{b:02x}")).collect()
}
