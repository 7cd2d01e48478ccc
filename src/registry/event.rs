//! `events/<n>.json`: one thing that happened to a model, and the words of its file.
//!
//! Always holds: a parsed event has a number from 1 on, digests of 64 hexadecimal digits, who and why in bounded text, an
//! alias exactly where its kind has one, and no key that this program does not know. Refuses: saying what an event means
//! for the ones before it; that is the fold in `state`.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::reference::{check_name, is_alias};
use crate::error::{Error, Result};
use crate::lake::Nonce;
use crate::model::manifest::{parse_json, sha256_hex, to_json};

/// Layout of an event that this program writes and reads.
pub const EVENT_FORMAT_VERSION: u32 = 1;
/// Largest event that is read.
pub const MAX_EVENT_BYTES: u64 = 4 << 20;
/// Largest evidence that is recorded in an event, as it is written.
pub const MAX_EVIDENCE_BYTES: u64 = 1 << 20;
const MAX_BY_CHARS: usize = 200;
const MAX_WHY_CHARS: usize = 4_000;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A version came into the registry.
    Registered,
    /// An alias names this version from now on.
    Promoted,
    /// An alias names this version, which it named before, again.
    RolledBack,
    /// The version is not to be used any more.
    Retired,
    /// A promotion was asked for and its gates stopped it; nothing changed.
    Refused,
}

impl Kind {
    /// As it is spelt in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Registered => "registered",
            Kind::Promoted => "promoted",
            Kind::RolledBack => "rolled_back",
            Kind::Retired => "retired",
            Kind::Refused => "refused",
        }
    }

    /// Whether it is about an alias.
    fn has_alias(self) -> bool {
        matches!(self, Kind::Promoted | Kind::RolledBack | Kind::Refused)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who does something, when and why. The clock and the names are read at the edge and passed down.
#[derive(Debug, Clone)]
pub struct Act {
    /// A person or a program.
    pub by: String,
    pub at: DateTime<Utc>,
    pub why: String,
    nonce: String,
}

impl Act {
    /// With a nonce of its own.
    ///
    /// # Errors
    /// [`Error::Usage`] when who or why is empty, too long, or (who) has control characters.
    pub fn new(by: &str, at: DateTime<Utc>, why: &str) -> Result<Act> {
        Act::with_nonce(by, at, why, &format!("{:019}", Nonce::new().0))
    }

    /// With this nonce: 8 to 128 letters, digits, `-` or `_`, which tell this attempt from every other.
    ///
    /// # Errors
    /// [`Error::Usage`] as for [`Act::new`], and for a nonce that is none.
    pub fn with_nonce(by: &str, at: DateTime<Utc>, why: &str, nonce: &str) -> Result<Act> {
        check_text("who does it", by, MAX_BY_CHARS)?;
        check_text("the reason", why, MAX_WHY_CHARS)?;
        if !is_nonce(nonce) {
            return Err(Error::Usage(format!("nonce {nonce:?} must be 8 to 128 letters, digits, '-' or '_'")));
        }
        Ok(Act { by: by.to_owned(), at, why: why.to_owned(), nonce: nonce.to_owned() })
    }

    pub fn nonce(&self) -> &str {
        &self.nonce
    }
}

/// What a promotion rests on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// Any JSON of at most [`MAX_EVIDENCE_BYTES`].
    pub json: Option<Value>,
    /// SHA-256 of a report that the registry keeps.
    pub report_sha256: Option<String>,
}

impl Evidence {
    /// Reads JSON; no object may have a key twice.
    ///
    /// # Errors
    /// [`Error::Registry`] when it is no such JSON or too large.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Value> {
        parse_json(name, bytes, MAX_EVIDENCE_BYTES)
    }
}

/// One event as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// [`EVENT_FORMAT_VERSION`].
    pub format_version: u32,
    /// Place in the chain, from 1 on; also the file's name.
    pub number: u64,
    pub kind: Kind,
    /// RFC 3339, UTC; never before that of the event before it.
    pub at: String,
    pub by: String,
    pub why: String,
    /// Name of the model.
    pub model: String,
    /// The version concerned.
    pub version: u64,
    /// SHA-256 of that version's manifest.
    pub model_digest: String,
    /// The alias concerned; of promotions, rollbacks and refusals alone.
    pub alias: Option<String>,
    /// The version that the alias named before, if any.
    pub replaced_version: Option<u64>,
    /// What the event rests on.
    pub evidence: Option<Value>,
    /// SHA-256 of `reports/<sha256>.html`.
    pub report_sha256: Option<String>,
    /// SHA-256 of the file of the event before; `null` for the first.
    pub previous_sha256: Option<String>,
    /// Tells this attempt from every other.
    pub nonce: String,
}

