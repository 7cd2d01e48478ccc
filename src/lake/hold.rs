//! A place to stop at on purpose, so that safety can be rehearsed on the real program and store.

use tokio::signal::unix::{SignalKind, signal};

/// Holds the process if `HARMONIZE_HOLD_AT` names this stage, until it gets SIGUSR1: to kill it there, or to change the world
/// under it.
pub async fn hold_at(stage: &str) {
    if std::env::var("HARMONIZE_HOLD_AT").is_ok_and(|at| at == stage)
        && let Ok(mut go_on) = signal(SignalKind::user_defined1())
    {
        eprintln!("held at {stage}");
        go_on.recv().await;
    }
}
