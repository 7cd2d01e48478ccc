//! JSON as Label Studio exports it: tasks with the annotations of people, or one flat object for each annotation (JSON-MIN).
//!
//! Every annotation is a row; what people skipped, and what a model predicted, is none. Who annotated is the reviewer.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{Row, Wanted, is_header, places};
use crate::error::{Error, Result};
use crate::review::cell::Cell;
use crate::review::tasks::{BINDING, CANDIDATE, DECIDED};

pub(super) fn read(bytes: &[u8], wanted: Wanted<'_>, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let (mut number, mut refused) = (0, None);
    let mut one = |task: Value| {
        number += 1;
        let read = task_rows(&task, number, wanted, each);
        // Kept as it is: the error of JSON would hold its words alone.
        read.map_err(|e| refused = Some(e)).is_ok()
    };
    let read = Tasks { each: &mut one }.deserialize(&mut json).and_then(|()| json.end());
    match (refused, read) {
        (Some(e), _) => Err(e),
        (None, Err(e)) => Err(Error::Input(format!("it cannot be read as JSON of Label Studio: {e}"))),
        (None, Ok(())) => Ok(()),
    }
}

/// Tasks one by one, so that a large file is not held twice.
struct Tasks<'a> {
    each: &'a mut dyn FnMut(Value) -> bool,
}

impl<'de> DeserializeSeed<'de> for Tasks<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Tasks<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tasks")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut tasks: A) -> Result<(), A::Error> {
        while let Some(task) = tasks.next_element::<Value>()? {
            if !(self.each)(task) {
                return Err(A::Error::custom("a task was refused"));
            }
        }
        Ok(())
    }
}

/// The rows of a task.
fn task_rows(task: &Value, number: u64, wanted: Wanted<'_>, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
    let empty = Map::new();
    let data = task.get("data").and_then(Value::as_object).or(task.as_object()).unwrap_or(&empty);
    // The columns that people fill in are in the annotations.
    let names: Vec<String> = data.keys().cloned().chain(FILLED.map(String::from)).collect();
    if !is_header(&names, wanted) {
        places(&names, wanted).map_err(|e| e.context(format!("task {number}")))?;
    }
    let row = |filled: &Map<String, Value>| {
        // What a person wrote is taken as it is; what was written for them is restored.
        let value = |name: &&str| match filled.get(*name) {
            Some(text) => Cell::Text(text.as_str().unwrap_or_default().to_string()),
            None => data.get(*name).map_or(Cell::Empty, cell),
        };
        (number, wanted.columns.iter().map(value).collect())
    };
    let Some(annotations) = task.get("annotations").or_else(|| task.get("completions")).and_then(Value::as_array)
    else {
        return match task.get("data") {
            // A task that nobody annotated.
            Some(_) => Ok(()),
            None => each(row(&settled(flat(data), data.get("code")))),
        };
    };
    for annotation in annotations {
        if annotation.get("was_cancelled").and_then(Value::as_bool) != Some(true) {
            each(row(&settled(filled(annotation), data.get("code"))))?;
        }
    }
    Ok(())
}

/// Columns that people fill in.
const FILLED: [&str; 6] = ["decision", DECIDED, "reason_code", "note", "reviewer", BINDING];

/// What a person filled in, by the names of columns.
fn filled(annotation: &Value) -> Map<String, Value> {
    let mut found = Map::new();
    for one in annotation.get("result").and_then(Value::as_array).into_iter().flatten() {
        let Some(name) = one.get("from_name").and_then(Value::as_str) else { continue };
        let value = one.get("value");
        let entered = ["choices", "text"].into_iter().find_map(|kind| value?.get(kind));
        if let Some(text) = entered.and_then(joined) {
            found.insert(name.to_string(), text.into());
        }
    }
    if let Some(who) = annotation.get("completed_by").and_then(person) {
        found.insert("reviewer".into(), who.into());
    }
    found
}

/// The same of an object of JSON-MIN.
fn flat(object: &Map<String, Value>) -> Map<String, Value> {
    let mut found = Map::new();
    for name in FILLED.into_iter().chain([CANDIDATE]) {
        let entered = object.get(name).map(|value| value.get("choices").or(value.get("text")).unwrap_or(value));
        if let Some(text) = entered.and_then(joined) {
            found.insert(name.to_string(), text.into());
        }
    }
    if let Some(who) = object.get("annotator").and_then(person) {
        found.entry("reviewer").or_insert(who.into());
    }
    found
}

/// One of the candidates that was chosen is the code, unless another is written. A choice that a model made beforehand, and that
/// nobody took away, says nothing where another code is right or none.
fn settled(mut found: Map<String, Value>, shown: Option<&Value>) -> Map<String, Value> {
    let chosen = found.remove(CANDIDATE);
    let says = match found.get("decision").and_then(Value::as_str) {
        Some("correct") => chosen.as_ref() != shown,
        Some("unclassifiable") => false,
        _ => true,
    };
    if let Some(chosen) = chosen.filter(|_| says) {
        found.entry(DECIDED).or_insert(chosen);
    }
    found
}

fn joined(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(list) => Some(list.iter().filter_map(joined).collect::<Vec<_>>().join("\n")),
        _ => None,
    }
}

/// Who annotated: an address, a name, else the number by which Label Studio knows the person.
fn person(who: &Value) -> Option<String> {
    let text = |name: &str| who.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    if let Some(email) = text("email") {
        return Some(email.to_string());
    }
    let names: Vec<&str> = ["first_name", "last_name"].into_iter().filter_map(text).collect();
    if !names.is_empty() {
        return Some(names.join(" "));
    }
    match who.get("id").unwrap_or(who) {
        Value::String(name) if !name.trim().is_empty() => Some(name.trim().to_string()),
        Value::Number(id) => Some(format!("label-studio:{id}")),
        _ => None,
    }
}

fn cell(value: &Value) -> Cell {
    match value {
        Value::String(text) => Cell::of_text(text),
        Value::Number(number) => number.as_f64().map_or(Cell::Empty, Cell::Number),
        Value::Bool(flag) => Cell::Flag(*flag),
        _ => Cell::Empty,
    }
}
