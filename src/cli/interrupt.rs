//! Who answers Ctrl-C: the program, which ends, or the interactive shell, which cancels its statement and goes on.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{Error, Result};

/// Presses that a shell has not answered yet, above which the program ends all the same: a statement that never gives way must
/// not be a trap.
const PATIENCE: usize = 2;

/// What `UNANSWERED` is while no shell runs.
const UNCLAIMED: usize = usize::MAX;

static UNANSWERED: AtomicUsize = AtomicUsize::new(UNCLAIMED);

/// Waits for a signal that ends the program; its number.
pub(super) async fn ended() -> u8 {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    loop {
        tokio::select! {
            _ = interrupt.recv() => {
                let claimed = UNANSWERED.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |unanswered| {
                    (unanswered != UNCLAIMED).then_some(unanswered + 1)
                });
                if claimed.is_ok_and(|unanswered| unanswered < PATIENCE) {
                    continue;
                }
                return 2;
            }
            _ = terminate.recv() => return 15,
        }
    }
}

/// Ctrl-C is the shell's while this lives.
pub(super) struct Claim {
    presses: Signal,
}

impl Claim {
    /// Takes Ctrl-C over.
    pub(super) fn new() -> Result<Claim> {
        let presses = signal(SignalKind::interrupt()).map_err(|e| Error::Bug(format!("SIGINT: {e}")))?;
        UNANSWERED.store(0, Ordering::SeqCst);
        Ok(Claim { presses })
    }

    /// Waits for the next press, which is answered by that.
    pub(super) async fn pressed(&mut self) {
        if self.presses.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        UNANSWERED.store(0, Ordering::SeqCst);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        UNANSWERED.store(UNCLAIMED, Ordering::SeqCst);
    }
}
