//! `harmonize tariff list`

use chrono::Utc;
use clap::{ArgMatches, Args};

use super::super::settings::PlaceArgs;
use super::super::table::{Format, rows};
use super::{numbers, open, texts};
use crate::error::Result;
use crate::tariff::{Nomenclature, Tariff, name_of};

#[derive(Args)]
#[command(
    after_help = "in_force is that of today: yes, past, or ahead. Of an edition without a last day, valid_to is the day \
                        before the next one of its schedule begins."
)]
pub struct ListArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// How rows are printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Default)]
struct Row {
    kind: &'static str,
    name: String,
    valid_from: Option<String>,
    valid_to: Option<String>,
    in_force: Option<&'static str>,
    chapters: Option<usize>,
    headings: Option<usize>,
    subheadings: Option<usize>,
    national: Option<usize>,
    pairs: Option<usize>,
    source: String,
    import_id: String,
}

pub async fn run(args: ListArgs, matches: &ArgMatches) -> Result<u8> {
    let (lake, _, tariff) = open(&args.place, matches).await?;
    let today = Utc::now().date_naive();
    let mut all: Vec<Row> = tariff.nomenclatures.iter().map(|n| of_nomenclature(&tariff, n, today)).collect();
    all.extend(tariff.correlations.iter().map(|c| Row {
        kind: "correlation",
        name: name_of(c),
        pairs: Some(c.links.len()),
        source: c.source.clone(),
        import_id: c.import_id.clone(),
        ..Row::default()
    }));
    if all.is_empty() {
        eprintln!("{} holds no tariff yet: harmonize tariff import", lake.url());
    }
    let columns = vec![
        ("kind", texts(&all, |r| Some(r.kind.into()))),
        ("name", texts(&all, |r| Some(r.name.clone()))),
        ("valid_from", texts(&all, |r| r.valid_from.clone())),
        ("valid_to", texts(&all, |r| r.valid_to.clone())),
        ("in_force", texts(&all, |r| r.in_force.map(str::to_string))),
        ("chapters", numbers(&all, |r| r.chapters)),
        ("headings", numbers(&all, |r| r.headings)),
        ("subheadings", numbers(&all, |r| r.subheadings)),
        ("national", numbers(&all, |r| r.national)),
        ("pairs", numbers(&all, |r| r.pairs)),
        ("source", texts(&all, |r| Some(r.source.clone()))),
        ("import_id", texts(&all, |r| Some(r.import_id.clone()))),
    ];
    rows(columns, args.format)?;
    Ok(0)
}

fn of_nomenclature(tariff: &Tariff, of: &Nomenclature, today: chrono::NaiveDate) -> Row {
    let next = tariff.next_start(of);
    let last = of.validity.to.or_else(|| next?.pred_opt());
    let in_force = match () {
        () if of.validity.holds(today, next) => "yes",
        () if of.validity.from > today => "ahead",
        () => "past",
    };
    Row {
        kind: "nomenclature",
        name: of.name.to_string(),
        valid_from: Some(of.validity.from.to_string()),
        valid_to: last.map(|day| day.to_string()),
        in_force: Some(in_force),
        chapters: Some(of.count(2)),
        headings: Some(of.count(4)),
        subheadings: Some(of.count(6)),
        national: Some(of.count(8) + of.count(10)),
        pairs: None,
        source: of.source.clone(),
        import_id: of.import_id.clone(),
    }
}
