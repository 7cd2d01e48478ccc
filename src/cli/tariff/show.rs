//! `harmonize tariff show`

use clap::{ArgMatches, Args};

use super::super::settings::PlaceArgs;
use super::super::table::{Format, rows};
use super::{open, texts};
use crate::error::{Error, Result};
use crate::tariff::{Changes, Name, Nomenclature, Subheading, Tariff, Year};

#[derive(Args)]
#[command(
    after_help = "One row for the code, each of its parents and children, and, for a subheading, for every code of the \
                        edition before and after that shares goods with it; change is what became of the older code. \
                        Example:\n\n  harmonize tariff show 852990 --edition 2022 --lake lake"
)]
pub struct ShowArgs {
    /// A code of 2 to 10 digits, with or without dots
    code: String,
    #[command(flatten)]
    place: PlaceArgs,
    /// Only this edition
    #[arg(long, value_name = "EDITION")]
    edition: Option<String>,
    /// Only this schedule, such as HS
    #[arg(long, value_name = "NAME")]
    schedule: Option<String>,
    /// Most rows of each relation in a table, 0 for all; json and csv carry all
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// How rows are printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

struct Row {
    of: String,
    relation: &'static str,
    edition: String,
    code: String,
    change: Option<String>,
    valid_from: Option<String>,
    valid_to: Option<String>,
    description: String,
}

pub async fn run(args: ShowArgs, matches: &ArgMatches) -> Result<u8> {
    let code: String = args.code.chars().filter(|c| !matches!(c, '.' | ' ')).collect();
    if !matches!(code.len(), 2 | 4 | 6 | 8 | 10) || !code.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Error::Usage(format!(
            "{:?} is not a code; give 2, 4, 6, 8 or 10 digits with their leading zeros",
            args.code
        )));
    }
    let (_, _, tariff) = open(&args.place, matches).await?;
    let wanted = |name: &Name| {
        args.edition.as_ref().is_none_or(|e| e.eq_ignore_ascii_case(&name.edition))
            && args.schedule.as_ref().is_none_or(|s| s.eq_ignore_ascii_case(&name.schedule))
    };
    let mut all = Vec::new();
    for nomenclature in tariff.nomenclatures.iter().filter(|n| wanted(&n.name)) {
        if !nomenclature.of(&code).is_empty() {
            one(&tariff, nomenclature, &code, &mut all)?;
        }
    }
    if all.is_empty() {
        let searched: Vec<String> =
            tariff.nomenclatures.iter().filter(|n| wanted(&n.name)).map(|n| n.name.to_string()).collect();
        let searched = if searched.is_empty() { "none that was asked for".into() } else { searched.join(", ") };
        return Err(Error::Input(format!("no nomenclature of the lake has {code}; searched: {searched}")));
    }
    if args.format == Format::Table && args.limit > 0 {
        all = cut(all, args.limit);
    }
    let columns = vec![
        ("of", texts(&all, |r| Some(r.of.clone()))),
        ("relation", texts(&all, |r| Some(r.relation.into()))),
        ("edition", texts(&all, |r| Some(r.edition.clone()))),
        ("code", texts(&all, |r| Some(r.code.clone()))),
        ("change", texts(&all, |r| r.change.clone())),
        ("valid_from", texts(&all, |r| r.valid_from.clone())),
        ("valid_to", texts(&all, |r| r.valid_to.clone())),
        ("description", texts(&all, |r| Some(r.description.clone()))),
    ];
    rows(columns, args.format)?;
    Ok(0)
}

