//! `harmonize evaluate`: a model on labelled lines.

use std::path::PathBuf;

use clap::{ArgMatches, Args, ValueEnum};

use super::settings::{LabelledArgs, PlaceArgs, Settings, TrustArgs};
use super::table::text;
use crate::error::{Context, Error, Result};
use crate::tariff::{Edition, Names};
use crate::train::{By, EvaluateOptions, MIN_ROWS, Metrics, evaluate_model};

#[derive(Args)]
#[command(
    after_help = "Give lines that the model was not trained on, for example with --where. Rows whose label is no \
                        code of the model's edition are left out and counted. Where is it weak:\n\n  \
                        harmonize evaluate --input labelled/ --label hs6 --where \"fold = 9\" --registry models \\\n    \
                        --by chapter --by support --by language --format html > evaluation.html"
)]
pub struct EvaluateArgs {
    #[command(flatten)]
    lines: LabelledArgs,
    #[command(flatten)]
    place: PlaceArgs,
    /// Model version: hs@7, hs@champion, hs@champion#2026-03-01, or hs for the champion, else the newest [default: hs]
    #[arg(long, value_name = "MODEL", env = "HARMONIZE_MODEL")]
    model: Option<String>,
    #[command(flatten)]
    trust: TrustArgs,
    /// Tell rows apart, worst first: by chapter, support (training rows of the known code), length (words), language, or
    /// any other name, which is a column of the input (column:NAME where it has one of these names); numbers, where they are
    /// many, by ranges; several times if wanted
    #[arg(long, value_name = "WHAT")]
    by: Vec<By>,
    /// Fewest rows of a value that is told by itself; those with fewer are told together
    #[arg(long, value_name = "ROWS", default_value_t = MIN_ROWS)]
    min_rows: usize,
    /// Most confusions of two codes that are told
    #[arg(long, value_name = "N", default_value_t = 10)]
    confusions: usize,
    /// Print this many of the mistakes that the model is surest of, with their descriptions, and up to three of each of the
    /// worst values of --by
    #[arg(long, value_name = "N", default_value_t = 0)]
    examples: usize,
    /// Nomenclature of the model's edition as CSV (hs_code,level,parent,section,description), for the texts of confused codes
    #[arg(long, value_name = "FILE")]
    nomenclature: Option<PathBuf>,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Form::Table, conflicts_with = "json")]
    format: Form,
    /// The same as --format json
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// For people
    Table,
    /// Every figure, as one JSON document
    Json,
    /// One self-contained page with drawings
    Html,
    /// Tables in Markdown
    Markdown,
}

pub async fn run(args: EvaluateArgs, matches: &ArgMatches) -> Result<u8> {
    let mut settings = Settings::new(matches, args.place.config.as_deref())?;
    let lines = settings.labelled(&args.lines, &args.place)?;
    let registry = settings.trusted_registry(&args.place, &args.trust)?;
    let model = settings.model(args.model)?;
    let loaded = registry.load(&model).await?;
    let edition: Edition = loaded.bundle.labels.edition.parse()?;
    let names = match &args.nomenclature {
        None => None,
        Some(path) => {
            let bytes = std::fs::read(path).context(|| path.display().to_string())?;
            Some(Names::from_nomenclature_csv(&bytes, edition, &path.display().to_string())?)
        }
    };
    let mut by = Vec::new();
    for one in args.by {
        if !by.contains(&one) {
            by.push(one);
        }
    }
    let (min_rows, confusions, examples) = (args.min_rows, args.confusions, args.examples);
    let options = EvaluateOptions { lines, by, min_rows, confusions, examples, names };
    let found = evaluate_model(&options, &loaded).await?;
    let page = match if args.json { Form::Json } else { args.format } {
        Form::Table => {
            let below: String = found.lines().iter().map(|line| format!("{line}\n")).collect();
            format!("{}\n{}{below}", found.title(), figures(&found.metrics))
        }
        Form::Json => serde_json::to_string_pretty(&found).map_err(|e| Error::Bug(e.to_string()))? + "\n",
        Form::Html => found.html()?,
        Form::Markdown => found.markdown(),
    };
    text(page.as_bytes())?;
    Ok(0)
}

/// The figures that people compare.
pub fn figures(m: &Metrics) -> String {
    let pct = |x: f64| format!("{:5.1} %", 100.0 * x);
    let mut out = format!(
        "  right at 6 / 4 / 2 digits   {}  {}  {}\n  among the five best         {}\n",
        pct(m.accuracy.hs6),
        pct(m.accuracy.hs4),
        pct(m.accuracy.hs2),
        pct(m.accuracy.hs6_top_five),
    );
    out += &format!("  macro F1                    {}\n", pct(m.macro_f1));
    let levels = m.coverage_at.iter().zip(&m.four_digits.coverage_at).zip(&m.two_digits.coverage_at);
    for ((six, four), two) in levels {
        let [six_pct, four, two] = [six, four, two].map(|at| pct(at.coverage_ratio));
        out += &format!("  coverage at {:.0} % precision  {six_pct}  {four}  {two}\n", 100.0 * six.precision);
    }
    let precision = m.accepted.precision.map_or_else(|| "    -".into(), pct);
    out += &format!(
        "  accepted by the policy      {}  of which right {precision} (95 % interval {} to {})\n",
        pct(m.accepted.coverage_ratio),
        pct(m.accepted.precision_low),
        pct(m.accepted.precision_high),
    );
    for (picked, level) in [(&m.heading_sure, "heading"), (&m.chapter_sure, "chapter")] {
        if let Some(precision) = picked.precision {
            out += &format!(
                "  sure of the {level} alone   {}  of which right {} (95 % interval {} to {})\n",
                pct(picked.coverage_ratio),
                pct(precision),
                pct(picked.precision_low),
                pct(picked.precision_high),
            );
        }
    }
    if m.vague.rows + m.vague.refused_rows > 0 {
        let (precision, recall) = (m.vague.precision.map_or("-".into(), pct), m.vague.recall.map_or("-".into(), pct));
        out += &format!(
            "  refused as vague            {} rows, precision {precision}, recall {recall} of {} rows labelled so\n",
            m.vague.refused_rows, m.vague.rows
        );
    }
    for (name, f) in [("calibration error 6 / 4 / 2", &m.calibration_error), ("Brier score 6 / 4 / 2      ", &m.brier)]
    {
        out += &format!("  {name} {:7.3}  {:7.3}  {:7.3}\n", f.hs6, f.hs4, f.hs2);
    }
    let (four, two) = (m.four_digits.augrc, m.two_digits.augrc);
    out += &format!("  area under risk–coverage    {:7.3}\n", m.aurc);
    out += &format!("  generalised 6 / 4 / 2       {:7.3}  {four:7.3}  {two:7.3}\n", m.augrc);
    out
}
