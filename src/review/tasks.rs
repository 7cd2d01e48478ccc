//! The queue as tasks of Label Studio, and the labelling configuration that shows them.
//!
//! A task carries every column of the queue, so that what comes back says which row it is about. The model's answer is a
//! prediction; the decision is never filled in.

use std::io::Write;

use serde_json::{Map, Number, Value, json};

use super::columns::{CANDIDATES, DECISIONS};
use super::inert::inert_in_json;
use super::reasons::ReasonCodes;
use super::sheet::{Holds, Layout, Output, Target};
use crate::error::{Error, Result};

/// Name of the choice among the candidates.
pub(super) const CANDIDATE: &str = "candidate";
/// Name of the field for another code.
pub(super) const DECIDED: &str = "decided_code";
/// Name of the choice that says that it rests on a ruling.
pub(super) const BINDING: &str = "binding";

/// A file of tasks that is being written.
pub(super) struct Tasks {
    output: Output,
    layout: Layout,
    rows: u64,
}

impl Tasks {
    pub fn create(target: &Target, layout: Layout) -> Result<Tasks> {
        let mut output = Output::create(target)?;
        output.write_all(b"[")?;
        Ok(Tasks { output, layout, rows: 0 })
    }

    /// Adds a task of the cells of a row.
    pub fn row(&mut self, cells: &[Option<&str>]) -> Result<()> {
        let task = self.task(cells);
        self.output.write_all(if self.rows == 0 { b"\n" } else { b",\n" })?;
        self.rows += 1;
        serde_json::to_writer(&mut self.output, &task).map_err(|e| Error::from(std::io::Error::from(e)))
    }

    pub fn finish(mut self) -> Result<u64> {
        self.output.write_all(b"\n]\n")?;
        self.output.finish()?;
        Ok(self.rows)
    }

    fn task(&self, cells: &[Option<&str>]) -> Value {
        let mut data = Map::new();
        for (column, cell) in self.layout.columns.iter().zip(cells) {
            if FILLED_IN.contains(&column.name.as_str()) {
                continue;
            }
            let whole = |text: &str| text.parse::<i64>().ok().map(Number::from);
            let number = |text: &str| whole(text).or_else(|| Number::from_f64(text.parse().ok()?));
            let value = match cell {
                None => Value::Null,
                Some(text) if column.holds == Holds::Number => number(text).map_or(json!(text), Value::Number),
                Some(text) => inert_in_json(text).into(),
            };
            data.insert(column.name.clone(), value);
        }
        let get = |data: &Map<String, Value>, name: &str| data.get(name).and_then(Value::as_str).map(str::to_string);
        let candidate = |n: usize| {
            let code = get(&data, &format!("candidate_{n}_code"))?;
            let text = get(&data, &format!("candidate_{n}_text")).unwrap_or_default();
            let confidence = data.get(&format!("candidate_{n}_confidence")).and_then(Value::as_f64).unwrap_or(0.0);
            Some((format!("{code}  {confidence:.2}  {text}"), code))
        };
        let (shown, codes): (Vec<String>, Vec<String>) = (1..=CANDIDATES).filter_map(candidate).unzip();
        let (code, model) = (get(&data, "code"), get(&data, "model").unwrap_or_default());
        let score = data.get("confidence").cloned().unwrap_or(Value::Null);
        data.insert("candidates".into(), shown.join("\n").into());
        data.insert("choices".into(), codes.iter().map(|code| json!({"value": code})).collect());
        let predictions = match code.filter(|code| codes.contains(code)) {
            Some(code) => json!([{"model_version": model, "score": score, "result": [{
                "id": "shown", "from_name": CANDIDATE, "to_name": "text", "type": "choices",
                "value": {"choices": [code]}
            }]}]),
            None => json!([]),
        };
        json!({"data": data, "predictions": predictions})
    }
}

/// Columns that people fill in, which are controls and no data.
const FILLED_IN: [&str; 6] = ["decision", DECIDED, "reason_code", "note", "reviewer", BINDING];

/// The labelling configuration of a project that shows such tasks.
pub fn labelling_config(reasons: &ReasonCodes) -> String {
    let choice = |(value, about): (&str, &str)| {
        format!("    <Choice value=\"{}\" hint=\"{}\"/>\n", attribute(value), attribute(about))
    };
    let decisions: String = DECISIONS.into_iter().map(choice).collect();
    let reasons: String = reasons.all().iter().map(|(code, about)| choice((code, about))).collect();
    format!(
        "<View>\n  <Header value=\"$why\"/>\n  <Text name=\"text\" value=\"$text\"/>\n  \
         <Text name=\"candidates\" value=\"$candidates\"/>\n  <Text name=\"evidence\" value=\"$evidence\"/>\n  \
         <Choices name=\"decision\" toName=\"text\" choice=\"single\" required=\"true\" showInline=\"true\">\n{decisions}  </Choices>\n  \
         <Header value=\"When another code is right: one of the candidates, or write it\"/>\n  \
         <Choices name=\"{CANDIDATE}\" toName=\"text\" choice=\"single\" value=\"$choices\" showInline=\"true\"/>\n  \
         <TextArea name=\"{DECIDED}\" toName=\"text\" maxSubmissions=\"1\" rows=\"1\" placeholder=\"six digits\"/>\n  \
         <Choices name=\"reason_code\" toName=\"text\" choice=\"single\" showInline=\"true\">\n{reasons}  </Choices>\n  \
         <TextArea name=\"note\" toName=\"text\" rows=\"2\" placeholder=\"note\"/>\n  \
         <Choices name=\"{BINDING}\" toName=\"text\" choice=\"single\" showInline=\"true\">\n    \
         <Choice value=\"yes\" hint=\"it rests on a binding ruling\"/>\n  </Choices>\n</View>\n"
    )
}

fn attribute(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
