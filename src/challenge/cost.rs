//! What an answer of each model costs: compiled and asked one after the other, on one thread, with nothing remembered.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, StringArray};

use super::evidence::Cost;
use crate::error::Result;
use crate::registry::Loaded;
use crate::sql::Classifier;
use crate::train::{cpu_secs_per_million, usage};

/// A compiled model, and the memory that this took.
pub struct Compiled {
    pub classifier: Classifier,
    /// Growth of what the process holds while it was compiled; `None` where the system does not say.
    memory_bytes: Option<u64>,
}

impl Compiled {
    /// Under its own policy.
    ///
    /// # Errors
    /// Those of compiling.
    pub fn of(loaded: &Loaded) -> Result<Compiled> {
        let before = usage::memory_bytes();
        let classifier = Classifier::new(loaded, &loaded.bundle.policy)?.forgetting();
        let memory_bytes = usage::memory_bytes().zip(before).map(|(after, before)| after.saturating_sub(before));
        Ok(Compiled { classifier, memory_bytes })
    }

    /// Asks for the texts in random order, again and again, until so many seconds are used.
    ///
    /// # Errors
    /// Those of asking.
    pub fn cost(&self, loaded: &Loaded, texts: &[&str], secs: f64) -> Result<Cost> {
        let ask = |texts: &[&str]| {
            let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
            self.classifier.predict(&texts).map(|predictions| drop(std::hint::black_box(predictions)))
        };
        let cpu = match cpu_secs_per_million(texts, secs, ask)? {
            Some(secs) => secs,
            // Where the system does not say what was used: the time on the clock, which is no less.
            None => {
                let began = Instant::now();
                ask(texts)?;
                1e6 * began.elapsed().as_secs_f64() / texts.len().max(1) as f64
            }
        };
        Ok(Cost {
            cpu_secs_per_million: cpu,
            memory_bytes: self.memory_bytes,
            bundle_bytes: loaded.bundle.manifest.files.iter().map(|file| file.size_bytes).sum(),
        })
    }
}
