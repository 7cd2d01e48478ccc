//! `harmonize replay`: a past run scored again and compared with what stands in the lake, and packs for an auditor.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use clap::{ArgMatches, Args};
use datafusion::logical_expr::{col, lit};
use serde_json::Value;

use super::bar::LineBar;
use super::classify::Share;
use super::settings::{PlaceArgs, Settings, TrustArgs};
use super::table::{Format, count, text};
use crate::audit::{line_pack, run_pack, verify};
use crate::engine::Kernel;
use crate::error::{Context, Error, Result};
use crate::jobs::{Difference, InputState, Reader, Replay, ReplayOptions, RowCounts, Sample, replay};
use crate::lake::Place;
use crate::sql::Limits;
use crate::tariff::{Edition, Names};

#[derive(Args)]
#[command(
    after_help = "Every line of the run is scored again from its pinned input by its pinned model and policy, and every column of every \
                  row compared with predictions; a run of reclassify is made again from the versions of the lake's tables that it read. \
                  Nothing is written to the lake. Exit codes: 0 all equal, 10 rows differ or an input is gone or changed, 20 no \
                  such run, 21 its model is gone. Examples:\n\n  \
                  harmonize replay --lake s3://lake latest --sample 1%\n  \
                  harmonize replay --lake s3://lake latest --pack audit/ --line 4711\n  \
                  harmonize replay --verify-pack audit/line-….json"
)]
pub struct ReplayArgs {
    /// Id of the run, a beginning of it that is its own, or latest
    #[arg(required_unless_present = "verify_pack")]
    run: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    trust: TrustArgs,
    /// Score only these lines again, drawn by a hash of their addresses: a share such as 1%, or a number of lines
    #[arg(long, value_name = "N|P%", conflicts_with_all = ["line", "file"])]
    sample: Option<SampleArg>,
    /// Instruction set to score with, which changes no answer [default: the fastest of this machine]
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,
    /// Rows scored at once, which changes no answer
    #[arg(long, value_name = "ROWS")]
    batch_rows: Option<usize>,
    /// Differing lines that are told, the first by file and row; all are counted
    #[arg(long, value_name = "N", default_value_t = 20)]
    differences: usize,
    /// Write an audit pack of the run, or of the line that --line or --file and --row name: a folder, or a file's name
    #[arg(long, value_name = "PATH")]
    pack: Option<PathBuf>,
    /// The line with this id
    #[arg(long, value_name = "LINE_ID", requires = "pack", conflicts_with_all = ["file", "row"])]
    line: Option<String>,
    /// The line of this file
    #[arg(long, value_name = "URL", requires_all = ["pack", "row"])]
    file: Option<String>,
    /// The row of --file, from 0
    #[arg(long, value_name = "N", requires = "file")]
    row: Option<i64>,
    /// Nomenclature of the run's edition as CSV (hs_code,level,parent,section,description), for the texts of candidates
    #[arg(long, value_name = "FILE", requires = "pack")]
    nomenclature: Option<PathBuf>,
    /// Compute the digest of a pack's JSON file again; 20 when it is another
    #[arg(long, value_name = "FILE", conflicts_with_all = ["run", "pack", "sample"])]
    verify_pack: Option<PathBuf>,
    /// How the comparison is printed; json is one document, csv has a row for every difference that is told
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// A share or a number of lines.
#[derive(Clone, Copy, Debug, PartialEq)]
enum SampleArg {
    Share(Share),
    Lines(u64),
}

impl FromStr for SampleArg {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let refuse = || Error::Usage(format!("{s}: give a share such as 1%, or a number of lines from 1 on"));
        if s.ends_with('%') {
            let share: Share = s.parse().map_err(|_| refuse())?;
            return if share.ratio() > 0.0 { Ok(SampleArg::Share(share)) } else { Err(refuse()) };
        }
        s.parse().ok().filter(|lines| *lines > 0).map(SampleArg::Lines).ok_or_else(refuse)
    }
}

