//! What becomes of one line.

use super::rules::Rules;
use super::within::Choice;
use crate::error::Result;
use crate::policy::{Decision, Reason, Reasons};
use crate::tariff::{Action, Change, Changes, Kind, Subheading};

/// What a line had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Before {
    /// A person's code.
    Decided(Subheading),
    /// A code that counts.
    Coded(Subheading),
    /// A code that waits for a person.
    Open(Subheading),
    /// The same where a person decided in an edition before the older one, and nobody has since.
    Held(Subheading),
    /// No code.
    None,
}

impl Before {
    /// The code, whatever it is worth.
    pub fn code(self) -> Option<Subheading> {
        match self {
            Before::Decided(code) | Before::Coded(code) | Before::Open(code) | Before::Held(code) => Some(code),
            Before::None => None,
        }
    }
}

/// A line's text, as far as the lake holds it.
#[derive(Clone, Copy, Debug)]
pub struct Wording<'a> {
    /// Normalised, and not empty.
    pub normalised: &'a str,
    /// Whether it is all of the text that the code was given for.
    pub whole: bool,
}

/// What it gets.
#[derive(Clone, Debug, PartialEq)]
pub struct After {
    pub decision: Decision,
    pub code: Option<Subheading>,
    /// Added to those that it had, where it stays open.
    pub reasons: Reasons,
    pub keeps_reasons: bool,
    /// Candidates, where there are several: as the model puts them, or, where it was not asked, in the order of their numbers.
    pub choice: Option<Choice>,
    /// Whether the model was asked about the line.
    pub asked: bool,
    /// Whether the whole edition has to be asked, for a suggestion.
    pub asks_all: bool,
}

impl After {
    fn of(decision: Decision, code: Option<Subheading>) -> After {
        After {
            decision,
            code,
            reasons: Reasons::NONE,
            keeps_reasons: false,
            choice: None,
            asked: false,
            asks_all: false,
        }
    }
}

/// What becomes of all lines that had the same, and, where the text counts, have the same text.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub after: After,
    /// What became of the code; `None` when the older edition does not have it.
    pub kind: Option<Kind>,
    pub scope_changed: bool,
    pub action: Action,
    /// Successors of the code, ascending, by the links that count for the text.
    pub successors: Vec<Subheading>,
}

/// Applies what became of its code to a line.
///
/// # Errors
/// Those of the engine.
pub(super) fn outcome(before: Before, text: Option<Wording>, rules: &Rules) -> Result<Outcome> {
    // A text that is not whole may speak of anything, as one that is not there.
    let changes = rules.changes(text.filter(|text| text.whole).map(|text| text.normalised));
    let Some(code) = before.code() else {
        let after = After { keeps_reasons: true, ..After::of(Decision::Refuse, None) };
        return Ok(Outcome { after, kind: None, scope_changed: false, action: Action::Orphan, successors: Vec::new() });
    };
    let change = changes.of(code);
    let mut after = after(before, code, text, rules, changes)?;
    after.keeps_reasons = matches!(before, Before::Open(_) | Before::Held(_));
    Ok(Outcome {
        after,
        kind: change.map(|change| change.kind),
        scope_changed: change.is_some_and(|change| change.scope_changed),
        action: changes.action(code),
        successors: changes.successors(code).to_vec(),
    })
}

fn after(before: Before, code: Subheading, text: Option<Wording>, rules: &Rules, changes: &Changes) -> Result<After> {
    let change = changes.of(code);
    let decided = matches!(before, Before::Decided(_));
    let open = matches!(before, Before::Open(_) | Before::Held(_));
    // A code that waits goes on waiting; a person's that needs another one waits from now on.
    let waiting = if decided || matches!(before, Before::Held(_)) { Decision::Held } else { Decision::Review };
    Ok(match changes.action(code) {
        Action::Carry if open => After::of(waiting, Some(code)),
        Action::Carry => After::of(Decision::Carried, Some(code)),
        Action::Map => {
            let decision = if decided || open { waiting } else { Decision::Mapped };
            let to = change.and_then(|change| change.successors.first().copied());
            After { reasons: why(change.as_ref(), !decided), ..After::of(decision, to) }
        }
        // Its code was a guess: what else the model thought of is as likely, and no threshold would accept it.
        Action::Rescore if open => {
            let reasons = why(change.as_ref(), false);
            let first = Choice::unasked(code, changes).candidates.first().map(|(code, _)| *code);
            After { reasons, ..After::of(waiting, first) }
        }
        Action::Rescore => {
            let chooser = &rules.chooser;
            let choice = match text {
                Some(text) => chooser.choose(text.normalised, code, changes)?,
                None => Choice::unasked(code, changes),
            };
            let cut = text.is_some_and(|text| !text.whole);
            let sure = chooser.accepts(&choice);
            let accepted = sure && !decided && !cut;
            let audited = accepted && text.is_some_and(|text| chooser.classifier().audits(text.normalised));
            let mut reasons = why(change.as_ref(), false);
            for (reason, holds) in [
                (Reason::BelowThreshold, !sure && text.is_some()),
                (Reason::NoText, text.is_none()),
                (Reason::Truncated, cut),
                (Reason::AuditSample, audited),
            ] {
                reasons = if holds { reasons.with(reason) } else { reasons };
            }
            let decision = if accepted && !audited { Decision::Accept } else { waiting };
            let first = choice.candidates.first().map(|(code, _)| *code);
            After { reasons, choice: Some(choice), asked: text.is_some(), ..After::of(decision, first) }
        }
        Action::Orphan => After {
            reasons: Reasons::NONE.with(Reason::Orphaned),
            asks_all: text.is_some() && rules.chooser.of_newer(),
            ..After::of(waiting, None)
        },
    })
}

/// Why a code is looked at: it keeps its number and changes its scope, it has another number, or several successors.
fn why(change: Option<&Change<'_>>, quiet: bool) -> Reasons {
    match change {
        _ if quiet => Reasons::NONE,
        Some(change) if change.scope_changed => Reasons::NONE.with(Reason::ScopeChanged),
        Some(change) if change.successors.len() == 1 => Reasons::NONE.with(Reason::Renumbered),
        _ => Reasons::NONE.with(Reason::Split),
    }
}
