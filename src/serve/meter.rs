//! What is noted of a statement while it runs, for the audit log and the counters.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::fault::state;
use super::wire::End;
use super::wording::Wording;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    pub at: DateTime<Utc>,
    started: Instant,
    /// How long it waited for its turn.
    pub waited: Duration,
    pub rows: u64,
    pub models: Vec<String>,
    wording: Option<Wording>,
    /// Whether its names are known to be names.
    pub named: bool,
}

impl Meter {
    /// Of a statement that has just come; without wording where it cannot even be cut into words.
    pub fn start(wording: Option<&Wording>) -> Meter {
        Meter {
            at: Utc::now(),
            started: Instant::now(),
            waited: Duration::ZERO,
            rows: 0,
            models: Vec::new(),
            wording: wording.cloned(),
            named: false,
        }
    }

    pub fn wording(&self) -> Option<&Wording> {
        self.wording.as_ref()
    }

    pub fn took(&self) -> Duration {
        self.started.elapsed()
    }

    /// Shape and digest, as far as they may be shown after such an end.
    pub fn shape(&self, ended: &Result<(), End>) -> Option<(String, String)> {
        let wording = self.wording.as_ref()?;
        match ended {
            // Not a statement: its words may be anything.
            Err(End::Fault(fault)) if fault.state == state::SYNTAX => None,
            Err(End::Fault(fault)) if fault.state == state::NOT_ALLOWED => Some(wording.shape(true)),
            _ => Some(wording.shape(self.named)),
        }
    }
}

/// How a statement ended, as logs and counters say it; and the SQLSTATE.
pub(super) fn outcome(ended: &Result<(), End>) -> (&'static str, Option<&'static str>) {
    let fault = match ended {
        Ok(()) => return ("ok", None),
        Err(End::Gone) => return ("gone", None),
        Err(End::Fault(fault)) => fault,
    };
    let outcome = match fault.state {
        state::CANCELED | state::SHUTDOWN => "canceled",
        state::NOT_ALLOWED | state::NOT_SUPPORTED | state::NO_ACCESS => "refused",
        state if state.starts_with("53") || state.starts_with("54") => "limit",
        _ => "failed",
    };
    (outcome, Some(fault.state))
}
