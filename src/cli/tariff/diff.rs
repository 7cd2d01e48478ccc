//! `harmonize tariff diff`

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::{ArgMatches, Args};

use super::super::settings::PlaceArgs;
use super::super::table::{Format, rows, text};
use super::lines::{self, Lines};
use super::{numbers, open, read_file, texts};
use crate::error::{Context, Error, Result};
use crate::tariff::{
    Action, Advisor, CatchAll, Change, Changes, Correlation, Kind, Name, Nomenclature, Pairs, Policy, Subheading,
    Validity, Year,
};

#[derive(Args)]
#[command(
    after_help = "Kinds: unchanged, renumbered, merged, split, deleted (each old code is one of them); new (a new code without a \
                        predecessor); beside them scope_changed, number_gone, number_new. As a table both counts and policies are \
                        printed; --kind or --rows prints codes. Example:\n\n  \
                        harmonize tariff diff 2017 2022 --lake lake\n  \
                        harmonize tariff diff 2012 2022 --lake lake --kind split --format csv\n  \
                        harmonize tariff diff 2017 2022 --nomenclature-from hs2017.csv --nomenclature-to hs2022.csv \
                        --correlation correlation.csv --policies"
)]
pub struct DiffArgs {
    /// Older edition, such as 2017
    from: Year,
    /// Newer edition, such as 2022; where no table leads there at once, tables are followed one after the other
    to: Year,
    #[command(flatten)]
    place: PlaceArgs,
    /// Nomenclature of the older edition, in place of the lake's
    #[arg(long, value_name = "FILE", requires_all = ["nomenclature_to", "correlation"])]
    nomenclature_from: Option<PathBuf>,
    /// Nomenclature of the newer edition, in place of the lake's
    #[arg(long, value_name = "FILE", requires_all = ["nomenclature_from", "correlation"])]
    nomenclature_to: Option<PathBuf>,
    /// Correlation of the two, in place of the lake's
    #[arg(long, value_name = "FILE", requires_all = ["nomenclature_from", "nomenclature_to"])]
    correlation: Option<PathBuf>,
    /// What is done with catch-all links: follow, ignore or when_text_says
    #[arg(long, value_name = "POLICY", default_value_t = Policy::Follow)]
    catch_all: Policy,
    /// Text that when_text_says goes by [default: one that speaks of no group]
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Which links are catch-all links, as TOML; `--print-groups` prints what is built in
    #[arg(long, value_name = "FILE")]
    catch_all_file: Option<PathBuf>,
    /// Print the groups of catch-all links as TOML, and nothing else
    #[arg(long)]
    print_groups: bool,
    /// Print only what each policy comes to
    #[arg(long, conflicts_with_all = ["rows", "kind"])]
    policies: bool,
    /// Print the codes: every old one, and new ones without a predecessor
    #[arg(long)]
    rows: bool,
    /// Print the codes of this kind
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<Kind>,
    /// How rows are printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

fn kind(name: &str) -> Result<Kind, String> {
    let known = || Kind::ALL.map(Kind::as_str).join(", ");
    Kind::ALL.into_iter().find(|k| k.as_str() == name).ok_or_else(|| format!("give one of {}", known()))
}

/// What is compared: the way between the editions, and the wording of their codes.
struct Compared {
    steps: Vec<Correlation>,
    old: Nomenclature,
    new: Nomenclature,
}

pub async fn run(args: DiffArgs, matches: &ArgMatches) -> Result<u8> {
    let document = match &args.catch_all_file {
        Some(file) => {
            let named = || format!("--catch-all-file {}", file.display());
            std::fs::read_to_string(file).context(named)?
        }
        None => CatchAll::DOCUMENT.to_string(),
    };
    let catch_all = CatchAll::from_toml(&document).context(|| "the groups of catch-all links")?;
    if args.print_groups {
        text(document.as_bytes())?;
        return Ok(0);
    }
    let from_lake = match args.correlation {
        Some(_) => None,
        None => Some(open(&args.place, matches).await?),
    };
    let compared = match &from_lake {
        None => from_files(&args)?,
        Some((_, _, tariff)) => Compared {
            steps: tariff.way(args.from, args.to)?,
            old: tariff.edition(args.from)?.clone(),
            new: tariff.edition(args.to)?.clone(),
        },
    };
    let unnamed: Vec<(Subheading, usize)> = compared.steps.iter().flat_map(|step| catch_all.unnamed(step)).collect();
    let way: Vec<String> = compared.steps.iter().map(|step| step.to().to_string()).collect();
    let advisor = Advisor::new(&compared.steps, catch_all)?;
    let text = args.text.as_deref().unwrap_or_default();
    let changes = advisor.changes(args.catch_all, Some(text));
    if args.rows || args.kind.is_some() {
        print_codes(&args, &compared, changes)?;
        return Ok(0);
    }
    let lines = match &from_lake {
        Some((_, context, _)) => Some(lines::count(context, &advisor, args.from).await?),
        None => None,
    };
    if args.format == Format::Table {
        eprintln!("HS {} → {}", args.from, way.join(" → "));
        if let Some(lines) = &lines {
            eprintln!(
                "{} lines carry a code of HS {}; {} of another edition and {} without a code are not counted",
                lines.counted, args.from, lines.other_editions, lines.without_code
            );
        }
        for (code, predecessors) in unnamed {
            eprintln!("note: {code} has {predecessors} predecessors and is in no group of catch-all links");
        }
    }
    if !args.policies {
        print_counts(&args, changes, lines.as_ref())?;
    }
    if args.policies || args.format == Format::Table {
        print_policies(&args, &advisor, lines.as_ref())?;
    }
    Ok(0)
}

fn from_files(args: &DiffArgs) -> Result<Compared> {
    let (Some(old), Some(new), Some(table)) = (&args.nomenclature_from, &args.nomenclature_to, &args.correlation)
    else {
        return Err(Error::Usage("give --nomenclature-from, --nomenclature-to and --correlation together".into()));
    };
    let nomenclature = |file, year| {
        let (bytes, source) = read_file(file)?;
        // The days do not matter to a comparison of codes.
        let validity = Validity { from: NaiveDate::default(), to: None };
        Nomenclature::from_csv(&bytes, Name::hs(year), validity, "en", &source)
    };
    let (old, new) = (nomenclature(old, args.from)?, nomenclature(new, args.to)?);
    let (bytes, source) = read_file(table)?;
    let pairs = Pairs::from_csv(&bytes, Some(args.from), Some(args.to), &source)?;
    let steps = vec![Correlation::new(&pairs, old.subheadings(), new.subheadings())?];
    Ok(Compared { steps, old, new })
}

fn print_counts(args: &DiffArgs, changes: &Changes, lines: Option<&Lines>) -> Result<()> {
    let all = Kind::ALL;
    let of_kind = |kind: &Kind| lines.map(|l| l.kinds.get(&(args.catch_all, *kind)).copied().unwrap_or(0) as usize);
    let counted = |kind: &Kind| if matches!(kind, Kind::New | Kind::NumberNew) { None } else { of_kind(kind) };
    let mut columns = vec![
        ("change", texts(&all, |k| Some(k.as_str().into()))),
        ("codes", numbers(&all, |k| Some(changes.count(*k)))),
    ];
    if lines.is_some() {
        columns.push(("lines", numbers(&all, counted)));
    }
    columns.push(("meaning", texts(&all, |k| Some(k.about().into()))));
    rows(columns, args.format)
}

fn print_policies(args: &DiffArgs, advisor: &Advisor, lines: Option<&Lines>) -> Result<()> {
    let text = args.text.as_deref().unwrap_or_default();
    let of = |policy: &Policy| advisor.changes(*policy, Some(text));
    let all = Policy::ALL;
    let mut columns = vec![("catch_all", texts(&all, |p| Some(p.as_str().into())))];
    for kind in
        [Kind::Unchanged, Kind::Renumbered, Kind::Merged, Kind::Split, Kind::Deleted, Kind::New, Kind::ScopeChanged]
    {
        columns.push((kind.as_str(), numbers(&all, |p| Some(of(p).count(kind)))));
    }
    let same_number = |p: &Policy| of(p).old().filter(|c| matches!(c.successors, [one] if *one == c.code)).count();
    let other_number = |p: &Policy| of(p).old().filter(|c| matches!(c.successors, [one] if *one != c.code)).count();
    columns.push(("one_target_same_number", numbers(&all, |p| Some(same_number(p)))));
    columns.push(("one_target_other_number", numbers(&all, |p| Some(other_number(p)))));
    let candidates: Vec<Vec<usize>> = all.iter().map(|p| of(p).candidates()).collect();
    columns.push(("median_candidates", numbers(&candidates, |sizes| sizes.get(sizes.len() / 2).copied())));
    columns.push(("most_candidates", numbers(&candidates, |sizes| sizes.last().copied())));
    let decides = advisor.text_decides().len();
    columns.push(("text_decides", numbers(&all, |p| Some(if *p == Policy::WhenTextSays { decides } else { 0 }))));
    let named = Action::ALL.map(|action| (format!("lines_{}", action.as_str()), action));
    if let Some(lines) = lines {
        for (name, action) in &named {
            let count = |p: &Policy| Some(lines.actions.get(&(*p, *action)).copied().unwrap_or(0) as usize);
            columns.push((name.as_str(), numbers(&all, count)));
        }
    }
    rows(columns, args.format)
}

/// One printed code: an old one with what it became, or a new one with what it was.
struct Code {
    from_codes: String,
    to_codes: String,
    change: Kind,
    scope_changed: bool,
    action: Option<Action>,
    description: String,
}

fn print_codes(args: &DiffArgs, compared: &Compared, changes: &Changes) -> Result<()> {
    let wanted = |change: &Change<'_>| args.kind.is_none_or(|kind| changes.is(change, kind));
    let mut all: Vec<Code> = Vec::new();
    for change in changes.old().filter(wanted) {
        all.push(Code {
            from_codes: change.code.to_string(),
            to_codes: joined(change.successors),
            change: change.kind,
            scope_changed: change.scope_changed,
            action: Some(change.action()),
            description: compared.old.text(change.code.as_str()).into(),
        });
    }
    let kind = args.kind.unwrap_or(Kind::New);
    for (code, predecessors) in changes.new_codes().filter(|(code, _)| changes.is_of_new(*code, kind)) {
        all.push(Code {
            from_codes: joined(predecessors),
            to_codes: code.to_string(),
            change: if predecessors.is_empty() { Kind::New } else { kind },
            scope_changed: false,
            action: None,
            description: compared.new.text(code.as_str()).into(),
        });
    }
    let columns = vec![
        ("from_codes", texts(&all, |c| Some(c.from_codes.clone()).filter(|codes| !codes.is_empty()))),
        ("to_codes", texts(&all, |c| Some(c.to_codes.clone()).filter(|codes| !codes.is_empty()))),
        ("change", texts(&all, |c| Some(c.change.as_str().into()))),
        ("scope_changed", texts(&all, |c| Some(if c.scope_changed { "yes" } else { "no" }.into()))),
        ("action", texts(&all, |c| c.action.map(|a| a.as_str().to_string()))),
        ("description", texts(&all, |c| Some(c.description.clone()))),
    ];
    rows(columns, args.format)
}

fn joined(codes: &[Subheading]) -> String {
    codes.iter().map(Subheading::as_str).collect::<Vec<_>>().join(" ")
}
