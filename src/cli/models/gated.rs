//! A promotion by gates: evidence and the lake's runs are judged, and what comes of it is one event.
//!
//! Always holds: the history is read first, so a champion that changes meanwhile ends it with 30; a promotion and a refusal
//! both record the comparison and every gate.

use serde_json::{Value, json};

use super::super::settings::Settings;
use super::super::table::{Format, text};
use super::promote::{PromoteArgs, done, evidence, keep, page};
use super::{Column, rows};
use crate::challenge::{Comparison, Facts, Gates, Judged, Shadow, judge, shadow};
use crate::error::{Context, Error, Result};
use crate::lake::Place;
use crate::model::manifest::sha256_hex;
use crate::registry::event::MAX_EVIDENCE_BYTES;
use crate::registry::{Act, Deed, Evidence, Registry, Target};

/// Exit code of a promotion that was stopped.
const STOPPED: u8 = 10;

pub async fn run(args: &PromoteArgs, gates: &Gates, registry: &Registry, settings: &mut Settings<'_>) -> Result<u8> {
    let mut act = args.by.act(args.why.as_deref().unwrap_or("judged by the gates"))?;
    if let Some(name) = &args.approved_by {
        Act::new(name, act.at, "approved").context(|| "--approved-by")?;
    }
    let lake = lake(args, gates, settings)?;
    let name = args.model.name();
    let mut history = registry.history(name).await?;
    let loaded = registry.load(&args.model).await?;
    let target = Target { version: loaded.version, digest: loaded.bundle.digest };
    let held = history.state().named(&args.alias).cloned();
    let before = held.as_ref().map(|held| held.version);
    if held.as_ref().is_some_and(|held| (held.version, &held.digest) == (target.version, &target.digest)) {
        let deed = history.promote(&target, &args.alias, Evidence::default(), &act).await?;
        text(done(args, deed, &target, before).as_bytes())?;
        return Ok(0);
    }
    let json = evidence(args)?.ok_or_else(|| {
        Error::Usage(
            "there are gates, and --evidence is missing; harmonize models compare --evidence FILE --report FILE \
             writes it"
                .into(),
        )
    })?;
    let comparison = Comparison::read(&json);
    let html = page(args)?;
    let report = html.as_deref().map(sha256_hex);
    let beside = match (&lake, &held) {
        (Some(lake), Some(held)) => shadow(lake, &held.digest, &target.digest).await?,
        _ => Shadow::default(),
    };
    let judged = judge(
        gates,
        &Facts {
            alias: &args.alias,
            champion: held.as_ref().map(|held| held.digest.as_str()),
            challenger: &target.digest,
            comparison: comparison.as_ref().map_err(String::as_str),
            report: report.as_deref(),
            shadow: beside,
            approved_by: args.approved_by.as_deref(),
            now: act.at,
        },
    );
    let red: Vec<&str> = judged.iter().filter(|row| !row.passed).map(|row| row.gate).collect();
    let stopped = match (red.is_empty(), args.auto || args.approved_by.is_some()) {
        (true, true) => None,
        (true, false) => Some("all gates are green; --auto or --approved-by NAME promotes".to_owned()),
        (false, _) => Some(format!("red: {}", red.join(", "))),
    };
    if args.why.is_none() {
        act.why = stopped.clone().unwrap_or_else(|| "all gates are green".into());
    }
    let mut record = Evidence {
        json: Some(recorded(stopped.as_deref(), args, &judged, comparison.is_ok().then_some(json))?),
        report_sha256: None,
    };
    // A page that is not the one of the evidence is kept by nobody.
    let named = comparison.ok().and_then(|c| c.report_sha256);
    if let Some(html) = html.filter(|_| named.is_some() && named == report) {
        record.report_sha256 = Some(keep(args, registry, html).await?);
    }
    print(judged, args.format)?;
    let Some(stopped) = stopped else {
        let deed = history.promote(&target, &args.alias, record, &act).await?;
        say(&done(args, deed, &target, before), args.format)?;
        return Ok(0);
    };
    let (Deed::Done(event) | Deed::Already(event)) = history.refuse(&target, &args.alias, record, &act).await?;
    let alias = &args.alias;
    say(&format!("{name}@{} is not promoted to {alias}: {stopped} (event {event})\n", target.version), args.format)?;
    Ok(STOPPED)
}

/// The lake whose runs are asked about, if they are.
fn lake(args: &PromoteArgs, gates: &Gates, settings: &mut Settings) -> Result<Option<Place>> {
    if !gates.need_runs() {
        return Ok(None);
    }
    let url = settings.lake_if_named(args.registry.lake.clone())?.ok_or_else(|| {
        Error::Usage("--lake is missing; the gates ask for a shadow period, which is measured by its runs".into())
    })?;
    Place::open(&url).map(Some)
}

/// What the event keeps.
fn recorded(stopped: Option<&str>, args: &PromoteArgs, judged: &[Judged], comparison: Option<Value>) -> Result<Value> {
    let json = json!({
        "outcome": if stopped.is_none() { "promoted" } else { "refused" },
        "because": stopped.unwrap_or("all gates are green"),
        "auto": args.auto,
        "approved_by": args.approved_by,
        "gates": judged,
        "comparison": comparison,
    });
    let bytes = serde_json::to_vec_pretty(&json).map_err(|e| Error::Bug(format!("evidence: {e}")))?.len() as u64;
    if bytes > MAX_EVIDENCE_BYTES {
        return Err(Error::Usage(format!(
            "the evidence with its gates has {bytes} bytes, an event keeps {MAX_EVIDENCE_BYTES}; compare fewer nights"
        )));
    }
    Ok(json)
}

/// Prints a row for each gate.
fn print(judged: Vec<Judged>, format: Format) -> Result<()> {
    let words = |pick: fn(&Judged) -> &str| Column::Text(judged.iter().map(|row| Some(pick(row).to_owned())).collect());
    let columns = vec![
        ("gate", words(|row| row.gate)),
        ("limit", words(|row| &row.limit)),
        ("found", words(|row| &row.found)),
        ("passed", Column::Flag(judged.iter().map(|row| row.passed).collect())),
        ("explanation", Column::Text(judged.iter().map(|row| row.explanation.clone()).collect())),
    ];
    rows(columns, format)
}

/// A sentence behind a table; beside rows that a program reads it goes to standard error.
fn say(said: &str, format: Format) -> Result<()> {
    if format == Format::Table {
        return text(said.as_bytes());
    }
    eprint!("{said}");
    Ok(())
}
