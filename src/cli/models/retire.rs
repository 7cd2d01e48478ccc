//! `harmonize models retire`

use clap::{ArgMatches, Args};

use super::super::table::text;
use super::{ByArgs, RegistryArgs, number, told};
use crate::error::Result;
use crate::registry::ModelRef;

#[derive(Args)]
#[command(
    after_help = "A retired version is neither promoted nor rolled back to, and hs@latest and hs pass it over. By its number it \
                        can still be loaded, with a warning, so that old runs can be done again. A version that an alias names is not retired."
)]
pub struct RetireArgs {
    /// Model version by its number, such as hs@3
    model: ModelRef,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", default_value = "retired by hand")]
    why: String,
    #[command(flatten)]
    by: ByArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub async fn run(args: RetireArgs, matches: &ArgMatches) -> Result<u8> {
    let (registry, _) = args.registry.open(matches)?;
    let act = args.by.act(&args.why)?;
    let version = number(&args.model)?;
    let mut history = registry.history(args.model.name()).await?;
    let target = registry.target(&args.model, &history, version).await?;
    let deed = history.retire(&target, &act).await?;
    text(told(deed, &format!("{} is retired", args.model)).as_bytes())?;
    Ok(0)
}
