//! Everything of a model, read and compared: the chain of its events, the reports that they name, its versions.
//!
//! Always holds: it goes on after a fault and tells all of them. Refuses: repairing anything.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{Event, MAX_EVENT_BYTES, digest_of};
use super::history::{file, follows};
use super::reference::version_number;
use super::state::State;
use super::version::{CLAIM, as_refusal};
use super::{MAX_REPORT_BYTES, Registry, report, signature, version};
use crate::error::{Error, Result};
use crate::model::manifest::{FILES, MANIFEST};

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Something is not as it was written.
    Damage,
    /// Something that is allowed and that one may want to know.
    Note,
}

impl Weight {
    pub fn as_str(self) -> &'static str {
        match self {
            Weight::Damage => "damage",
            Weight::Note => "note",
        }
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub weight: Weight,
    /// Path below the model's folder, or a version such as `versions/7`.
    pub place: String,
    pub what: String,
}

/// What was looked at, and what was found.
#[derive(Debug, Clone, Default)]
pub struct Verified {
    pub events: u64,
    pub versions: u64,
    pub reports: u64,
    pub findings: Vec<Finding>,
}

impl Verified {
    /// Whether nothing is damaged.
    pub fn is_whole(&self) -> bool {
        self.findings.iter().all(|finding| finding.weight == Weight::Note)
    }

