//! The report of a reclassification for people, and as CSV.

use super::super::table::{count, percent};
use crate::jobs::{Amount, Chapter, Costly, ReclassifyReport, Tally};
use crate::policy::Decision;

/// Chapters and codes that a table shows.
const SHOWN: usize = 10;

/// For people.
pub fn table(report: &ReclassifyReport) -> String {
    let valued = report.all.without_value < report.all.lines;
    let value = |tally: &Tally| if valued { worth(tally) } else { String::new() };
    let share = |n: u64| format!("{:>14}  {:>7}", count(n), percent(n, report.lines));
    let mut out = format!("  lines         {:>14}{}\n", count(report.lines), value(&report.all));
    if !valued && report.lines > 0 {
        out += "  value                      -  no line has one that was stored (classify --value)\n";
    }
    for decision in Decision::ALL {
        let n = report.decided(decision);
        if n > 0 {
            out += &format!("  {:<12}  {}\n", decision.as_str(), share(n));
        }
    }
    out += &format!(
        "  had a code    {:>14}  of which {} have one without a person ({})\n",
        count(report.coded_before),
        count(report.coded_after),
        percent(report.coded_after, report.coded_before)
    );
    out += &format!("  queue         {}{}\n", share(report.queue.lines), value(&report.queue));
    out += &format!(
        "  model asked   {}  among successors, {} over the edition\n",
        share(report.asked_within),
        count(report.asked_whole)
    );
    if report.audit_sample > 0 {
        out += &format!(
            "  audit sample  {}  would be accepted, and people measure how often that is wrong\n",
            share(report.audit_sample)
        );
    }
    if report.without_text > 0 {
        out += &format!(
            "  no text       {}  not stored in the lake (--store-text): to people\n",
            share(report.without_text)
        );
    }
    out += &format!(
        "  rates alone   {}  would be skipped by a change of rates: their code is unchanged\n",
        share(report.rate_only_skips())
    );
    out += &format!(
        "  number lives  {}  would be skipped by a look whether the number exists, {} of them with other goods now\n",
        share(report.number_exists()),
        count(report.scope_changed)
    );
    out += &format!("  catch-all     {}\n", report.catch_all);
    out += "  by what became of the code\n";
    for (kind, n) in &report.kinds {
        out += &format!("    {kind:<14}{}\n", share(*n));
    }
    out + &most(report, &value)
}

/// What costs people most.
fn most(report: &ReclassifyReport, value: &dyn Fn(&Tally) -> String) -> String {
    let mut chapters: Vec<_> = report.chapters.iter().filter(|(_, of)| of.to_people.lines > 0).collect();
    if chapters.is_empty() {
        return String::new();
    }
    chapters.sort_by(|a, b| b.1.to_people.lines.cmp(&a.1.to_people.lines).then(a.0.cmp(b.0)));
    let lines = |of: &Tally, all: &Tally| format!("{:>12} of {:>12} lines", count(of.lines), count(all.lines));
    let mut out = "  chapters that cost people most\n".to_string();
    for (name, of) in chapters.into_iter().take(SHOWN) {
        out += &format!("    {name}      {}{}\n", lines(&of.to_people, &of.all), value(&of.to_people));
    }
    out += "  codes that cost people most\n";
    for (code, of) in report.costliest(SHOWN) {
        let successors = of.successors;
        out += &format!(
            "    {code}  {}, {successors} successors{}\n",
            lines(&of.to_people, &of.all),
            value(&of.to_people)
        );
    }
    out
}

/// `, worth 1234.5 (7 without a value)`
fn worth(tally: &Tally) -> String {
    match tally.without_value {
        0 => format!(", worth {}", tally.value),
        lines => format!(", worth {} ({} without a value)", tally.value, count(lines)),
    }
}

/// The groups of a chapter, by the names of their columns.
fn groups(of: &Chapter) -> [(&'static str, &Tally); 5] {
    [
        ("", &of.all),
        ("carried", &of.carried),
        ("mapped", &of.mapped),
        ("accepted", &of.accepted),
        ("to_people", &of.to_people),
    ]
}

/// A row for all lines, for the queue, for every count of the report, for every chapter and for every old code whose lines need
/// people; what is not said of one is empty.
pub fn csv(report: &ReclassifyReport) -> String {
    let named = |what: &str| {
        groups(&Chapter::default()).map(|(group, _)| match (what, group) {
            ("lines", "") => "lines".to_string(),
            ("lines", group) => group.to_string(),
            (what, "") => what.to_string(),
            (what, group) => format!("{what}_{group}"),
        })
    };
    let header: Vec<String> = [named("lines"), named("value"), named("without_value")].into_iter().flatten().collect();
    let mut out = format!("by,name,{},successors\n", header.join(","));
    let mut row = |by: &str, name: &str, tallies: [Option<&Tally>; 5], successors: Option<u64>| {
        let each = |pick: fn(&Tally) -> String| tallies.map(|tally| tally.map(pick).unwrap_or_default()).join(",");
        let lines = each(|tally| tally.lines.to_string());
        let (value, without) = (each(|tally| amount(tally.value)), each(|tally| tally.without_value.to_string()));
        let successors = successors.map(|n| n.to_string()).unwrap_or_default();
        out += &format!("{by},{name},{lines},{value},{without},{successors}\n");
    };
    row("all", "", [Some(&report.all), None, None, None, None], None);
    row("queue", "", [Some(&report.queue), None, None, None, None], None);
    let counts = [
        ("had_code", "before", report.coded_before),
        ("had_code", "without_people", report.coded_after),
        ("model_asked", "within_successors", report.asked_within),
        ("model_asked", "over_edition", report.asked_whole),
        ("would_skip", "rates_alone", report.rate_only_skips()),
        ("would_skip", "number_exists", report.number_exists()),
        ("scope_changed", report.catch_all.as_str(), report.scope_changed),
    ];
    let kinds = report.kinds.iter().map(|(kind, n)| ("kind", kind.as_str(), *n));
    let decisions = report.decisions.iter().map(|(decision, n)| ("decision", decision.as_str(), *n));
    for (by, name, n) in counts.into_iter().chain(decisions).chain(kinds) {
        let tally = Tally { lines: n, ..Tally::default() };
        let lines_alone = [Some(&tally), None, None, None, None];
        row(by, name, lines_alone, None);
    }
    for (name, of) in &report.chapters {
        row("chapter", name, groups(of).map(|(_, tally)| Some(tally)), None);
    }
    for (code, Costly { all, to_people, successors }) in report.costliest(usize::MAX) {
        row("code", code.as_str(), [Some(all), None, None, None, Some(to_people)], Some(*successors));
    }
    out
}

fn amount(value: Amount) -> String {
    value.to_string()
}
