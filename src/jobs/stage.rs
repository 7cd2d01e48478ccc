//! The stages of a run, what watches them, and a way to stop at one of them on purpose.

use crate::lake::hold_at;

/// Where a run is. A process may die in any of them: readers see the state before the commit or after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Input found and pinned, model loaded, nothing written.
    Planned,
    /// The table exists; data files are being written.
    Scoring,
    /// Data files are complete and invisible.
    Written,
    /// Rows read and rows written were compared.
    Proved,
    /// The commit is visible.
    Committed,
    /// The run's record is visible.
    Recorded,
}

impl Stage {
    /// All, in order.
    pub const ALL: [Stage; 6] =
        [Stage::Planned, Stage::Scoring, Stage::Written, Stage::Proved, Stage::Committed, Stage::Recorded];

    /// Lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Planned => "planned",
            Stage::Scoring => "scoring",
            Stage::Written => "written",
            Stage::Proved => "proved",
            Stage::Committed => "committed",
            Stage::Recorded => "recorded",
        }
    }
}

/// Watches a run. Called from several threads.
pub trait Progress: Send + Sync {
    /// A stage was reached.
    fn stage(&self, stage: Stage) {
        let _ = stage;
    }
    /// How many lines there are to score, at most.
    fn expect(&self, lines: u64) {
        let _ = lines;
    }
    /// Lines were scored.
    fn advance(&self, lines: u64) {
        let _ = lines;
    }
}

/// Watches nothing.
pub struct Quiet;

impl Progress for Quiet {}

/// Tells the watcher, and holds the process if it is to be held here.
pub(super) async fn reached(stage: Stage, progress: &dyn Progress) {
    progress.stage(stage);
    tracing::debug!(stage = stage.as_str(), "stage");
    hold_at(stage.as_str()).await;
}
