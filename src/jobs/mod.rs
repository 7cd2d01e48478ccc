//! The jobs that write to the lake. One way leads to visible rows: write data files, prove the counts, commit once. And the
//! one that reads it again: a run is scored once more and compared with what stands there.

mod backfill;
mod challenger;
mod changed;
mod classify;
mod lease;
mod options;
mod plan;
mod reclassify;
mod record;
mod replay;
mod rows;
mod settle;
mod stage;
mod write;

pub use backfill::{Partition, Plan, Wanted, Why, fill, plan as plan_backfill, retired};
pub use challenger::{Challenger, ChallengerRows};
pub use classify::{check_filter, classify};
pub use options::{ClassifyOptions, OnBadFile, PolicyOverride, Purpose, StoreText};
pub use reclassify::{
    After, Amount, Basis, Became, Before, Chapter, Choice, Costly, Outcome, Past, PastTable, Reclassified,
    ReclassifyOptions, ReclassifyReport, Restricted, Tally, Within, reclassify,
};
pub use record::{ChallengerRecord, InputFile, QuarantinedFile, RunRecord};
pub use replay::{
    Again, Asked, ColumnDifference, Difference, DifferenceKind, FileReplay, Found, InputState, Model, Reader, Replay,
    ReplayOptions, Replayed, RowCounts, Sample, place_of, replay, short, value_of,
};
pub use settle::Ending;
pub use stage::{Progress, Quiet, Stage};
