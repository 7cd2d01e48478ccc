//! The pack of one line: what it says, what was said of it, why, by what, who decided since, and whether it comes out again.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::logical_expr::{col, lit};
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::scalar::ScalarValue;
use serde_json::{Map, Value, json};

use super::became::Told;
use super::describe;
use super::json::Json;
use super::models::{Facts, facts, wording};
use super::pack::Pack;
use super::why::Why;
use crate::contract::Contract;
use crate::error::{Error, Result};
use crate::jobs::{Asked, ColumnDifference, DifferenceKind, Found, Model, Replayed, place_of};
use crate::registry::Registry;
use crate::sql::{Explainer, Explanation, Limits};
use crate::tariff::{Names, Tariff};
use crate::text;

type Row = Map<String, Value>;

/// What one model said of the line.
pub(super) struct Said {
    pub role: String,
    /// As it stands in the lake.
    pub then: Row,
    /// As it was made again.
    pub now: Option<Row>,
    /// Columns in which the two are not the same.
    pub differing: Vec<ColumnDifference>,
    /// Code, confidence and wording of each choice, best first.
    pub candidates: Vec<Value>,
    pub explanation: Option<Explanation>,
    pub why: Why,
}

impl Said {
    /// Whether it was made again, and is the same.
    pub fn is_equal(&self) -> bool {
        self.now.is_some() && self.differing.is_empty()
    }
}

/// All that is told of a line.
pub(super) struct Line {
    pub file: String,
    pub row: i64,
    pub line_id: Option<String>,
    pub stored: Option<String>,
    /// What the input holds now.
    pub asked: Option<Asked>,
    pub input: Found,
    /// The text that was normalised, and its digest now.
    pub normalised: Option<(String, String)>,
    pub text_digest: Option<String>,
    pub said: Vec<Said>,
    /// What became of the code that it had, in a run of `reclassify`.
    pub became: Option<Told>,
    pub decisions: Vec<Row>,
    pub history: Vec<Row>,
    pub models: Vec<Facts>,
}

/// Columns of other rows about the line.
const HISTORY: [&str; 15] = [
    "run_id",
    "run_date",
    "role",
    "served",
    "text_digest",
    "hs6",
    "confidence",
    "decision",
    "reasons",
    "previous_hs6",
    "model_name",
    "model_version",
    "model_digest",
    "tariff_edition",
    "policy_digest",
];

/// The pack of a line of a run that was replayed for it.
///
/// # Errors
/// `Input` when the run has no such line, and those of lake and registry.
pub async fn line_pack(
    replayed: &Replayed,
    (file, row): (&str, i64),
    registry: &Registry,
    names: Option<&Names>,
    limits: Limits,
) -> Result<Pack> {
    let line = gather(replayed, (file, row), registry, names, limits).await?;
    let run = &replayed.again.run;
    let name = format!("line-{}-{:016x}", run.run_id, place_of(&run.run_id, file, row));
    let members = BTreeMap::from([
        ("run".to_string(), Json::of(run)?),
        ("line".to_string(), Json::of(&line.json())?),
        ("policy".to_string(), Json::of(&replayed.again.champion()?.policy)?),
        ("models".to_string(), Json::of(&line.models)?),
        ("decisions".to_string(), Json::of(&line.decisions)?),
        ("history".to_string(), Json::of(&line.history)?),
        ("replay".to_string(), Json::of(&replayed.report)?),
    ]);
    Pack::new(name, "line", members, |digest| describe::line(&line, replayed, digest))
}

