//! `harmonize models promote`

use std::path::PathBuf;

use clap::{ArgMatches, Args};

use super::super::settings::TrustArgs;
use super::super::table::text;
use super::{ByArgs, RegistryArgs, read_file, told};
use crate::error::{Context, Error, Result};
use crate::registry::event::MAX_EVIDENCE_BYTES;
use crate::registry::{CHAMPION, Evidence, MAX_REPORT_BYTES, ModelRef, Registry, Target};

#[derive(Args)]
#[command(
    after_help = "The version is read and checked whole before. Where another promotion of the same alias comes first, nothing \
                        is done and the command ends with 30 and says what won."
)]
pub struct PromoteArgs {
    /// Model version, such as hs@7 or hs@challenger
    model: ModelRef,
    /// The alias that is to name it: a letter, then a-z, 0-9 and '-'
    #[arg(long = "as", value_name = "ALIAS", default_value = CHAMPION)]
    alias: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// JSON that the promotion rests on, kept in the event
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
    /// Report that the promotion rests on, self-contained HTML, kept in the registry
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    #[command(flatten)]
    by: ByArgs,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

pub async fn run(args: PromoteArgs, matches: &ArgMatches) -> Result<u8> {
    let (registry, mut settings) = args.registry.open(matches)?;
    let registry = settings.trusting(registry, &args.trust)?;
    let name = args.model.name();
    let act = args.by.act(&args.why)?;
    // Read first: what happens while the version is checked is then noticed.
    let mut history = registry.history(name).await?;
    let loaded = registry.load(&args.model).await?;
    let target = Target { version: loaded.version, digest: loaded.bundle.digest };
    let before = history.state().named(&args.alias).map(|held| held.version);
    let evidence = evidence(&registry, &args).await?;
    let deed = history.promote(&target, &args.alias, evidence, &act).await?;
    let mut said = told(deed, &format!("{name}@{} is {}", target.version, args.alias));
    if let Some(before) = before.filter(|before| *before != target.version) {
        said += &format!(
            "before: {name}@{before}; back to it: harmonize models rollback {name} --alias {} --why TEXT\n",
            args.alias
        );
    }
    text(said.as_bytes())?;
    Ok(0)
}

/// Reads the evidence and keeps the report.
async fn evidence(registry: &Registry, args: &PromoteArgs) -> Result<Evidence> {
    let mut evidence = Evidence::default();
    if let Some(file) = &args.evidence {
        let bytes = read_file(file, MAX_EVIDENCE_BYTES)?;
        let named = file.display().to_string();
        let json = Evidence::parse(&named, &bytes);
        // The caller's file, not the registry's.
        evidence.json = Some(json.map_err(|e| match e {
            Error::Registry(why) => Error::Usage(why),
            e => e,
        })?);
    }
    if let Some(file) = &args.report {
        let html = read_file(file, MAX_REPORT_BYTES)?;
        let kept = registry.keep_report(args.model.name(), html).await;
        evidence.report_sha256 = Some(kept.context(|| file.display().to_string())?);
    }
    Ok(evidence)
}
