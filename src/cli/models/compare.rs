//! `harmonize models compare`

use std::path::{Path, PathBuf};

use chrono::Utc;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, ValueEnum};

use super::super::memory::give_back_large_blocks;
use super::super::settings::{LabelledArgs, PlaceArgs, Settings, TrustArgs, share};
use super::super::table::text;
use super::super::threads;
use crate::challenge::{Asked, CompareOptions, Wanted, compare};
use crate::error::{Context, Error, Result};
use crate::model::manifest::sha256_hex;
use crate::registry::ModelRef;

#[derive(Args)]
#[command(
    after_help = "Nothing is decided and no alias moves. Give lines that neither version was trained on, or the decisions of a \
                        lake in which the challenger ran beside the champion. Evidence and report go with a promotion:\n\n  \
                        harmonize models compare hs@champion hs@challenger --decisions --lake lake \\\n    \
                        --evidence evidence.json --report report.html\n  \
                        harmonize models promote hs@challenger --why \"better on what was reviewed\" \\\n    \
                        --lake lake --evidence evidence.json --report report.html"
)]
pub struct CompareArgs {
    /// Model version in use, such as hs@champion
    champion: ModelRef,
    /// The one that may take its place, such as hs@challenger
    challenger: ModelRef,
    #[command(flatten)]
    lines: LabelledArgs,
    /// Compare on what reviewers decided in --lake, in place of labelled lines
    #[arg(long)]
    decisions: bool,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    trust: TrustArgs,
    /// Largest drop of the share right at six digits in a chapter that its tests allow, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.02)]
    chapter_margin: f64,
    /// With --decisions: chance that a challenger that is no better is ever taken for it, however often one looks
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    alpha: f64,
    /// With --decisions: difference of the shares right at six digits that is to be found, as a share of all texts
    #[arg(long, value_name = "SHARE", default_value_t = 0.01)]
    effect: f64,
    /// With --decisions: chance with which it is to be found
    #[arg(long, value_name = "SHARE", default_value_t = 0.8)]
    power: f64,
    /// Show so many of the lines lost, and of those gained, with their descriptions; 0 for none
    #[arg(long, value_name = "N", default_value_t = 10)]
    examples: usize,
    /// CPU-seconds for which each model is asked while its speed is measured
    #[arg(long, value_name = "SECS", default_value_t = 2.0)]
    cost_secs: f64,
    /// File to write the figures to, as the JSON that an event keeps; it holds no descriptions
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
    /// File to write the report to, one self-contained page
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Form of what is printed
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// For people
    Table,
    /// Every figure, as one JSON document
    Json,
    /// One line a level and a chapter
    Csv,
    /// Tables in Markdown
    Markdown,
    /// One self-contained page with drawings
    Html,
}

pub async fn run(args: CompareArgs, matches: &ArgMatches) -> Result<u8> {
    let wanted = wanted(&args)?;
    let mut settings = Settings::new(matches, args.place.config.as_deref())?;
    let asked = if args.decisions {
        let flags = ["input", "text", "filter", "label"];
        let given = flags.iter().find(|flag| matches.value_source(flag) == Some(ValueSource::CommandLine));
        if let Some(flag) = given {
            let flag = if *flag == "filter" { "where" } else { *flag };
            return Err(Error::Usage(format!(
                "--{flag} is of labelled lines, and --decisions takes what was decided in --lake: give one of the two"
            )));
        }
        Asked::Decisions { lake: settings.lake(&args.place)?, limits: settings.limits(&args.place)? }
    } else {
        let labelled = settings.labelled(&args.lines, &args.place);
        Asked::Labelled(labelled.context(|| "labelled lines (or --decisions, for what was decided in --lake)")?)
    };
    let registry = settings.trusted_registry(&args.place, &args.trust)?;
    threads::bound(&settings);
    // So that what compiling gives back does not hide what the next model takes.
    give_back_large_blocks();
    let (champion, challenger) = (registry.load(&args.champion).await?, registry.load(&args.challenger).await?);
    let options = CompareOptions {
        asked,
        chapter_margin: args.chapter_margin,
        cost_secs: args.cost_secs,
        examples: args.examples,
        wanted,
        compared_at: Utc::now(),
    };
    let mut found = compare(&options, &champion, &challenger).await?;
    if let Some(file) = &args.report {
        let page = found.html()?;
        write(file, page.as_bytes())?;
        found.comparison.report_sha256 = Some(sha256_hex(page.as_bytes()));
    }
    if let Some(file) = &args.evidence {
        write(file, found.evidence()?.as_bytes())?;
    }
    let page = match args.format {
        Form::Table => found.lines().join("\n") + "\n",
        Form::Json => found.json()?,
        Form::Csv => found.csv()?,
        Form::Markdown => found.markdown(),
        Form::Html => found.html()?,
    };
    text(page.as_bytes())?;
    Ok(0)
}

/// The numbers of the flags, which are refused before anything is read.
fn wanted(args: &CompareArgs) -> Result<Wanted> {
    share("--chapter-margin", Some(args.chapter_margin))?;
    let inside = |flag: &str, value: f64, low: f64, high: f64| {
        if value > low && value < high {
            return Ok(());
        }
        Err(Error::Usage(format!("{flag} {value}: give a number between {low} and {high}")))
    };
    inside("--alpha", args.alpha, 0.0, 0.5)?;
    inside("--effect", args.effect, 0.0, 1.0)?;
    inside("--power", args.power, 0.0, 1.0)?;
    inside("--cost-secs", args.cost_secs, 0.0, 3600.0)?;
    Ok(Wanted { alpha: args.alpha, effect: args.effect, power: args.power })
}

fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(file, bytes).context(|| file.display().to_string())
}
