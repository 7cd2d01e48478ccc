//! `harmonize models verify`

use clap::{ArgMatches, Args};

use super::super::settings::TrustArgs;
use super::super::table::{Format, count};
use super::{Column, RegistryArgs, rows};
use crate::error::{Error, Result};
use crate::registry::Weight;

#[derive(Args)]
#[command(
    after_help = "Reads every event, report and file of a version. Ends with 21 when something is damaged; notes are allowed. With \
                        --require-signature a version without a trusted signature counts as damaged."
)]
pub struct VerifyArgs {
    /// Names of models; without any, all
    names: Vec<String>,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    trust: TrustArgs,
    /// How findings are printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub async fn run(args: VerifyArgs, matches: &ArgMatches) -> Result<u8> {
    let (registry, mut settings) = args.registry.open(matches)?;
    let registry = settings.trusting(registry, &args.trust)?;
    let names = if args.names.is_empty() { registry.names().await? } else { args.names };
    let mut findings = Vec::new();
    let mut damaged = 0;
    for name in &names {
        let found = registry.verify(name).await?;
        eprintln!(
            "{name}: {} event(s), {} version(s), {} report(s) read",
            count(found.events),
            count(found.versions),
            count(found.reports)
        );
        damaged += found.findings.iter().filter(|finding| finding.weight == Weight::Damage).count();
        findings.extend(found.findings.into_iter().map(|finding| (name, finding)));
    }
    let words = |pick: fn(&(&String, crate::registry::Finding)) -> String| {
        Column::Text(findings.iter().map(|found| Some(pick(found))).collect())
    };
    let columns = vec![
        ("model", words(|(name, _)| (*name).clone())),
        ("weight", words(|(_, finding)| finding.weight.as_str().into())),
        ("place", words(|(_, finding)| finding.place.clone())),
        ("what", words(|(_, finding)| finding.what.clone())),
    ];
    if !findings.is_empty() {
        rows(columns, args.format)?;
    }
    match damaged {
        0 => Ok(0),
        n => Err(Error::Registry(format!("{n} finding(s) of damage; restore what is named from a backup"))),
    }
}
