//! `harmonize tariff check`

use chrono::{NaiveDate, Utc};
use clap::{ArgMatches, Args};

use super::super::settings::PlaceArgs;
use super::super::table::{Format, rows};
use super::{open, texts};
use crate::error::Result;

#[derive(Args)]
#[command(
    after_help = "Ends with 20 when something is wrong; a note alone is no fault. docs/tariff.md tells what is looked for."
)]
pub struct CheckArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Day that counts as today [default: today, UTC]
    #[arg(long, value_name = "YYYY-MM-DD")]
    on: Option<NaiveDate>,
    /// How rows are printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub async fn run(args: CheckArgs, matches: &ArgMatches) -> Result<u8> {
    let (lake, _, tariff) = open(&args.place, matches).await?;
    if tariff.nomenclatures.is_empty() && tariff.correlations.is_empty() {
        eprintln!("{} holds no tariff yet: harmonize tariff import", lake.url());
    }
    let all = tariff.findings(args.on.unwrap_or_else(|| Utc::now().date_naive()));
    let wrong = all.iter().filter(|f| f.trouble.is_wrong()).count();
    let columns = vec![
        ("weight", texts(&all, |f| Some(if f.trouble.is_wrong() { "wrong" } else { "note" }.into()))),
        ("finding", texts(&all, |f| Some(f.trouble.as_str().into()))),
        ("about", texts(&all, |f| Some(f.about.clone()))),
        ("what", texts(&all, |f| Some(f.what.clone()))),
    ];
    rows(columns, args.format)?;
    if wrong == 0 {
        return Ok(0);
    }
    eprintln!("{wrong} of {} findings are wrong; each says what to do", all.len());
    Ok(20)
}
