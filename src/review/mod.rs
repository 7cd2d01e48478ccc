//! People and their decisions: the queue as files, and what they decided back from them.
//!
//! What is written for people holds every text exactly, as text, and no formula. Decisions are appended in one commit; a
//! conflict is shown and left to people.

mod answer;
mod cell;
mod codes;
mod columns;
mod days;
mod decision;
mod evidence;
mod export;
mod identity;
mod import;
pub mod inert;
mod judge;
mod lines;
mod queue;
mod read;
mod reasons;
mod report;
mod settle;
pub mod sheet;
mod tasks;
mod wording;

pub use cell::Cell;
pub use export::{ExportOptions, Exported, QueueForm, Words, export};
pub use import::{ImportOptions, import};
pub use queue::Asked;
pub use read::{Row, Wanted, rows};
pub use reasons::ReasonCodes;
pub use report::{Conflict, Item, Outcome, Report};
pub use tasks::labelling_config;
