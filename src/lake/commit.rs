//! How a commit ended: committed, already there, lost, or unknown.
//!
//! A create-if-absent PUT is ambiguous: after a retry our own write can come back as "already exists", and a time-out
//! says nothing. So every commit carries a nonce, and the log is read back to tell the endings apart.

use uuid::Uuid;

use crate::error::{Error, Result};

/// Tells one attempt from every other; positive, because Delta stores it as a transaction version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce(pub i64);

impl Nonce {
    /// A new one, of 62 random bits.
    pub fn new() -> Self {
        let bits = Uuid::new_v4().as_u64_pair().0 >> 2;
        Nonce(i64::try_from(bits).unwrap_or(i64::MAX))
    }
}

impl Default for Nonce {
    fn default() -> Self {
        Nonce::new()
    }
}

/// How a commit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Our files are visible, in this version where it is known.
    Committed {
        /// Version of the table.
        version: Option<u64>,
    },
    /// An equal run of another process was there first: the table is as wanted, our files are not in it.
    AlreadyThere,
    /// Our files are not visible and will not be.
    Lost(String),
    /// It cannot be told; nothing may be deleted.
    Unknown(String),
}

impl Outcome {
    /// The ending, from what the log holds for our fingerprint and what the commit call said.
    pub(super) fn settle(there: Option<Nonce>, ours: Nonce, error: Option<Error>, version: u64) -> Outcome {
        match (there, error) {
            (Some(nonce), _) if nonce == ours => Outcome::Committed { version: Some(version) },
            (Some(_), _) => Outcome::AlreadyThere,
            // The call succeeded and the log does not show it: never seen, and not to be taken for success.
            (None, None) => Outcome::Unknown("the commit was acknowledged but is not in the log".into()),
            // A write that failed in transport may still arrive.
            (None, Some(e @ (Error::Storage(_) | Error::CommitUnknown(_)))) => Outcome::Unknown(e.to_string()),
            (None, Some(e)) => Outcome::Lost(e.to_string()),
        }
    }

    /// The version, or the error that the caller should end with.
    ///
    /// # Errors
    /// `RaceLost` and `CommitUnknown`, each with the next step.
    pub fn into_result(self) -> Result<Committed> {
        match self {
            Outcome::Committed { version } => Ok(Committed::Now(version)),
            Outcome::AlreadyThere => Ok(Committed::Before),
            Outcome::Lost(why) => {
                Err(Error::RaceLost(format!("the commit was not made: {why}; nothing is visible, run again")))
            }
            Outcome::Unknown(why) => Err(Error::CommitUnknown(format!(
                "it is not known whether the commit was made: {why}; run the same command again: it finds out, and \
                 does the work only if it was not"
            ))),
        }
    }
}

/// A run that is visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// By this process, in this version where it is known.
    Now(Option<u64>),
    /// By an equal run.
    Before,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_decides_and_only_silence_of_the_store_is_unknown() {
        let (ours, theirs) = (Nonce(7), Nonce(8));
        let timeout = || Some(Error::Storage("operation timed out".into()));
        assert_eq!(Outcome::settle(Some(ours), ours, None, 3), Outcome::Committed { version: Some(3) });
        assert_eq!(Outcome::settle(Some(ours), ours, timeout(), 3), Outcome::Committed { version: Some(3) });
        assert_eq!(Outcome::settle(Some(theirs), ours, timeout(), 3), Outcome::AlreadyThere);
        assert!(matches!(Outcome::settle(None, ours, timeout(), 3), Outcome::Unknown(_)));
        assert!(matches!(Outcome::settle(None, ours, None, 3), Outcome::Unknown(_)));
        let denied = Some(Error::Credentials("403".into()));
        assert!(matches!(Outcome::settle(None, ours, denied, 3), Outcome::Lost(_)));
        assert_eq!(Outcome::Lost("x".into()).into_result().unwrap_err().exit_code(), 30);
        assert_eq!(Outcome::Unknown("x".into()).into_result().unwrap_err().exit_code(), 32);
    }
}
