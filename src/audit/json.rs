//! JSON in one form, so that a digest over it means the same everywhere: keys sorted by their code points, no white space,
//! strings with no more escapes than they need, numbers as they were written.
//!
//! What always holds: writing what was parsed changes no number. A library would read `0.1` as a double and write it again, and
//! two libraries need not write the same. Refuses: a key twice in one object.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::IgnoredAny;

use crate::error::{Error, Result};

/// A value whose numbers are text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    /// A number, `true`, `false` or `null`.
    Plain(String),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// What a value is in JSON.
    pub fn of(value: &impl Serialize) -> Result<Json> {
        let text = serde_json::to_string(value).map_err(|e| Error::Bug(e.to_string()))?;
        Json::parse(&text).map_err(Error::Bug)
    }

    /// Reads a text, or says why it cannot be read.
    pub fn parse(text: &str) -> std::result::Result<Json, String> {
        // What is strict, and how deep things may lie, is the library's; then only the ends of tokens are left to find.
        serde_json::from_str::<IgnoredAny>(text).map_err(|e| e.to_string())?;
        Parser { text, at: 0 }.value()
    }

    /// The one form.
    pub fn canonical(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Json::Plain(token) => out.push_str(token),
            Json::Text(text) => write_text(text, out),
            Json::List(items) => {
                out.push('[');
                for (n, item) in items.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (n, (key, value)) in members.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    write_text(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// A string in quotes: `"` and `\` behind a backslash, control characters below U+0020 as `\b`, `\f`, `\n`, `\r`, `\t` or
/// `\u00xx`, all others as they are.
fn write_text(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// Over a text that is known to be JSON.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn next(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(|b| b.is_ascii_whitespace() || matches!(b, b',' | b':')) {
            self.at += 1;
        }
        bytes.get(self.at).copied().unwrap_or(b'}')
    }

    fn value(&mut self) -> std::result::Result<Json, String> {
        match self.next() {
            b'"' => self.string().map(Json::Text),
            b'[' => {
                self.at += 1;
                let mut items = Vec::new();
                while self.next() != b']' {
                    items.push(self.value()?);
                }
                self.at += 1;
                Ok(Json::List(items))
            }
            b'{' => {
                self.at += 1;
                let mut members = BTreeMap::new();
                while self.next() != b'}' {
                    let key = self.string()?;
                    let value = self.value()?;
                    if members.insert(key.clone(), value).is_some() {
                        return Err(format!("key {key:?} is given twice"));
                    }
                }
                self.at += 1;
                Ok(Json::Object(members))
            }
            _ => {
                let rest = &self.text[self.at..];
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).unwrap_or(rest.len());
                if end == 0 {
                    return Err(format!("there is no value at byte {}", self.at));
                }
                self.at += end;
                Ok(Json::Plain(rest[..end].to_string()))
            }
        }
    }

    fn string(&mut self) -> std::result::Result<String, String> {
        let bytes = self.text.as_bytes();
        let mut end = self.at + 1;
        while bytes.get(end).is_some_and(|b| *b != b'"') {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        let token = self.text.get(self.at..=end).ok_or("a string does not end")?;
        self.at = end + 1;
        serde_json::from_str(token).map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_white_space_goes_and_numbers_stay_as_they_are() {
        let text = " { \"b\" : [ 1.50 , -0, 1E5, true,null , {} , [ ] ] ,\n\"a\":\"\\u00e9\\n\\u0001 \\\" , : ]\" } ";
        let canonical = Json::parse(text).unwrap().canonical();
        assert_eq!(canonical, "{\"a\":\"é\\n\\u0001 \\\" , : ]\",\"b\":[1.50,-0,1E5,true,null,{},[]]}");
        assert_eq!(Json::parse(&canonical).unwrap().canonical(), canonical);
        let float = Json::of(&(0.1f32, 0.1f64 + 0.2)).unwrap().canonical();
        assert_eq!(float, "[0.1,0.30000000000000004]");
    }

    #[test]
    fn what_is_no_json_or_has_a_key_twice_is_refused() {
        for bad in ["", "{", "[1,]", "{\"a\":1,\"a\":1}", "{\"a\":1}x", "nul", "\"a"] {
            assert!(Json::parse(bad).is_err(), "{bad}");
        }
        assert!(Json::parse(&"[".repeat(100_000)).is_err());
    }
}
