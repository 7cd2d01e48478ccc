//! A linear classifier over hashed n-grams: a line's logits are the sum of what its words and their character n-grams say of
//! each class, over the root of their number. The place of a support vector machine, but with shares that can be
//! calibrated.

use super::batch::Batch;
use super::pool::Pool;
use super::shape::{Architecture, Parameter, Role, Start};
use super::tape::{From, Made, Tape};
use crate::error::Result;
use crate::text::Grams;
use serde::{Deserialize, Serialize};

/// Its dimensions.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// The n-grams, and the rows of the table.
    pub grams: Grams,
    /// Words of a line that are looked at.
    pub max_tokens: usize,
    /// Classes.
    pub classes: usize,
}

impl Architecture for Linear {
    fn dimensions(&self) -> Vec<(&'static str, usize)> {
        vec![("grams.buckets", self.grams.buckets)]
    }

    fn features(&self) -> Option<usize> {
        None
    }

    fn body(&self) -> Vec<Parameter> {
        vec![Parameter::new("bag.weight", &[self.grams.buckets, self.classes], Role::Grams, Start::Value(0.0))]
    }

    fn forward(&self, tape: &mut Tape<'_>, batch: &Batch) -> Result<Made> {
        Ok(tape.pool(From::Parameter(0), self.classes, Pool::Root, batch.grams.clone()))
    }
}
