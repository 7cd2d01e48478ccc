//! Decisions from files into the lake, in one commit.
//!
//! Always holds: what rests on the state of the table `decisions` is committed right after that state, or planned again. Nothing
//! is written when a row is refused, unless refused rows are to be passed over.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, Utc};

use super::answer::{Answer, Entered, Place as At, Verdict, entered};
use super::columns::{NEEDED, READ};
use super::decision::{Decision, batches, fingerprint};
use super::judge::{Judge, Left, Trouble};
use super::lines::Lines;
use super::read::{Wanted, rows};
use super::reasons::ReasonCodes;
use super::report::{Conflict, Item, Outcome, Report};
use super::settle::settle;
use super::wording::Wording;
use crate::contract::Contract;
use crate::error::{Error, Result};
use crate::lake::{Place, Staged, Table};
use crate::sql::{Limits, register_lake, session};
use crate::tariff::Tariff;

/// What is imported, and how.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The lake that gets the decisions.
    pub lake: Place,
    /// Files that people filled in.
    pub files: Vec<PathBuf>,
    /// Who decided, where a row says nobody.
    pub reviewer: Option<String>,
    /// Reason codes that people may give.
    pub reasons: ReasonCodes,
    /// Whether these decisions take the place of what was decided otherwise.
    pub replace: bool,
    /// Whether they hold for lines that another model has answered since.
    pub allow_stale: bool,
    /// Whether refused rows are passed over.
    pub skip_bad: bool,
    /// Whether nothing is written.
    pub dry_run: bool,
    /// When it is; the clock is read once.
    pub now: DateTime<Utc>,
    /// Share of the machine.
    pub limits: Limits,
}

/// Times that it is planned anew when others write decisions meanwhile.
const ATTEMPTS: usize = 10;

/// Imports decisions.
///
/// # Errors
/// `Input` for a file that cannot be read as what it is, and for tables of another shape; `RaceLost` and `CommitUnknown` with
/// the next step; those of store and disk. What is wrong with single rows is in the report.
pub async fn import(options: &ImportOptions) -> Result<Report> {
    let files: Vec<String> = options.files.iter().map(|file| file.display().to_string()).collect();
    let read = read_files(options, &files)?;
    let mut lost = None;
    for _ in 0..ATTEMPTS {
        let version = version(&options.lake).await?;
        let (mut report, decisions) = plan(options, &files, &read).await?;
        let stopped = report.count(Outcome::Refused) > 0 && !options.skip_bad;
        if options.dry_run || stopped || decisions.is_empty() {
            return Ok(report);
        }
        let rows = batches(&decisions)?;
        let staged = Staged::write(&options.lake, Contract::Decisions, &rows, &fingerprint(&decisions)).await?;
        match staged.commit_after(version).await {
            Ok(_) => {
                report.written = true;
                return Ok(report);
            }
            Err(e @ Error::RaceLost(_)) => lost = Some(e),
            Err(e) => return Err(e),
        }
    }
    Err(lost.unwrap_or_else(|| Error::Bug("an import without an attempt".into())))
}

/// What the files hold.
struct Read {
    answers: Vec<Answer>,
    report: Report,
}

fn read_files(options: &ImportOptions, files: &[String]) -> Result<Read> {
    let mut read = Read { answers: Vec::new(), report: Report::default() };
    let wanted = Wanted { columns: &READ, needed: &NEEDED };
    for (file, path) in options.files.iter().enumerate() {
        rows(path, wanted, &mut |(row, cells)| {
            read.report.rows += 1;
            match entered(At { file, row }, cells, &options.reasons, options.reviewer.as_deref()) {
                Entered::Answer(answer) => read.answers.push(*answer),
                Entered::Undecided { noted } => {
                    read.report.undecided += 1;
                    read.report.noted += u64::from(noted);
                }
                Entered::Refused(why) => {
                    let left = Left { place: At { file, row }, who: None, trouble: Trouble::Refused(why) };
                    read.report.items.push(left_out(files, left));
                }
            }
            Ok(())
        })?;
    }
    Ok(read)
}

/// The version of the table of decisions; 0 when it is yet to be created.
async fn version(lake: &Place) -> Result<u64> {
    let table = Table::open(&lake.child(Contract::Decisions.table())).await?;
    Ok(table.map_or(0, |table| table.version()))
}

async fn plan(options: &ImportOptions, files: &[String], read: &Read) -> Result<(Report, Vec<Decision>)> {
    let context = session(options.limits)?;
    register_lake(&context, &options.lake).await?;
    let wording = Wording::new(Tariff::load(&context).await?, None);
    let lines = Lines::read(&context, &read.answers).await?;
    let mut judge =
        Judge { lines: &lines, wording: &wording, codes: BTreeMap::new(), allow_stale: options.allow_stale };
    let mut report = read.report.clone();
    let mut held = Vec::with_capacity(read.answers.len());
    for answer in &read.answers {
        match judge.judge(answer.clone()) {
            Ok(one) => held.push(one),
            Err(left) => report.items.push(left_out(files, *left)),
        }
    }
    let (decisions, items) = settle(&held, files, &lines, options.replace, options.now.timestamp_micros());
    report.items.extend(items);
    let place = |item: &Item| (files.iter().position(|file| *file == item.file), item.row);
    report.items.sort_by_cached_key(place);
    Ok((report, decisions))
}

fn left_out(files: &[String], left: Left) -> Item {
    let (outcome, conflict, why) = match left.trouble {
        Trouble::Refused(why) => (Outcome::Refused, None, why),
        Trouble::Stale(why) => (Outcome::Conflict, Some(Conflict::Stale), why),
    };
    let (verdict, reviewer) = left.who.unzip();
    Item {
        file: files[left.place.file].clone(),
        row: left.place.row,
        outcome,
        verdict: verdict.map(Verdict::as_str),
        hs6: None,
        reviewer,
        decision_id: None,
        was: None,
        conflict,
        why: Some(why),
        repaired: None,
    }
}
