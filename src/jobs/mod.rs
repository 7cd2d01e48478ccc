//! The jobs that write to the lake. One way leads to visible rows: write data files, prove the counts, commit once.

mod backfill;
mod challenger;
mod changed;
mod classify;
mod lease;
mod reclassify;
mod record;
mod rows;
mod stage;
mod write;

pub use backfill::{Partition, Plan, Wanted, Why, fill, plan as plan_backfill, retired};
pub use challenger::{Challenger, ChallengerRows};
pub use classify::{ClassifyOptions, Ending, OnBadFile, PolicyOverride, Purpose, StoreText, check_filter, classify};
pub use reclassify::{
    Before, Chapter, Costly, Reclassified, ReclassifyOptions, ReclassifyReport, Restricted, Within, reclassify,
};
pub use record::{ChallengerRecord, InputFile, QuarantinedFile, RunRecord};
pub use stage::{Progress, Quiet, Stage};