async fn gather(
    replayed: &Replayed,
    (file, row): (&str, i64),
    registry: &Registry,
    names: Option<&Names>,
    limits: Limits,
) -> Result<Line> {
    let (reader, run) = (&replayed.reader, &replayed.again.run);
    let here = col("source_file").eq(lit(file)).and(col("source_row").eq(lit(row)));
    let written = reader.rows_of(run).await?.filter(here.clone())?.sort(vec![col("role").sort(true, true)])?;
    let then = reader.objects(written, Some(Contract::Predictions)).await?;
    let text_of = |row: &Row, name: &str| row.get(name).and_then(Value::as_str).map(str::to_string);
    let first = then.first().ok_or_else(|| {
        Error::Input(format!("run {} has no row for row {row} of {file}; see its rows in predictions", run.run_id))
    })?;
    let (line_id, stored) = (text_of(first, "line_id"), then.iter().find_map(|row| text_of(row, "description")));
    let text_digest = text_of(first, "text_digest");
    let input = replayed.report.files.iter().find(|known| known.found.file.url == file);
    let input = input.map(|known| known.found.clone()).ok_or_else(|| {
        Error::Input(format!("{file} is in rows of run {} and not among the inputs of its record", run.run_id))
    })?;
    let asked = replayed.ask(file, row, limits).await?;
    // What stands in the lake is cut; the input has all of it.
    let past = replayed.again.past.as_ref();
    let description = match asked.as_ref().filter(|_| past.is_none()) {
        Some(asked) => asked.description.clone().filter(|_| asked.valid),
        None => stored.clone(),
    };
    let became = match past {
        Some(past) => past.became(file, row).await?,
        None => None,
    };
    // A run of another command has the wording that the user names, or else that of the lake.
    let of_lake = match (names, &became) {
        (None, None) => names_of(reader.context(), &run.tariff_edition).await?,
        _ => None,
    };
    let names = names.or(became.as_ref().map(|became| &became.names[1])).or(of_lake.as_ref());
    let normalised = description.as_deref().and_then(|description| {
        let mut normalised = String::new();
        text::normalise(description, &mut normalised);
        let digest = text::digest(&normalised).hex(&mut [0; 32]).to_string();
        (!normalised.is_empty()).then_some((normalised, digest))
    });
    let became = became.as_ref().map(|became| Told::of(became, first, replayed.again.champion()?)).transpose()?;
    let asked_now = became.as_ref().is_none_or(|became| became.asked);
    let mut said = Vec::new();
    for then in then {
        let role = text_of(&then, "role").unwrap_or_default();
        let model = replayed.again.models.iter().find(|model| model.role == role);
        let model = model.ok_or_else(|| {
            Error::Input(format!("row {row} of {file} has the role {role:?}, which run {} does not know", run.run_id))
        })?;
        let now = asked.iter().flat_map(|asked| &asked.rows).find(|row| text_of(row, "role").as_deref() == Some(&role));
        said.push(Said {
            differing: replayed
                .report
                .differences
                .iter()
                .filter(|difference| difference.kind == DifferenceKind::Differing && difference.role == role)
                .flat_map(|difference| difference.columns.clone())
                .collect(),
            now: now.cloned(),
            candidates: candidates(&then, names),
            explanation: match asked_now {
                true => explain(model, description.as_deref())?,
                false => None,
            },
            why: match &became {
                Some(became) => became.why(),
                None => Why::of(&then, model, normalised.as_ref().map(|(text, _)| text.as_str())),
            },
            role,
            then,
        });
    }
    let decisions = reader.context().table("decisions").await?;
    let of_text = col("source_file").is_null().and(col("text_digest").eq(lit(ScalarValue::Utf8(text_digest.clone()))));
    let decisions = sorted(decisions.filter(here.clone().or(of_text))?, &["decided_at", "decision_id"])?;
    let decisions = reader.objects(decisions, Some(Contract::Decisions)).await?;
    let others =
        reader.context().table("predictions").await?.filter(here.and(col("run_id").not_eq(lit(&run.run_id))))?;
    let history = sorted(others.select(HISTORY.map(col).to_vec())?, &["run_date", "run_id", "role"])?;
    let history = reader.objects(history, None).await?;
    let models = facts(&replayed.again, registry).await?;
    Ok(Line {
        file: file.into(),
        row,
        line_id,
        stored,
        asked,
        input,
        normalised,
        text_digest,
        said,
        became,
        decisions,
        history,
        models,
    })
}

/// The wording of an edition in the lake; `None` when it does not hold it.
async fn names_of(context: &SessionContext, edition: &str) -> Result<Option<Names>> {
    let tariff = Tariff::load(context).await?;
    let there = edition.parse().ok().and_then(|year| tariff.edition(year).ok());
    Ok(there.map(Names::of_nomenclature))
}

fn sorted(rows: DataFrame, by: &[&str]) -> Result<DataFrame> {
    Ok(rows.sort(by.iter().map(|name| col(*name).sort(true, true)).collect())?)
}

fn candidates(row: &Row, names: Option<&Names>) -> Vec<Value> {
    let choices = row.get("alternatives").and_then(Value::as_array).into_iter().flatten().enumerate();
    let told = |(n, choice): (usize, &Value)| {
        let code = choice["hs6"].as_str().unwrap_or_default();
        json!({"rank": n + 1, "hs6": code, "confidence": choice["confidence"], "wording": wording(names, code)})
    };
    choices.map(told).collect()
}

fn explain(model: &Model, description: Option<&str>) -> Result<Option<Explanation>> {
    let Some(description) = description else { return Ok(None) };
    Explainer::new(Arc::clone(&model.loaded), Arc::clone(&model.classifier)).explain(description)
}

impl Line {
    /// Whether every row came out again as it was.
    pub fn is_equal(&self) -> bool {
        self.said.iter().all(Said::is_equal)
    }

    fn json(&self) -> Value {
        let said = self.said.iter().map(|said| {
            json!({
                "role": said.role,
                "then": said.then,
                "now": said.now,
                "equal": said.is_equal(),
                "differing": said.differing,
                "candidates": said.candidates,
                "explanation": said.explanation.as_ref().map(Explanation::json),
                "why": {"facts": said.why.facts, "because": said.why.because},
            })
        });
        json!({
            "source_file": self.file,
            "source_row": self.row,
            "line_id": self.line_id,
            "description_stored": self.stored,
            "description_in_input": self.asked.as_ref().and_then(|asked| asked.description.clone()),
            "description_is_utf8": self.asked.as_ref().map(|asked| asked.valid),
            "input": self.input,
            "normalised": self.normalised.as_ref().map(|(text, _)| text),
            "text_digest": self.text_digest,
            "text_digest_now": self.normalised.as_ref().map(|(_, digest)| digest),
            "predictions": said.collect::<Vec<_>>(),
            "reclassified": self.became.as_ref().map(|became| &became.json),
        })
    }
}
