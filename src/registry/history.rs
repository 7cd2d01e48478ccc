//! The chain of a model's events: read from its first file, extended by create-if-absent.
//!
//! Always holds: the events that are kept here are numbered without a gap, each carries the digest of the file before it,
//! none is older than the one before it, and their fold is `state`. A new event takes the next number or none: of two
//! writers the store lets one through. Refuses: a chain that does not hold together; nothing is appended to it.

use std::time::Duration;

use bytes::Bytes;
use futures::future::try_join_all;

use super::event::{Act, EVENT_FORMAT_VERSION, Event, Evidence, Kind, MAX_EVENT_BYTES, digest_of, written};
use super::reference::{AsOf, check_name};
use super::state::State;
use super::version::as_refusal;
use crate::error::{Context, Error, Result};
use crate::lake::Place;

/// Events that are asked for at once: at first, and at most.
const WINDOW: u64 = 8;
const MAX_WINDOW: u64 = 64;
/// Attempts at a number that another is said to have taken although nothing is there yet.
const TRIES: u32 = 8;

/// The events of one model, and what they say.
#[derive(Debug, Clone)]
pub struct History {
    /// `<registry>/<name>`.
    place: Place,
    name: String,
    events: Vec<Event>,
    last_digest: Option<String>,
    state: State,
}

/// What is to be recorded.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub kind: Kind,
    pub version: u64,
    pub digest: String,
    pub alias: Option<String>,
    pub evidence: Evidence,
}

/// How recording an event ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Appended {
    /// It is in the chain.
    Committed,
    /// Another's took the number; it is in [`History::events`] now.
    Lost(Box<Event>),
    /// It cannot be told.
    Unknown(String),
}

impl History {
    /// Reads the events of a model; there may be none.
    ///
    /// # Errors
    /// [`Error::Registry`] when the chain does not hold together, and those of the store.
    pub(super) async fn read(registry: &Place, name: &str) -> Result<History> {
        check_name(name)?;
        let place = registry.child(name);
        let (events, state) = (Vec::new(), State::default());
        let mut history = History { place, name: name.to_owned(), events, last_digest: None, state };
        history.read_on(WINDOW).await?;
        Ok(history)
    }

