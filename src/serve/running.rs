//! The statements that run, each with a way to stop it: for its own client, for the server that is being stopped, for the
//! one who watches the memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use datafusion::execution::memory_pool::MemoryPool;
use tokio::sync::watch;

use super::fault::{Fault, state};
use super::pool::StatementPool;

/// Why a statement is stopped from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Client,
    Shutdown,
    Memory,
}

impl Why {
    pub fn fault(self) -> Fault {
        match self {
            Why::Client => Fault::canceled("user request"),
            Why::Shutdown => Fault::shutdown(),
            Why::Memory => Fault::new(state::OUT_OF_MEMORY, "the server runs short of memory and stops this statement")
                .hint("Read fewer rows or columns at once."),
        }
    }
}

/// One that runs, as others see it.
#[derive(Debug)]
pub(super) struct Statement {
    started: Instant,
    pool: Arc<StatementPool>,
    stop: watch::Sender<Option<Why>>,
}

impl Statement {
    /// Asks it to stop; the first reason counts.
    pub fn stop(&self, why: Why) {
        self.stop.send_if_modified(|stop| stop.is_none() && stop.replace(why).is_none());
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Running {
    next: AtomicU64,
    statements: Mutex<HashMap<u64, Arc<Statement>>>,
}

/// One's own statement; it is no longer among those that run when this is dropped.
#[derive(Debug)]
pub(super) struct Own {
    running: Arc<Running>,
    number: u64,
    pub statement: Arc<Statement>,
    stopped: watch::Receiver<Option<Why>>,
}

impl Running {
    /// Enters a statement.
    pub fn begin(self: &Arc<Self>, pool: Arc<StatementPool>) -> Own {
        let (stop, stopped) = watch::channel(None);
        let statement = Arc::new(Statement { started: Instant::now(), pool, stop });
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(number, Arc::clone(&statement));
        Own { running: Arc::clone(self), number, statement, stopped }
    }

    pub fn stop_all(&self, why: Why) {
        self.lock().values().for_each(|statement| statement.stop(why));
    }

    /// Stops the one that holds most; among those that say they hold nothing, the one that runs longest.
    pub fn stop_heaviest(&self) {
        let statements = self.lock();
        let open = statements.values().filter(|statement| statement.stop.borrow().is_none());
        if let Some(heaviest) = open.max_by_key(|statement| (statement.pool.reserved(), statement.started.elapsed())) {
            heaviest.stop(Why::Memory);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Statement>>> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Own {
    pub fn pool(&self) -> Arc<StatementPool> {
        Arc::clone(&self.statement.pool)
    }

    /// Comes back when it is asked to stop.
    pub async fn stopped(&mut self) -> Why {
        loop {
            if let Some(why) = *self.stopped.borrow_and_update() {
                return why;
            }
            if self.stopped.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.running.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::super::pool::Total;
    use super::*;
    use datafusion::execution::memory_pool::MemoryConsumer;

    #[tokio::test]
    async fn the_heaviest_statement_is_stopped_first_and_the_first_reason_counts() {
        let total = Arc::new(Total::new(1_000));
        let running = Arc::new(Running::default());
        let pools: Vec<_> = (0..2).map(|_| Arc::new(StatementPool::new(500, Arc::clone(&total)))).collect();
        let mut light = running.begin(Arc::clone(&pools[0]));
        let mut heavy = running.begin(Arc::clone(&pools[1]));
        let pool: Arc<dyn MemoryPool> = pools[1].clone();
        let held = MemoryConsumer::new("test").register(&pool);
        held.try_grow(100).unwrap();
        running.stop_heaviest();
        assert_eq!(heavy.stopped().await, Why::Memory);
        running.stop_heaviest();
        assert_eq!(light.stopped().await, Why::Memory);
        running.stop_all(Why::Shutdown);
        assert_eq!(light.stopped().await, Why::Memory);
        drop((light, heavy));
        assert!(running.is_empty());
    }
}
