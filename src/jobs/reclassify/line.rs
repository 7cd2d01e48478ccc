//! What becomes of one line.

use crate::error::Result;
use crate::policy::{Reason, Reasons};
use crate::tariff::{Action, Change, Changes, Subheading};

use super::within::{Choice, Restricted};

/// What a line had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Before {
    /// A person's code.
    Decided(Subheading),
    /// A code that counts.
    Coded(Subheading),
    /// A code that waits for a person.
    Open(Subheading),
    /// No code.
    None,
}

impl Before {
    /// The code, whatever it is worth.
    pub fn code(self) -> Option<Subheading> {
        match self {
            Before::Decided(code) | Before::Coded(code) | Before::Open(code) => Some(code),
            Before::None => None,
        }
    }
}

/// What it gets.
#[derive(Clone, Debug, PartialEq)]
pub struct After {
    pub decision: &'static str,
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
    pub action: Option<Action>,
}

impl After {
    fn of(decision: &'static str, code: Option<Subheading>, action: Option<Action>) -> After {
        let reasons = Reasons::NONE;
        After { decision, code, reasons, keeps_reasons: false, choice: None, asked: false, asks_all: false, action }
    }
}

/// Applies what became of its code to a line. `text` is the normalised text, if it is known.
pub fn after(before: Before, text: Option<&str>, changes: &Changes, chooser: &Restricted) -> Result<After> {
    let Some(code) = before.code() else {
        return Ok(After { keeps_reasons: true, ..After::of("refuse", None, None) });
    };
    let change = changes.of(code);
    let action = change.map_or(Action::Orphan, |change| change.action());
    let decided = matches!(before, Before::Decided(_));
    let open = matches!(before, Before::Open(_));
    // A code that waits goes on waiting; a person's that needs another one waits from now on.
    let waiting = if decided { "held" } else { "review" };
    let mut after = match action {
        Action::Carry if open => After::of(waiting, Some(code), Some(action)),
        Action::Carry => After::of("carried", Some(code), Some(action)),
        Action::Map => {
            let decision = if decided || open { waiting } else { "mapped" };
            let to = change.and_then(|change| change.successors.first().copied());
            After { reasons: why(change.as_ref(), !decided), ..After::of(decision, to, Some(action)) }
        }
        Action::Rescore => {
            let choice = match text {
                Some(text) => chooser.choose(text, code, changes)?,
                None => Choice::unasked(code, changes),
            };
            let sure = chooser.accepts(&choice);
            let decision = if sure && !decided && !open { "accept" } else { waiting };
            let first = choice.candidates.first().map(|(code, _)| *code);
            let mut reasons = why(change.as_ref(), false);
            if !sure {
                reasons = reasons.with(if text.is_some() { Reason::BelowThreshold } else { Reason::NoText });
            }
            let asked = text.is_some();
            After { reasons, choice: Some(choice), asked, ..After::of(decision, first, Some(action)) }
        }
        Action::Orphan => After {
            reasons: Reasons::NONE.with(Reason::Orphaned),
            asks_all: text.is_some() && chooser.of_newer(),
            ..After::of(waiting, None, Some(action))
        },
    };
    after.keeps_reasons = open;
    Ok(after)
}

/// Why a code is looked at: it keeps its number and changes its scope, or it has several successors.
fn why(change: Option<&Change<'_>>, quiet: bool) -> Reasons {
    match change {
        _ if quiet => Reasons::NONE,
        Some(change) if change.scope_changed => Reasons::NONE.with(Reason::ScopeChanged),
        _ => Reasons::NONE.with(Reason::Split),
    }
}
