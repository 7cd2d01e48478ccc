//! A model's choice among the successors of a code, and when it is sure enough.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::sql::Classifier;
use crate::tariff::{Changes, Subheading};

/// When a choice among successors is accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Within {
    /// Least share of the first among the successors.
    pub threshold: f32,
    /// What the threshold rests on, in words or as evidence.
    pub rests_on: serde_json::Value,
}

/// A choice.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Candidates with their shares among themselves, best first; at least one.
    pub candidates: Vec<(Subheading, f32)>,
    /// Whether the shares say how likely each is: an older edition's model cannot tell the successors of a code apart.
    pub tells: bool,
}

impl Choice {
    /// The successors of a code about which no model was asked: the old number first, then in their order.
    pub fn unasked(code: Subheading, changes: &Changes) -> Choice {
        let mut candidates: Vec<(Subheading, f32)> = changes.successors(code).iter().map(|code| (*code, 0.0)).collect();
        candidates.sort_by_key(|(candidate, _)| *candidate != code);
        Choice { candidates, tells: false }
    }
}

/// A model that chooses among successors.
pub struct Restricted {
    classifier: Arc<Classifier>,
    classes: HashMap<Subheading, u32>,
    /// Whether its codes are those of the newer edition.
    of_newer: bool,
    within: Within,
}

impl Restricted {
    /// A model of either edition.
    ///
    /// # Errors
    /// `Registry` when it is of neither.
    pub fn new(classifier: Arc<Classifier>, from: &str, to: &str, within: Within) -> Result<Restricted> {
        let identity = &classifier.identity;
        let edition = identity.tariff_edition.as_str();
        if edition != from && edition != to {
            return Err(Error::Registry(format!(
                "{} gives codes of edition {edition}; to go from {from} to {to} name a model of {to}, or at least of {from}",
                identity.model()
            )));
        }
        let of_newer = edition == to;
        let classes = classifier.codes().iter().enumerate();
        let classes = classes.filter_map(|(class, code)| Some((code.parse().ok()?, class as u32))).collect();
        Ok(Restricted { classifier, classes, of_newer, within })
    }

    pub fn classifier(&self) -> &Arc<Classifier> {
        &self.classifier
    }

    /// Whether its codes are those of the newer edition.
    pub fn of_newer(&self) -> bool {
        self.of_newer
    }

    /// Whether a choice is sure enough.
    pub fn accepts(&self, choice: &Choice) -> bool {
        choice.tells && choice.candidates.first().is_some_and(|(_, share)| *share >= self.within.threshold)
    }

    /// Chooses among the successors of a code for a normalised text. Successors that the model does not know come last, and
    /// have no share.
    ///
    /// A model of the older edition knows old codes. The probability of an old code is shared out only where that is
    /// unambiguous: to its one successor. The line's own code has several, so between them nothing is told.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn choose(&self, normalised: &str, code: Subheading, changes: &Changes) -> Result<Choice> {
        let successors = changes.successors(code);
        let shares: HashMap<Subheading, f32> = match self.of_newer {
            true => self.shares(normalised, successors)?.into_iter().collect(),
            false => {
                let mut old: Vec<Subheading> =
                    successors.iter().flat_map(|new| changes.predecessors(*new)).copied().collect();
                old.retain(|old| *old == code || changes.successors(*old).len() == 1);
                old.sort_unstable();
                old.dedup();
                let mut shared: HashMap<Subheading, f32> = HashMap::new();
                for (old, share) in self.shares(normalised, &old)? {
                    if let [one] = changes.successors(old) {
                        *shared.entry(*one).or_default() += share;
                    }
                }
                shared
            }
        };
        let mut candidates: Vec<(Subheading, f32)> =
            successors.iter().map(|code| (*code, shares.get(code).copied().unwrap_or(0.0))).collect();
        // Of equal ones the old number first, then in their order.
        candidates.sort_by(|a, b| b.1.total_cmp(&a.1).then((b.0 == code).cmp(&(a.0 == code))).then(a.0.cmp(&b.0)));
        Ok(Choice { candidates, tells: self.of_newer && !shares.is_empty() })
    }

    /// Shares of those of the codes that the model knows, among themselves.
    fn shares(&self, normalised: &str, codes: &[Subheading]) -> Result<Vec<(Subheading, f32)>> {
        let known: Vec<(Subheading, u32)> =
            codes.iter().filter_map(|code| Some((*code, *self.classes.get(code)?))).collect();
        if known.is_empty() {
            return Ok(Vec::new());
        }
        let classes: Vec<u32> = known.iter().map(|(_, class)| *class).collect();
        let shares = self.classifier.within(normalised, &classes)?;
        Ok(known.into_iter().map(|(code, _)| code).zip(shares).collect())
    }
}
