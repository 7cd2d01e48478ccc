//! `harmonize review export`

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Args, ValueEnum};

use super::super::settings::{PlaceArgs, Settings, TrustArgs};
use super::super::table::{count, text};
use super::reasons;
use crate::error::{Error, Result};
use crate::review::sheet::{Form, Target};
use crate::review::{Asked, ExportOptions, Exported, QueueForm, Words, export, labelling_config};

#[derive(Args)]
#[command(
    after_help = "Each row has the text, why it waits, five candidates with the tariff's wording and their confidences, the words that \
                  speak for the first, the code before, empty columns for the decision, and what tells the row from others. Texts that \
                  a spreadsheet program would compute or change are written so that it does not. Example:\n\n  \
                  harmonize review export --lake s3://lake --out queue.xlsx --group --where \"confidence > 0.5\" --limit 500"
)]
pub struct ExportArgs {
    /// File to write, or - for standard output
    #[arg(long, value_name = "FILE", required_unless_present = "print_label_config")]
    out: Option<String>,
    /// Form of the file [default: by its extension; .json is label-studio]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Equal texts of an edition as one row, whose decision is for all of their lines
    #[arg(long)]
    group: bool,
    /// Most rows
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// SQL condition on the columns of the view review_queue, such as "array_has(reasons, 'split')"
    #[arg(long = "where", value_name = "SQL")]
    filter: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
    /// Model for the words that speak for a code [default: the version that made the row]
    #[arg(long, value_name = "MODEL", conflicts_with = "no_evidence")]
    model: Option<String>,
    /// Leave these words out, which take most of the time
    #[arg(long)]
    no_evidence: bool,
    #[command(flatten)]
    trust: TrustArgs,
    /// Language of the tariff's wording, where the lake has several [default: en]
    #[arg(long, value_name = "LANGUAGE")]
    language: Option<String>,
    /// Reason codes that reviewers may give: a code a line, its meaning behind a blank [default: the program's list]
    #[arg(long, value_name = "FILE")]
    reasons: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    overwrite: bool,
    /// Print the labelling configuration of Label Studio, and write nothing
    #[arg(long)]
    print_label_config: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Comma-separated values, UTF-8 with a mark
    Csv,
    /// A workbook, with lists to choose from
    Xlsx,
    /// Parquet
    Parquet,
    /// JSON tasks of Label Studio, and a labelling configuration beside them
    LabelStudio,
}

impl Format {
    fn form(self) -> QueueForm {
        match self {
            Format::Csv => QueueForm::Sheet(Form::Csv),
            Format::Xlsx => QueueForm::Sheet(Form::Xlsx),
            Format::Parquet => QueueForm::Sheet(Form::Parquet),
            Format::LabelStudio => QueueForm::LabelStudio,
        }
    }
}

pub async fn run(args: ExportArgs, matches: &ArgMatches) -> Result<u8> {
    let reasons = reasons(args.reasons.as_deref())?;
    if args.print_label_config {
        text(labelling_config(&reasons).as_bytes())?;
        return Ok(0);
    }
    let mut settings = Settings::new(matches, args.place.config.as_deref())?;
    let out = args.out.unwrap_or_else(|| "-".into());
    let words = match args.no_evidence {
        true => Words::No,
        false => {
            let model = args.model.map(|model| model.parse()).transpose()?;
            Words::Of(Box::new(settings.trusted_registry(&args.place, &args.trust)?), model)
        }
    };
    let options = ExportOptions {
        lake: settings.lake(&args.place)?,
        asked: Asked { group: args.group, limit: args.limit, where_sql: args.filter },
        form: form(args.format, &out)?,
        target: Target::new(&out, args.overwrite),
        language: args.language,
        words,
        reasons,
        limits: settings.limits(&args.place)?,
    };
    let done = export(&options).await?;
    let told = told(&done, &options, &out);
    // The rows themselves may be on standard output.
    match options.target {
        Target::Stdout => eprint!("{told}"),
        Target::File { .. } => text(told.as_bytes())?,
    }
    Ok(0)
}

fn form(format: Option<Format>, out: &str) -> Result<QueueForm> {
    let path = Path::new(out);
    let json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    match (format, Form::of(path)) {
        (Some(format), _) => Ok(format.form()),
        (None, Some(form)) => Ok(QueueForm::Sheet(form)),
        (None, None) if json => Ok(QueueForm::LabelStudio),
        (None, None) => Err(Error::Usage(format!(
            "--out {out}: its name does not say which form it is; give --format csv, xlsx, parquet or label-studio"
        ))),
    }
}

fn told(done: &Exported, options: &ExportOptions, out: &str) -> String {
    let mut told = format!("{} rows for {} lines: {out}\n", count(done.rows), count(done.lines));
    if done.rows == 0 {
        return told + "nothing waits for a person there\n";
    }
    if let Some(config) = &done.config {
        told += &format!("the labelling configuration for Label Studio: {}\n", config.display());
    }
    if done.without_text > 0 {
        told += &format!("{} rows have no text: the lake does not store it (--store-text)\n", count(done.without_text));
    }
    for edition in &done.unworded {
        told += &format!(
            "candidates of HS {edition} have no wording: the lake has no nomenclature of it; to load one: harmonize tariff \
             import {edition}=FILE\n"
        );
    }
    for why in &done.unexplained {
        told += &format!("no evidence words for rows of {why}\n");
    }
    if matches!(options.words, Words::Of(..)) {
        told += &format!("{} rows have evidence words\n", count(done.explained));
    }
    told + "when it is filled in: harmonize review import FILE --lake URL\n"
}
