//! The tariff: editions of the Harmonized System, their codes, what became of each from one edition to the next, and the
//! tables of a lake that hold it all.
//!
//! A code is a string of digits with leading zeros and belongs to an edition. Whether a code exists says nothing
//! about its scope: a number can live on with other goods, which only the correlation tables tell.

mod catch_all;
mod change;
mod check;
pub mod codes;
mod correlation;
pub mod edition;
mod file;
mod import;
pub mod names;
mod nomenclature;
mod rows;
mod stored;
mod year;

pub use catch_all::{Advisor, CatchAll, Group, Policy};
pub use change::{Action, Change, Changes, Kind};
pub use check::{Finding, Trouble};
pub use codes::{Codes, Subheading, editions_of};
pub use correlation::{Correlation, Link, Pairs};
pub use edition::Edition;
pub use import::{FileKind, ImportOptions, Imported, Report, import};
pub use names::Names;
pub use nomenclature::{Entry, HS, Name, Nomenclature, Validity};
pub use rows::name_of;
pub use stored::{Tariff, Unfinished};
pub use year::Year;