    /// What was read; a refusal becomes a finding, a store that does not answer is an error.
    fn judge<T>(&mut self, place: &str, outcome: Result<T>) -> Result<Option<T>> {
        match outcome {
            Ok(read) => Ok(Some(read)),
            Err(Error::Registry(why)) => {
                self.damage(place, why);
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    fn damage(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.findings.push(Finding { weight: Weight::Damage, place: place.into(), what: what.into() });
    }

    fn note(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.findings.push(Finding { weight: Weight::Note, place: place.into(), what: what.into() });
    }
}

/// The names below a model's folder.
#[derive(Default)]
struct Names {
    events: BTreeSet<u64>,
    /// Files of each version's folder.
    versions: BTreeMap<u64, BTreeSet<String>>,
    strange: Vec<String>,
}

impl Registry {
    /// Reads all of a model.
    ///
    /// # Errors
    /// [`Error::Registry`] when there is nothing of that name, and those of the store; what is damaged is a finding.
    pub async fn verify(&self, name: &str) -> Result<Verified> {
        super::reference::check_name(name)?;
        let names = self.names_of(name).await?;
        if names.events.is_empty() && names.versions.is_empty() {
            return Err(Error::Registry(format!("there is nothing of {name} in {}", self.place.url())));
        }
        let mut found = Verified::default();
        for path in &names.strange {
            found.damage(path, "no file of a registry has this name; move it away");
        }
        let events = self.verify_events(name, &names, &mut found).await?;
        let state = fold(&events, &mut found);
        self.verify_reports(name, &events, &mut found).await?;
        for (version, files) in &names.versions {
            self.verify_version(name, *version, files, &state, &mut found).await?;
        }
        for (version, known) in state.versions() {
            let there = names.versions.get(version).is_some_and(|files| files.contains(MANIFEST));
            if !there {
                let digest = &known.digest;
                found
                    .damage(format!("versions/{version}"), format!("events speak of it (digest {digest}), it is gone"));
            }
        }
        Ok(found)
    }

    async fn names_of(&self, name: &str) -> Result<Names> {
        let mut names = Names::default();
        for listed in self.place.list(name).await? {
            let path = listed.name.strip_prefix(name).unwrap_or_default().trim_start_matches('/');
            let mut parts = path.splitn(3, '/');
            match (parts.next(), parts.next(), parts.next()) {
                (Some("events"), Some(file), None) if event_number(file).is_some() => {
                    names.events.extend(event_number(file));
                }
                (Some("versions"), Some(number), Some(file)) if version_number(number).is_some() => {
                    let version = names.versions.entry(version_number(number).unwrap_or_default()).or_default();
                    version.insert(file.to_owned());
                }
                (Some("reports"), Some(_), None) => {}
                _ => names.strange.push(path.to_owned()),
            }
        }
        Ok(names)
    }

    /// The events that can be read, in their order; a fault in one does not hide the next.
    async fn verify_events(&self, name: &str, names: &Names, found: &mut Verified) -> Result<Vec<Event>> {
        let folder = self.place.child(name);
        let mut events: Vec<Event> = Vec::new();
        // The event before and the digest of its file, where both are known.
        let mut before: Option<(Event, String)> = None;
        let mut expected = 1;
        for &number in &names.events {
            let path = file(number);
            if number > expected {
                found.damage(file(expected), format!("{} event(s) from here on are missing", number - expected));
                before = None;
            }
            expected = number + 1;
            let bytes = folder.get_bounded(&path, MAX_EVENT_BYTES).await.map_err(as_refusal);
            let Some(bytes) = found.judge(&path, bytes)?.flatten() else {
                before = None;
                continue;
            };
            found.events += 1;
            let parsed = Event::parse(&path, &bytes);
            let judged = match &before {
                None if number > 1 => parsed.as_ref().map(|_| ()).map_err(Error::to_string),
                before => {
                    let (last, digest) = before.as_ref().map(|(event, digest)| (event, digest.as_str())).unzip();
                    follows(name, last, digest, &bytes).map(|_| ())
                }
            };
            if let Err(why) = judged {
                found.damage(&path, why);
            }
            // One that is only out of line still says what happened.
            let event = parsed.ok().filter(|event| event.number == number);
            before = event.clone().map(|event| (event, digest_of(&bytes)));
            events.extend(event);
        }
        Ok(events)
    }

    async fn verify_reports(&self, name: &str, events: &[Event], found: &mut Verified) -> Result<()> {
        let named: BTreeSet<&String> = events.iter().filter_map(|event| event.report_sha256.as_ref()).collect();
        for digest in named {
            let path = format!("reports/{digest}.html");
            let bytes = self.place.get_bounded(&report(name, digest), MAX_REPORT_BYTES).await.map_err(as_refusal);
            match found.judge(&path, bytes)? {
                Some(Some(bytes)) if digest_of(&bytes) == *digest => found.reports += 1,
                Some(Some(bytes)) => found.damage(path, format!("its digest is {}", digest_of(&bytes))),
                Some(None) => found.damage(path, "an event rests on it and it is missing"),
                None => {}
            }
        }
        Ok(())
    }

    async fn verify_version(
        &self,
        name: &str,
        number: u64,
        files: &BTreeSet<String>,
        state: &State,
        found: &mut Verified,
    ) -> Result<()> {
        let place = format!("versions/{number}");
        let belongs = |file: &str| {
            [CLAIM, MANIFEST, signature::SIGNATURE].contains(&file) || FILES.iter().any(|(name, _)| *name == file)
        };
        for file in files.iter().filter(|file| !belongs(file)) {
            found.damage(format!("{place}/{file}"), "no file of a version has this name; move it away");
        }
        let Some(manifest) = found.judge(&place, self.manifest(name, number).await)? else { return Ok(()) };
        let Some(manifest) = manifest else {
            if !state.versions().contains_key(&number) {
                found.note(place, "its number was taken and it was never completed; it is never used");
            }
            return Ok(());
        };
        found.versions += 1;
        let folder = self.folder(name, number);
        found.judge(&place, version::read(&folder, name, &manifest).await)?;
        if let Some(signature) = found.judge(&place, signature::read(&folder).await)?
            && let Some(trusted) = &self.trusted
        {
            found.judge(&place, trusted.verify(&manifest, signature.as_ref()))?;
        }
        let digest = digest_of(&manifest);
        match state.versions().get(&number) {
            Some(known) if known.digest != digest => {
                found.damage(&place, format!("its digest is {digest}, the events say {}", known.digest));
            }
            Some(known) if known.registered.is_some() => {}
            _ => found.note(&place, format!("no event registered it; harmonize models register {name}@{number} does")),
        }
        Ok(())
    }
}

/// The number in the name of an event's file.
fn event_number(file: &str) -> Option<u64> {
    file.strip_suffix(".json").and_then(version_number)
}

/// What the events say as far as they follow from each other.
fn fold(events: &[Event], found: &mut Verified) -> State {
    let mut state = State::default();
    for event in events {
        if let Err(why) = state.apply(event) {
            found.damage(file(event.number), why);
        }
    }
    state
}
