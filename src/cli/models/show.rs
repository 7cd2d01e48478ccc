//! `harmonize models show`

use clap::{ArgMatches, Args};
use serde_json::{Value, json};

use super::super::settings::TrustArgs;
use super::super::table::{Format, text};
use super::{Column, RegistryArgs, rows};
use crate::error::{Error, Result};
use crate::registry::{ModelRef, Registry};

#[derive(Args)]
pub struct ShowArgs {
    /// Model version, such as hs@7 or hs@champion
    model: ModelRef,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    trust: TrustArgs,
    /// How it is printed; json is one document
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub async fn run(args: ShowArgs, matches: &ArgMatches) -> Result<u8> {
    let (registry, mut settings) = args.registry.open(matches)?;
    let registry = settings.trusting(registry, &args.trust)?;
    let shown = document(&registry, &args.model).await?;
    if args.format == Format::Json {
        let page = serde_json::to_string_pretty(&shown).map_err(|e| Error::Bug(e.to_string()))?;
        text(format!("{page}\n").as_bytes())?;
        return Ok(0);
    }
    let mut fields = Vec::new();
    flatten(String::new(), &shown, &mut fields);
    let (names, values) = fields.into_iter().map(|(name, value)| (Some(name), Some(value))).unzip();
    rows(vec![("field", Column::Text(names)), ("value", Column::Text(values))], args.format)?;
    Ok(0)
}

async fn document(registry: &Registry, model: &ModelRef) -> Result<Value> {
    let loaded = registry.load(model).await?;
    let name = model.name();
    let summary = registry.summaries(name).await?.into_iter().find(|s| s.version == loaded.version);
    let history = registry.history(name).await?;
    let events: Vec<_> = history.events().iter().filter(|event| event.version == loaded.version).collect();
    let bundle = &loaded.bundle;
    Ok(json!({
        "model": format!("{name}@{}", loaded.version),
        "digest": bundle.digest,
        "state": summary.as_ref().map(|s| s.state.as_str()),
        "aliases": summary.as_ref().map(|s| s.aliases.clone()),
        "signed_by": summary.as_ref().and_then(|s| s.key_id.clone()),
        "manifest": bundle.manifest,
        "config": bundle.network.config()?,
        "classes": bundle.labels.codes.len(),
        "calibration": bundle.calibration,
        "policy": bundle.policy,
        "figures": bundle.metrics,
        "events": events,
    }))
}

/// One row a field; a list is one value, cut where it is long.
fn flatten(name: String, value: &Value, fields: &mut Vec<(String, String)>) {
    const LONGEST: usize = 100;
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                flatten(if name.is_empty() { key.clone() } else { format!("{name}.{key}") }, value, fields);
            }
        }
        value => {
            let whole = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let cut: String = whole.chars().take(LONGEST).collect();
            fields.push((name, if cut.len() < whole.len() { cut + "…" } else { cut }));
        }
    }
}
