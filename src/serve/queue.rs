//! Who runs and who waits: a bound on all statements, one on those of each user, and a queue of bounded length.
//!
//! A place goes to the waiting user with the fewest statements running, and among equals to the one who came first; so one
//! user's many statements keep nobody else waiting.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::fault::{Answer, Fault, state};

/// See the module.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Statements that run at once.
    places: usize,
    /// Statements that wait at once.
    waiting: usize,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    by_user: HashMap<String, usize>,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    user: String,
    most: usize,
    place: oneshot::Sender<Place>,
}

/// The right to run; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    queue: Arc<Queue>,
    /// `None` once it is given back.
    user: Option<String>,
}

impl Queue {
    pub fn new(places: usize, waiting: usize) -> Arc<Queue> {
        Arc::new(Queue { state: Mutex::default(), places, waiting })
    }

    /// A place for a user who may have so many at once; waits for it. Giving up waiting is harmless.
    ///
    /// # Errors
    /// `53300` when too many wait already.
    pub async fn enter(self: &Arc<Self>, user: &str, most: usize) -> Answer<Place> {
        let place = {
            let mut state = self.lock();
            state.waiting.retain(|waiting| !waiting.place.is_closed());
            if state.running < self.places && state.of(user) < most {
                return Ok(self.give(&mut state, user.to_owned()));
            }
            if state.waiting.len() >= self.waiting {
                let fault = format!("{} statements wait already", state.waiting.len());
                return Err(Fault::new(state::TOO_MANY, fault).hint("Try again in a moment."));
            }
            let (sender, place) = oneshot::channel();
            state.waiting.push_back(Waiting { user: user.to_owned(), most, place: sender });
            place
        };
        place.await.map_err(|_| Fault::new(state::DEFECT, "a place in the queue was lost"))
    }

    /// Statements that run and that wait.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.lock();
        (state.running, state.waiting.iter().filter(|waiting| !waiting.place.is_closed()).count())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give(self: &Arc<Self>, state: &mut State, user: String) -> Place {
        state.running += 1;
        *state.by_user.entry(user.clone()).or_default() += 1;
        Place { queue: Arc::clone(self), user: Some(user) }
    }

    /// Gives a place back and hands it on.
    fn leave(self: &Arc<Self>, user: String) {
        let mut state = self.lock();
        state.take_back(&user);
        while state.running < self.places {
            let admissible = |waiting: &&Waiting| state.of(&waiting.user) < waiting.most && !waiting.place.is_closed();
            let fewest = state.waiting.iter().filter(admissible).map(|waiting| state.of(&waiting.user)).min();
            let Some(fewest) = fewest else { return };
            let next = state.waiting.iter().position(|w| admissible(&w) && state.of(&w.user) == fewest);
            let Some(waiting) = next.and_then(|next| state.waiting.remove(next)) else { return };
            let place = self.give(&mut state, waiting.user.clone());
            if let Err(mut unused) = waiting.place.send(place) {
                // Nobody waits any more; dropping the place would lock again.
                unused.user = None;
                state.take_back(&waiting.user);
            }
        }
    }
}

impl State {
    fn of(&self, user: &str) -> usize {
        self.by_user.get(user).copied().unwrap_or(0)
    }

    fn take_back(&mut self, user: &str) {
        self.running -= 1;
        if let Some(count) = self.by_user.get_mut(user) {
            *count -= 1;
            if *count == 0 {
                self.by_user.remove(user);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(user) = self.user.take() {
            self.queue.leave(user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_users_many_statements_keep_nobody_else_waiting() {
        let queue = Queue::new(2, 10);
        let first = queue.enter("ana", 2).await.unwrap();
        let second = queue.enter("ana", 2).await.unwrap();
        let enter = |user: &'static str| {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move { queue.enter(user, 2).await.unwrap() })
        };
        let third = enter("ana");
        tokio::task::yield_now().await;
        let other = enter("bob");
        tokio::task::yield_now().await;
        assert_eq!(queue.counts(), (2, 2));
        drop(first);
        let other = other.await.unwrap();
        assert!(!third.is_finished(), "ana came first, but has one running");
        drop(second);
        let third = third.await.unwrap();
        drop((other, third));
        assert_eq!(queue.counts(), (0, 0));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_one_who_gives_up_leaves_no_trace() {
        let queue = Queue::new(1, 1);
        let held = queue.enter("ana", 5).await.unwrap();
        let waiting = {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move { queue.enter("bob", 5).await })
        };
        tokio::task::yield_now().await;
        assert_eq!(queue.enter("eve", 5).await.unwrap_err().state, "53300");
        waiting.abort();
        let _ = waiting.await;
        drop(held);
        assert_eq!(queue.counts().0, 0);
        let own = queue.enter("ana", 1).await.unwrap();
        let again = tokio::time::timeout(std::time::Duration::from_millis(20), queue.enter("ana", 1)).await;
        assert!(again.is_err(), "one at once");
        drop(own);
        queue.enter("ana", 1).await.unwrap();
    }
}
