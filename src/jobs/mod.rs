//! The jobs that write to the lake. One way leads to visible rows: write data files, prove the counts, commit once.

mod challenger;
mod classify;
mod record;
mod rows;
mod stage;

pub use challenger::{Challenger, ChallengerRows};
pub use classify::{ClassifyOptions, Ending, OnBadFile, PolicyOverride, StoreText, check_filter, classify};
pub use record::{ChallengerRecord, InputFile, QuarantinedFile, RunRecord};
pub use stage::{Progress, Quiet, Stage};
