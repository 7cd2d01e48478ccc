//! `harmonize models import`

use clap::{ArgMatches, Args};

use super::super::settings::TrustArgs;
use super::super::table::text;
use super::{ByArgs, RegistryArgs};
use crate::error::Result;
use crate::lake::Place;
use crate::registry::{Act, Imported, Registry, name_in};

#[derive(Args)]
#[command(after_help = "The version has the digest of the one that was exported. A folder whose digest is registered \
                        already gets no second number.")]
pub struct ImportArgs {
    /// Folder that export wrote, or a copy of a version's folder: a path or s3://BUCKET/PREFIX
    folder: String,
    /// Name of the model [default: the name it was built for]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", default_value = "imported")]
    why: String,
    #[command(flatten)]
    by: ByArgs,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

pub async fn run(args: ImportArgs, matches: &ArgMatches) -> Result<u8> {
    let (registry, mut settings) = args.registry.open(matches)?;
    let registry = settings.trusting(registry, &args.trust)?;
    bring_in(&registry, &args.folder, args.name, &args.by.act(&args.why)?).await?;
    Ok(0)
}

/// Registers the folder of a bundle and says what it is now.
pub async fn bring_in(registry: &Registry, folder: &str, name: Option<String>, act: &Act) -> Result<()> {
    let folder = Place::open(folder)?;
    let name = match name {
        Some(name) => name,
        None => name_in(&folder).await?,
    };
    let said = match registry.import(&name, &folder, act).await? {
        Imported::New(version) => format!("{name}@{version} is registered\n"),
        Imported::There(version) => format!("nothing to do: {name}@{version} has this digest already\n"),
    };
    text(said.as_bytes())
}
