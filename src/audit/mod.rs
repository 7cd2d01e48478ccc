//! Audit packs: all that is known of one line or of one run, as JSON with a digest over it and as a page for people; and findings
//! of consistency over all lines of a lake.
//!
//! What always holds: a pack says what the lake and the registry say and reads no clock, so that the same state makes the same
//! bytes; its digest is over everything in it. Refuses: changing anything in either place.

mod became;
mod describe;
mod findings;
mod json;
mod line;
mod models;
mod pack;
mod run;
mod why;

pub use findings::{
    Exported, FindingChapter, FindingFilter, FindingKind, FindingReport, Findings, OfKind, Told, Wording,
};
pub use line::line_pack;
pub use pack::{Pack, Verified, verify};
pub use run::run_pack;

/// Layout of a pack that this program writes and reads.
pub const PACK_FORMAT_VERSION: u32 = 1;
