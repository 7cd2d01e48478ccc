//! `harmonize models promote`: by a person's decision, or by gates.

use std::path::PathBuf;

use clap::{ArgMatches, Args};
use serde_json::Value;

use super::super::settings::TrustArgs;
use super::super::table::{Format, text};
use super::{ByArgs, RegistryArgs, gated, read_file, told};
use crate::error::{Context, Error, Result};
use crate::registry::event::MAX_EVIDENCE_BYTES;
use crate::registry::{CHAMPION, Deed, Evidence, MAX_REPORT_BYTES, ModelRef, Registry, Target};

#[derive(Args)]
#[command(
    after_help = "The version is read and checked whole before. Where another promotion of the same alias comes first, nothing \
                        is done and the command ends with 30 and says what won.\n\nWith a section [gates] in the file of \
                        --config that guards the alias (champion, unless it says otherwise), --evidence must be what \
                        models compare wrote about this version and the present champion. Every gate is printed. All green, \
                        and --auto or --approved-by: promoted. Anything else: not promoted, exit code 10. Both are events. \
                        docs/operations.md lists the gates. Example:\n\n  \
                        harmonize models promote hs@challenger --config job.toml --evidence evidence.json --report report.html \
                        --auto"
)]
pub struct PromoteArgs {
    /// Model version, such as hs@7 or hs@challenger
    pub model: ModelRef,
    /// The alias that is to name it: a letter, then a-z, 0-9 and '-'
    #[arg(long = "as", value_name = "ALIAS", default_value = CHAMPION)]
    pub alias: String,
    /// Why, for the record [default, with gates: what they say]
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
    /// JSON that the promotion rests on, kept in the event
    #[arg(long, value_name = "FILE")]
    pub evidence: Option<PathBuf>,
    /// Report that the promotion rests on, self-contained HTML, kept in the registry
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Promote when all gates are green
    #[arg(long)]
    pub auto: bool,
    /// A person who approves, for the record; needed where the gates ask for one
    #[arg(long, value_name = "NAME")]
    pub approved_by: Option<String>,
    /// How the gates are printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    #[command(flatten)]
    pub by: ByArgs,
    #[command(flatten)]
    pub registry: RegistryArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

pub async fn run(args: PromoteArgs, matches: &ArgMatches) -> Result<u8> {
    let (registry, mut settings) = args.registry.open(matches)?;
    let registry = settings.trusting(registry, &args.trust)?;
    match settings.gates(&args.alias)? {
        Some(gates) => gated::run(&args, &gates, &registry, &mut settings).await,
        None => by_hand(&args, &registry).await,
    }
}

/// Without gates a person has judged.
async fn by_hand(args: &PromoteArgs, registry: &Registry) -> Result<u8> {
    for (flag, given) in [("--auto", args.auto), ("--approved-by", args.approved_by.is_some())] {
        if given {
            return Err(Error::Usage(format!(
                "{flag} needs gates for the alias {}: write a section [gates] into a file and name it with --config",
                args.alias
            )));
        }
    }
    let why = args.why.as_deref().ok_or_else(|| Error::Usage("--why is missing; say why, for the record".into()))?;
    let act = args.by.act(why)?;
    let name = args.model.name();
    // Read first: what happens while the version is checked is then noticed.
    let mut history = registry.history(name).await?;
    let loaded = registry.load(&args.model).await?;
    let target = Target { version: loaded.version, digest: loaded.bundle.digest };
    let before = history.state().named(&args.alias).map(|held| held.version);
    let mut evidence = Evidence { json: evidence(args)?, report_sha256: None };
    if let Some(html) = page(args)? {
        evidence.report_sha256 = Some(keep(args, registry, html).await?);
    }
    let deed = history.promote(&target, &args.alias, evidence, &act).await?;
    text(done(args, deed, &target, before).as_bytes())?;
    Ok(0)
}

/// What was done, and the way back.
pub fn done(args: &PromoteArgs, deed: Deed, target: &Target, before: Option<u64>) -> String {
    let name = args.model.name();
    let mut said = told(deed, &format!("{name}@{} is {}", target.version, args.alias));
    if let Some(before) = before.filter(|before| *before != target.version) {
        said += &format!(
            "before: {name}@{before}; back to it: harmonize models rollback {name} --alias {} --why TEXT\n",
            args.alias
        );
    }
    said
}

/// The JSON of `--evidence`.
pub fn evidence(args: &PromoteArgs) -> Result<Option<Value>> {
    let Some(file) = &args.evidence else { return Ok(None) };
    let bytes = read_file(file, MAX_EVIDENCE_BYTES)?;
    // The caller's file, not the registry's.
    let json = Evidence::parse(&file.display().to_string(), &bytes).map_err(|e| match e {
        Error::Registry(why) => Error::Usage(why),
        e => e,
    })?;
    Ok(Some(json))
}

/// The page of `--report`.
pub fn page(args: &PromoteArgs) -> Result<Option<Vec<u8>>> {
    args.report.as_ref().map(|file| read_file(file, MAX_REPORT_BYTES)).transpose()
}

/// Keeps the page of `--report` in the registry; its digest.
pub async fn keep(args: &PromoteArgs, registry: &Registry, html: Vec<u8>) -> Result<String> {
    let named = || args.report.as_ref().map_or(String::new(), |file| file.display().to_string());
    registry.keep_report(args.model.name(), html).await.context(named)
}
