//! The tariff: editions of the Harmonized System and the subheadings that exist in each.
//!
//! A code is a string of digits with leading zeros and belongs to an edition. Whether a code exists says nothing
//! about its scope: a number can live on with other goods, which only the correlation tables tell.

pub mod codes;
pub mod edition;
pub mod names;

pub use codes::{Codes, Subheading, editions_of};
pub use edition::Edition;
pub use names::Names;
