//! `harmonize models rollback`

use std::time::Duration;

use clap::{ArgMatches, Args};

use super::super::table::text;
use super::{ByArgs, RegistryArgs, told};
use crate::error::{Error, Result};
use crate::registry::{CHAMPION, Deed, ModelRef, Registry, Target};

/// How long the version that is rolled back to may take to be checked.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Args)]
#[command(
    after_help = "Neither lists versions nor reads the one that is left, so it works when that is damaged or gone. The version \
                        that it goes back to is checked; where the store is too slow or broken for that, it is named all the same, with a \
                        warning. Rolling back again goes further back."
)]
pub struct RollbackArgs {
    /// Name of the model, such as hs
    name: String,
    /// The alias
    #[arg(long, value_name = "ALIAS", default_value = CHAMPION)]
    alias: String,
    /// Only if the alias names this version now: safe to repeat
    #[arg(long, value_name = "N")]
    from: Option<u64>,
    /// The version to go back to, which the alias named before [default: the last]
    #[arg(long, value_name = "N")]
    to: Option<u64>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    why: String,
    #[command(flatten)]
    by: ByArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub async fn run(args: RollbackArgs, matches: &ArgMatches) -> Result<u8> {
    let (registry, _) = args.registry.open(matches)?;
    let act = args.by.act(&args.why)?;
    let (name, alias) = (&args.name, &args.alias);
    let mut history = registry.history(name).await?;
    let now = history.state().named(alias).map(|held| (held.version, held.event));
    if let (Some(from), Some((version, event))) = (args.from, now)
        && from != version
    {
        text(told(Deed::Already(event), &format!("{name}@{version} is {alias}")).as_bytes())?;
        return Ok(0);
    }
    let target = history.rollback_target(alias, args.to)?;
    check(&registry, name, &target).await?;
    let deed = history.roll_back(alias, args.from, &target, &act).await?;
    let mut said = told(deed, &format!("{name}@{} is {alias} again", target.version));
    if let Some((before, _)) = now {
        said += &format!("before: {name}@{before}\n");
    }
    text(said.as_bytes())?;
    Ok(0)
}

/// A version that is damaged is refused; one that cannot be read just now is not.
async fn check(registry: &Registry, name: &str, target: &Target) -> Result<()> {
    let model = ModelRef::numbered(name, target.version)?;
    let why = match tokio::time::timeout(PATIENCE, registry.load(&model)).await {
        Ok(Ok(loaded)) if loaded.bundle.digest == target.digest => return Ok(()),
        Ok(Ok(_)) => return Err(Error::Registry(format!("{model} is not the version that it was; give --to another"))),
        Ok(Err(Error::Registry(why))) => {
            return Err(Error::Registry(format!(
                "{why}; go further back with --to N, see harmonize models history {name}"
            )));
        }
        Ok(Err(e @ Error::Storage(_))) => e.to_string(),
        Ok(Err(e)) => return Err(e),
        Err(_) => format!("the store took more than {} s", PATIENCE.as_secs()),
    };
    tracing::warn!("{model} could not be checked and is rolled back to all the same: {why}");
    Ok(())
}
