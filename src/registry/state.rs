//! What the events of a model say when they are read in their order: its versions and what its aliases name.
//!
//! Always holds: an alias names a version that is not retired, with the digest that the event gave; the versions that it
//! named before are kept in order, so that a rollback knows its way. Refuses: an event that does not follow from those
//! before it, and I/O.

use std::collections::BTreeMap;

use super::event::{Event, Kind};

/// A version with the digest of its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub version: u64,
    pub digest: String,
    /// Number of the event that made the alias name it.
    pub event: u64,
}

/// What the events say of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub digest: String,
    /// Number of the event that registered it; `None` when an older program did.
    pub registered: Option<u64>,
    /// Number of the event that retired it.
    pub retired: Option<u64>,
}

/// The fold over the events of one model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    versions: BTreeMap<u64, Known>,
    /// What each alias named, the present last; never empty.
    aliases: BTreeMap<String, Vec<Held>>,
}

impl State {
    /// The versions that events speak of.
    pub fn versions(&self) -> &BTreeMap<u64, Known> {
        &self.versions
    }

    /// What each alias names.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &Held)> {
        self.aliases.iter().filter_map(|(alias, held)| Some((alias.as_str(), held.last()?)))
    }

    /// What an alias names.
    pub fn named(&self, alias: &str) -> Option<&Held> {
        self.aliases.get(alias)?.last()
    }

    /// What an alias named before, newest first, as far as a rollback may go back to it.
    pub fn before(&self, alias: &str) -> impl Iterator<Item = &Held> {
        let held = self.aliases.get(alias).map_or(&[][..], Vec::as_slice);
        let now = held.last().map(|held| held.version);
        let able = held.iter().rev().skip(1).filter(|held| !self.is_retired(held.version));
        able.skip_while(move |held| Some(held.version) == now)
    }

    pub fn is_retired(&self, version: u64) -> bool {
        self.versions.get(&version).is_some_and(|known| known.retired.is_some())
    }

    /// The version with this digest that is not retired, the lowest if there are several.
    pub fn version_of(&self, digest: &str) -> Option<u64> {
        self.versions.iter().find(|(_, known)| known.digest == digest && known.retired.is_none()).map(|(n, _)| *n)
    }

    /// Why the event does not follow from those before it.
    pub fn refuses(&self, event: &Event) -> Option<String> {
        let version = event.version;
        if let Some(known) = self.versions.get(&version) {
            if known.digest != event.model_digest {
                return Some(format!("version {version} has digest {}, not {}", known.digest, event.model_digest));
            }
            if let Some(retired) = known.retired
                && event.kind != Kind::Refused
            {
                return Some(format!("version {version} was retired by event {retired}"));
            }
            if event.kind == Kind::Registered && known.registered.is_some() {
                return Some(format!("version {version} is known already"));
            }
        }
        let now = event.alias.as_deref().and_then(|alias| self.named(alias));
        if now.map(|held| held.version) != event.replaced_version {
            let is = now.map_or("nothing".to_owned(), |held| format!("version {}", held.version));
            return Some(format!("the alias names {is}, not the version that is said to be replaced"));
        }
        match (event.kind, &event.alias) {
            (Kind::RolledBack, Some(alias)) if !self.before(alias).any(|held| held.version == version) => {
                Some(format!("{alias} never named version {version} before"))
            }
            (Kind::Retired, _) => {
                let named = self.aliases().find(|(_, held)| held.version == version);
                named.map(|(alias, _)| format!("{alias} names version {version}"))
            }
            _ => None,
        }
    }

    /// Takes in the next event.
    ///
    /// # Errors
    /// What [`State::refuses`] says; then nothing was taken in.
    pub fn apply(&mut self, event: &Event) -> std::result::Result<(), String> {
        if let Some(why) = self.refuses(event) {
            return Err(why);
        }
        let (version, number) = (event.version, event.number);
        if event.kind == Kind::Refused {
            return Ok(());
        }
        let known = self.versions.entry(version).or_insert_with(|| Known {
            digest: event.model_digest.clone(),
            registered: None,
            retired: None,
        });
        match event.kind {
            Kind::Registered => known.registered = Some(number),
            Kind::Retired => known.retired = Some(number),
            Kind::Promoted | Kind::RolledBack | Kind::Refused => {}
        }
        if let Some(alias) = &event.alias {
            let held = self.aliases.entry(alias.clone()).or_default();
            if event.kind == Kind::RolledBack {
                // What came after it is left behind: rolling back twice goes two steps back.
                let end = held.len().saturating_sub(1);
                let to = held[..end].iter().rposition(|held| held.version == version).unwrap_or(end);
                held.truncate(to);
            }
            held.push(Held { version, digest: event.model_digest.clone(), event: number });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::event::tests::event;

    /// Events in a short notation: kind, version, alias.
    struct Story(State, u64);

    impl Story {
        fn tell(&mut self, kind: Kind, version: u64, alias: Option<&str>) -> std::result::Result<(), String> {
            let replaced = alias.and_then(|a| self.0.named(a)).map(|held| held.version);
            let next = Event {
                number: self.1,
                kind,
                version,
                alias: alias.map(str::to_owned),
                model_digest: format!("{version:064x}"),
                replaced_version: replaced,
                ..event()
            };
            self.1 += 1;
            self.0.apply(&next)
        }

        fn promote(&mut self, version: u64) {
            self.tell(Kind::Promoted, version, Some("champion")).unwrap();
        }

        fn champion(&self) -> u64 {
            self.0.named("champion").unwrap().version
        }

        fn back(&mut self) -> Option<u64> {
            let to = self.0.before("champion").next()?.version;
            self.tell(Kind::RolledBack, to, Some("champion")).unwrap();
            assert_eq!(self.champion(), to);
            Some(to)
        }
    }

    fn story() -> Story {
        Story(State::default(), 1)
    }

    #[test]
    fn an_alias_names_what_the_last_promotion_or_rollback_said() {
        let mut s = story();
        assert_eq!(s.0.named("champion"), None);
        for version in [1, 2, 5] {
            s.promote(version);
            assert_eq!(s.champion(), version);
        }
        s.tell(Kind::Promoted, 6, Some("challenger")).unwrap();
        s.tell(Kind::Refused, 6, Some("champion")).unwrap();
        assert_eq!(s.champion(), 5);
        assert_eq!(
            s.0.aliases().map(|(a, h)| (a.to_owned(), h.version)).collect::<Vec<_>>(),
            [("challenger".to_owned(), 6), ("champion".to_owned(), 5)]
        );
        assert_eq!(s.0.named("champion").unwrap().event, 3);
    }

    #[test]
    fn rolling_back_again_goes_further_back_and_a_promotion_starts_anew() {
        let mut s = story();
        for version in [1, 2, 3] {
            s.promote(version);
        }
        assert_eq!((s.back(), s.back(), s.back()), (Some(2), Some(1), None));
        s.promote(4);
        assert_eq!((s.back(), s.back()), (Some(1), None));
    }

    #[test]
    fn a_version_promoted_twice_can_be_rolled_back_to_twice() {
        let mut s = story();
        for version in [1, 2, 1, 2] {
            s.promote(version);
        }
        assert_eq!((s.back(), s.back(), s.back(), s.back()), (Some(1), Some(2), Some(1), None));
    }

    #[test]
    fn a_retired_version_is_passed_over_and_one_in_use_is_not_retired() {
        let mut s = story();
        for version in [1, 2, 3] {
            s.promote(version);
        }
        assert!(s.tell(Kind::Retired, 3, None).unwrap_err().contains("champion names version 3"));
        s.tell(Kind::Retired, 2, None).unwrap();
        assert!(s.tell(Kind::Promoted, 2, Some("champion")).unwrap_err().contains("was retired by event 5"));
        assert!(s.tell(Kind::RolledBack, 2, Some("champion")).unwrap_err().contains("was retired"));
        assert!(s.tell(Kind::Retired, 2, None).unwrap_err().contains("was retired"));
        assert_eq!(s.back(), Some(1));
    }

    #[test]
    fn a_rollback_never_leads_to_what_is_there_already() {
        let mut s = story();
        for version in [1, 2, 1] {
            s.promote(version);
        }
        s.tell(Kind::Retired, 2, None).unwrap();
        assert_eq!(s.back(), None);
    }

    #[test]
    fn an_event_that_does_not_follow_changes_nothing() {
        let mut s = story();
        s.tell(Kind::Registered, 1, None).unwrap();
        s.promote(1);
        let before = s.0.clone();
        assert!(s.tell(Kind::Registered, 1, None).unwrap_err().contains("known already"));
        assert!(s.tell(Kind::RolledBack, 2, Some("champion")).unwrap_err().contains("never named version 2"));
        let other = Event { version: 1, replaced_version: Some(1), ..event() };
        assert!(s.0.apply(&other).unwrap_err().contains("has digest 000"));
        let stale = Event { version: 9, replaced_version: Some(4), ..event() };
        assert!(s.0.apply(&stale).unwrap_err().contains("names version 1"));
        assert_eq!(s.0, before);
    }
}
