//! `harmonize models list`

use clap::{ArgMatches, Args};

use super::super::table::Format;
use super::{Column, RegistryArgs, rows};
use crate::error::Result;

#[derive(Args)]
#[command(
    after_help = "States: registered, unrecorded (made by an older program, or interrupted: models register NAME@N \
                        records it), retired, damaged, missing."
)]
pub struct ListArgs {
    /// Names of models; without any, all
    names: Vec<String>,
    #[command(flatten)]
    registry: RegistryArgs,
    /// How rows are printed; json and csv carry whole digests
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub async fn run(args: ListArgs, matches: &ArgMatches) -> Result<u8> {
    let (registry, _) = args.registry.open(matches)?;
    let names = if args.names.is_empty() { registry.names().await? } else { args.names };
    let mut all = Vec::new();
    for name in &names {
        all.extend(registry.summaries(name).await?);
    }
    let digits = if args.format == Format::Table { 12 } else { 64 };
    let of_manifest = |pick: fn(&crate::model::Manifest) -> &String| {
        Column::Text(all.iter().map(|s| s.manifest.as_ref().map(pick).cloned()).collect())
    };
    let columns = vec![
        ("model", Column::Text(all.iter().map(|s| Some(s.name.clone())).collect())),
        ("version", Column::Number(all.iter().map(|s| Some(s.version)).collect())),
        ("aliases", Column::Text(all.iter().map(|s| Some(s.aliases.join(", "))).collect())),
        ("state", Column::Text(all.iter().map(|s| Some(s.state.as_str().into())).collect())),
        ("edition", of_manifest(|m| &m.edition)),
        ("architecture", of_manifest(|m| &m.architecture)),
        ("created_at", of_manifest(|m| &m.created_at)),
        ("created_by", of_manifest(|m| &m.created_by)),
        ("digest", Column::Text(all.iter().map(|s| Some(s.digest.chars().take(digits).collect())).collect())),
        ("signed_by", Column::Text(all.iter().map(|s| s.key_id.clone()).collect())),
    ];
    rows(columns, args.format)?;
    Ok(0)
}
