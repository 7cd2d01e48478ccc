//! The connections by number and secret key, so that another connection can ask to cancel what one runs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::fault::{Answer, Fault, state};
use super::running::{Statement, Why};
use super::scram::random;

/// See the module.
#[derive(Debug)]
pub(super) struct Backends {
    next: AtomicI32,
    all: Mutex<HashMap<i32, Arc<Backend>>>,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Backend {
    pub number: i32,
    user: String,
    /// Four bytes for clients of the older protocol, which take no more.
    pub key: Vec<u8>,
    current: Mutex<Option<Arc<Statement>>>,
}

/// A connection's entry, which ends with it.
#[derive(Debug)]
pub(super) struct Entered {
    all: Arc<Backends>,
    pub backend: Arc<Backend>,
}

/// What a connection runs, until this is dropped.
pub(super) struct Current<'a> {
    backend: &'a Backend,
}

impl Default for Backends {
    fn default() -> Backends {
        Backends { next: AtomicI32::new(1), all: Mutex::default() }
    }
}

impl Backends {
    /// Enters a connection of a user who may have so many.
    ///
    /// # Errors
    /// `53300` when the user has as many already.
    pub fn enter(self: &Arc<Self>, user: &str, most: usize, long_key: bool) -> Answer<Entered> {
        let key = match long_key {
            true => random::<32>()?.to_vec(),
            false => random::<4>()?.to_vec(),
        };
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.values().filter(|backend| backend.user == user).count() >= most {
            let fault = format!("too many connections of this user: at most {most} are taken");
            return Err(Fault::fatal(state::TOO_MANY, fault));
        }
        let mut number = 0;
        // Numbers begin anew when they are used up.
        while number <= 0 || all.contains_key(&number) {
            number = self.next.fetch_add(1, Ordering::Relaxed);
            if number <= 0 {
                self.next.store(1, Ordering::Relaxed);
            }
        }
        let backend = Arc::new(Backend { number, user: user.to_owned(), key, current: Mutex::default() });
        all.insert(number, Arc::clone(&backend));
        Ok(Entered { all: Arc::clone(self), backend })
    }

    /// Cancels what a connection runs, if the key is its own.
    pub fn cancel(&self, number: i32, key: &[u8]) {
        let backend = self.all.lock().unwrap_or_else(PoisonError::into_inner).get(&number).cloned();
        let Some(backend) = backend else { return };
        let differs =
            backend.key.iter().zip(key).fold(backend.key.len() ^ key.len(), |d, (a, b)| d | usize::from(a ^ b));
        if differs == 0
            && let Some(statement) = backend.current.lock().unwrap_or_else(PoisonError::into_inner).as_ref()
        {
            statement.stop(Why::Client);
        }
    }
}

impl Backend {
    /// Says what runs now.
    pub fn runs(&self, statement: &Arc<Statement>) -> Current<'_> {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(statement));
        Current { backend: self }
    }
}

impl Drop for Current<'_> {
    fn drop(&mut self) {
        *self.backend.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.all.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.backend.number);
    }
}

#[cfg(test)]
mod tests {
    use super::super::pool::{StatementPool, Total};
    use super::super::running::Running;
    use super::*;

    #[tokio::test]
    async fn a_statement_is_canceled_with_the_right_key_alone_and_only_while_it_runs() {
        let all = Arc::new(Backends::default());
        let entered = all.enter("ana", 1, true).unwrap();
        assert_eq!(all.enter("ana", 1, true).unwrap_err().state, "53300");
        let (number, key) = (entered.backend.number, entered.backend.key.clone());
        assert_eq!(all.enter("bob", 1, false).unwrap().backend.key.len(), 4);
        let pool = Arc::new(StatementPool::new(10, Arc::new(Total::new(10))));
        let mut own = Arc::new(Running::default()).begin(pool);
        all.cancel(number, &key);
        let current = entered.backend.runs(&own.statement);
        all.cancel(number, &key[..4]);
        all.cancel(number, b"");
        all.cancel(number + 1, &key);
        let none = tokio::time::timeout(std::time::Duration::from_millis(20), own.stopped()).await;
        assert!(none.is_err(), "not canceled yet");
        all.cancel(number, &key);
        assert_eq!(own.stopped().await, Why::Client);
        drop(current);
        drop(entered);
        all.enter("ana", 1, true).unwrap();
    }
}
