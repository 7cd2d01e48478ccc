//! Memory of one statement within that of its role, and of all statements within that of the server.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation, TrackConsumersPool,
};

/// What all statements hold together.
#[derive(Debug)]
pub(super) struct Total {
    bytes: AtomicUsize,
    most: usize,
}

impl Total {
    pub fn new(most: usize) -> Total {
        Total { bytes: AtomicUsize::new(0), most }
    }

    /// Bytes that are held now.
    pub fn held(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub fn most(&self) -> usize {
        self.most
    }

    fn try_add(&self, bytes: usize) -> bool {
        let fits = |held: usize| held.checked_add(bytes).filter(|sum| *sum <= self.most);
        self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }
}

/// The pool of one statement: fair among its own operators, which put aside on disk what does not fit.
#[derive(Debug)]
pub(super) struct StatementPool {
    own: TrackConsumersPool<FairSpillPool>,
    total: Arc<Total>,
}

impl StatementPool {
    /// With at most so many bytes.
    pub fn new(most: usize, total: Arc<Total>) -> StatementPool {
        let three = NonZeroUsize::MIN.saturating_add(2);
        StatementPool { own: TrackConsumersPool::new(FairSpillPool::new(most), three), total }
    }
}

impl fmt::Display for StatementPool {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "statement({})", self.own)
    }
}

impl MemoryPool for StatementPool {
    fn name(&self) -> &str {
        "statement"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.own.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.own.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.own.grow(reservation, additional);
        self.total.bytes.fetch_add(additional, Ordering::Relaxed);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.total.bytes.fetch_sub(shrink, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        if !self.total.try_add(additional) {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "all statements together hold {} of {} bytes",
                self.total.held(),
                self.total.most
            )));
        }
        self.own.try_grow(reservation, additional).inspect_err(|_| {
            self.total.bytes.fetch_sub(additional, Ordering::Relaxed);
        })
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.own.memory_limit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_stays_within_its_own_bound_and_within_that_of_all() {
        let total = Arc::new(Total::new(100));
        let pool = |most| -> Arc<dyn MemoryPool> { Arc::new(StatementPool::new(most, Arc::clone(&total))) };
        let (one, two) = (pool(80), pool(80));
        let first = MemoryConsumer::new("first").register(&one);
        let second = MemoryConsumer::new("second").register(&two);
        first.try_grow(70).unwrap();
        assert!(first.try_grow(20).is_err(), "more than its own");
        assert!(second.try_grow(40).is_err(), "more than all");
        second.try_grow(30).unwrap();
        assert_eq!(total.held(), 100);
        drop(first);
        assert_eq!(total.held(), 30);
        second.try_grow(40).unwrap();
        drop(second);
        assert_eq!(total.held(), 0);
    }
}