pub async fn run(args: ReplayArgs, matches: &ArgMatches) -> Result<u8> {
    if let Some(file) = &args.verify_pack {
        return verified(file);
    }
    let mut settings = Settings::new(matches, args.place.config.as_deref())?;
    super::memory::give_back_large_blocks();
    let lake = settings.lake(&args.place)?;
    let registry = settings.trusted_registry(&args.place, &args.trust)?;
    let limits = settings.limits(&args.place)?;
    let run = args.run.clone().unwrap_or_default();
    let line = line(&args, &lake, &run, limits).await?;
    let sample = match (&line, args.sample) {
        (Some((file, row)), _) => Sample::Line { file: file.clone(), row: *row },
        (None, Some(SampleArg::Share(share))) => Sample::Share(share.ratio()),
        (None, Some(SampleArg::Lines(lines))) => Sample::Lines(lines),
        (None, None) => Sample::All,
    };
    let kernel = args.kernel.as_deref().map(kernel).transpose()?;
    if args.batch_rows.is_some_and(|rows| !(1..=1 << 20).contains(&rows)) {
        return Err(Error::Usage("--batch-rows: give a number from 1 to 1048576".into()));
    }
    let options =
        ReplayOptions { lake, run, sample, limits, kernel, batch_rows: args.batch_rows, told: args.differences };
    let bar = Arc::new(LineBar::new());
    let replayed = replay(&options, &registry, Arc::clone(&bar) as Arc<_>).await;
    bar.finish();
    let replayed = replayed?;
    if let Some(to) = &args.pack {
        let names =
            args.nomenclature.as_deref().map(|file| names(file, &replayed.again.run.tariff_edition)).transpose()?;
        let pack = match &line {
            Some((file, row)) => line_pack(&replayed, (file, *row), &registry, names.as_ref(), limits).await?,
            None => run_pack(&replayed, &registry).await?,
        };
        for file in pack.write(to)? {
            eprintln!("wrote {}", file.display());
        }
        eprintln!("digest {}", pack.digest);
    }
    let report = &replayed.report;
    let page = match args.format {
        Format::Table => table(report),
        Format::Json => serde_json::to_string(report).map_err(|e| Error::Bug(e.to_string()))? + "\n",
        Format::Csv => csv(report)?,
    };
    text(page.as_bytes())?;
    Ok(if report.is_equal() { 0 } else { 10 })
}

fn verified(file: &Path) -> Result<u8> {
    let name = file.display().to_string();
    let bytes = std::fs::read(file).context(|| &name)?;
    let pack =
        String::from_utf8(bytes).map_err(|_| Error::Input(format!("{name}: it is not UTF-8, so it is no pack")))?;
    let verified = verify(&name, &pack)?;
    text(format!("whole: a pack of one {}, digest {}\n", verified.kind, verified.digest).as_bytes())?;
    Ok(0)
}

fn kernel(name: &str) -> Result<Kernel> {
    let named = |kernel: &Kernel| format!("{kernel:?}").to_lowercase();
    let available = Kernel::available();
    available.iter().copied().find(|kernel| named(kernel) == name).ok_or_else(|| {
        let there: Vec<String> = available.iter().map(named).collect();
        Error::Usage(format!("--kernel {name}: this machine has {}", there.join(", ")))
    })
}

fn names(file: &Path, edition: &str) -> Result<Names> {
    let name = file.display().to_string();
    let bytes = std::fs::read(file).context(|| &name)?;
    Names::from_nomenclature_csv(&bytes, edition.parse::<Edition>()?, &name)
}

/// The address of the line that a pack is about.
async fn line(args: &ReplayArgs, lake: &Place, run: &str, limits: Limits) -> Result<Option<(String, i64)>> {
    if let (Some(file), Some(row)) = (&args.file, args.row) {
        // As the run names it: a plain path becomes a URL.
        return Ok(Some((Place::open(file)?.url().to_string(), row)));
    }
    let Some(id) = &args.line else { return Ok(None) };
    let reader = Reader::open(lake, limits).await?;
    let record = reader.find(run).await?;
    let rows = reader.rows_of(&record).await?.filter(col("line_id").eq(lit(id)))?;
    let rows = rows.select(vec![col("source_file"), col("source_row")])?.distinct()?;
    let order = ["source_file", "source_row"].map(|name| col(name).sort(true, true));
    let rows = reader.objects(rows.sort(order.to_vec())?, None).await?;
    let address = |row: &serde_json::Map<String, Value>| {
        Some((row.get("source_file")?.as_str()?.to_string(), row.get("source_row")?.as_i64()?))
    };
    let found: Vec<(String, i64)> = rows.iter().filter_map(address).collect();
    match &found[..] {
        [one] => Ok(Some(one.clone())),
        [] => Err(Error::Input(format!("run {} has no line with the id {id:?}", record.run_id))),
        many => {
            let shown: Vec<String> =
                many.iter().take(5).map(|(file, row)| format!("--file {file} --row {row}")).collect();
            Err(Error::Usage(format!("{} lines have the id {id:?}; choose one: {}", many.len(), shown.join(", or "))))
        }
    }
}

