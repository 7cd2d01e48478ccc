//! What became of the code of a reclassified line: what it was and what that was worth, what the newer edition made of it, the
//! successors with their wording and their shares, and what was decided for which reason.

use serde_json::{Map, Value, json};

use super::models::wording;
use super::why::{Why, audit_place};
use crate::error::Result;
use crate::jobs::{Became, Before, Model, short};
use crate::policy::{Decision, Reason};
use crate::tariff::{Action, Kind};
use crate::train::{Cell, Grid, Page};

type Row = Map<String, Value>;

/// Columns of the line as it stood before.
const STOOD: [&str; 15] = [
    "run_id",
    "decision",
    "hs6",
    "confidence",
    "reasons",
    "tariff_edition",
    "model_name",
    "model_version",
    "model_digest",
    "policy_digest",
    "decision_id",
    "decided_hs6",
    "decided_by",
    "decided_at",
    "binding",
];

/// All that is told of it.
pub(super) struct Told {
    pub json: Value,
    /// Whether the model was asked.
    pub asked: bool,
    facts: Row,
    because: Vec<String>,
    successors: Vec<Value>,
    stood: Vec<[String; 2]>,
}

impl Told {
    /// Of a line whose row of the run this is.
    pub fn of(became: &Became, row: &Row, model: &Model) -> Result<Told> {
        let Became { line, outcome, basis, names, .. } = became;
        let after = &outcome.after;
        let shares = after.choice.as_ref().filter(|_| outcome.action == Action::Rescore);
        let share = |code: &str| {
            let told = shares.filter(|choice| choice.tells)?;
            told.candidates.iter().find(|(of, _)| of.as_str() == code).map(|(_, share)| short(*share))
        };
        // As the model puts them; else by their numbers.
        let order: Vec<String> = match shares {
            Some(choice) => choice.candidates.iter().map(|(code, _)| code.to_string()).collect(),
            None => outcome.successors.iter().map(ToString::to_string).collect(),
        };
        let successors: Vec<Value> = order
            .iter()
            .map(|code| json!({"hs6": code, "share": share(code), "wording": wording(Some(&names[1]), code)}))
            .collect();
        let code = became.before.code().map(|code| code.to_string());
        let stood: Row =
            STOOD.iter().map(|name| ((*name).into(), line.get(*name).cloned().unwrap_or_default())).collect();
        let digest = row.get("text_digest").and_then(Value::as_str);
        let facts = json!({
            "decision": after.decision.as_str(),
            "reasons": after.reasons.iter().map(Reason::as_str).collect::<Vec<_>>(),
            "within_threshold": short(basis.within.threshold),
            "within_rests_on": basis.within.rests_on,
            "model_asked": after.asked,
            "audit_ratio": model.policy.audit_ratio,
            "audit_place": digest.and_then(|digest| audit_place(&model.loaded.bundle.digest, digest)),
            "catch_all": basis.catch_all,
        });
        let told = json!({
            "from_edition": became.from.to_string(),
            "to_edition": became.to.to_string(),
            "previous": {
                "hs6": code,
                "wording": wording(Some(&names[0]), code.as_deref().unwrap_or_default()),
                "standing": standing(became.before),
                "row": stood,
            },
            "change": {
                "kind": outcome.kind.map(Kind::as_str),
                "about": outcome.kind.map(Kind::about),
                "scope_changed": outcome.scope_changed,
                "action": outcome.action.as_str(),
                "links": basis.links,
            },
            "successors": successors,
            "became": {"hs6": after.code.map(|code| code.to_string()), "facts": facts},
        });
        Ok(Told {
            asked: after.asked,
            facts: facts.as_object().cloned().unwrap_or_default(),
            because: because(became),
            stood: stood.iter().map(|(name, value)| [name.replace('_', " "), shown(value)]).collect(),
            successors,
            json: told,
        })
    }

    /// In the place of what is said of a line that was classified.
    pub fn why(&self) -> Why {
        Why { facts: self.facts.clone(), because: self.because.clone() }
    }

