//! From a prediction to a decision: the threshold that evidence supports, and the rules of one line.
//!
//! Always holds: a decision depends on the text, the policy and the model digest alone, so identical goods are
//! treated identically. Refuses: reading or writing anything.

pub mod decide;
pub mod headings;
pub mod threshold;

pub use decide::{Decision, Facts, Judge, Reason, Reasons, TextState};
pub use headings::{Coded, Plan, by_heading, together};
pub use threshold::{Judged, Threshold, by_level, by_precision, by_review_budget, error_upper_bound};
