//! What may be done to a model's versions: register, promote, roll back, retire, refuse.
//!
//! Always holds: each deed is one event, decided on the history that was read and valid only if that is still the last
//! word. Where another's event came between and concerns the same alias or version, the deed is not done and the caller is
//! told by what; any other event is stepped over. Refuses: judging evidence; whoever calls has done that.

use super::event::{Act, Event, Evidence, Kind};
use super::history::{Appended, Entry, History};
use super::reference::check_alias;
use crate::error::{Error, Result};

/// A version that was read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub version: u64,
    /// SHA-256 of its manifest.
    pub digest: String,
}

/// How a deed ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Done now, by the event of this number.
    Done(u64),
    /// It was so already, by the event of this number.
    Already(u64),
}

impl History {
    /// Lets an alias name a version.
    ///
    /// # Errors
    /// [`Error::Registry`] when the version is retired, [`Error::RaceLost`] when another moved the alias or retired the
    /// version meanwhile, [`Error::CommitUnknown`] when it cannot be told, and those of the store.
    pub async fn promote(&mut self, to: &Target, alias: &str, evidence: Evidence, act: &Act) -> Result<Deed> {
        check_alias(alias)?;
        if let Some(held) = self.state().named(alias)
            && (held.version, &held.digest) == (to.version, &to.digest)
        {
            return Ok(Deed::Already(held.event));
        }
        self.record(Kind::Promoted, to, Some(alias), evidence, act, "run the same command again: it finds out").await
    }

    /// Lets an alias name again what it named before; `to` picks among all that it named, else it is the last one that is
    /// not retired. With `from`, nothing is done when the alias names another version than that.
    ///
    /// # Errors
    /// As for [`History::promote`], and [`Error::Registry`] when there is nothing to go back to.
    pub async fn roll_back(&mut self, alias: &str, from: Option<u64>, to: &Target, act: &Act) -> Result<Deed> {
        check_alias(alias)?;
        let held = self.held(alias)?;
        if from.is_some_and(|from| from != held.version) {
            return Ok(Deed::Already(held.event));
        }
        let next_step = format!(
            "run `harmonize models rollback {}` again with --alias {alias} --from {}: it does nothing if it was written",
            self.name(),
            held.version
        );
        self.record(Kind::RolledBack, to, Some(alias), Evidence::default(), act, &next_step).await
    }

    /// The version that a rollback of the alias leads to: `to` if it is one that the alias named before, else the last.
    ///
    /// # Errors
    /// [`Error::Registry`] when there is none.
    pub fn rollback_target(&self, alias: &str, to: Option<u64>) -> Result<Target> {
        check_alias(alias)?;
        let now = self.held(alias)?.version;
        let mut before = self.state().before(alias);
        let held = match to {
            Some(to) => before.find(|held| held.version == to),
            None => before.next(),
        };
        let name = self.name();
        let held = held.ok_or_else(|| match to {
            Some(to) => Error::Registry(format!(
                "{name}@{alias} never was version {to}, or that is retired; see harmonize models history {name}"
            )),
            None => Error::Registry(format!(
                "{name}@{alias} is version {now} and was no other that is not retired; promote one instead"
            )),
        })?;
        Ok(Target { version: held.version, digest: held.digest.clone() })
    }

    /// Takes a version out of use.
    ///
    /// # Errors
    /// As for [`History::promote`], and [`Error::Registry`] when an alias names it.
    pub async fn retire(&mut self, target: &Target, act: &Act) -> Result<Deed> {
        if let Some(event) = self.state().versions().get(&target.version).and_then(|known| known.retired) {
            return Ok(Deed::Already(event));
        }
        let next_step = "run the same command again: it finds out";
        self.record(Kind::Retired, target, None, Evidence::default(), act, next_step).await
    }

    /// Records that a version came into the registry.
    ///
    /// # Errors
    /// As for [`History::promote`].
    pub async fn register(&mut self, target: &Target, act: &Act) -> Result<Deed> {
        let known = self.state().versions().get(&target.version).filter(|known| known.digest == target.digest);
        if let Some(event) = known.and_then(|known| known.registered) {
            return Ok(Deed::Already(event));
        }
        let next_step = format!(
            "run `harmonize models register {}@{}`: it does nothing if it was written",
            self.name(),
            target.version
        );
        self.record(Kind::Registered, target, None, Evidence::default(), act, &next_step).await
    }

    /// Records that a promotion was stopped, with the evidence that stopped it.
    ///
    /// # Errors
    /// As for [`History::promote`].
    pub async fn refuse(&mut self, target: &Target, alias: &str, evidence: Evidence, act: &Act) -> Result<Deed> {
        check_alias(alias)?;
        let next_step = "run the same command again";
        self.record(Kind::Refused, target, Some(alias), evidence, act, next_step).await
    }

    fn held(&self, alias: &str) -> Result<&super::state::Held> {
        self.state().named(alias).ok_or_else(|| {
            let name = self.name();
            Error::Registry(format!(
                "{name} has no alias {alias}; give it one with harmonize models promote {name}@N --as {alias}"
            ))
        })
    }

    async fn record(
        &mut self,
        kind: Kind,
        target: &Target,
        alias: Option<&str>,
        evidence: Evidence,
        act: &Act,
        next_step: &str,
    ) -> Result<Deed> {
        loop {
            let entry = Entry {
                kind,
                version: target.version,
                digest: target.digest.clone(),
                alias: alias.map(str::to_owned),
                evidence: evidence.clone(),
            };
            let seen = self.events().len();
            match self.append(entry, act).await? {
                Appended::Committed => return Ok(Deed::Done(seen as u64 + 1)),
                Appended::Unknown(why) => return Err(self.unknown(&why, next_step)),
                Appended::Lost(_) => {}
            }
            // All that came between, of which the one that took the number is the first.
            let came = &self.events()[seen..];
            if let Some(winner) = came.iter().find(|event| concerns(event, kind, target, alias)) {
                return Err(lost(winner));
            }
        }
    }
}

/// Whether an event changes what a deed was decided on.
fn concerns(event: &Event, kind: Kind, target: &Target, alias: Option<&str>) -> bool {
    match event.kind {
        Kind::Promoted | Kind::RolledBack => {
            (alias.is_some() && event.alias.as_deref() == alias)
                || (kind == Kind::Retired && event.version == target.version)
        }
        Kind::Retired => event.version == target.version,
        Kind::Registered => kind == Kind::Registered && event.version == target.version,
        Kind::Refused => false,
    }
}

fn lost(winner: &Event) -> Error {
    let alias = winner.alias.as_ref().map_or(String::new(), |alias| format!(" as {alias}"));
    let name = &winner.model;
    Error::RaceLost(format!(
        "another was first: {name}@{} {}{alias} by {} at {} ({}), event {}; look at `harmonize models history {name}` and \
         decide again",
        winner.version, winner.kind, winner.by, winner.at, winner.why, winner.number
    ))
}
