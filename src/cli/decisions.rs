//! The flags that say which decisions of people are learned, and what they must not touch.

use clap::Args;

use super::settings::{PlaceArgs, Settings};
use crate::error::Result;
use crate::train::{Decisions, Frozen};

#[derive(Args)]
pub struct DecisionArgs {
    /// Learn from what people decided in the lake, too; what is kept from the fit is not touched
    #[arg(long)]
    decisions: bool,
    /// Version of the lake's table of decisions, to train once more as before [default: the newest]
    #[arg(long, value_name = "N", requires = "decisions")]
    decisions_version: Option<u64>,
    /// Parquet files or folders with lines of a frozen test set, whose texts are never learned from decisions
    #[arg(long, value_name = "URL", num_args = 1.., value_delimiter = ',', requires = "decisions")]
    frozen: Vec<String>,
    /// SQL condition on their columns; without --frozen, on those of --input
    #[arg(long, value_name = "SQL", requires = "decisions")]
    frozen_where: Option<String>,
}

impl DecisionArgs {
    /// The decisions that are asked for.
    pub fn source(self, settings: &mut Settings<'_>, place: &PlaceArgs) -> Result<Option<Decisions>> {
        if !self.decisions {
            return Ok(None);
        }
        let named = !self.frozen.is_empty() || self.frozen_where.is_some();
        let frozen = named.then_some(Frozen { inputs: self.frozen, where_sql: self.frozen_where });
        Ok(Some(Decisions { lake: settings.lake(place)?, version: self.decisions_version, frozen }))
    }
}
