//! Champion against challenger: whether a new model is better on the same lines, by tests that may be looked at every night.
//!
//! Always holds: only distinct texts count, each once. Refuses: storage and promotion, which are the registry's.

mod design;
mod eprocess;
mod paired;

pub use design::pairs_to_prove;
pub use eprocess::{EProcess, Look, ln_evidence};
pub use paired::{Fall, Interval, McNemar, Pairs, drop_beyond, holm, interval, mcnemar, pairs_needed};
