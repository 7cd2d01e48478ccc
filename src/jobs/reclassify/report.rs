//! What a reclassification comes to.

use std::collections::BTreeMap;

use serde::Serialize;

use super::line::{After, Before};
use crate::tariff::{Kind, Subheading};

/// Lines by what became of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReclassifyReport {
    /// Lines of the older edition.
    pub lines: u64,
    /// By decision.
    pub decisions: BTreeMap<String, u64>,
    /// By what became of the code that they had: the kinds of change, `unknown_code`, `no_code`.
    pub kinds: BTreeMap<String, u64>,
    /// Lines that the model was asked about: within successor sets, and over the whole edition.
    pub asked_within: u64,
    pub asked_whole: u64,
    /// Lines that the model would have been asked about, whose text the lake does not hold.
    pub without_text: u64,
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
    pub lines: u64,
    pub carried: u64,
    pub mapped: u64,
    /// Accepted within a successor set.
    pub accepted: u64,
    /// Lines that had a code that counted, and need a person now.
    pub to_people: u64,
}

/// An old code whose lines need people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Costly {
    pub lines: u64,
    pub to_people: u64,
    pub successors: u64,
}

impl ReclassifyReport {
    pub(super) fn add(&mut self, before: Before, after: &After, kind: Option<Kind>, successors: usize) {
        self.lines += 1;
        *self.decisions.entry(after.decision.into()).or_default() += 1;
        let kind = match (before.code(), kind) {
            (None, _) => "no_code",
            (_, None) => "unknown_code",
            (_, Some(kind)) => kind.as_str(),
        };
        *self.kinds.entry(kind.into()).or_default() += 1;
        let Some(code) = before.code() else { return };
        let counted = matches!(before, Before::Decided(_) | Before::Coded(_));
        let counts = matches!(after.decision, "carried" | "mapped" | "accept");
        let to_people = counted && !counts;
        self.coded_before += u64::from(counted);
        self.coded_after += u64::from(counted && counts);
        let chapter = self.chapters.entry(code.chapter().into()).or_default();
        chapter.lines += 1;
        chapter.carried += u64::from(after.decision == "carried");
        chapter.mapped += u64::from(after.decision == "mapped");
        chapter.accepted += u64::from(after.decision == "accept");
        chapter.to_people += u64::from(to_people);
        if successors != 1 || to_people {
            let costly = self.costly.entry(code.as_str().into()).or_default();
            costly.lines += 1;
            costly.to_people += u64::from(to_people);
            costly.successors = successors as u64;
        }
    }

    pub(super) fn merge(&mut self, other: ReclassifyReport) {
        self.lines += other.lines;
        self.asked_within += other.asked_within;
        self.asked_whole += other.asked_whole;
        self.without_text += other.without_text;
        self.coded_before += other.coded_before;
        self.coded_after += other.coded_after;
        for (into, from) in
            [(&mut self.decisions, other.decisions), (&mut self.kinds, other.kinds), (&mut self.files, other.files)]
        {
            from.into_iter().for_each(|(name, n)| *into.entry(name).or_default() += n);
        }
        for (name, of) in other.chapters {
            let chapter = self.chapters.entry(name).or_default();
            chapter.lines += of.lines;
            chapter.carried += of.carried;
            chapter.mapped += of.mapped;
            chapter.accepted += of.accepted;
            chapter.to_people += of.to_people;
        }
        for (name, of) in other.costly {
            let costly = self.costly.entry(name).or_default();
            costly.lines += of.lines;
            costly.to_people += of.to_people;
            costly.successors = of.successors;
        }
    }

    /// Share of the lines that had a code that counted and have one now, 0 to 1.
    pub fn without_people_ratio(&self) -> f64 {
        if self.coded_before == 0 { 1.0 } else { self.coded_after as f64 / self.coded_before as f64 }
    }

    /// Lines that wait for a person afterwards, whatever they did before.
    pub fn queue(&self) -> u64 {
        ["review", "refuse", "held"].iter().filter_map(|decision| self.decisions.get(*decision)).sum()
    }

    /// Lines that a change of rates alone would not have touched: those whose code lives on unchanged.
    pub fn rate_only_skips(&self) -> u64 {
        self.kinds.get(Kind::Unchanged.as_str()).copied().unwrap_or(0)
    }

    /// The old codes whose lines cost people most, most first.
    pub fn costliest(&self, most: usize) -> Vec<(Subheading, &Costly)> {
        let mut all: Vec<_> = self
            .costly
            .iter()
            .filter(|(_, costly)| costly.to_people > 0)
            .filter_map(|(code, costly)| Some((code.parse().ok()?, costly)))
            .collect();
        all.sort_by(|a: &(Subheading, &Costly), b| b.1.to_people.cmp(&a.1.to_people).then(a.0.cmp(&b.0)));
        all.truncate(most);
        all
    }
}
