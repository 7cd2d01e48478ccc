//! `harmonize findings`: what an auditor looks for first, as a report and as a file.

use std::path::Path;

use clap::{ArgMatches, Args, ValueEnum};

use super::settings::{PlaceArgs, Settings};
use super::table::{count, text};
use crate::audit::{Exported, FindingFilter, FindingKind, FindingReport, Findings, Told};
use crate::error::{Error, Result};
use crate::review::sheet::{Form, Target};
use crate::train::{Cell, Grid};

#[derive(Args)]
#[command(
    after_help = "Kinds: declared_otherwise (declared under another subheading than a person decided, or else the model gives), \
                  same_text_declared_otherwise (equal goods declared under several subheadings), same_text_in_run, \
                  same_text_across_runs (equal goods coded so and then otherwise, and what explains it), same_text_other_code (equal goods \
                  with different codes now). Codes and values that were declared come along with `harmonize classify --declared --value`; \
                  wordings come from `harmonize tariff import`. Example:\n\n  \
                  harmonize findings --lake s3://lake --least-value 10000 --out findings.xlsx"
)]
pub struct FindingsArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Only findings of this kind; may be given several times
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<FindingKind>,
    /// Only findings whose lines together are worth at least so much, in the input's unit
    #[arg(long, value_name = "VALUE")]
    least_value: Option<f64>,
    /// Least confidence of a model that contradicts a declaration
    #[arg(long, value_name = "SHARE", default_value_t = 0.95)]
    min_confidence: f32,
    /// Most findings that are told, the worst first [default: 20 in the report, all in --out]
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Writes them with everything that there is to know of each line, as .csv, .xlsx or .parquet by the file's name
    #[arg(long, value_name = "FILE")]
    out: Option<String>,
    /// Replaces a file that is there
    #[arg(long, requires = "out")]
    overwrite: bool,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Report::Table)]
    format: Report,
}

#[derive(Clone, Copy, ValueEnum)]
enum Report {
    /// For people
    Table,
    /// One JSON document
    Json,
}

/// Findings that a report tells unless it is told otherwise.
const TOLD: u64 = 20;

/// Chapters that the table tells.
const CHAPTERS: usize = 10;

pub async fn run(args: FindingsArgs, matches: &ArgMatches) -> Result<u8> {
    let mut settings = Settings::new(matches, args.place.config.as_deref())?;
    super::memory::give_back_large_blocks();
    let file =
        args.out.as_deref().map(|out| form(out).map(|form| (Target::new(out, args.overwrite), form))).transpose()?;
    if args.limit == Some(0) {
        return Err(Error::Usage("--limit 0 tells none; give 1 at least".into()));
    }
    let filter =
        FindingFilter { kinds: args.kinds, least_value: args.least_value, min_confidence: args.min_confidence };
    let findings = Findings::open(&settings.lake(&args.place)?, &filter, settings.limits(&args.place)?).await?;
    if let Some((target, form)) = file {
        let written = findings.export(&target, form, args.limit).await?;
        eprintln!("{}", told_of(&written, args.out.as_deref().unwrap_or_default()));
        return Ok(0);
    }
    let report = findings.report(args.limit.unwrap_or(TOLD)).await?;
    let page = match args.format {
        Report::Table => table(&report),
        Report::Json => serde_json::to_string_pretty(&report).map_err(|e| Error::Bug(e.to_string()))? + "\n",
    };
    text(page.as_bytes())?;
    Ok(0)
}

fn form(out: &str) -> Result<Form> {
    Form::of(Path::new(out))
        .ok_or_else(|| Error::Usage(format!("--out {out}: give a file that ends in .csv, .xlsx or .parquet")))
}

fn told_of(written: &Exported, file: &str) -> String {
    let mut told = format!("{file}: {} findings on {} rows", count(written.findings), count(written.rows));
    if !written.without_wording.is_empty() {
        let editions: Vec<&str> = written.without_wording.iter().map(String::as_str).collect();
        told += &format!(
            "; codes of {} have no wording there: harmonize tariff import {}=FILE --lake LAKE",
            editions.join(", "),
            editions[0]
        );
    }
    told
}

