//! What became of every row that was to be imported.

use serde::Serialize;

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Its decision is written, or would be.
    New,
    /// The lake has it.
    There,
    /// Another row of the files says the same.
    Repeated,
    /// It is wrong.
    Refused,
    /// It does not agree with another decision, or with the line as it is now.
    Conflict,
}

/// What a conflict is with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Conflict {
    /// Two people decide differently in the files.
    PeopleDiffer,
    /// One person decides twice, differently, in the files.
    Twice,
    /// Another person decided differently before.
    DecidedOtherwise,
    /// The same person decided differently before.
    ChangedMind,
    /// It was imported before, and a later decision took its place.
    ReplacedSince,
    /// A binding ruling stands, on which this does not rest.
    Ruling,
    /// The line is not what was shown.
    Stale,
}

impl Conflict {
    /// In words, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Conflict::PeopleDiffer => "two people differ",
            Conflict::Twice => "one person twice, differently",
            Conflict::DecidedOtherwise => "decided otherwise before",
            Conflict::ChangedMind => "the same person decided otherwise before",
            Conflict::ReplacedSince => "replaced since",
            Conflict::Ruling => "against a binding ruling",
            Conflict::Stale => "the line has changed",
        }
    }
}

/// A row, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// File as it was named.
    pub file: String,
    /// Row of the sheet, the header being 1; task of Label Studio, from 1.
    pub row: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// What was decided; `None` when that cannot be read.
    pub verdict: Option<&'static str>,
    /// Code that was decided on.
    pub hs6: Option<String>,
    /// Who decided.
    pub reviewer: Option<String>,
    /// Identity of the decision.
    pub decision_id: Option<String>,
    /// The decision that counted before, in words.
    pub was: Option<String>,
    /// What a conflict is with.
    pub conflict: Option<Conflict>,
    /// Why it is refused or in conflict.
    pub why: Option<String>,
    /// What was done to the code that was entered.
    pub repaired: Option<String>,
}

/// What an import did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Rows of the files.
    pub rows: u64,
    /// Rows without a decision.
    pub undecided: u64,
    /// Of these, rows with a reason, a note or a ruling, which wait with them.
    pub noted: u64,
    /// Whether decisions were written.
    pub written: bool,
    /// Rows with a decision, in the order of the files.
    pub items: Vec<Item>,
}

impl Report {
    /// Rows with an outcome.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.items.iter().filter(|item| item.outcome == outcome).count() as u64
    }

    /// Rows whose code was repaired.
    pub fn repaired(&self) -> u64 {
        self.items.iter().filter(|item| item.repaired.is_some()).count() as u64
    }
}
