//! `harmonize models history`

use clap::{ArgMatches, Args};
use serde_json::Value;

use super::super::table::{Format, text};
use super::{Column, RegistryArgs, rows};
use crate::error::{Error, Result};

#[derive(Args)]
pub struct HistoryArgs {
    /// Name of the model, such as hs
    name: String,
    #[command(flatten)]
    registry: RegistryArgs,
    /// Only events about this alias
    #[arg(long, value_name = "ALIAS")]
    alias: Option<String>,
    /// How rows are printed; json is every event as it is kept, one a line
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub async fn run(args: HistoryArgs, matches: &ArgMatches) -> Result<u8> {
    let (registry, _) = args.registry.open(matches)?;
    let history = registry.history(&args.name).await?;
    let about = |alias: &Option<String>| args.alias.is_none() || *alias == args.alias;
    let events: Vec<_> = history.events().iter().filter(|event| about(&event.alias)).collect();
    if args.format == Format::Json {
        let mut page = String::new();
        for event in events {
            page += &serde_json::to_string(event).map_err(|e| Error::Bug(e.to_string()))?;
            page.push('\n');
        }
        text(page.as_bytes())?;
        return Ok(0);
    }
    let table = args.format == Format::Table;
    let words = |pick: fn(&crate::registry::Event) -> Option<String>| {
        Column::Text(events.iter().map(|event| pick(event)).collect())
    };
    let columns = vec![
        ("event", Column::Number(events.iter().map(|e| Some(e.number)).collect())),
        ("at", words(|e| Some(e.at.clone()))),
        ("kind", words(|e| Some(e.kind.as_str().into()))),
        ("version", Column::Number(events.iter().map(|e| Some(e.version)).collect())),
        ("alias", words(|e| e.alias.clone())),
        ("before", Column::Number(events.iter().map(|e| e.replaced_version).collect())),
        ("by", words(|e| Some(e.by.clone()))),
        ("why", words(|e| Some(e.why.clone()))),
        ("evidence", Column::Text(events.iter().map(|e| e.evidence.as_ref().map(|json| shown(json, table))).collect())),
        ("report", words(|e| e.report_sha256.clone())),
    ];
    rows(columns, args.format)?;
    Ok(0)
}

/// Evidence in a cell; that of gates is told by those that are red, in a table.
fn shown(evidence: &Value, short: bool) -> String {
    let gates = evidence.get("gates").and_then(Value::as_array).filter(|_| short);
    let Some(gates) = gates else { return evidence.to_string() };
    let red = gates.iter().filter(|gate| gate["passed"] == false);
    let red: Vec<&str> = red.filter_map(|gate| gate["gate"].as_str()).collect();
    match red.len() {
        0 => format!("all {} gates green", gates.len()),
        n => format!("{n} of {} gates red: {}", gates.len(), red.join(", ")),
    }
}
