//! From labelled lines to a model version: checks, a leak-free split, the fit, calibration, thresholds, the card.
//!
//! Calibration and thresholds are fitted on the answers of the integer engine that will serve, so the number that a
//! user sees is the number that was calibrated. No row is used for two things.

mod architecture;
mod card;
mod checks;
mod data;
mod evaluate;
mod extra;
mod fit;
mod inspect;
mod judging;
mod labels;
mod learning;
mod ops;
mod optimiser;
mod page;
mod pipeline;
mod profile;
mod recipe;
mod screen;
mod split;
mod vague;

pub use architecture::Architecture;
pub use checks::Limits as CheckLimits;
pub use data::{Labelled, evaluate_model};
pub use evaluate::Metrics;
pub use extra::Extra;
pub use fit::{CheckpointPlace, Hyper, Progress as FitProgress};
pub use inspect::{DataReport, InspectOptions, inspect};
pub use judging::Wanted;
pub use labels::Label;
pub use pipeline::{FittedBundle, Further, Prepared, TrainOptions, Trained, Watcher, fit_bundle, train};
pub use recipe::Recipe;
pub use split::{Grouping, Part, Shares, Split};
pub use vague::{VagueRecipe, list as vague_list};
