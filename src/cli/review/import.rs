//! `harmonize review import`

use std::path::PathBuf;

use chrono::Utc;
use clap::{ArgMatches, Args};

use super::super::settings::{PlaceArgs, Settings};
use super::super::table::{Column, Format, count, rows, text};
use super::reasons;
use crate::error::{Error, Result};
use crate::review::{ImportOptions, Item, Outcome, Report, import};

#[derive(Args)]
#[command(
    after_help = "What a file is, its bytes say: CSV as spreadsheet programs save it (commas, semicolons, tabs, UTF-8, UTF-16), XLSX, \
                  Parquet, JSON that Label Studio exported. A row without a decision is left waiting. Importing a file again changes \
                  nothing. Decisions that do not agree are shown and left out (exit code 10); rows that are wrong stop the import (20). \
                  Example:\n\n  harmonize review import ana.xlsx ben.csv --lake s3://lake --dry-run"
)]
pub struct ImportArgs {
    /// Files that people filled in
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    place: PlaceArgs,
    /// Who decided, where a row does not say it
    #[arg(long, value_name = "NAME")]
    reviewer: Option<String>,
    /// Let these decisions take the place of what was decided otherwise before
    #[arg(long)]
    replace: bool,
    /// Take decisions on lines that another model has answered since the export, in the same edition and with the same text
    #[arg(long)]
    allow_stale: bool,
    /// Pass over rows that are wrong, and import the others
    #[arg(long)]
    skip_bad: bool,
    /// Reason codes that reviewers may give: a code a line, its meaning behind a blank [default: the program's list]
    #[arg(long, value_name = "FILE")]
    reasons: Option<PathBuf>,
    /// Say what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// How the report is printed; json and csv carry every row
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub async fn run(args: ImportArgs, matches: &ArgMatches) -> Result<u8> {
    let mut settings = Settings::new(matches, args.place.config.as_deref())?;
    let reviewer = args.reviewer.map(|name| name.trim().to_string());
    if reviewer.as_ref().is_some_and(String::is_empty) {
        return Err(Error::Usage("--reviewer: give the name of the person who decided".into()));
    }
    let options = ImportOptions {
        lake: settings.lake(&args.place)?,
        files: args.files,
        reviewer,
        reasons: reasons(args.reasons.as_deref())?,
        replace: args.replace,
        allow_stale: args.allow_stale,
        skip_bad: args.skip_bad,
        dry_run: args.dry_run,
        now: Utc::now(),
        limits: settings.limits(&args.place)?,
    };
    let report = import(&options).await?;
    match args.format {
        Format::Table => text(table(&report, &options).as_bytes())?,
        Format::Json => {
            let line = serde_json::to_string(&report).map_err(|e| Error::Bug(e.to_string()))?;
            text(format!("{line}\n").as_bytes())?;
        }
        Format::Csv => listed(&report.items)?,
    }
    let (refused, conflicts) = (report.count(Outcome::Refused), report.count(Outcome::Conflict));
    if refused > 0 && !options.skip_bad {
        return Err(Error::Input(format!(
            "{} row(s) are wrong, so nothing was written; correct them, or give --skip-bad to import the others",
            count(refused)
        )));
    }
    Ok(if refused + conflicts > 0 { 10 } else { 0 })
}

/// Rows of each kind that a table shows.
const SHOWN: usize = 20;

fn table(report: &Report, options: &ImportOptions) -> String {
    let new = report.count(Outcome::New);
    let mut out = match (report.written, options.dry_run) {
        (true, _) => format!("{} decision(s) written to {}\n", count(new), options.lake.url()),
        (false, true) => "nothing was written (--dry-run)\n".to_string(),
        (false, false) if report.items.is_empty() => "nothing to do: no row has a decision\n".to_string(),
        (false, false) if new == 0 => "nothing new to write\n".to_string(),
        (false, false) => "nothing was written\n".to_string(),
    };
    let mut line = |name: &str, n: u64, about: &str| {
        if n > 0 {
            out += format!("  {name:<10}  {:>12}  {about}", count(n)).trim_end();
            out += "\n";
        }
    };
    line("rows", report.rows, "");
    line("undecided", report.undecided, "left waiting");
    line("new", new, if report.written { "" } else { "would be written" });
    line("there", report.count(Outcome::There), "written before");
    line("repeated", report.count(Outcome::Repeated), "said by another row of the files");
    line("conflicts", report.count(Outcome::Conflict), "left out");
    line("refused", report.count(Outcome::Refused), "wrong");
    if report.noted > 0 {
        out += &format!("{} undecided row(s) have a reason, a note or a ruling, which wait too\n", count(report.noted));
    }
    if !report.written {
        let new = |item: &&Item| item.outcome == Outcome::New;
        section(&mut out, "new decisions", report, new, |item| {
            let was = item.was.as_deref().map_or(String::new(), |was| format!(", before: {was}"));
            format!("{}{was}", decided(item))
        });
    }
    section(
        &mut out,
        "codes that were repaired",
        report,
        |item| item.repaired.is_some(),
        |item| item.repaired.clone().unwrap_or_default(),
    );
    section(
        &mut out,
        "conflicts, left out",
        report,
        |item| item.outcome == Outcome::Conflict,
        |item| {
            let kind = item.conflict.map_or("", crate::review::Conflict::as_str);
            let decided = item.verdict.map_or(String::new(), |_| format!("{}: ", decided(item)));
            format!("{decided}{kind}: {}", item.why.as_deref().unwrap_or_default())
        },
    );
    section(
        &mut out,
        "wrong rows",
        report,
        |item| item.outcome == Outcome::Refused,
        |item| item.why.clone().unwrap_or_default(),
    );
    out
}

fn decided(item: &Item) -> String {
    let code = item.hs6.as_deref().or(item.verdict).unwrap_or_default();
    format!("{code} by {}", item.reviewer.as_deref().unwrap_or_default())
}

fn section(
    out: &mut String,
    title: &str,
    report: &Report,
    which: impl Fn(&&Item) -> bool,
    said: impl Fn(&Item) -> String,
) {
    let items: Vec<&Item> = report.items.iter().filter(which).collect();
    if items.is_empty() {
        return;
    }
    *out += &format!("{title}\n");
    for item in items.iter().take(SHOWN) {
        *out += &format!("  {} row {}: {}\n", item.file, item.row, said(item));
    }
    if items.len() > SHOWN {
        let more = items.len() - SHOWN;
        *out += &format!("  {} more; --format csv or json has them all\n", count(more as u64));
    }
}

/// One line for every row with a decision.
fn listed(items: &[Item]) -> Result<()> {
    let texts = |pick: &dyn Fn(&Item) -> Option<String>| Column::Text(items.iter().map(pick).collect());
    let name = |value: serde_json::Value| value.as_str().map(str::to_string);
    let columns = vec![
        ("file", texts(&|item| Some(item.file.clone()))),
        ("row", Column::Number(items.iter().map(|item| Some(item.row)).collect())),
        ("outcome", texts(&|item| name(serde_json::json!(item.outcome)))),
        ("verdict", texts(&|item| item.verdict.map(str::to_string))),
        ("hs6", texts(&|item| item.hs6.clone())),
        ("reviewer", texts(&|item| item.reviewer.clone())),
        ("was", texts(&|item| item.was.clone())),
        ("conflict", texts(&|item| item.conflict.and_then(|conflict| name(serde_json::json!(conflict))))),
        ("why", texts(&|item| item.why.clone())),
        ("repaired", texts(&|item| item.repaired.clone())),
        ("decision_id", texts(&|item| item.decision_id.clone())),
    ];
    rows(columns, Format::Csv)
}
