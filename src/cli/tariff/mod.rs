//! `harmonize tariff`: the editions that a lake knows and what became of their codes; one subcommand a file.

mod check;
mod diff;
mod import;
mod lines;
mod list;
mod show;

use std::path::Path;

use clap::{ArgMatches, Args, Subcommand};
use datafusion::prelude::SessionContext;

use super::settings::{PlaceArgs, Settings};
use crate::error::{Context, Error, Result};
use crate::lake::Place;
use crate::sql::{register_lake, session};
use crate::tariff::Tariff;

#[derive(Args)]
#[command(after_help = "Files and definitions are told in docs/tariff.md. Example:\n\n  \
                        harmonize tariff import 2017=hs2017.csv 2022=hs2022.csv correlation.csv --lake lake\n  \
                        harmonize tariff diff 2017 2022 --catch-all when_text_says --lake lake")]
pub struct TariffArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Load nomenclatures and correlation tables into the lake, all or nothing
    Import(import::ImportArgs),
    /// The editions, schedules and correlations that the lake has
    List(list::ListArgs),
    /// A code: its wording, its place, and what it was and became in the neighbouring editions
    Show(show::ShowArgs),
    /// What became of every code from one edition to another
    Diff(diff::DiffArgs),
    /// Look for gaps, overlaps, unknown codes, cycles and missing editions
    Check(check::CheckArgs),
}

pub async fn run(args: TariffArgs, matches: &ArgMatches) -> Result<u8> {
    let matches = matches.subcommand().map(|(_, m)| m.clone()).unwrap_or_default();
    match args.what {
        What::Import(args) => import::run(args, &matches).await,
        What::List(args) => list::run(args, &matches).await,
        What::Show(args) => show::run(args, &matches).await,
        What::Diff(args) => diff::run(args, &matches).await,
        What::Check(args) => check::run(args, &matches).await,
    }
}

/// The lake, a session over it, and the tariff that it holds.
async fn open(place: &PlaceArgs, matches: &ArgMatches) -> Result<(Place, SessionContext, Tariff)> {
    let mut settings = Settings::new(matches, place.config.as_deref())?;
    let lake = settings.lake(place)?;
    let context = session(settings.limits(place)?)?;
    register_lake(&context, &lake).await?;
    let tariff = Tariff::load(&context).await?;
    Ok((lake, context, tariff))
}

/// Most bytes of a file that is imported.
const MAX_FILE_BYTES: u64 = 128 << 20;

/// A file that the user names, and the name under which messages and rows tell of it.
fn read_file(file: &Path) -> Result<(Vec<u8>, String)> {
    let named = || file.display().to_string();
    let size = std::fs::metadata(file).context(named)?.len();
    if size > MAX_FILE_BYTES {
        return Err(Error::Usage(format!("{}: {size} bytes, at most {MAX_FILE_BYTES} are taken", named())));
    }
    let bytes = std::fs::read(file).context(named)?;
    let name = file.file_name().map_or_else(named, |name| name.to_string_lossy().into_owned());
    Ok((bytes, name))
}

/// A column of texts.
fn texts<T>(items: &[T], pick: impl Fn(&T) -> Option<String>) -> super::table::Column {
    super::table::Column::Text(items.iter().map(pick).collect())
}

/// A column of counts.
fn numbers<T>(items: &[T], pick: impl Fn(&T) -> Option<usize>) -> super::table::Column {
    super::table::Column::Number(items.iter().map(|item| pick(item).map(|n| n as u64)).collect())
}
