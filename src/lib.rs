//! Offline, deterministic, SQL-native bulk classification of goods into Harmonized System codes.
//!
//! The rooms and the way of the data are told in `docs/architecture.md`; imports go down that page's table.

pub mod audit;
pub mod challenge;
pub mod cli;
pub mod contract;
pub mod engine;
pub mod error;
pub mod ffi;
pub mod jobs;
pub mod lake;
pub mod model;
pub mod policy;
pub mod registry;
pub mod review;
pub mod sample;
pub mod serve;
pub mod sql;
pub mod tariff;
pub mod text;
pub mod train;
pub mod trial;

pub use error::{Error, Result};