/// For people.
fn table(report: &Replay) -> String {
    let rows = &report.rows;
    let mut out = format!("run {}\n  models        {}\n", report.run_id, report.models.join(", beside it "));
    let same = report.program_then == report.program_now;
    let program = if same { String::new() } else { format!(", this is version {}", report.program_now) };
    out += &format!("  made by       version {}{program}\n", report.program_then);
    if let Some(sample) = &report.sample {
        out += &format!("  looked at     {sample}\n");
    }
    if report.tables.is_empty() {
        let there = report.files.len() - report.lost().count();
        out += &format!("  inputs there  {:>14}  of {}\n", count(there as u64), count(report.files.len() as u64));
    }
    for table in &report.tables {
        let version = table.version.map_or("none".into(), |version| format!("version {version}"));
        let state = if table.state == InputState::There { "there" } else { "lost" };
        let why = table.why.as_deref().map_or(String::new(), |why| format!(": {why}"));
        out += &format!("  read          {:<14}  {version}, {state}{why}\n", table.table);
    }
    for file in report.lost() {
        let (found, state) = (&file.found, if file.found.state == InputState::Gone { "gone" } else { "changed" });
        let why = found.why.as_deref().filter(|_| found.state == InputState::Changed);
        let why = why.map_or(String::new(), |why| format!(": {why}"));
        out += &format!("    {state} {} ({} rows){why}\n", found.file.url, count(found.file.rows));
    }
    out += &format!("  rows equal    {:>14}\n", count(rows.equal));
    for (name, n) in others(rows) {
        if n > 0 {
            out += &format!("  {name:<13} {:>14}\n", count(n));
        }
    }
    for (file, rows) in &report.strange_files {
        out += &format!("    {file} is in {} row(s) of the run and not among its inputs\n", count(*rows));
    }
    if !report.differences.is_empty() {
        out += &format!("  the first {}:\n", report.differences.len());
    }
    for difference in &report.differences {
        let Difference { kind, source_file, source_row, role, columns } = difference;
        out += &format!("    row {source_row} of {source_file}, {role}: {}\n", kind.as_str());
        for one in columns {
            out += &format!("      {}: then {}, now {}\n", one.column, one.then, one.now);
        }
    }
    for why in &report.why {
        out += &format!("  why           {why}\n");
    }
    out += if report.is_equal() { "  equal\n" } else { "  not equal\n" };
    out
}

/// Counts of rows that are not equal, by what stands before them.
fn others(rows: &RowCounts) -> [(&'static str, u64); 5] {
    [
        ("differing", rows.differing),
        ("not in lake", rows.not_in_lake),
        ("not made again", rows.not_reproduced),
        ("twice in lake", rows.twice),
        ("left out", rows.left_out),
    ]
}

/// One row for every difference that is told and every file that is gone or changed.
fn csv(report: &Replay) -> Result<String> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let failed = |e: csv::Error| Error::Bug(e.to_string());
    out.write_record(["kind", "source_file", "source_row", "role", "column", "then", "now"]).map_err(failed)?;
    for file in report.lost() {
        let kind = if file.found.state == InputState::Gone { "input gone" } else { "input changed" };
        let why = file.found.why.as_deref().unwrap_or_default();
        out.write_record([kind, &file.found.file.url, "", "", "", "", why]).map_err(failed)?;
    }
    for table in report.lost_tables() {
        let version = table.version.map_or(String::new(), |version| version.to_string());
        out.write_record([
            "table lost",
            &table.table,
            "",
            "",
            "version",
            &version,
            table.why.as_deref().unwrap_or_default(),
        ])
        .map_err(failed)?;
    }
    for difference in &report.differences {
        let row = difference.source_row.to_string();
        let address = [difference.kind.as_str(), &difference.source_file, &row, &difference.role];
        let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
        let mut told: Vec<[String; 3]> =
            difference.columns.iter().map(|one| [one.column.clone(), plain(&one.then), plain(&one.now)]).collect();
        if told.is_empty() {
            told.push(Default::default());
        }
        for one in &told {
            out.write_record(address.into_iter().chain(one.iter().map(String::as_str))).map_err(failed)?;
        }
    }
    let bytes = out.into_inner().map_err(|e| Error::Bug(e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| Error::Bug(e.to_string()))
}
