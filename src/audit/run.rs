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

/// Rows of the run; what a lake of an older contract does not say of them is said.
const ROWS: &str = "WITH told AS (SELECT coalesce(role, 'champion') AS by_role, coalesce(served, true) AS is_served, decision, \
                    reasons, substr(hs6, 1, 2) AS chapter FROM rows_of_run)";

/// Counted, by name.
const COUNTS: [(&str, &str); 3] = [
    (
        "decisions",
        "SELECT by_role AS role, is_served AS served, decision, count(*) AS rows FROM told \
         GROUP BY by_role, is_served, decision ORDER BY by_role, is_served, decision",
    ),
    (
        "reasons",
        "SELECT by_role AS role, reason, count(*) AS rows FROM (SELECT by_role, unnest(reasons) AS reason FROM told) AS each \
         GROUP BY by_role, reason ORDER BY by_role, reason",
    ),
    (
        "chapters",
        "SELECT by_role AS role, chapter, decision, count(*) AS rows FROM told WHERE chapter IS NOT NULL \
         GROUP BY by_role, chapter, decision ORDER BY by_role, chapter, decision",
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
        counts.insert(name, reader.objects(context.sql(&format!("{ROWS} {sql}")).await?, None).await?);
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
