//! The pack of a run: its record, what came out of it in numbers, what made it, and whether it comes out again.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::describe;
use super::json::Json;
use super::models::{Facts, facts};
use super::pack::Pack;
use crate::error::Result;
use crate::jobs::Replayed;
use crate::registry::Registry;

type Row = Map<String, Value>;

/// Lines that are shown, those that come first by the hash of their addresses.
const SAMPLES: usize = 20;

/// Rows of the run, counted.
const COUNTS: [(&str, &str); 3] = [
    (
        "decisions",
        "SELECT coalesce(role, 'champion') AS role, coalesce(served, true) AS served, decision, count(*) AS rows \
         FROM rows_of_run GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    ),
    (
        "reasons",
        "SELECT role, reason, count(*) AS rows FROM (SELECT coalesce(role, 'champion') AS role, unnest(reasons) AS reason \
         FROM rows_of_run) AS told GROUP BY 1, 2 ORDER BY 1, 2",
    ),
    (
        "chapters",
        "SELECT coalesce(role, 'champion') AS role, substr(hs6, 1, 2) AS chapter, decision, count(*) AS rows \
         FROM rows_of_run WHERE hs6 IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    ),
];

/// All that is told of a run.
pub(super) struct Run {
    /// By the names of [`COUNTS`].
    pub counts: BTreeMap<&'static str, Vec<Row>>,
    pub samples: Vec<Row>,
    pub models: Vec<Facts>,
}

/// The pack of a run that was replayed.
///
/// # Errors
/// Those of lake and registry.
pub async fn run_pack(replayed: &Replayed, registry: &Registry) -> Result<Pack> {
    let (reader, record) = (&replayed.reader, &replayed.again.run);
    let context = reader.context();
    context.register_table("rows_of_run", reader.rows_of(record).await?.into_view())?;
    let mut counts = BTreeMap::new();
    for (name, sql) in COUNTS {
        counts.insert(name, reader.objects(context.sql(sql).await?, None).await?);
    }
    context.deregister_table("rows_of_run")?;
    let run = Run { counts, samples: replayed.sample(SAMPLES).await?, models: facts(&replayed.again, registry).await? };
    let members = BTreeMap::from([
        ("run".to_string(), Json::of(record)?),
        ("counts".to_string(), Json::of(&run.counts)?),
        ("policy".to_string(), Json::of(&replayed.again.champion()?.policy)?),
        ("models".to_string(), Json::of(&run.models)?),
        ("replay".to_string(), Json::of(&replayed.report)?),
        ("samples".to_string(), Json::of(&run.samples)?),
    ]);
    Pack::new(format!("run-{}", record.run_id), "run", members, |digest| describe::run(&run, replayed, digest))
}
