//! Everything that a line's outcome follows from, besides the line; and what of it a run's record keeps, so that the run can
//! be made again.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::settle::digest_of;
use super::line::Before;
use super::within::{Restricted, Within};
use crate::error::{Error, Result};
use crate::sql::{Classifier, Versions};
use crate::tariff::{Action, Advisor, CatchAll, Changes, Correlation, Policy, Subheading, Tariff, Year};

/// What a reclassification rests on, besides model and policy: the column `reclassify_json` of `runs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Basis {
    /// The correlations that were followed, as `2017 → 2022`.
    pub links: Vec<String>,
    /// SHA-256 of their pairs, and of the codes of their editions.
    pub links_sha256: String,
    pub codes_sha256: String,
    /// What is done with catch-all links, and which ones are.
    pub catch_all: String,
    pub catch_all_groups: CatchAll,
    pub within: Within,
    /// Versions of the lake's tables that were read.
    pub tables: Versions,
}

impl Basis {
    /// Of these steps between editions, in tables of these versions.
    pub fn new(steps: &[Correlation], catch_all: &CatchAll, policy: Policy, within: Within, tables: Versions) -> Basis {
        let (links_sha256, codes_sha256) = digests(steps);
        Basis {
            links: steps.iter().map(|step| format!("{} → {}", step.from(), step.to())).collect(),
            links_sha256,
            codes_sha256,
            catch_all: policy.to_string(),
            catch_all_groups: catch_all.clone(),
            within,
            tables,
        }
    }

    /// As it is kept.
    ///
    /// # Errors
    /// `Bug`, never.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::to_value(self).map_err(|e| Error::Bug(e.to_string()))
    }

    /// Whether these steps are the ones that were followed.
    pub fn follows(&self, steps: &[Correlation]) -> bool {
        digests(steps) == (self.links_sha256.clone(), self.codes_sha256.clone())
    }
}

/// SHA-256 of the pairs of all steps, and of the codes of all their editions.
fn digests(steps: &[Correlation]) -> (String, String) {
    let pairs = |step: &Correlation| step.links().map(|(a, b)| format!("{a} {b}")).collect::<Vec<_>>();
    let codes = |step: &Correlation| [step.old(), step.new_codes()].map(<[Subheading]>::to_vec);
    let links = json!(steps.iter().map(pairs).collect::<Vec<_>>());
    (digest_of(&links), digest_of(&json!(steps.iter().map(codes).collect::<Vec<_>>())))
}

/// See the module.
pub(super) struct Rules {
    advisor: Advisor,
    /// For catch-all links.
    pub policy: Policy,
    pub chooser: Restricted,
    pub from: Year,
    pub to: Year,
    /// Codes for which the text decides what became of them.
    by_text: HashSet<Subheading>,
}

impl Rules {
    /// # Errors
    /// `Registry` for a model of neither edition, `Input` when no step is given.
    pub fn new(
        steps: &[Correlation],
        catch_all: CatchAll,
        policy: Policy,
        classifier: Arc<Classifier>,
        within: Within,
    ) -> Result<Rules> {
        let ends = steps.first().map(Correlation::from).zip(steps.last().map(Correlation::to));
        let (from, to) = ends.ok_or_else(|| Error::Input("there is no correlation between the editions".into()))?;
        let advisor = Advisor::new(steps, catch_all)?;
        let by_text = match policy {
            Policy::WhenTextSays => advisor.text_decides().into_iter().collect(),
            Policy::Follow | Policy::Ignore => HashSet::new(),
        };
        let chooser = Restricted::new(classifier, &from.to_string(), &to.to_string(), within)?;
        Ok(Rules { advisor, policy, chooser, from, to, by_text })
    }

    /// What became of every code for a line of this normalised text, or of one that is not known.
    pub fn changes(&self, normalised: Option<&str>) -> &Changes {
        self.advisor.changes(self.policy, normalised)
    }

    /// Whether the outcome for lines that had this depends on their texts: a choice is to be made, or the policy for catch-all
    /// links says so.
    pub fn reads_text(&self, before: Before) -> bool {
        let Some(code) = before.code() else { return false };
        if self.by_text.contains(&code) {
            return true;
        }
        match self.changes(None).action(code) {
            Action::Rescore => !matches!(before, Before::Open(_) | Before::Held(_)),
            Action::Orphan => self.chooser.of_newer(),
            Action::Carry | Action::Map => false,
        }
    }
}

/// That the edition that is reached is in force.
///
/// # Errors
/// `Input` with the day on which it will be.
pub(super) fn in_force(tariff: &Tariff, to: Year, today: chrono::NaiveDate) -> Result<()> {
    let from = tariff.edition(to)?.validity.from;
    if from <= today {
        return Ok(());
    }
    Err(Error::Input(format!(
        "HS {to} takes effect on {from}, after today ({today}): its codes would count too early; run with --dry-run to see what \
         will become of the lines, or say --allow-future"
    )))
}
