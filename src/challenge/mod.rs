//! Champion against challenger: both asked about the same lines, what was found as evidence and as a page, and the gates
//! that a promotion has to pass.
//!
//! Always holds: only distinct texts count, each once, and a figure names the digests of both models. Refuses: moving an
//! alias, which is the registry's.

mod compare;
mod cost;
mod counted;
mod decisions;
mod evidence;
mod forms;
mod gates;
mod lines;
mod nightly;
mod page;
mod report;
mod requests;
mod shadow;
mod sound;
mod tables;
mod verdict;

pub use compare::{Asked, CompareOptions, Found, compare};
pub use evidence::{
    Accepted, ByChapter, ByLevel, Calibration, Comparison, Contender, Cost, Coverage, EVIDENCE_FORMAT_VERSION, Example,
    Lines, Night, Nightly,
};
pub use gates::{Gates, Required};
pub use lines::LeftOut;
pub use nightly::Wanted;
pub use requests::{Ask, Draw, LabelRequest, Requested, request_labels};
pub use shadow::shadow;
pub use verdict::{Facts, Judged, Shadow, judge};