/// The rows of a code in one nomenclature.
fn one(tariff: &Tariff, of: &Nomenclature, code: &str, all: &mut Vec<Row>) -> Result<()> {
    let row = |relation, there: &Nomenclature, code: &str, change| Row {
        of: of.name.to_string(),
        relation,
        edition: there.name.to_string(),
        code: code.to_string(),
        change,
        valid_from: None,
        valid_to: None,
        description: there.text(code).to_string(),
    };
    let last = of.validity.to.or_else(|| tariff.next_start(of)?.pred_opt());
    for entry in of.of(code) {
        all.push(Row {
            valid_from: Some(of.validity.from.to_string()),
            valid_to: last.map(|day| day.to_string()),
            description: entry.description.clone(),
            ..row("code", of, code, None)
        });
    }
    for digits in (2..code.len()).step_by(2) {
        all.push(row("parent", of, &code[..digits], None));
    }
    for child in of.children(code) {
        all.push(row("child", of, child, None));
    }
    let (Some(year), Ok(subheading)) = (of.name.year(), code.parse::<Subheading>()) else { return Ok(()) };
    if let Some((before, changes)) = neighbour(tariff, year, false)? {
        for old in changes.predecessors(subheading) {
            all.push(row("predecessor", before, old.as_str(), told(&changes, *old)));
        }
    }
    if let Some((after, changes)) = neighbour(tariff, year, true)? {
        for new in changes.successors(subheading) {
            all.push(row("successor", after, new.as_str(), told(&changes, subheading)));
        }
    }
    Ok(())
}

/// The nearest edition to which, or from which, a correlation leads, and what became of every code.
fn neighbour(tariff: &Tariff, year: Year, after: bool) -> Result<Option<(&Nomenclature, Changes)>> {
    let years = tariff.years();
    let nearest = match after {
        true => years.into_iter().find(|y| *y > year && tariff.has_correlation(year, *y)),
        false => years.into_iter().rev().find(|y| *y < year && tariff.has_correlation(*y, year)),
    };
    let Some(other) = nearest else { return Ok(None) };
    let way = if after { tariff.way(year, other)? } else { tariff.way(other, year)? };
    match way.first() {
        Some(step) => Ok(Some((tariff.edition(other)?, Changes::new(step)))),
        None => Ok(None),
    }
}

fn told(changes: &Changes, old: Subheading) -> Option<String> {
    let change = changes.of(old)?;
    let scope = if change.scope_changed { ", scope_changed" } else { "" };
    Some(format!("{}{scope}", change.kind.as_str()))
}

/// At most `limit` rows of each relation, and how many more there are.
fn cut(all: Vec<Row>, limit: usize) -> Vec<Row> {
    let mut kept: Vec<Row> = Vec::new();
    let mut run = 0;
    let mut more: Option<usize> = None;
    let close = |kept: &mut Vec<Row>, more: &mut Option<usize>| {
        if let (Some(left), Some(last)) = (more.take(), kept.last()) {
            let (of, relation, edition) = (last.of.clone(), last.relation, last.edition.clone());
            let description = format!("{left} more; --limit 0 shows all");
            let code = "…".to_string();
            kept.push(Row { of, relation, edition, code, change: None, valid_from: None, valid_to: None, description });
        }
    };
    for row in all {
        let same = kept.last().is_some_and(|last| (last.relation, &last.of) == (row.relation, &row.of));
        if !same {
            close(&mut kept, &mut more);
            run = 0;
        }
        run += 1;
        if run <= limit {
            kept.push(row);
        } else {
            more = Some(more.unwrap_or(0) + 1);
        }
    }
    close(&mut kept, &mut more);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_relation_is_cut_and_its_rest_counted() {
        let row = |relation, code: usize| Row {
            of: "HS 2022".into(),
            relation,
            edition: "HS 2017".into(),
            code: code.to_string(),
            change: None,
            valid_from: None,
            valid_to: None,
            description: String::new(),
        };
        let all: Vec<Row> = (0..5).map(|i| row("child", i)).chain((0..2).map(|i| row("successor", i))).collect();
        let cut = cut(all, 2);
        let shown: Vec<(&str, &str)> = cut.iter().map(|r| (r.relation, r.code.as_str())).collect();
        let wanted = [("child", "0"), ("child", "1"), ("child", "…"), ("successor", "0"), ("successor", "1")];
        assert_eq!(shown, wanted);
        assert!(cut[2].description.starts_with("3 more"));
    }
}
