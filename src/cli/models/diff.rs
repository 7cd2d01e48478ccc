//! `harmonize models diff`

use clap::{ArgMatches, Args};
use serde_json::Value;

use super::super::table::Format;
use super::{Column, RegistryArgs, rows};
use crate::error::Result;
use crate::registry::{ModelRef, differences};

#[derive(Args)]
#[command(
    after_help = "Rows are the fields that differ in manifest, config, calibration, policy, figures and labels. json and \
                        csv carry whole values."
)]
pub struct DiffArgs {
    /// Model version, such as hs@6
    left: ModelRef,
    /// The other one, such as hs@7
    right: ModelRef,
    #[command(flatten)]
    registry: RegistryArgs,
    /// How rows are printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub async fn run(args: DiffArgs, matches: &ArgMatches) -> Result<u8> {
    let (registry, _) = args.registry.open(matches)?;
    let (left, right) = (registry.load(&args.left).await?, registry.load(&args.right).await?);
    let all = differences(&left, &right)?;
    let told = |value: &Option<Value>| value.as_ref().map(|value| shown(value, args.format == Format::Table));
    let (left, right) = (format!("{}@{}", left.name, left.version), format!("{}@{}", right.name, right.version));
    // The same version twice would be the same column twice.
    let right = if left == right { format!("{right} ") } else { right };
    let columns = vec![
        ("part", Column::Text(all.iter().map(|d| Some(d.part.into())).collect())),
        ("field", Column::Text(all.iter().map(|d| Some(d.field.clone())).collect())),
        (left.as_str(), Column::Text(all.iter().map(|d| told(&d.left)).collect())),
        (right.as_str(), Column::Text(all.iter().map(|d| told(&d.right)).collect())),
    ];
    rows(columns, args.format)?;
    Ok(0)
}

/// A value in a cell; a long list is told by its length and its beginning.
fn shown(value: &Value, short: bool) -> String {
    const LONGEST: usize = 60;
    let whole = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if !short || whole.chars().count() <= LONGEST {
        return whole;
    }
    let cut: String = whole.chars().take(LONGEST - 20).collect();
    match value.as_array() {
        Some(items) => format!("{} items: {cut}…", items.len()),
        None => format!("{cut}…"),
    }
}