impl Event {
    /// Parses and checks the file of an event.
    ///
    /// # Errors
    /// [`Error::Registry`] for anything that an event of this format cannot be.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Event> {
        let event: Event = parse_json(file, bytes, MAX_EVENT_BYTES)?;
        event.check().map_err(|why| Error::Registry(format!("{file}: {why}")))?;
        Ok(event)
    }

    /// The bytes of its file.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        to_json("an event", self)
    }

    /// When it happened.
    ///
    /// # Errors
    /// [`Error::Registry`] for a text that is no time; a parsed event has none.
    pub fn time(&self) -> Result<DateTime<Utc>> {
        let time = DateTime::parse_from_rfc3339(&self.at).map(|t| t.to_utc());
        time.map_err(|e| Error::Registry(format!("event {}: at {:?}: {e}", self.number, self.at)))
    }

    fn check(&self) -> std::result::Result<(), String> {
        if self.format_version != EVENT_FORMAT_VERSION {
            return Err(format!(
                "format version is {}, this program reads {EVENT_FORMAT_VERSION}; use a newer program",
                self.format_version
            ));
        }
        if self.number == 0 || self.version == 0 || self.replaced_version == Some(0) {
            return Err("events and versions are counted from 1".into());
        }
        check_name(&self.model).map_err(|e| e.to_string())?;
        if !self.at.ends_with('Z') || self.time().is_err() {
            return Err(format!("at {:?} is not an RFC 3339 time in UTC", self.at));
        }
        for (what, text, most) in [("by", &self.by, MAX_BY_CHARS), ("why", &self.why, MAX_WHY_CHARS)] {
            check_text(what, text, most).map_err(|e| e.to_string())?;
        }
        let digests = [Some(&self.model_digest), self.report_sha256.as_ref(), self.previous_sha256.as_ref()];
        if let Some(digest) = digests.into_iter().flatten().find(|digest| !is_sha256(digest)) {
            return Err(format!("{digest:?} is not a SHA-256 digest"));
        }
        if self.previous_sha256.is_none() != (self.number == 1) {
            return Err("only the first event has no digest of the one before it".into());
        }
        if self.alias.is_some() != self.kind.has_alias() || self.alias.as_ref().is_some_and(|a| !is_alias(a)) {
            return Err(format!("alias {:?} does not belong to an event of kind {}", self.alias, self.kind));
        }
        if self.alias.is_none() && self.replaced_version.is_some() {
            return Err("a version is replaced although no alias is concerned".into());
        }
        if !is_nonce(&self.nonce) {
            return Err(format!("nonce {:?} is none", self.nonce));
        }
        Ok(())
    }
}

/// The time as it is written: UTC, microseconds.
pub(super) fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

pub(super) fn digest_of(bytes: &[u8]) -> String {
    sha256_hex(bytes)
}

fn is_nonce(text: &str) -> bool {
    (8..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

fn check_text(what: &str, text: &str, most: usize) -> Result<()> {
    let refuse = |why: &str| Err(Error::Usage(format!("{what} {why}; give 1 to {most} characters")));
    if text.trim().is_empty() {
        return refuse("is missing");
    }
    if text.chars().count() > most {
        return refuse("is too long");
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return refuse("has control characters");
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::registry) fn event() -> Event {
        Event {
            format_version: 1,
            number: 2,
            kind: Kind::Promoted,
            at: "2026-03-01T10:00:00.000000Z".into(),
            by: "anna".into(),
            why: "better on the review queue".into(),
            model: "hs".into(),
            version: 7,
            model_digest: "ab".repeat(32),
            alias: Some("champion".into()),
            replaced_version: None,
            evidence: Some(serde_json::json!({"p": 0.01})),
            report_sha256: None,
            previous_sha256: Some("cd".repeat(32)),
            nonce: "nonce-12345".into(),
        }
    }

    fn refusal(change: impl FnOnce(&mut Event)) -> String {
        let mut e = event();
        change(&mut e);
        Event::parse("events/2.json", &e.to_bytes().unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn an_event_is_read_back_as_it_was_written() {
        let bytes = event().to_bytes().unwrap();
        assert_eq!(Event::parse("events/2.json", &bytes).unwrap(), event());
        assert_eq!(event().time().unwrap().timestamp(), 1_772_359_200);
    }

    #[test]
    fn what_an_event_cannot_be_is_refused() {
        assert!(refusal(|e| e.format_version = 2).contains("format version is 2"));
        assert!(refusal(|e| e.number = 0).contains("counted from 1"));
        assert!(refusal(|e| e.at = "2026-03-01T10:00:00+01:00".into()).contains("in UTC"));
        assert!(refusal(|e| e.at = "2026-03-01Z".into()).contains("RFC 3339"));
        assert!(refusal(|e| e.by = " ".into()).contains("by is missing"));
        assert!(refusal(|e| e.why = "x".repeat(4_001)).contains("why is too long"));
        assert!(refusal(|e| e.model_digest = "AB".repeat(32)).contains("not a SHA-256"));
        assert!(refusal(|e| e.previous_sha256 = None).contains("only the first event"));
        assert!(refusal(|e| e.alias = None).contains("does not belong"));
        assert!(refusal(|e| e.alias = Some("../x".into())).contains("does not belong"));
        assert!(refusal(|e| e.kind = Kind::Retired).contains("does not belong"));
        assert!(refusal(|e| e.nonce = "short".into()).contains("nonce"));
    }

    #[test]
    fn keys_given_twice_and_unknown_keys_are_refused() {
        let text = String::from_utf8(event().to_bytes().unwrap()).unwrap();
        let parse = |t: String| Event::parse("e", t.as_bytes()).unwrap_err().to_string();
        assert!(parse(text.replacen('{', "{\"version\": 6,", 1)).contains("\"version\" is given twice"));
        assert!(parse(text.replacen("\"p\": 0.01", "\"p\": 0.01, \"p\": 1", 1)).contains("\"p\" is given twice"));
        assert!(parse(text.replacen('{', "{\"colour\": 6,", 1)).contains("unknown field"));
    }
}
