//! Decisions of people in a lake as further labels.
//!
//! Always holds: every decision is counted once, as learned from or by why it is not; the order of the decisions changes nothing;
//! no text that is kept from the fit, that the split would deal to its test part, or that is named as frozen is learned from.
//! Decisions are for training alone, so the test part is the same with them and without. Refuses: choosing between people who
//! disagree about a text, and guessing the code of another edition.

mod editions;
mod guard;
mod report;
mod rows;
mod texts;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::extra::Weighted;
use crate::contract::Contract;
use crate::error::{Error, Result};
use crate::lake::Place;
use crate::model::VAGUE_CODE;
use crate::model::manifest::sha256_hex;
use crate::sql::{self, Limits};
use crate::tariff::{Codes, Subheading, Tariff};
use editions::Editions;
pub(super) use guard::Guard;
pub use report::{LeftOut, Report};
use rows::Agreed;

/// Where decisions are, and what they must not touch.
#[derive(Clone, Debug)]
pub struct Decisions {
    /// Root of the lake with the table `decisions`.
    pub lake: Place,
    /// Version of that table; `None` for the newest.
    pub version: Option<u64>,
    /// Lines of a frozen test set.
    pub frozen: Option<Frozen>,
}

/// Lines whose texts are never learned from decisions.
#[derive(Clone, Debug)]
pub struct Frozen {
    /// Files and folders; those of the labelled lines when it is empty.
    pub inputs: Vec<String>,
    /// SQL filter over their columns.
    pub where_sql: Option<String>,
}

/// How much decisions count; `[decisions]` in a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecisionRecipe {
    /// What the example of a decided text counts beside a labelled line, above 0.
    pub weight: f32,
    /// The same where the decision rests on a binding ruling.
    pub binding_weight: f32,
}

impl Default for DecisionRecipe {
    fn default() -> Self {
        DecisionRecipe { weight: 1.0, binding_weight: 1.0 }
    }
}

impl DecisionRecipe {
    /// Refuses a weight that is none.
    pub fn validate(&self) -> Result<()> {
        for (name, weight) in [("weight", self.weight), ("binding_weight", self.binding_weight)] {
            if !(weight > 0.0 && weight.is_finite()) {
                return Err(Error::Usage(format!("[decisions] {name} is {weight}, it must be above 0")));
            }
        }
        Ok(())
    }
}

/// What people decided, as it is learned.
#[derive(Clone, Debug, Default)]
pub(super) struct Decided {
    /// The code of each normalised text and whether it rests on a binding ruling.
    codes: BTreeMap<String, (Subheading, bool)>,
    pub(super) report: Report,
}

impl Decided {
    /// Reads the decisions of a lake.
    ///
    /// # Errors
    /// `Input` when the lake has no table of decisions, and those of the store.
    pub(super) async fn read(from: &Decisions, codes: &Codes, guard: &Guard, limits: Limits) -> Result<Decided> {
        let contract = Contract::Decisions;
        let context = sql::session(limits)?;
        sql::register_lake(&context, &from.lake).await?;
        let table = from.lake.child(contract.table()).url().to_string();
        let version = sql::register_version(&context, &from.lake, contract, from.version).await?;
        let version = version.ok_or_else(|| {
            Error::Input(format!(
                "{table}: there is no table of decisions; name the lake that they are in with --lake, or leave out --decisions"
            ))
        })?;
        let mut report = Report { table, version, ..Report::default() };
        let tariff = Tariff::load(&context).await?;
        let claims = rows::read(&context, &mut Editions::new(&tariff, codes), &mut report).await?;
        let mut agreed: BTreeMap<String, Agreed> = BTreeMap::new();
        for (digest, claims) in claims {
            if let Some(one) = rows::agree(&claims, &mut report.left_out) {
                agreed.insert(digest, one);
            }
        }
        let texts = texts::find(&context, agreed.keys()).await?;
        let mut decided = Decided { codes: BTreeMap::new(), report };
        let mut used = String::new();
        for (digest, one) in &agreed {
            let left_out = &mut decided.report.left_out;
            match texts.get(digest) {
                None => left_out.text_lost += one.decisions,
                Some(text) => match guard.keeps_out(text) {
                    Some(why) => *left_out.guarded(why) += one.decisions,
                    None => {
                        used += &format!("{digest} {} {}\n", one.code, if one.binding { "binding" } else { "decided" });
                        decided.learn(text.clone(), one);
                    }
                },
            }
        }
        decided.report.digest = sha256_hex(used.as_bytes());
        Ok(decided)
    }

    fn learn(&mut self, text: String, one: &Agreed) {
        let report = &mut self.report;
        report.used += one.decisions;
        report.used_mapped += one.mapped;
        report.texts += 1;
        report.binding_texts += usize::from(one.binding);
        report.vague_texts += usize::from(one.code.as_str() == VAGUE_CODE);
        self.codes.insert(text, (one.code, one.binding));
    }

    /// The code of a text.
    pub(super) fn code(&self, text: &str) -> Option<Subheading> {
        self.codes.get(text).map(|(code, _)| *code)
    }

    /// How many of some labelled texts have another code than the one decided.
    pub(super) fn differing<'t>(&self, rows: impl Iterator<Item = (&'t str, Subheading)>) -> usize {
        rows.filter(|(text, code)| self.code(text).is_some_and(|decided| decided != *code)).count()
    }

    /// One example for each text, in their order as text.
    pub(super) fn examples(&self, recipe: &DecisionRecipe) -> impl Iterator<Item = Weighted> + '_ {
        let (weight, binding_weight) = (recipe.weight, recipe.binding_weight);
        self.codes
            .iter()
            .map(move |(text, (code, binding))| (text.clone(), *code, if *binding { binding_weight } else { weight }))
    }
}
