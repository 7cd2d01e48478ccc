//! `harmonize tariff import`: files into the lake, all or nothing.

use std::path::{Path, PathBuf};

use chrono::{NaiveDate, Utc};
use clap::{ArgMatches, Args};

use super::super::settings::PlaceArgs;
use super::super::table::{Format, rows};
use super::{numbers, open, read_file, texts};
use crate::error::{Error, Result};
use crate::tariff::{FileKind, HS, ImportOptions, Name, Nomenclature, Pairs, Validity, Year, import};

#[derive(Args)]
#[command(
    after_help = "What a file is, its header says. Everything is checked before anything is written: codes as text, levels, \
                        parents, duplicates, codes that a correlation names, validity. The same content again is a no-op; other \
                        content for the same edition takes the place of the older. Example:\n\n  \
                        harmonize tariff import 2017=hs2017.csv 2022=hs2022.csv correlation.csv --lake lake\n  \
                        harmonize tariff import cn.csv --schedule CN --edition 2025 --valid-from 2025-01-01 --lake lake"
)]
pub struct ImportArgs {
    /// Nomenclatures, each with its edition before it, and correlation tables
    #[arg(required = true, value_name = "[EDITION=]FILE")]
    files: Vec<String>,
    #[command(flatten)]
    place: PlaceArgs,
    /// Edition of the one nomenclature among the files
    #[arg(long, value_name = "EDITION")]
    edition: Option<String>,
    /// HS, or the name of a national schedule with codes of 8 or 10 digits
    #[arg(long, value_name = "NAME", default_value = HS)]
    schedule: String,
    /// Language of the wording, where no column says it
    #[arg(long, value_name = "LANGUAGE", default_value = "en")]
    language: String,
    /// First day of the one nomenclature [default: known for HS 2012, 2017, 2022 and 2028]
    #[arg(long, value_name = "YYYY-MM-DD")]
    valid_from: Option<NaiveDate>,
    /// Last day of the one nomenclature [default: the day before the next edition begins]
    #[arg(long, value_name = "YYYY-MM-DD")]
    valid_to: Option<NaiveDate>,
    /// Older edition of the correlations, where the columns are from_code and to_code
    #[arg(long, value_name = "YEAR")]
    from: Option<Year>,
    /// Newer edition of the correlations, where the columns are from_code and to_code
    #[arg(long, value_name = "YEAR")]
    to: Option<Year>,
    /// Take editions that are not in force yet
    #[arg(long)]
    allow_future: bool,
    /// Take editions that leave days on which none is in force
    #[arg(long)]
    allow_gap: bool,
    /// How rows are printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub async fn run(args: ImportArgs, matches: &ArgMatches) -> Result<u8> {
    let now = Utc::now();
    let (nomenclatures, correlations) = read(&args)?;
    let (lake, _, there) = open(&args.place, matches).await?;
    let options = ImportOptions { now, allow_future: args.allow_future, allow_gap: args.allow_gap };
    let report = import(&lake, &there, nomenclatures, correlations, options).await?;
    for found in &report.findings {
        eprintln!("note: {}: {}: {}", found.trouble.as_str(), found.about, found.what);
    }
    let all = &report.imported;
    let columns = vec![
        ("name", texts(all, |i| Some(i.name.clone()))),
        ("rows", numbers(all, |i| Some(i.rows))),
        ("state", texts(all, |i| Some(if i.already { "already there" } else { "imported" }.into()))),
        ("import_id", texts(all, |i| Some(i.import_id.clone()))),
    ];
    rows(columns, args.format)?;
    Ok(0)
}

/// Reads and checks every file by itself.
fn read(args: &ImportArgs) -> Result<(Vec<Nomenclature>, Vec<Pairs>)> {
    let (mut nomenclatures, mut correlations) = (Vec::new(), Vec::new());
    let mut unnamed: Vec<String> = Vec::new();
    for given in &args.files {
        let (edition, file) = parts(given);
        let (bytes, source) = read_file(&file)?;
        match FileKind::of(&bytes, &source)? {
            FileKind::Correlation if edition.is_some() => {
                return Err(Error::Usage(format!(
                    "{given}: {source} is a correlation, whose columns name its editions"
                )));
            }
            FileKind::Correlation => correlations.push(Pairs::from_csv(&bytes, args.from, args.to, &source)?),
            FileKind::Nomenclature => {
                if edition.is_none() {
                    unnamed.push(source.clone());
                }
                let edition = edition.or(args.edition.as_deref()).ok_or_else(|| {
                    Error::Usage(format!(
                        "{source} is a nomenclature: say of which edition, such as 2022={} or --edition 2022",
                        file.display()
                    ))
                })?;
                let name = Name::new(&args.schedule, edition)?;
                let validity = Validity::of(&name, args.valid_from, args.valid_to)?;
                nomenclatures.push(Nomenclature::from_csv(&bytes, name, validity, &args.language, &source)?);
            }
        }
    }
    if unnamed.len() > 1 {
        return Err(Error::Usage(format!(
            "--edition cannot be that of {}; write the edition before each file, such as 2022=FILE",
            unnamed.join(" and ")
        )));
    }
    if nomenclatures.len() > 1 && (args.valid_from.is_some() || args.valid_to.is_some()) {
        return Err(Error::Usage(
            "--valid-from and --valid-to are of one nomenclature; import the others in a call of their own".into(),
        ));
    }
    Ok((nomenclatures, correlations))
}

/// `2022=hs.csv` as edition and file; a file of that whole name is a file.
fn parts(given: &str) -> (Option<&str>, PathBuf) {
    match given.split_once('=') {
        Some((edition, file)) if !edition.contains('/') && !Path::new(given).exists() => (Some(edition), file.into()),
        _ => (None, given.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edition_stands_before_its_file() {
        assert_eq!(parts("2022=a/b.csv"), (Some("2022"), "a/b.csv".into()));
        assert_eq!(parts("a/b=c.csv"), (None, "a/b=c.csv".into()));
        assert_eq!(parts("a.csv"), (None, "a.csv".into()));
    }
}