    /// Reads what came since.
    ///
    /// # Errors
    /// As for reading all of it.
    pub async fn refresh(&mut self) -> Result<()> {
        self.read_on(2).await
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// In their order; the number of the first is 1.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// SHA-256 of the file of an event, by its number.
    pub fn file_digest(&self, number: u64) -> Option<&str> {
        let next = self.events.get(usize::try_from(number).ok()?);
        match next {
            Some(next) => next.previous_sha256.as_deref(),
            None if number == self.events.len() as u64 => self.last_digest.as_deref(),
            None => None,
        }
    }

    /// What the events say now.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What they said then.
    ///
    /// # Errors
    /// None that the events here have not passed already.
    pub fn state_at(&self, at: &AsOf) -> Result<State> {
        let mut state = State::default();
        for event in &self.events {
            if event.time()? > at.last() {
                break;
            }
            state.apply(event).map_err(|why| self.broken(event.number, &why))?;
        }
        Ok(state)
    }

    /// Writes the next event.
    ///
    /// # Errors
    /// [`Error::Registry`] when it does not follow from the chain; those of the store when nothing can have been written.
    pub(super) async fn append(&mut self, entry: Entry, act: &Act) -> Result<Appended> {
        let event = self.next(entry, act)?;
        if let Some(why) = self.state.refuses(&event) {
            return Err(Error::Registry(format!("{}@{}: {why}", self.name, event.version)));
        }
        let bytes = Bytes::from(event.to_bytes()?);
        // What this program would not read it does not write.
        Event::parse("the event", &bytes)?;
        for wait in 0..TRIES {
            let answer = self.place.create(&file(event.number), bytes.clone()).await;
            let failed = match answer {
                Ok(true) => return self.take(&bytes).map(|()| Appended::Committed),
                Ok(false) => None,
                Err(e @ (Error::Storage(_) | Error::CommitUnknown(_))) => Some(e),
                Err(e) => return Err(e),
            };
            // The store's answer is one witness, its content the other: the nonce tells whose event it is.
            match (self.refresh().await.map(|()| self.events.get(event.number as usize - 1)), failed) {
                (Ok(Some(there)), _) if *there == event => return Ok(Appended::Committed),
                (Ok(Some(there)), _) => return Ok(Appended::Lost(Box::new(there.clone()))),
                (_, Some(e)) => return Ok(Appended::Unknown(e.to_string())),
                (Err(e), None) => return Err(e),
                // Refused because of one that is still being written.
                (Ok(None), None) => tokio::time::sleep(Duration::from_millis(20 << wait)).await,
            }
        }
        Err(Error::RaceLost(format!("{}: another is writing event {} just now; run again", self.name, event.number)))
    }

    /// The error of an event that may have been written or not.
    pub(super) fn unknown(&self, why: &str, next_step: &str) -> Error {
        Error::CommitUnknown(format!(
            "{}: it is not known whether event {} was written: {why}; {next_step}",
            self.name,
            self.events.len() + 1
        ))
    }

    fn next(&self, entry: Entry, act: &Act) -> Result<Event> {
        // Clocks of machines differ; the order of the chain is the order of time.
        let before = self.events.last().map(Event::time).transpose()?;
        let replaced = entry.alias.as_deref().and_then(|alias| self.state.named(alias));
        Ok(Event {
            format_version: EVENT_FORMAT_VERSION,
            number: self.events.len() as u64 + 1,
            kind: entry.kind,
            at: written(before.map_or(act.at, |before| before.max(act.at))),
            by: act.by.clone(),
            why: act.why.clone(),
            model: self.name.clone(),
            version: entry.version,
            model_digest: entry.digest,
            replaced_version: replaced.map(|held| held.version),
            alias: entry.alias,
            evidence: entry.evidence.json,
            report_sha256: entry.evidence.report_sha256,
            previous_sha256: self.last_digest.clone(),
            nonce: act.nonce().to_owned(),
        })
    }

    /// Reads from the next number on until there is none, `ahead` at first and then more at once.
    async fn read_on(&mut self, mut ahead: u64) -> Result<()> {
        loop {
            let first = self.events.len() as u64 + 1;
            let wanted: Vec<String> = (first..first + ahead).map(file).collect();
            let found = try_join_all(wanted.iter().map(|file| self.place.get_bounded(file, MAX_EVENT_BYTES)));
            let found = found.await.map_err(as_refusal).context(|| format!("events of {}", self.name))?;
            let there = found.iter().take_while(|bytes| bytes.is_some()).count();
            let beyond = found.iter().skip(there).any(Option::is_some);
            for bytes in found.into_iter().take(there).flatten() {
                self.take(&bytes)?;
            }
            if beyond && there == 0 && self.is_missing(first).await? {
                return Err(self.broken(first, "it is missing although later ones are there"));
            }
            // Written while the window was read: look again.
            if !beyond && (there as u64) < ahead {
                return Ok(());
            }
            ahead = (ahead * 2).min(MAX_WINDOW);
        }
    }

    async fn is_missing(&self, number: u64) -> Result<bool> {
        Ok(self.place.head(&self.place.path(&file(number))).await?.is_none())
    }

    /// Takes in the file of the next event.
    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        let event = follows(&self.name, self.events.last(), self.last_digest.as_deref(), bytes)
            .and_then(|event| self.state.apply(&event).map(|()| event))
            .map_err(|why| self.broken(self.events.len() as u64 + 1, &why))?;
        self.last_digest = Some(digest_of(bytes));
        self.events.push(event);
        Ok(())
    }

    fn broken(&self, number: u64, why: &str) -> Error {
        Error::Registry(format!(
            "the history of {0} is damaged at event {number}: {why}; `harmonize models verify {0}` tells all of it, a \
             version by its number can still be used",
            self.name
        ))
    }
}

/// Path of an event below the model's folder.
pub(super) fn file(number: u64) -> String {
    format!("events/{number}.json")
}

