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
