//! What became of the decisions, in numbers.

use serde::{Deserialize, Serialize};

use super::guard::KeptOut;
use crate::train::table::{Table, ratio};

/// Decisions that were learned from and that were not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Where the table is.
    pub table: String,
    /// Its version in the Delta log.
    pub version: u64,
    /// Decisions in it.
    pub decisions: usize,
    /// Of these, learned from; with all of `left_out` they are `decisions`.
    pub used: usize,
    /// Of those used, decisions of another edition whose code the correlation gives one to one.
    pub used_mapped: usize,
    /// Distinct texts of those used, each of which is one example.
    pub texts: usize,
    /// Of these, texts that a binding ruling rests on.
    pub binding_texts: usize,
    /// Of these, texts that name no goods.
    pub vague_texts: usize,
    /// Learned rows, further examples included, whose label was another than the one decided, and gave way.
    pub corrected_rows: usize,
    /// Decisions that were not learned from, by why.
    pub left_out: LeftOut,
    /// SHA-256 over the digests of the texts used, with their codes.
    pub digest: String,
}

/// Decisions that were not learned from, by why; each is counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeftOut {
    /// A newer or a binding one took their place.
    pub superseded: usize,
    /// The line has no text.
    pub without_text: usize,
    /// They have no code, or none that their edition has.
    pub without_code: usize,
    /// The reviewer could not tell, and did not say that the text names no goods.
    pub unclassifiable: usize,
    /// The code of another edition has no counterpart that is one to one.
    pub not_one_to_one: usize,
    /// No correlation of the lake leads from their edition to that of the model.
    pub without_correlation: usize,
    /// People gave the text different answers.
    pub conflicting: usize,
    /// The text is neither stored in the lake nor in its file any more.
    pub text_lost: usize,
    /// The text is of the test part.
    pub test: usize,
    /// The text is of another part that is kept from the fit.
    pub kept: usize,
    /// The text is among the lines named as frozen.
    pub frozen: usize,
}

impl LeftOut {
    /// The count of texts that the guard keeps out.
    pub(super) fn guarded(&mut self, why: KeptOut) -> &mut usize {
        match why {
            KeptOut::Test => &mut self.test,
            KeptOut::Kept => &mut self.kept,
            KeptOut::Frozen => &mut self.frozen,
        }
    }

    /// Counts by name, in the order in which decisions are looked at.
    fn counts(&self) -> [(&'static str, usize); 11] {
        [
            ("superseded by a newer or a binding one", self.superseded),
            ("line without a text", self.without_text),
            ("without a code of their edition", self.without_code),
            ("of another edition, not one to one", self.not_one_to_one),
            ("of another edition, no correlation", self.without_correlation),
            ("people disagree about the text", self.conflicting),
            ("unclassifiable", self.unclassifiable),
            ("text neither stored nor in its file", self.text_lost),
            ("text named as frozen", self.frozen),
            ("text of the test part", self.test),
            ("text of another kept part", self.kept),
        ]
    }

    /// All of them.
    pub fn sum(&self) -> usize {
        self.counts().iter().map(|(_, count)| count).sum()
    }
}

impl Report {
    /// As aligned lines of text.
    pub fn lines(&self) -> Vec<String> {
        self.facts().lines()
    }

    /// What a reader of the facts has to know.
    pub(in crate::train) fn says(&self) -> String {
        format!(
            "Of {}, version {} of the table. Each is counted once. Learned beside the labelled rows of the training part, whose \
             labels give way to them; nothing was measured on them. SHA-256 of the texts used, with their codes: {}.",
            self.table, self.version, self.digest
        )
    }

    /// One fact a row; what is 0 is left out.
    pub(in crate::train) fn facts(&self) -> Table {
        let mut table = Table::default();
        let share = |count: usize| format!("{} of them", crate::train::table::percent(ratio(count, self.decisions)));
        table.fact("decisions of people", self.decisions, &format!("version {} of their table", self.version));
        table.fact("  learned from", self.used, &share(self.used));
        table.fact("    distinct texts", self.texts, "");
        for (name, count) in [
            ("    texts under a binding ruling", self.binding_texts),
            ("    texts that name no goods", self.vague_texts),
            ("    mapped one to one from another edition", self.used_mapped),
            ("    learned rows whose label gave way", self.corrected_rows),
        ] {
            if count > 0 {
                table.fact(name, count, "");
            }
        }
        table.fact("  left out", self.left_out.sum(), &share(self.left_out.sum()));
        for (name, count) in self.left_out.counts().into_iter().filter(|(_, count)| *count > 0) {
            table.fact(&format!("    {name}"), count, "");
        }
        table
    }
}
