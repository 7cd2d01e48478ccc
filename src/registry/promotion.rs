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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::Place;
    use crate::registry::{AsOf, Registry};

    fn registry() -> (tempfile::TempDir, Registry) {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::open(dir.path().to_str().unwrap()).unwrap();
        (dir, Registry::new(place))
    }

    fn act(at: &str) -> Act {
        Act::new("anna", at.parse().unwrap(), "a test").unwrap()
    }

    fn target(version: u64) -> Target {
        Target { version, digest: format!("{version:064x}") }
    }

    async fn promote(history: &mut History, version: u64, alias: &str, at: &str) -> Result<Deed> {
        history.promote(&target(version), alias, Evidence::default(), &act(at)).await
    }

    #[tokio::test]
    async fn of_two_promotions_decided_on_the_same_history_the_second_is_told_what_won() {
        let (_dir, registry) = registry();
        let mut one = registry.history("hs").await.unwrap();
        let mut two = one.clone();
        assert_eq!(promote(&mut one, 1, "champion", "2026-03-01T10:00:00Z").await.unwrap(), Deed::Done(1));
        let error = promote(&mut two, 2, "champion", "2026-03-01T10:00:01Z").await.unwrap_err();
        assert_eq!(error.exit_code(), 30);
        let told = error.to_string();
        assert!(told.contains("hs@1 promoted as champion by anna at 2026-03-01T10:00:00.000000Z"), "{told}");
        assert_eq!(registry.history("hs").await.unwrap().events().len(), 1);
        // It knows now what won, and may decide again.
        assert_eq!(promote(&mut two, 2, "champion", "2026-03-01T10:00:02Z").await.unwrap(), Deed::Done(2));
    }

    #[tokio::test]
    async fn an_event_about_something_else_is_stepped_over() {
        let (_dir, registry) = registry();
        let mut one = registry.history("hs").await.unwrap();
        let (mut two, mut three) = (one.clone(), one.clone());
        promote(&mut one, 1, "champion", "2026-03-01T10:00:00Z").await.unwrap();
        assert_eq!(promote(&mut two, 2, "challenger", "2026-03-01T10:00:00Z").await.unwrap(), Deed::Done(2));
        assert_eq!(three.register(&target(3), &act("2026-03-01T10:00:00Z")).await.unwrap(), Deed::Done(3));
        let state = registry.history("hs").await.unwrap().state().clone();
        assert_eq!((state.named("champion").unwrap().version, state.named("challenger").unwrap().version), (1, 2));
    }

    #[tokio::test]
    async fn a_version_that_is_retired_meanwhile_is_not_promoted_nor_the_other_way_round() {
        let (_dir, registry) = registry();
        let at = "2026-03-01T10:00:00Z";
        let mut one = registry.history("hs").await.unwrap();
        let mut two = one.clone();
        one.retire(&target(1), &act(at)).await.unwrap();
        assert_eq!(promote(&mut two, 1, "champion", at).await.unwrap_err().exit_code(), 30);
        assert_eq!(promote(&mut two, 1, "champion", at).await.unwrap_err().exit_code(), 21);
        let mut three = two.clone();
        promote(&mut two, 2, "champion", at).await.unwrap();
        assert_eq!(three.retire(&target(2), &act(at)).await.unwrap_err().exit_code(), 30);
        let why = three.retire(&target(2), &act(at)).await.unwrap_err().to_string();
        assert!(why.contains("champion names version 2"), "{why}");
        assert_eq!(three.retire(&target(1), &act(at)).await.unwrap(), Deed::Already(1));
    }

    #[tokio::test]
    async fn what_is_so_already_is_not_written_again() {
        let (_dir, registry) = registry();
        let at = "2026-03-01T10:00:00Z";
        let mut history = registry.history("hs").await.unwrap();
        history.register(&target(1), &act(at)).await.unwrap();
        promote(&mut history, 1, "champion", at).await.unwrap();
        promote(&mut history, 2, "champion", at).await.unwrap();
        assert_eq!(promote(&mut history, 2, "champion", at).await.unwrap(), Deed::Already(3));
        assert_eq!(history.register(&target(1), &act(at)).await.unwrap(), Deed::Already(1));
        let to = history.rollback_target("champion", None).unwrap();
        assert_eq!(to, target(1));
        assert_eq!(history.roll_back("champion", Some(2), &to, &act(at)).await.unwrap(), Deed::Done(4));
        assert_eq!(history.roll_back("champion", Some(2), &to, &act(at)).await.unwrap(), Deed::Already(4));
        assert!(history.rollback_target("champion", None).unwrap_err().to_string().contains("promote one instead"));
        assert!(history.rollback_target("challenger", None).unwrap_err().to_string().contains("has no alias"));
        assert_eq!(registry.history("hs").await.unwrap().events().len(), 4);
    }

    #[tokio::test]
    async fn a_refusal_is_recorded_and_changes_nothing() {
        let (_dir, registry) = registry();
        let mut history = registry.history("hs").await.unwrap();
        let evidence = Evidence { json: Some(serde_json::json!({"gate": "coverage"})), report_sha256: None };
        history.refuse(&target(1), "champion", evidence, &act("2026-03-01T10:00:00Z")).await.unwrap();
        let read = registry.history("hs").await.unwrap();
        assert_eq!(read.events()[0].kind, Kind::Refused);
        assert_eq!(read.events()[0].evidence.as_ref().unwrap()["gate"], "coverage");
        assert_eq!(read.state().named("champion"), None);
    }

    #[tokio::test]
    async fn the_champion_of_a_day_is_the_one_at_its_end() {
        let (_dir, registry) = registry();
        let mut history = registry.history("hs").await.unwrap();
        for (version, at) in [(1, "2026-02-28T23:59:59Z"), (2, "2026-03-01T12:00:00Z"), (3, "2026-03-02T00:00:00Z")] {
            promote(&mut history, version, "champion", at).await.unwrap();
        }
        let champion = |at: &str| {
            let state = history.state_at(&at.parse::<AsOf>().unwrap()).unwrap();
            state.named("champion").map(|held| held.version)
        };
        assert_eq!(champion("2026-02-27"), None);
        assert_eq!(champion("2026-02-28"), Some(1));
        assert_eq!(champion("2026-03-01"), Some(2));
        assert_eq!(champion("2026-03-01T11:59:59Z"), Some(1));
        assert_eq!(champion("2026-03-01T12:00:00Z"), Some(2));
        assert_eq!(champion("2030-01-01"), Some(3));
    }

    #[tokio::test]
    async fn the_order_of_the_chain_is_the_order_of_time_whatever_a_clock_says() {
        let (_dir, registry) = registry();
        let mut history = registry.history("hs").await.unwrap();
        promote(&mut history, 1, "champion", "2026-03-01T10:00:00Z").await.unwrap();
        promote(&mut history, 2, "champion", "2026-03-01T09:00:00Z").await.unwrap();
        assert_eq!(registry.history("hs").await.unwrap().events()[1].at, "2026-03-01T10:00:00.000000Z");
    }
}
