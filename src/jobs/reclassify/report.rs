//! What a reclassification comes to: lines by what became of them, with what they are worth.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::line::{Before, Outcome};
use super::worth::Tally;
use crate::policy::{Decision, Reason};
use crate::tariff::{Kind, Policy, Subheading};

/// Lines by what became of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReclassifyReport {
    /// Lines of the older edition.
    pub lines: u64,
    /// The same with their value, and those of them that wait for a person afterwards, whatever they did before.
    pub all: Tally,
    pub queue: Tally,
    /// By decision.
    pub decisions: BTreeMap<String, u64>,
    /// By what became of the code that they had: the kinds of change, `unknown_code`, `no_code`.
    pub kinds: BTreeMap<String, u64>,
    /// Lines whose number lives on with other goods: a check that the number exists would have passed them over.
    pub scope_changed: u64,
    /// What was done with catch-all links.
    pub catch_all: String,
    /// Lines that the model was asked about: within successor sets, and over the whole edition.
    pub asked_within: u64,
    pub asked_whole: u64,
    /// Lines that the model would have been asked about, whose text the lake does not hold.
    pub without_text: u64,
    /// Lines whose choice would have been accepted, and that people look at to measure how often that is wrong.
    pub audit_sample: u64,
    /// Lines with a code that counted before, and of these lines with one that counts now: the others need a person.
    pub coded_before: u64,
    pub coded_after: u64,
    /// By chapter of the old code.
    pub chapters: BTreeMap<String, Chapter>,
    /// Old codes whose lines need people.
    pub costly: BTreeMap<String, Costly>,
    /// Lines by input file.
    #[serde(skip)]
    pub files: BTreeMap<String, u64>,
}

/// Lines of a chapter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Chapter {
    pub all: Tally,
    pub carried: Tally,
    pub mapped: Tally,
    /// Accepted within a successor set.
    pub accepted: Tally,
    /// Lines that had a code that counted, and need a person now.
    pub to_people: Tally,
}

/// An old code whose lines need people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Costly {
    pub all: Tally,
    pub to_people: Tally,
    pub successors: u64,
}

impl ReclassifyReport {
    /// Share of the lines that had a code that counted and have one now, 0 to 1.
    pub fn without_people_ratio(&self) -> f64 {
        if self.coded_before == 0 { 1.0 } else { self.coded_after as f64 / self.coded_before as f64 }
    }

    /// Lines that a change of rates alone would not have touched: those whose code lives on unchanged.
    pub fn rate_only_skips(&self) -> u64 {
        self.kinds.get(Kind::Unchanged.as_str()).copied().unwrap_or(0)
    }

    /// Lines that a check that the number exists would have passed over.
    pub fn number_exists(&self) -> u64 {
        self.rate_only_skips() + self.scope_changed
    }

    /// Lines with a decision.
    pub fn decided(&self, decision: Decision) -> u64 {
        self.decisions.get(decision.as_str()).copied().unwrap_or(0)
    }

    /// The old codes whose lines cost people most, most lines first.
    pub fn costliest(&self, most: usize) -> Vec<(Subheading, &Costly)> {
        let mut all: Vec<_> = self
            .costly
            .iter()
            .filter(|(_, costly)| costly.to_people.lines > 0)
            .filter_map(|(code, costly)| Some((code.parse().ok()?, costly)))
            .collect();
        all.sort_by(|a: &(Subheading, &Costly), b| b.1.to_people.lines.cmp(&a.1.to_people.lines).then(a.0.cmp(&b.0)));
        all.truncate(most);
        all
    }
}

/// Kinds of change of a code, and behind them a code that the older edition does not have, and none.
const KINDS: usize = Kind::OF_OLD.len() + 2;
const UNKNOWN: usize = KINDS - 2;
const NO_CODE: usize = KINDS - 1;

/// Chapters have two digits.
const CHAPTERS: usize = 100;

/// Counts lines as they pass; nothing is allocated for a line.
pub(super) struct Counter {
    sum: ReclassifyReport,
    decisions: [u64; Decision::ALL.len()],
    kinds: [u64; KINDS],
    chapters: Vec<Chapter>,
    costly: HashMap<Subheading, Costly>,
    /// The file of the last line, and its lines since they began.
    file: (String, u64),
}

impl Default for Counter {
    fn default() -> Self {
        Counter {
            sum: ReclassifyReport::default(),
            decisions: [0; Decision::ALL.len()],
            kinds: [0; KINDS],
            chapters: vec![Chapter::default(); CHAPTERS],
            costly: HashMap::new(),
            file: (String::new(), 0),
        }
    }
}