/// The report for people.
fn table(report: &FindingReport) -> String {
    if report.kinds.is_empty() {
        return format!("no findings in {}\n", report.lake);
    }
    let words = |text: &str| Cell::Words(text.to_string());
    let mut kinds = Grid::new(["kind", "explained by", "findings", "lines", "value"]);
    for of in &report.kinds {
        let [findings, lines] = [of.findings, of.lines].map(|n| Cell::Number(count(n)));
        kinds.rows.push(vec![words(&of.kind), words(&of.explained_by), findings, lines, Cell::Number(money(of.value))]);
    }
    let mut chapters: Vec<_> = report.chapters.iter().collect();
    chapters.sort_by(|a, b| {
        let by_value = b.value.unwrap_or(0.0).total_cmp(&a.value.unwrap_or(0.0));
        by_value.then(b.lines.cmp(&a.lines)).then((&a.kind, &a.chapter).cmp(&(&b.kind, &b.chapter)))
    });
    let mut of_chapters = Grid::new(["chapter", "kind", "findings", "lines", "value"]);
    for of in chapters.into_iter().take(CHAPTERS) {
        let [findings, lines] = [of.findings, of.lines].map(|n| Cell::Number(count(n)));
        of_chapters.rows.push(vec![
            words(&of.chapter),
            words(&of.kind),
            findings,
            lines,
            Cell::Number(money(of.value)),
        ]);
    }
    let mut out = format!("findings in {}\n\n{}\n", report.lake, indented(&kinds));
    out += &format!("chapters with the most value\n{}\n", indented(&of_chapters));
    out += &format!("the worst by value\n{}", report.worst.iter().map(worst).collect::<String>());
    out
}

/// A finding in a few lines.
fn worst(told: &Told) -> String {
    let against = match told.kind.as_str() {
        "declared_otherwise" => format!(", declared {}", told.other_codes.join(", ")),
        "same_text_across_runs" => format!(", before {}", told.other_codes.join(", ")),
        "same_text_declared_otherwise" => format!(", declared {}", told.other_codes.join(" and ")),
        _ => String::new(),
    };
    let sure = told.confidence.map_or_else(String::new, |sure| format!(", confidence {sure:.3}"));
    let earlier = match &told.other_decided_by[..] {
        [] => String::new(),
        who => format!(" after {}", who.join(", ")),
    };
    let wording: Vec<&str> = told.wordings.iter().filter_map(|wording| wording.subheading.as_deref()).collect();
    let mut out = format!(
        "  {:>3}  {}  {} lines, value {}: {}{against}{sure}\n       by {}{earlier}; explained by {}\n",
        told.rank,
        told.kind,
        count(told.lines),
        money(told.value),
        told.codes.join(" and "),
        told.decided_by.join(", "),
        told.explained_by,
    );
    for line in [told.description.as_deref(), Some(wording.join(" | ").as_str())].into_iter().flatten() {
        if !line.is_empty() {
            // What a terminal would obey is left out.
            let plain = line.replace(char::is_control, " ");
            out += &format!("       {}\n", plain.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    if let (Some(file), Some(row)) = (&told.source_file, told.source_row) {
        out += &format!("       {file} row {row}\n");
    }
    out
}

fn indented(grid: &Grid) -> String {
    grid.lines().iter().map(|line| format!("  {line}\n")).collect()
}

/// A value with commas and two decimals.
fn money(value: Option<f64>) -> String {
    let Some(value) = value else { return "–".into() };
    let cents = (value.abs() * 100.0).round();
    // Beyond this a double has no cents.
    if cents >= 1e15 {
        return format!("{value:e}");
    }
    let cents = cents as u64;
    format!("{}{}.{:02}", if value < 0.0 { "-" } else { "" }, count(cents / 100), cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_commas_and_cents() {
        let told = [1234567.891, 0.0, -0.5, 2e14].map(|value| money(Some(value)));
        assert_eq!(told, ["1,234,567.89", "0.00", "-0.50", "2e14"]);
        assert_eq!(money(None), "–");
    }
}
