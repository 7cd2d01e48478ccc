//! From labelled lines to a model version: checks, a leak-free split, the fit, calibration, thresholds, the card.
//!
//! Calibration and thresholds are fitted on the answers of the integer engine that will serve, so the number that a
//! user sees is the number that was calibrated. No row is used for two things.

mod answers;
mod architecture;
mod baseline;
mod card;
mod checks;
mod compare;
mod data;
mod decisions;
mod duel;
mod evaluate;
mod evaluation;
mod extra;
mod figures;
mod fit;
mod further;
mod inspect;
mod judging;
mod labels;
mod learning;
mod near;
mod ops;
mod optimiser;
mod page;
mod pipeline;
mod plot;
mod profile;
mod recipe;
mod record;
mod schema;
mod screen;
mod search;
mod split;
mod table;
mod upsample;
pub mod usage;
mod vague;

pub(crate) use answers::Answers;
pub use answers::measure;
pub use architecture::Architecture;
pub use card::Card;
pub use checks::Limits as CheckLimits;
pub(crate) use compare::cpu_secs_per_million;
pub use compare::{
    CompareOptions, CompareWatcher, Comparison, Kind as ComparedKind, Leak, Row as ComparedRow, Upsampled, compare,
};
pub use data::Labelled;
pub use decisions::{DecisionRecipe, Decisions, Frozen, LeftOut as DecisionsLeftOut, Report as DecisionReport};
pub(crate) use duel::{Range, differences, evidence};
pub use evaluate::{By, Metrics};
pub use evaluation::{EvaluateOptions, Evaluation, MIN_ROWS, evaluate_model};
pub use extra::Extra;
pub(crate) use figures::signed;
pub use fit::{CheckpointPlace, Hyper, Progress as FitProgress};
pub use further::Further;
pub use inspect::{CheckOptions, DataReport, InspectOptions, inspect};
pub use judging::Wanted;
pub use labels::Label;
pub(crate) use page::{Figure, Page};
pub use pipeline::{FittedBundle, Prepared, TrainOptions, Trained, Watcher, fit_bundle, train};
pub use recipe::Recipe;
pub use record::Record;
pub use search::{Found, Objective, SearchOptions, SearchWatcher, Space, Trial, search};
pub use split::{Grouping, Part, Shares, Split};
pub(crate) use table::{Cell, Grid, percent, tenths, thousands};
pub use vague::{VagueRecipe, list as vague_list};
