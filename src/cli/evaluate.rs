//! `harmonize evaluate`: a model on labelled lines.

use clap::{ArgMatches, Args};

use super::settings::{LabelledArgs, PlaceArgs, Settings};
use super::table::{count, text};
use crate::error::{Error, Result};
use crate::train::{Metrics, evaluate_model};

#[derive(Args)]
#[command(
    after_help = "Give lines that the model was not trained on, for example with --where. Rows whose label is no \
                        code of the model's edition are left out and counted."
)]
pub struct EvaluateArgs {
    #[command(flatten)]
    lines: LabelledArgs,
    #[command(flatten)]
    place: PlaceArgs,
    /// Model version: hs@1, or hs for the newest [default: hs]
    #[arg(long, value_name = "NAME@N", env = "HARMONIZE_MODEL")]
    model: Option<String>,
    /// Print every figure as JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: EvaluateArgs, matches: &ArgMatches) -> Result<u8> {
    let mut settings = Settings::new(matches, args.place.config.as_deref())?;
    let labelled = settings.labelled(&args.lines, &args.place)?;
    let registry = settings.registry(&args.place)?;
    let model = settings.model(args.model)?;
    let loaded = registry.load(&model).await?;
    let (metrics, left_out) = evaluate_model(&labelled, &loaded).await?;
    if args.json {
        let json = serde_json::to_string_pretty(&metrics).map_err(|e| Error::Bug(e.to_string()))?;
        text(format!("{json}\n").as_bytes())?;
    } else {
        let mut out = format!("{}@{} on {} rows", loaded.name, loaded.version, count(metrics.rows as u64));
        if left_out > 0 {
            out += &format!(" ({} rows without a code of edition {})", count(left_out), loaded.bundle.labels.edition);
        }
        text(format!("{out}\n{}", figures(&metrics)).as_bytes())?;
    }
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
    for c in &m.coverage_at {
        out += &format!("  coverage at {:.0} % precision  {}\n", 100.0 * c.precision, pct(c.coverage_ratio));
    }
    let precision = m.accepted.precision.map_or_else(|| "    -".into(), pct);
    out += &format!(
        "  accepted by the policy      {}  of which right {precision} (95 % interval {} to {})\n",
        pct(m.accepted.coverage_ratio),
        pct(m.accepted.precision_low),
        pct(m.accepted.precision_high),
    );
    if m.vague.rows + m.vague.refused_rows > 0 {
        let (precision, recall) = (m.vague.precision.map_or("-".into(), pct), m.vague.recall.map_or("-".into(), pct));
        out += &format!(
            "  refused as vague            {} rows, precision {precision}, recall {recall} of {} rows labelled so\n",
            m.vague.refused_rows, m.vague.rows
        );
    }
    out += &format!(
        "  calibration error 6 / 4 / 2 {:7.3}  {:7.3}  {:7.3}\n",
        m.calibration_error.hs6, m.calibration_error.hs4, m.calibration_error.hs2
    );
    out
}
