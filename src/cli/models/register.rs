//! `harmonize models register`

use clap::{ArgMatches, Args};

use super::super::table::text;
use super::import::bring_in;
use super::{ByArgs, RegistryArgs, told};
use crate::error::Result;
use crate::registry::ModelRef;

#[derive(Args)]
#[command(
    after_help = "hs@3 is in the registry already and lacks its event: an older program made it, or one that was interrupted. \
                        Anything else is the folder of a bundle, which becomes the next version, as with import."
)]
pub struct RegisterArgs {
    /// hs@3, or the folder of a bundle: a path or s3://BUCKET/PREFIX
    what: String,
    /// Name of the model, for a folder [default: the name it was built for]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", default_value = "registered by hand")]
    why: String,
    #[command(flatten)]
    by: ByArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub async fn run(args: RegisterArgs, matches: &ArgMatches) -> Result<u8> {
    let (registry, _) = args.registry.open(matches)?;
    let act = args.by.act(&args.why)?;
    let model: Option<ModelRef> = args.what.contains('@').then(|| args.what.parse().ok()).flatten();
    match model {
        Some(model) => {
            let deed = registry.record(&model, &act).await?;
            text(told(deed, &format!("{model} is registered")).as_bytes())?;
        }
        None => bring_in(&registry, &args.what, args.name, &act).await?,
    }
    Ok(0)
}
