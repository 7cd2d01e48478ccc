//! What a client may set for its own session, and what it is told of it.
//!
//! A setting changes how values are written and how long the client wants to wait, never what a statement may read, hold or
//! do. What is not in the list is refused, options of the engine above all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use datafusion_postgres::pgwire::types::format::FormatOptions;

use super::fault::{Answer, Fault, state};

/// What servers of this version understand is what is understood here; a client that asks gets nothing newer.
pub(super) const SERVER_VERSION: &str = concat!("16.6 (harmonize ", env!("CARGO_PKG_VERSION"), ")");

/// How a setting is treated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Any value is kept.
    Any,
    /// Kept, and the client is told of the change.
    Told,
    /// A duration in milliseconds, or with a unit.
    Time,
    /// Only these values mean what is the case.
    OneOf(&'static [&'static str]),
    /// Cannot be set.
    Fixed,
}

/// Name as clients write it, how it is treated, what it is at first.
const SETTINGS: [(&str, Kind, &str); 40] = [
    ("application_name", Kind::Told, ""),
    ("bytea_output", Kind::OneOf(&["hex", "escape"]), "hex"),
    ("check_function_bodies", Kind::Any, "on"),
    ("client_encoding", Kind::OneOf(&["utf8", "utf-8", "unicode"]), "UTF8"),
    ("client_min_messages", Kind::Any, "notice"),
    ("DateStyle", Kind::Told, "ISO, MDY"),
    ("default_table_access_method", Kind::Any, "heap"),
    ("default_tablespace", Kind::Any, ""),
    ("default_transaction_deferrable", Kind::Any, "off"),
    ("default_transaction_isolation", Kind::Any, "read committed"),
    ("default_transaction_read_only", Kind::Any, "on"),
    ("enable_seqscan", Kind::Any, "on"),
    ("extra_float_digits", Kind::Any, "1"),
    ("geqo", Kind::Any, "off"),
    ("idle_in_transaction_session_timeout", Kind::Time, "0"),
    ("idle_session_timeout", Kind::Time, "0"),
    ("in_hot_standby", Kind::Fixed, "off"),
    ("integer_datetimes", Kind::Fixed, "on"),
    ("IntervalStyle", Kind::Told, "postgres"),
    ("is_superuser", Kind::Fixed, "off"),
    ("jit", Kind::Any, "off"),
    ("lc_messages", Kind::Any, "C"),
    ("lc_monetary", Kind::Any, "C"),
    ("lock_timeout", Kind::Time, "0"),
    ("max_identifier_length", Kind::Fixed, "63"),
    ("max_index_keys", Kind::Fixed, "32"),
    ("quote_all_identifiers", Kind::Any, "off"),
    ("row_security", Kind::Any, "off"),
    ("search_path", Kind::Any, "public"),
    ("server_encoding", Kind::Fixed, "UTF8"),
    ("server_version", Kind::Fixed, SERVER_VERSION),
    ("server_version_num", Kind::Fixed, "160006"),
    ("standard_conforming_strings", Kind::OneOf(&["on", "true", "1", "yes"]), "on"),
    ("statement_timeout", Kind::Time, "0"),
    ("synchronize_seqscans", Kind::Any, "on"),
    ("TimeZone", Kind::Told, "UTC"),
    ("transaction_deferrable", Kind::Any, "off"),
    ("transaction_isolation", Kind::Any, "read committed"),
    ("transaction_read_only", Kind::Any, "on"),
    ("xmloption", Kind::Any, "content"),
];

/// Those that the client is told at the start.
const TOLD_AT_START: [&str; 13] = [
    "application_name",
    "client_encoding",
    "DateStyle",
    "default_transaction_read_only",
    "in_hot_standby",
    "integer_datetimes",
    "IntervalStyle",
    "is_superuser",
    "search_path",
    "server_encoding",
    "server_version",
    "standard_conforming_strings",
    "TimeZone",
];

/// Longest value.
const MAX_VALUE_BYTES: usize = 256;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    /// What differs from the start, by names of the list.
    set: BTreeMap<&'static str, String>,
    /// What the start-up message said, to which RESET goes back.
    begun: BTreeMap<&'static str, String>,
}

impl Settings {
    /// With the settings of a start-up message.
    pub fn begin(said: &BTreeMap<String, String>) -> Answer<Settings> {
        let mut settings = Settings::default();
        for (name, value) in said {
            settings.set(name, value)?;
        }
        settings.begun = settings.set.clone();
        Ok(settings)
    }

