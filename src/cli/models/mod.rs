//! `harmonize models`: the versions of models and what became of them; one subcommand a file.

mod compare;
mod diff;
mod export;
mod gated;
mod history;
mod import;
mod keygen;
mod list;
mod promote;
mod register;
mod request_labels;
mod retire;
mod rollback;
mod show;
mod sign;
mod verify;

use std::path::{Path, PathBuf};

use chrono::Utc;
use clap::{ArgMatches, Args, Subcommand};

use super::settings::Settings;
use super::table::{Column, rows};
use crate::error::{Context, Error, Result};
use crate::registry::{Act, Deed, ModelRef, Registry, Selector};

#[derive(Args)]
#[command(
    after_help = "A version is written once. What happens to it is a chain of events that nobody changes, and an alias such as \
                        champion is what the events say. docs/formats.md tells the format. Example:\n\n  \
                        harmonize models compare hs@champion hs@7 --input labelled/ --label hs6 --where \"fold = 9\"\n  \
                        harmonize models promote hs@7 --as champion --why \"2 points better on the review queue\"\n  \
                        harmonize models rollback hs --why \"wrong codes for chapter 87\""
)]
pub struct ModelsArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The versions that there are, with their aliases
    List(list::ListArgs),
    /// Everything about one version, as JSON or as a table
    Show(show::ShowArgs),
    /// What happened, in order: who, when, why, on what evidence
    History(history::HistoryArgs),
    /// Record a version that has no event, or register the folder of a bundle
    Register(register::RegisterArgs),
    /// Let an alias name a version; where there are gates, only one that passes them
    Promote(promote::PromoteArgs),
    /// Let an alias name again what it named before
    Rollback(rollback::RollbackArgs),
    /// Send texts on which two versions differ to the review queue
    RequestLabels(request_labels::RequestLabelsArgs),
    /// Take a version out of use
    Retire(retire::RetireArgs),
    /// Read everything and compare it with its digests
    Verify(verify::VerifyArgs),
    /// Two versions side by side
    Diff(diff::DiffArgs),
    /// Two versions on the same lines: who is right where, and whether that is more than chance
    Compare(Box<compare::CompareArgs>),
    /// Write a version into a folder that Hugging Face's libraries open
    Export(export::ExportArgs),
    /// Register a folder that export wrote
    Import(import::ImportArgs),
    /// Sign a version
    Sign(sign::SignArgs),
    /// Make a pair of keys for signing
    Keygen(keygen::KeygenArgs),
}

/// Where the versions are.
#[derive(Args, Clone)]
struct RegistryArgs {
    /// A file of settings, keys as the flags (registry = "s3://…")
    #[arg(long, value_name = "FILE", env = "HARMONIZE_CONFIG")]
    config: Option<PathBuf>,
    /// Root of the lake, below which the models are
    #[arg(long, value_name = "URL", env = "HARMONIZE_LAKE")]
    lake: Option<String>,
    /// Root of the model versions [default: <lake>/models]
    #[arg(long, value_name = "URL", env = "HARMONIZE_REGISTRY")]
    registry: Option<String>,
}

impl RegistryArgs {
    fn open<'a>(&self, matches: &'a ArgMatches) -> Result<(Registry, Settings<'a>)> {
        let mut settings = Settings::new(matches, self.config.as_deref())?;
        let registry = settings.registry_of(self.registry.clone(), self.lake.clone())?;
        Ok((registry, settings))
    }
}

/// Who does it.
#[derive(Args, Clone)]
struct ByArgs {
    /// Who does it, for the record [default: $USER]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl ByArgs {
    /// The one place where clock and user are read.
    fn act(&self, why: &str) -> Result<Act> {
        let by = self.by.clone().or_else(|| std::env::var("USER").ok()).filter(|by| !by.is_empty());
        Act::new(by.as_deref().unwrap_or("unknown"), Utc::now(), why)
    }
}

pub async fn run(args: ModelsArgs, matches: &ArgMatches) -> Result<u8> {
    let matches = matches.subcommand().map(|(_, m)| m.clone()).unwrap_or_default();
    match args.what {
        What::List(args) => list::run(args, &matches).await,
        What::Show(args) => show::run(args, &matches).await,
        What::History(args) => history::run(args, &matches).await,
        What::Register(args) => register::run(args, &matches).await,
        What::Promote(args) => promote::run(args, &matches).await,
        What::Rollback(args) => rollback::run(args, &matches).await,
        What::RequestLabels(args) => request_labels::run(args, &matches).await,
        What::Retire(args) => retire::run(args, &matches).await,
        What::Verify(args) => verify::run(args, &matches).await,
        What::Diff(args) => diff::run(args, &matches).await,
        What::Compare(args) => compare::run(*args, &matches).await,
        What::Export(args) => export::run(args, &matches).await,
        What::Import(args) => import::run(args, &matches).await,
        What::Sign(args) => sign::run(args, &matches).await,
        What::Keygen(args) => keygen::run(&args),
    }
}

/// A file that the user names, of at most `max_bytes`.
fn read_file(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let named = || path.display().to_string();
    let size = std::fs::metadata(path).context(named)?.len();
    if size > max_bytes {
        return Err(Error::Usage(format!("{}: {size} bytes, at most {max_bytes} are taken", named())));
    }
    std::fs::read(path).context(named)
}

/// The number of a reference that must be one, like `hs@7`.
fn number(model: &ModelRef) -> Result<u64> {
    match model.selector() {
        Selector::Version(version) => Ok(*version),
        _ => Err(Error::Usage(format!("{model}: name the version by its number, like {}@7", model.name()))),
    }
}

/// A deed in a line.
fn told(deed: Deed, what: &str) -> String {
    match deed {
        Deed::Done(event) => format!("{what} (event {event})\n"),
        Deed::Already(event) => format!("nothing to do: {what} already, since event {event}\n"),
    }
}
