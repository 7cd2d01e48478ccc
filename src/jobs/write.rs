//! Runs a plan, one task a partition, each with data files of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::physical_plan::{ExecutionPlan, execute_stream_partitioned};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use tokio::task::JoinSet;

use super::stage::Progress;
use crate::error::{Error, Result};
use crate::lake::{NewFile, SinkOptions, Table};
use crate::sql::Limits;

/// `NaiveDate::num_days_from_ce` of 1970-01-01.
pub(super) const DAYS_TO_1970: i32 = 719_163;

/// A file is held whole, and once more while it is finished; all threads together stay within half the memory.
pub(super) fn target_file_bytes(wanted: u64, limits: Limits) -> u64 {
    wanted.min((limits.memory_bytes / (4 * limits.threads)).max(1 << 20) as u64)
}

/// Makes rows of the table of batches of a plan, and counts what passes.
pub(super) trait Maker: Send + 'static {
    fn make(&mut self, batch: &RecordBatch) -> Result<Vec<RecordBatch>>;
}

/// Time of a writing task.
#[derive(Clone, Copy, Default)]
pub(super) struct TaskTimes {
    /// Waiting for batches, which includes scoring them.
    pub read: Duration,
    pub write: Duration,
}

/// A write that failed, with the files that some tasks had finished.
pub(super) struct Failed {
    pub error: Error,
    pub files: Vec<NewFile>,
}

/// A write that did not.
pub(super) struct Written<M> {
    pub files: Vec<NewFile>,
    pub makers: Vec<M>,
    pub spent: TaskTimes,
}

/// Writes what `maker` makes of a plan's batches; nobody sees it yet.
pub(super) async fn write<M: Maker>(
    context: &SessionContext,
    plan: Arc<dyn ExecutionPlan>,
    table: &Table,
    sink: &SinkOptions,
    progress: &Arc<dyn Progress>,
    maker: impl Fn(&SchemaRef) -> M,
) -> Result<Written<M>, Failed> {
    let early = |error: Error| Failed { error, files: Vec::new() };
    let streams = execute_stream_partitioned(plan, context.task_ctx()).map_err(|e| early(e.into()))?;
    let mut tasks = JoinSet::new();
    let stop = Arc::new(AtomicBool::new(false));
    for mut stream in streams {
        let mut writer = table.writer(sink).map_err(early)?;
        let mut rows = maker(writer.schema());
        let (progress, stop) = (Arc::clone(progress), Arc::clone(&stop));
        tasks.spawn(async move {
            let mut spent = TaskTimes::default();
            let written: Result<()> = async {
                loop {
                    let began = Instant::now();
                    let Some(batch) = stream.next().await else { break };
                    let batch: RecordBatch = batch?;
                    let read = Instant::now();
                    spent.read += read - began;
                    if stop.load(Ordering::Relaxed) {
                        return Err(Error::Bug("stopped because another task failed".into()));
                    }
                    for made in rows.make(&batch)? {
                        writer.write(&made).await?;
                    }
                    spent.write += read.elapsed();
                    progress.advance(batch.num_rows() as u64);
                }
                let began = Instant::now();
                writer.close().await?;
                spent.write += began.elapsed();
                Ok(())
            }
            .await;
            match written {
                Ok(()) => Ok((writer.into_files(), rows, spent)),
                Err(e) => Err((e, writer.into_files())),
            }
        });
    }
    let (mut all, mut failed) = (Written { files: Vec::new(), makers: Vec::new(), spent: TaskTimes::default() }, None);
    while let Some(task) = tasks.join_next().await {
        match task {
            Ok(Ok((files, rows, spent))) => {
                all.files.extend(files);
                all.makers.push(rows);
                all.spent.read += spent.read;
                all.spent.write += spent.write;
            }
            // The others stop by themselves, so that every finished file is known and removed.
            Ok(Err((e, finished))) => {
                stop.store(true, Ordering::Relaxed);
                failed.get_or_insert(e);
                all.files.extend(finished);
            }
            Err(e) => {
                stop.store(true, Ordering::Relaxed);
                failed.get_or_insert(Error::Bug(format!("a task gave up: {e}")));
            }
        }
    }
    match failed {
        None => Ok(all),
        Some(error) => Err(Failed { error, files: all.files }),
    }
}
