//! The jobs that write to the lake. One way leads to visible rows: write data files, prove the counts, commit once. And the
//! one that reads it again: a run is scored once more and compared with what stands there.

mod challenger;
mod classify;
mod plan;
mod record;
mod replay;
mod rows;
mod stage;

pub use challenger::{Challenger, ChallengerRows};
pub use classify::{ClassifyOptions, Ending, OnBadFile, PolicyOverride, StoreText, check_filter, classify};
pub use record::{ChallengerRecord, InputFile, QuarantinedFile, RunRecord};
pub use replay::{
    Again, Asked, ColumnDifference, Difference, DifferenceKind, FileReplay, Found, InputState, Model, Reader, Replay,
    ReplayOptions, Replayed, RowCounts, Sample, place_of, replay, short, value_of,
};
pub use stage::{Progress, Quiet, Stage};