    /// The part of the page.
    pub fn page(&self, page: Page) -> Page {
        let [from, to] = ["from_edition", "to_edition"].map(|name| shown(&self.json[name]));
        let previous = &self.json["previous"];
        let mut page = page.section(
            "What became of its code",
            &format!("From HS {from} to HS {to}, by the correlation tables {}.", shown(&self.json["change"]["links"])),
        );
        page = page.list(&self.because);
        page = page.pairs(&[
            ["code before".into(), shown(&previous["hs6"])],
            ["its subheading".into(), shown(&previous["wording"]["subheading"])],
            ["its heading".into(), shown(&previous["wording"]["heading"])],
            ["what it was worth".into(), shown(&previous["standing"])],
            ["what became of it".into(), shown(&self.json["change"]["kind"])],
            ["the number lives on with other goods".into(), shown(&self.json["change"]["scope_changed"])],
        ]);
        page = page.subsection("Successors", "New codes that share goods with it, and their shares among themselves.");
        if self.successors.is_empty() {
            page = page.list(&["There is none.".to_string()]);
        } else {
            let mut grid = Grid::new(["code", "share", "subheading", "heading", "chapter"]);
            for successor in &self.successors {
                let wording = |level: &str| Cell::Words(shown(&successor["wording"][level]));
                let (code, share) = (Cell::Words(shown(&successor["hs6"])), Cell::Number(shown(&successor["share"])));
                grid.rows.push(vec![code, share, wording("subheading"), wording("heading"), wording("chapter")]);
            }
            page = page.grid(&grid);
        }
        page.subsection("As it stood before", "What the run read of the line.").pairs(&self.stood)
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "–".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// What the code was worth.
fn standing(before: Before) -> &'static str {
    match before {
        Before::Decided(_) => "a person's decision",
        Before::Coded(_) => "a code that counted",
        Before::Open(_) => "a code that waited for a person",
        Before::Held(_) => "a code that waited for the person who had decided in an earlier edition",
        Before::None => "no code",
    }
}

/// Sentences that follow from the tables and the numbers.
fn because(became: &Became) -> Vec<String> {
    let Became { from, to, before, outcome, basis, .. } = became;
    let after = &outcome.after;
    let Some(code) = before.code() else {
        return vec![format!("The line had no code of HS {from}, so none was carried over.")];
    };
    let mut said = Vec::new();
    let kind = outcome.kind.map_or("not a code of that edition".to_string(), |kind| {
        format!("{}: {}", kind.as_str().replace('_', " "), kind.about())
    });
    said.push(format!("{code} of HS {from} was {}; it is {kind}.", standing(*before)));
    if outcome.scope_changed {
        said.push(format!("HS {to} has the number {code} too, with other goods."));
    }
    let threshold = basis.within.threshold;
    said.push(match outcome.action {
        Action::Carry => "Its goods are the same under the same number, so no model was asked.".into(),
        Action::Map => "All of its goods are in its one successor, so no model was asked.".into(),
        Action::Orphan => "It has no successor, so a person has to choose among all codes.".into(),
        Action::Rescore if !after.asked => "The lake does not hold the text that a choice would rest on.".into(),
        Action::Rescore => {
            let choice = after.choice.as_ref();
            let first = choice.and_then(|choice| choice.candidates.first().filter(|_| choice.tells));
            match first {
                None => "The model knows codes of the older edition and tells the successors not apart.".into(),
                Some((_, share)) => format!(
                    "The model chose among the {} successors; the share of the first, {share}, {} the threshold {threshold}.",
                    outcome.successors.len(),
                    if *share >= threshold { "reaches" } else { "is below" }
                ),
            }
        }
    });
    for (reason, sentence) in [
        (Reason::AuditSample, "It would be accepted; its text is in the audit sample that people look at."),
        (Reason::Truncated, "The lake holds a part of the text alone, so the choice is not accepted."),
    ] {
        if after.reasons.has(reason) {
            said.push(sentence.into());
        }
    }
    if after.decision == Decision::Held {
        said.push(
            "A person decided the code, which is never overwritten: it waits for a decision in the newer edition."
                .into(),
        );
    }
    said
}
