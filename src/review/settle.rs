//! Decisions held against each other and against those of the lake.
//!
//! Always holds: nobody's decision is chosen over another's; all that do not agree are left out, unless it is said that those of
//! the files replace those of the lake. A decision that is there is not made again.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat};

use super::answer::Verdict;
use super::decision::{Content, Decision};
use super::judge::Held;
use super::lines::{Address, Decided, Lines, Standing};
use super::report::{Conflict, Item, Outcome};

/// What becomes of a decision.
enum Fate {
    New { id: String, was: Option<String>, at: i64 },
    There { was: Option<String> },
    Repeated,
    Conflict(Conflict, String),
}

/// The decisions that are to be written, and what becomes of every row. `now` is in microseconds since 1970.
pub(super) fn settle(
    held: &[Held],
    files: &[String],
    lines: &Lines,
    replace: bool,
    now: i64,
) -> (Vec<Decision>, Vec<Item>) {
    let ids: Vec<String> = held.iter().map(|one| content(one).id(None)).collect();
    let mut among = among_files(held, &ids, files);
    let (mut decisions, mut items) = (Vec::new(), Vec::new());
    for (n, one) in held.iter().enumerate() {
        let fate = match among.remove(&n) {
            Some(fate) => fate,
            None => against_lake(one, &ids[n], lines, replace, now),
        };
        let mut item = item(one, files, &ids[n]);
        match fate {
            Fate::New { id, was, at } => {
                decisions.push(decision(one, id.clone(), at));
                item = Item { was, decision_id: Some(id), ..item };
            }
            Fate::There { was } => item = Item { outcome: Outcome::There, was, ..item },
            Fate::Repeated => item.outcome = Outcome::Repeated,
            Fate::Conflict(conflict, why) => {
                item = Item { outcome: Outcome::Conflict, conflict: Some(conflict), why: Some(why), ..item };
            }
        }
        items.push(item);
    }
    (decisions, items)
}

/// A line or a text, in an edition.
type Target<'a> = (Option<&'a Address>, Option<&'a str>, &'a str);

/// What the files say against each other.
fn among_files(held: &[Held], ids: &[String], files: &[String]) -> BTreeMap<usize, Fate> {
    let mut of_target: BTreeMap<Target<'_>, Vec<usize>> = BTreeMap::new();
    let mut of_text: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (n, one) in held.iter().enumerate() {
        let (digest, edition) = (one.shown.text_digest.as_deref(), one.shown.edition.as_str());
        of_target.entry((one.line(), digest, edition)).or_default().push(n);
        if let Some(digest) = digest {
            of_text.entry((digest, edition)).or_default().push(n);
        }
    }
    // One for a text speaks for its lines too.
    of_text.retain(|_, rows| rows.iter().any(|n| held[*n].line().is_none()));
    let mut fates = BTreeMap::new();
    for rows in of_target.values().chain(of_text.values()) {
        disagreements(rows, held, files, &mut fates);
    }
    for rows in of_target.values() {
        // The same person, the same code, another note: which one counts is not ours to say.
        for n in rows.iter().filter(|n| !fates.contains_key(*n)).copied().collect::<Vec<_>>() {
            let mine = |m: &&usize| held[**m].answer.reviewer == held[n].answer.reviewer && ids[**m] != ids[n];
            let others: Vec<usize> = rows.iter().filter(mine).copied().collect();
            if !others.is_empty() {
                let why = format!("{}, with another reason, note or ruling", listed(others.into_iter(), held, files));
                fates.insert(n, Fate::Conflict(Conflict::Twice, why));
            }
        }
        let mut seen = BTreeSet::new();
        for n in rows {
            if !fates.contains_key(n) && !seen.insert(&ids[*n]) {
                fates.insert(*n, Fate::Repeated);
            }
        }
    }
    fates
}

/// Rows about one target of which not all say the same.
fn disagreements(rows: &[usize], held: &[Held], files: &[String], fates: &mut BTreeMap<usize, Fate>) {
    let mut by_said: BTreeMap<(Verdict, Option<&str>), Vec<usize>> = BTreeMap::new();
    for n in rows {
        by_said.entry(held[*n].says()).or_default().push(*n);
    }
    if by_said.len() < 2 {
        return;
    }
    for n in rows {
        let own = held[*n].says();
        let others = || by_said.iter().filter(|(said, _)| **said != own).flat_map(|(_, rows)| rows.iter().copied());
        let by_others = others().any(|m| held[m].answer.reviewer != held[*n].answer.reviewer);
        let kind = if by_others { Conflict::PeopleDiffer } else { Conflict::Twice };
        fates.entry(*n).or_insert_with(|| Fate::Conflict(kind, listed(others(), held, files)));
    }
}

/// The first rows of some, and how many more there are.
fn listed(rows: impl Iterator<Item = usize>, held: &[Held], files: &[String]) -> String {
    let rows: Vec<usize> = rows.collect();
    let told: Vec<String> = rows.iter().take(3).map(|n| told(&held[*n], files)).collect();
    let more = if rows.len() > 3 { format!(" and {} more", rows.len() - 3) } else { String::new() };
    format!("{}{more}", told.join("; "))
}

/// `row 5 of a.csv: 610910, Ana`.
fn told(one: &Held, files: &[String]) -> String {
    let place = one.answer.place;
    format!("row {} of {}: {}, {}", place.row, files[place.file], said(one.says()), one.answer.reviewer)
}

