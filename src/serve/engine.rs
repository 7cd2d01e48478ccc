//! Where statements are planned and run: threads of their own, so that a heavy one cannot hold up the connections, and more
//! of them than cores, so that the system shares the cores fairly between a heavy statement and a light one.
//!
//! A statement holds its place until its work has really ended, also when nobody waits for it any more.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use futures::StreamExt;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::fault::{Answer, Fault, state};
use super::metrics::resident_bytes;
use super::pool::{StatementPool, Total};
use super::queue::{Place, Queue};
use super::roles::RoleLimits;
use super::running::{Own, Running};
use crate::error::Result;

/// Stack of a thread: what is within the bounds on depth fits many times.
const STACK_BYTES: usize = 32 << 20;
/// Threads beside those that all statements can keep busy, for what waits on files and the network.
const SPARE_THREADS: usize = 2;
const MOST_THREADS: usize = 512;
/// Batches that are ready before the client has taken them.
const READY_BATCHES: usize = 1;

/// See the module.
pub(super) struct Engine {
    runtime: Option<Runtime>,
    pub queue: Arc<Queue>,
    pub running: Arc<Running>,
    pub total: Arc<Total>,
}

/// Ends its task when it is dropped.
struct Task<T> {
    handle: JoinHandle<T>,
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

/// The rows of a statement that runs, as batches.
pub(super) struct Rows {
    pub schema: SchemaRef,
    /// `None` is the end that was meant: a panic closes the channel without it.
    batches: mpsc::Receiver<Answer<Option<RecordBatch>>>,
    _task: Task<()>,
}

impl Rows {
    /// The next batch; `None` after the last one.
    pub async fn next(&mut self) -> Answer<Option<RecordBatch>> {
        self.batches.recv().await.unwrap_or_else(|| Err(defect()))
    }
}

impl Engine {
    /// `places` statements run at once, each on up to `threads` threads; `waiting` more wait.
    pub fn new(places: usize, waiting: usize, threads: usize, memory_bytes: usize) -> Result<Engine> {
        let workers = places.saturating_mul(threads).saturating_add(SPARE_THREADS).min(MOST_THREADS);
        let runtime = Builder::new_multi_thread()
            .worker_threads(workers)
            .thread_stack_size(STACK_BYTES)
            .thread_name("statement")
            .enable_all()
            .build()?;
        Ok(Engine {
            runtime: Some(runtime),
            queue: Queue::new(places, waiting),
            running: Arc::new(Running::default()),
            total: Arc::new(Total::new(memory_bytes)),
        })
    }

    /// A statement of a role among those that run.
    pub fn begin(&self, limits: &RoleLimits) -> Own {
        self.running.begin(Arc::new(StatementPool::new(limits.memory_bytes, Arc::clone(&self.total))))
    }

    /// Does work of a statement, such as planning, on the engine's threads.
    pub async fn work<T: Send + 'static>(
        &self,
        place: Place,
        work: impl Future<Output = Answer<T>> + Send + 'static,
    ) -> Answer<T> {
        let mut task = Task {
            handle: self.handle()?.spawn(async move {
                let _place = place;
                work.await
            }),
        };
        (&mut task.handle).await.unwrap_or_else(|e| Err(ended(&e)))
    }

    /// Runs a plan that `planned` gives, and comes back with its first answer: the schema of the rows to come.
    pub async fn run(
        &self,
        place: Place,
        pool: Arc<StatementPool>,
        spill_bytes: u64,
        planned: impl Future<Output = Answer<(SessionState, LogicalPlan)>> + Send + 'static,
    ) -> Answer<Rows> {
        let (sender, batches) = mpsc::channel(READY_BATCHES);
        let (told, schema) = oneshot::channel();
        let handle = self.handle()?.spawn(async move {
            let _place = place;
            let mut stream = match begun(planned, pool, spill_bytes).await {
                Ok(stream) => stream,
                Err(fault) => {
                    let _ = told.send(Err(fault));
                    return;
                }
            };
            if told.send(Ok(stream.schema())).is_err() {
                return;
            }
            loop {
                let next = stream.next().await.transpose().map_err(Fault::from);
                let last = !matches!(next, Ok(Some(_)));
                if sender.send(next).await.is_err() || last {
                    return;
                }
            }
        });
        let mut task = Task { handle };
        let told = tokio::select! {
            biased;
            told = schema => told.ok(),
            // Only a panic ends it without a word.
            _ = &mut task.handle => None,
        };
        let schema = told.unwrap_or_else(|| Err(defect()))?;
        Ok(Rows { schema, batches, _task: task })
    }

    /// Stops statements one by one while the process holds more than `most` bytes: what operators do not account for is seen
    /// here alone.
    pub async fn watch_memory(&self, most: u64) {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if resident_bytes() > most && !self.running.is_empty() {
                tracing::warn!(
                    resident = resident_bytes(),
                    most,
                    "memory runs short: the heaviest statement is stopped"
                );
                self.running.stop_heaviest();
                tokio::time::sleep(Duration::from_millis(400)).await;
            }
        }
    }

    fn handle(&self) -> Answer<&Handle> {
        self.runtime.as_ref().map(Runtime::handle).ok_or_else(Fault::shutdown)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Not waited for: a task may be in the middle of a long step.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn begun(
    planned: impl Future<Output = Answer<(SessionState, LogicalPlan)>>,
    pool: Arc<StatementPool>,
    spill_bytes: u64,
) -> Answer<SendableRecordBatchStream> {
    let (state, plan) = planned.await?;
    let physical = state.create_physical_plan(&plan).await?;
    let environment = RuntimeEnvBuilder::from_runtime_env(state.runtime_env())
        .with_memory_pool(pool)
        .with_max_temp_directory_size(spill_bytes)
        .build_arc()?;
    Ok(execute_stream(physical, Arc::new(context(&state, environment)))?)
}

/// The context of the session, with the statement's own memory and disk.
fn context(state: &SessionState, environment: Arc<RuntimeEnv>) -> TaskContext {
    TaskContext::new(
        None,
        state.session_id().to_owned(),
        state.config().clone(),
        state.scalar_functions().clone(),
        state.higher_order_functions().clone(),
        state.aggregate_functions().clone(),
        state.window_functions().clone(),
        environment,
    )
}

fn ended(e: &tokio::task::JoinError) -> Fault {
    match e.is_cancelled() {
        true => Fault::shutdown(),
        false => defect(),
    }
}

fn defect() -> Fault {
    Fault::new(state::DEFECT, "a defect of the server ended the statement; its log says more")
}