impl Counter {
    /// One line of a file, worth so much.
    pub fn add(&mut self, file: &str, before: Before, outcome: &Outcome, value: Option<f64>) {
        let Outcome { after, kind, successors, scope_changed, .. } = outcome;
        if file != self.file.0 {
            self.turn_to(file);
        }
        self.file.1 += 1;
        self.sum.all.add(value);
        self.decisions[after.decision as usize] += 1;
        let counts = matches!(after.decision, Decision::Carried | Decision::Mapped | Decision::Accept);
        if !counts {
            self.sum.queue.add(value);
        }
        let Some(code) = before.code() else {
            self.kinds[NO_CODE] += 1;
            return;
        };
        let of_kind = kind.and_then(|kind| Kind::OF_OLD.iter().position(|of| *of == kind));
        self.kinds[of_kind.unwrap_or(UNKNOWN)] += 1;
        self.sum.scope_changed += u64::from(*scope_changed);
        let counted = matches!(before, Before::Decided(_) | Before::Coded(_));
        let to_people = counted && !counts;
        self.sum.coded_before += u64::from(counted);
        self.sum.coded_after += u64::from(counted && counts);
        self.sum.asked_within += u64::from(after.asked && !after.asks_all);
        self.sum.asked_whole += u64::from(after.asks_all);
        self.sum.audit_sample += u64::from(after.reasons.has(Reason::AuditSample));
        let chapter = &mut self.chapters[code.chapter().parse::<usize>().unwrap_or(0) % CHAPTERS];
        chapter.all.add(value);
        let of_decision = match after.decision {
            Decision::Carried => Some(&mut chapter.carried),
            Decision::Mapped => Some(&mut chapter.mapped),
            Decision::Accept => Some(&mut chapter.accepted),
            _ => None,
        };
        of_decision.into_iter().for_each(|tally| tally.add(value));
        if to_people {
            chapter.to_people.add(value);
        }
        if successors.len() != 1 || to_people {
            let costly = self.costly.entry(code).or_default();
            costly.all.add(value);
            costly.successors = costly.successors.max(successors.len() as u64);
            if to_people {
                costly.to_people.add(value);
            }
        }
    }

    /// A line that the model would have been asked about, if the lake held its text.
    pub fn add_without_text(&mut self) {
        self.sum.without_text += 1;
    }

    fn turn_to(&mut self, file: &str) {
        let (last, lines) = std::mem::replace(&mut self.file, (file.to_owned(), 0));
        if lines > 0 {
            *self.sum.files.entry(last).or_default() += lines;
        }
    }

    /// Adds those of another task.
    pub fn merge(&mut self, other: Counter) {
        let other = other.settled();
        for (into, from) in [(&mut self.sum.all, &other.sum.all), (&mut self.sum.queue, &other.sum.queue)] {
            into.merge(from);
        }
        self.sum.scope_changed += other.sum.scope_changed;
        self.sum.asked_within += other.sum.asked_within;
        self.sum.asked_whole += other.sum.asked_whole;
        self.sum.without_text += other.sum.without_text;
        self.sum.audit_sample += other.sum.audit_sample;
        self.sum.coded_before += other.sum.coded_before;
        self.sum.coded_after += other.sum.coded_after;
        self.decisions.iter_mut().zip(other.decisions).for_each(|(into, n)| *into += n);
        self.kinds.iter_mut().zip(other.kinds).for_each(|(into, n)| *into += n);
        for (into, from) in self.chapters.iter_mut().zip(&other.chapters) {
            into.all.merge(&from.all);
            into.carried.merge(&from.carried);
            into.mapped.merge(&from.mapped);
            into.accepted.merge(&from.accepted);
            into.to_people.merge(&from.to_people);
        }
        for (code, from) in other.costly {
            let into = self.costly.entry(code).or_default();
            into.all.merge(&from.all);
            into.to_people.merge(&from.to_people);
            into.successors = into.successors.max(from.successors);
        }
        for (file, n) in other.sum.files {
            *self.sum.files.entry(file).or_default() += n;
        }
    }

    fn settled(mut self) -> Counter {
        self.turn_to("");
        self
    }

    /// What was counted under a policy for catch-all links.
    pub fn into_report(self, policy: Policy) -> ReclassifyReport {
        let Counter { sum, decisions, kinds, chapters, costly, .. } = self.settled();
        let named = |(name, n): (&str, u64)| (n > 0).then(|| (name.to_owned(), n));
        let names = Kind::OF_OLD.iter().map(|kind| kind.as_str()).chain(["unknown_code", "no_code"]);
        let decisions = Decision::ALL.iter().map(|decision| decision.as_str()).zip(decisions).filter_map(named);
        let chapters = chapters.into_iter().enumerate().filter(|(_, of)| of.all.lines > 0);
        ReclassifyReport {
            lines: sum.all.lines,
            catch_all: policy.to_string(),
            decisions: decisions.collect(),
            kinds: names.zip(kinds).filter_map(named).collect(),
            chapters: chapters.map(|(at, of)| (format!("{at:02}"), of)).collect(),
            costly: costly.into_iter().map(|(code, of)| (code.as_str().to_owned(), of)).collect(),
            ..sum
        }
    }
}