fn said((verdict, hs6): (Verdict, Option<&str>)) -> String {
    hs6.map_or_else(|| verdict.as_str().to_string(), str::to_string)
}

/// What the lake says to a decision.
fn against_lake(one: &Held, id: &str, lines: &Lines, replace: bool, now: i64) -> Fate {
    let decided = lines.decided(one.shown.text_digest.as_deref());
    let edition = one.shown.edition.as_str();
    // Of the line itself, or of the text itself, the one that counts first.
    let own = decided.on(one.line());
    let top = own.first();
    let agrees = |s: &Standing| s.edition == edition && of_lake(s) == one.says();
    let was = top.map(said_before);
    let again = own.iter().any(|s| s.id == id);
    if again && top.is_some_and(agrees) {
        return Fate::There { was };
    }
    let mut rulings = top.into_iter().chain(beside(one, decided));
    if let Some(ruling) = rulings.find(|s| s.binding && !one.answer.binding && !agrees(s)) {
        let why = format!("{} rests on one; write yes into binding if this does too", said_before(ruling));
        return Fate::Conflict(Conflict::Ruling, why);
    }
    if !replace {
        if let Some(top) = top.filter(|_| again) {
            return Fate::Conflict(Conflict::ReplacedSince, format!("{} came later", said_before(top)));
        }
        let mut of_edition = own.iter().find(|s| s.edition == edition).into_iter().chain(beside(one, decided));
        if let Some(other) = of_edition.find(|s| s.edition == edition && !agrees(s)) {
            let same = other.reviewer == one.answer.reviewer;
            let kind = if same { Conflict::ChangedMind } else { Conflict::DecidedOtherwise };
            return Fate::Conflict(kind, said_before(other));
        }
    }
    // What is replaced by a decision that was made before needs another identity than that one.
    let id = match top.filter(|_| again) {
        Some(top) => content(one).id(Some(&top.id)),
        None => id.to_string(),
    };
    // A clock that went ahead when the other was written must not make this one the older.
    let at = top.map_or(now, |top| now.max(top.decided_at + 1));
    Fate::New { id, was, at }
}

/// For a line, the decision on its text; for a text, those on its lines; of each the one that counts.
fn beside<'a>(one: &Held, decided: &'a Decided) -> Box<dyn Iterator<Item = &'a Standing> + 'a> {
    match one.line() {
        Some(_) => Box::new(decided.of_text.first().into_iter()),
        None => Box::new(decided.of_lines.values().filter_map(|standing| standing.first())),
    }
}

fn of_lake(standing: &Standing) -> (Verdict, Option<&str>) {
    let verdict = if standing.hs6.is_some() { Verdict::Confirm } else { Verdict::Unclassifiable };
    (verdict, standing.hs6.as_deref())
}

/// `610910 of HS 2022 by Ana on 2026-03-01, for the text`.
fn said_before(standing: &Standing) -> String {
    let day = DateTime::from_timestamp_micros(standing.decided_at).map(|at| at.date_naive().to_string());
    let what = if standing.line.is_some() { "for the line" } else { "for the text" };
    format!(
        "{} of HS {} by {} on {}, {what}",
        said(of_lake(standing)),
        standing.edition,
        standing.reviewer,
        day.unwrap_or_default()
    )
}

fn content(one: &Held) -> Content<'_> {
    Content {
        line: one.line(),
        text_digest: one.shown.text_digest.as_deref(),
        verdict: one.verdict,
        hs6: one.hs6.as_ref().map(crate::tariff::Subheading::as_str),
        edition: &one.shown.edition,
        binding: one.answer.binding,
        reason_code: one.answer.reason_code.as_deref(),
        note: one.answer.note.as_deref(),
        reviewer: &one.answer.reviewer,
    }
}

fn decision(one: &Held, id: String, at: i64) -> Decision {
    let at = DateTime::from_timestamp_micros(at).unwrap_or_default();
    Decision {
        decision_id: id,
        source_file: one.line().map(|(file, _)| file.clone()),
        source_row: one.line().map(|(_, row)| *row),
        text_digest: one.shown.text_digest.clone(),
        verdict: one.verdict.as_str(),
        hs6: one.hs6.map(|code| code.to_string()),
        tariff_edition: one.shown.edition.clone(),
        binding: one.answer.binding,
        reason_code: one.answer.reason_code.clone(),
        note: one.answer.note.clone(),
        reviewer: one.answer.reviewer.clone(),
        decided_at: at.to_rfc3339_opts(SecondsFormat::Micros, true),
        shown_run_id: Some(one.shown.run_id.clone()),
        shown_hs6: one.shown.hs6.clone(),
        shown_confidence: one.shown.confidence,
        shown_model_digest: Some(one.shown.model_digest.clone()),
    }
}

fn item(one: &Held, files: &[String], id: &str) -> Item {
    Item {
        file: files[one.answer.place.file].clone(),
        row: one.answer.place.row,
        outcome: Outcome::New,
        verdict: Some(one.verdict.as_str()),
        hs6: one.hs6.map(|code| code.to_string()),
        reviewer: Some(one.answer.reviewer.clone()),
        decision_id: Some(id.to_string()),
        was: None,
        conflict: None,
        why: None,
        repaired: one.repaired.clone(),
    }
}
