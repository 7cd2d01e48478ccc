//! `harmonize review`: the queue as files for people, and their decisions back; one subcommand a file.

mod export;
mod import;

use std::path::Path;

use clap::{ArgMatches, Args, Subcommand};

use crate::error::{Context, Result};
use crate::review::ReasonCodes;

#[derive(Args)]
#[command(
    after_help = "docs/review.md tells the columns, what happens to odd texts, and how conflicts are settled. Example:\n\n  \
                        harmonize review export --lake s3://lake --out queue.xlsx --group\n  \
                        harmonize review import queue.xlsx --lake s3://lake --reviewer \"Ana Silva\" --dry-run"
)]
pub struct ReviewArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Write the lines that wait for a person as CSV, XLSX, Parquet or tasks of Label Studio
    Export(export::ExportArgs),
    /// Take decisions from files that people filled in
    Import(import::ImportArgs),
}

pub async fn run(args: ReviewArgs, matches: &ArgMatches) -> Result<u8> {
    let matches = matches.subcommand().map(|(_, m)| m.clone()).unwrap_or_default();
    match args.what {
        What::Export(args) => export::run(args, &matches).await,
        What::Import(args) => import::run(args, &matches).await,
    }
}

/// Reason codes of a file, or the program's own.
fn reasons(file: Option<&Path>) -> Result<ReasonCodes> {
    let Some(file) = file else { return Ok(ReasonCodes::builtin()) };
    let named = || format!("--reasons {}", file.display());
    ReasonCodes::parse(&std::fs::read_to_string(file).context(named)?).context(named)
}