    /// Sets one; its name where the client has to be told.
    pub fn set(&mut self, name: &str, value: &str) -> Answer<Option<&'static str>> {
        let (name, kind, _) = find(name)?;
        let bad = |what: String| Err(Fault::new(state::INVALID_PARAMETER, what));
        if value.len() > MAX_VALUE_BYTES || value.contains(char::is_control) {
            return bad(format!("the value of {name} is too long or has control characters"));
        }
        match kind {
            Kind::Fixed => return Err(Fault::new("55P02", format!("{name} cannot be changed"))),
            Kind::OneOf(values) if !values.contains(&value.to_lowercase().as_str()) => {
                return bad(format!("{name} can only be {}", values.join(", ")));
            }
            Kind::Time => {
                milliseconds(value).ok_or_else(|| {
                    Fault::new(state::INVALID_PARAMETER, format!("{name} takes milliseconds, or 5s, 2min, 1h"))
                })?;
            }
            _ => {}
        }
        let value = if name == "client_encoding" { "UTF8" } else { value };
        self.set.insert(name, value.to_owned());
        Ok(Some(name).filter(|_| kind == Kind::Told || name == "client_encoding"))
    }

    /// Back to what it was at the start; its name where the client has to be told.
    pub fn reset(&mut self, name: &str) -> Answer<Option<&'static str>> {
        let (name, kind, _) = find(name)?;
        match self.begun.get(name) {
            Some(value) => self.set.insert(name, value.clone()),
            None => self.set.remove(name),
        };
        Ok(Some(name).filter(|_| kind == Kind::Told))
    }

    /// All back to what they were at the start; the names of which the client has to be told.
    pub fn reset_all(&mut self) -> Vec<&'static str> {
        self.set = self.begun.clone();
        SETTINGS.iter().filter(|(_, kind, _)| *kind == Kind::Told).map(|(name, ..)| *name).collect()
    }

    /// Name as it is shown, and value.
    pub fn show(&self, name: &str) -> Answer<(&'static str, &str)> {
        let (name, _, _) = find(name)?;
        Ok((name, self.get(name)))
    }

    /// All names and values.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &str)> {
        SETTINGS.iter().map(|(name, ..)| (*name, self.get(name)))
    }

    /// What the client is told when it has come in.
    pub fn told_at_start(&self) -> impl Iterator<Item = (&'static str, &str)> {
        TOLD_AT_START.iter().map(|name| (*name, self.get(name)))
    }

    /// A setting of the list.
    pub fn get(&self, name: &'static str) -> &str {
        let first = || SETTINGS.iter().find(|(known, ..)| *known == name).map_or("", |(.., first)| first);
        self.set.get(name).map_or_else(first, String::as_str)
    }

    /// The bound on a statement's time that the client asks for, if any.
    pub fn statement_timeout(&self) -> Option<Duration> {
        let asked = milliseconds(self.get("statement_timeout"))?;
        Some(Duration::from_millis(asked)).filter(|asked| !asked.is_zero())
    }

    /// How values are written as text.
    pub fn format(&self) -> Arc<FormatOptions> {
        let mut format = FormatOptions::default();
        format.date_style = self.get("DateStyle").to_owned();
        format.interval_style = self.get("IntervalStyle").to_owned();
        format.bytea_output = self.get("bytea_output").to_lowercase();
        format.extra_float_digits = self.get("extra_float_digits").parse().unwrap_or(1);
        Arc::new(format)
    }
}

fn find(name: &str) -> Answer<(&'static str, Kind, &'static str)> {
    let name = match name.to_lowercase().as_str() {
        "time zone" => "timezone".to_owned(),
        "names" => "client_encoding".to_owned(),
        lower => lower.to_owned(),
    };
    if let Some(found) = SETTINGS.iter().find(|(known, ..)| known.to_lowercase() == name) {
        return Ok(*found);
    }
    Err(match name.contains('.') || name == "role" || name == "session_authorization" {
        true => Fault::new(state::NOT_ALLOWED, format!("{name} is fixed for every session of this server")),
        false => Fault::new(state::NO_SUCH_OBJECT, format!("there is no setting {name}")),
    })
}

fn milliseconds(value: &str) -> Option<u64> {
    let value = value.trim();
    let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let unit = match value[digits..].trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    value[..digits].parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_set_is_kept_and_what_guards_the_server_is_refused() {
        let mut settings = Settings::default();
        assert_eq!(settings.set("APPLICATION_NAME", "psql").unwrap(), Some("application_name"));
        assert_eq!(settings.set("statement_timeout", "5s").unwrap(), None);
        assert_eq!(settings.statement_timeout(), Some(Duration::from_secs(5)));
        assert_eq!(settings.set("names", "utf-8").unwrap(), Some("client_encoding"));
        assert_eq!(settings.show("client_encoding").unwrap(), ("client_encoding", "UTF8"));
        let state = |settings: &mut Settings, name: &str, value: &str| settings.set(name, value).unwrap_err().state;
        assert_eq!(state(&mut settings, "datafusion.execution.batch_size", "1"), "42501");
        assert_eq!(state(&mut settings, "role", "operator"), "42501");
        assert_eq!(state(&mut settings, "is_superuser", "on"), "55P02");
        assert_eq!(state(&mut settings, "no_such_thing", "1"), "42704");
        assert_eq!(state(&mut settings, "client_encoding", "LATIN1"), "22023");
        assert_eq!(state(&mut settings, "statement_timeout", "soon"), "22023");
        assert_eq!(state(&mut settings, "standard_conforming_strings", "off"), "22023");
        settings.reset("statement_timeout").unwrap();
        assert_eq!(settings.statement_timeout(), None);
    }

    #[test]
    fn a_reset_goes_back_to_what_the_start_up_message_said() {
        let said = BTreeMap::from([("application_name".to_owned(), "first".to_owned())]);
        let mut settings = Settings::begin(&said).unwrap();
        settings.set("application_name", "second").unwrap();
        settings.reset_all();
        assert_eq!(settings.get("application_name"), "first");
        assert!(TOLD_AT_START.iter().all(|name| SETTINGS.iter().any(|(known, ..)| known == name)));
    }
}