/// Parses the file of the event after `last`, or says why it is not that. `digest` is that of `last`'s file.
pub(super) fn follows(
    name: &str,
    last: Option<&Event>,
    digest: Option<&str>,
    bytes: &[u8],
) -> std::result::Result<Event, String> {
    let number = last.map_or(1, |last| last.number + 1);
    let event = Event::parse(&file(number), bytes).map_err(|e| e.to_string())?;
    if event.number != number {
        return Err(format!("its number is {}", event.number));
    }
    if event.model != name {
        return Err(format!("it is about the model {:?}", event.model));
    }
    if event.previous_sha256.as_deref() != digest {
        return Err(match digest {
            Some(digest) => format!("the event before it has digest {digest}, not the one that is said"),
            None => "it says that there is an event before it".into(),
        });
    }
    let times = (event.time().map_err(|e| e.to_string())?, last.map(Event::time).transpose());
    match times {
        (at, Ok(Some(before))) if at < before => Err("it is older than the event before it".into()),
        _ => Ok(event),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Registry, Target};
    use std::path::{Path, PathBuf};

    fn registry(dir: &Path) -> Registry {
        Registry::new(Place::open(dir.to_str().unwrap()).unwrap())
    }

    fn act() -> Act {
        Act::new("anna", "2026-03-01T10:00:00Z".parse().unwrap(), "a test").unwrap()
    }

    fn event_file(dir: &Path, number: u64) -> PathBuf {
        dir.join("hs").join(file(number))
    }

    /// A chain of so many promotions of versions 1, 2, …
    async fn chain(dir: &Path, events: u64) -> History {
        let mut history = registry(dir).history("hs").await.unwrap();
        for version in 1..=events {
            let target = Target { version, digest: format!("{version:064x}") };
            history.promote(&target, "champion", Evidence::default(), &act()).await.unwrap();
        }
        history
    }

    async fn refusal(dir: &Path) -> String {
        match registry(dir).history("hs").await {
            Err(Error::Registry(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_chain_of_any_length_is_read_as_it_was_written() {
        for events in [0, 1, 7, 8, 9, 24, 25, 130] {
            let dir = tempfile::tempdir().unwrap();
            let written = chain(dir.path(), events).await;
            let read = registry(dir.path()).history("hs").await.unwrap();
            assert_eq!((read.events(), read.state()), (written.events(), written.state()), "{events}");
            assert_eq!(read.events().len() as u64, events);
        }
    }

    /// By an independent program: `sha256sum events/1.json` is what event 2 carries.
    #[tokio::test]
    async fn every_event_carries_the_sha_256_of_the_file_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let history = chain(dir.path(), 3).await;
        for number in [1, 2] {
            let sum = std::process::Command::new("sha256sum").arg(event_file(dir.path(), number)).output().unwrap();
            let sum = String::from_utf8(sum.stdout).unwrap();
            assert_eq!(history.events()[number as usize].previous_sha256.as_deref(), sum.split(' ').next());
        }
    }

    #[tokio::test]
    async fn a_changed_missing_or_misplaced_event_is_told_by_its_number() {
        let spoil = |number: u64, change: fn(String) -> String| {
            move |dir: &Path| {
                let file = event_file(dir, number);
                let text = std::fs::read_to_string(&file).unwrap();
                std::fs::write(file, change(text)).unwrap();
            }
        };
        let remove = |dir: &Path| std::fs::remove_file(event_file(dir, 2)).unwrap();
        let copy = |dir: &Path| assert!(std::fs::copy(event_file(dir, 2), event_file(dir, 3)).is_ok());
        type Spoil = Box<dyn Fn(&Path)>;
        let cases: [(Spoil, &str); 6] = [
            (Box::new(spoil(2, |t| t.replace("anna", "otto"))), "event 3: the event before it has digest"),
            (Box::new(spoil(2, |t| t + " ")), "event 3: the event before it has digest"),
            (Box::new(spoil(4, |t| t.replace("\"hs\"", "\"xx\""))), "event 4: it is about the model \"xx\""),
            (Box::new(spoil(4, |t| t[..20].to_owned())), "event 4"),
            (Box::new(remove), "event 2: it is missing although later ones are there"),
            (Box::new(copy), "event 3: its number is 2"),
        ];
        for (spoil, words) in cases {
            let dir = tempfile::tempdir().unwrap();
            chain(dir.path(), 4).await;
            spoil(dir.path());
            let why = refusal(dir.path()).await;
            assert!(why.contains(words), "{words}: {why}");
            assert!(why.contains("harmonize models verify hs"), "{why}");
        }
    }

    /// Eight tasks, each with a history of its own, as eight processes would have.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn racing_promotions_make_one_chain_in_which_none_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let racers: Vec<_> = (1..=8)
            .map(|racer| {
                let registry = registry(dir.path());
                tokio::spawn(async move {
                    let (mut done, mut told) = (Vec::new(), 0);
                    let mut history = registry.history("hs").await.unwrap();
                    for n in 0..10 {
                        let version = racer * 1_000 + n;
                        let target = Target { version, digest: format!("{version:064x}") };
                        loop {
                            match history.promote(&target, "champion", Evidence::default(), &act()).await {
                                Ok(_) => break done.push(version),
                                Err(Error::RaceLost(_)) => told += 1,
                                Err(e) => panic!("{e}"),
                            }
                        }
                    }
                    (done, told)
                })
            })
            .collect();
        let mut acknowledged = Vec::new();
        for racer in racers {
            acknowledged.extend(racer.await.unwrap().0);
        }
        let history = registry(dir.path()).history("hs").await.unwrap();
        let mut in_chain: Vec<u64> = history.events().iter().map(|event| event.version).collect();
        in_chain.sort_unstable();
        acknowledged.sort_unstable();
        assert_eq!(in_chain, acknowledged);
        assert_eq!(in_chain.len(), 80);
    }
}
