//! `harmonize models export`

use clap::{ArgMatches, Args};

use super::super::settings::TrustArgs;
use super::super::table::text;
use super::RegistryArgs;
use crate::error::Result;
use crate::lake::Place;
use crate::registry::ModelRef;

#[derive(Args)]
#[command(
    after_help = "model.safetensors, tokenizer.json, config.json and a README.md that begins with YAML, beside the bundle's other \
                        files; `harmonize models import` registers the folder elsewhere, with the same digest."
)]
pub struct ExportArgs {
    /// Model version, such as hs@7
    model: ModelRef,
    /// Empty folder to fill: a path or s3://BUCKET/PREFIX
    folder: String,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

pub async fn run(args: ExportArgs, matches: &ArgMatches) -> Result<u8> {
    let (registry, mut settings) = args.registry.open(matches)?;
    let registry = settings.trusting(registry, &args.trust)?;
    let folder = Place::open(&args.folder)?;
    let loaded = registry.export(&args.model, &folder).await?;
    let said = format!("{}@{} is in {}, digest {}\n", loaded.name, loaded.version, folder.url(), loaded.bundle.digest);
    text(said.as_bytes())?;
    Ok(0)
}
