use std::collections::BTreeSet;
use std::sync::OnceLock;

use datafusion::prelude::SessionContext;
use harmonize::lake::Place;
use harmonize::sql::named::{self, NamedQuery};
use harmonize::sql::{Limits, register_lake, session};
use serde_json::{Value, json};

use crate::support::lab::{classify_args, folder, ok, path, sql};
use crate::support::servers::{python, python_lines};

/// The text of a query without its header and comments.
fn body(query: &NamedQuery) -> String {
    query.sql().lines().filter(|line| !line.trim_start().starts_with("--")).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_parameter_stands_in_the_text_with_the_type_of_its_header_and_no_other_does() {
    for query in named::list() {
        let text = body(query);
        let mut found = BTreeSet::new();
        for (at, _) in text.match_indices('$') {
            let name: String = text[at + 1..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let param = query.params().iter().find(|param| param.name() == name);
            let param = param.unwrap_or_else(|| panic!("{}: the header has no {name}", query.name()));
            let typed = format!("CAST(${name} AS {})", param.kind().sql_type());
            assert!(text[at - 5..].starts_with(&typed), "{}: {name} has to stand as {typed}", query.name());
            found.insert(name);
        }
        let declared: BTreeSet<String> = query.params().iter().map(|param| param.name().to_owned()).collect();
        assert_eq!(found, declared, "{}", query.name());
    }
}

/// A lake in which everything has happened; see named_lake.py.
pub fn invented() -> &'static str {
    static LAKE: OnceLock<(String, tempfile::TempDir)> = OnceLock::new();
    let (lake, _) = LAKE.get_or_init(|| {
        let dir = folder();
        let (lake, rows) = (path(dir.path(), "lake"), path(dir.path(), "rows"));
        std::fs::create_dir(&rows).unwrap();
        let counts = python("named_lake.py", &[&rows], &[]);
        for contract in counts.as_object().unwrap().keys() {
            python("write_rows.py", &[&lake, contract, &format!("{rows}/{contract}.jsonl")], &[]);
        }
        (lake, dir)
    });
    lake
}

async fn open(lake: &str) -> SessionContext {
    let context = session(Limits { memory_bytes: 1 << 30, threads: 2 }).unwrap();
    register_lake(&context, &Place::open(lake).unwrap()).await.unwrap();
    context
}

/// Rows as JSON; a null is left out.
async fn rows(context: &SessionContext, query: &str, params: &Value) -> Vec<Value> {
    let query = named::find(query).unwrap();
    let given = params.as_object().unwrap().iter();
    let given: Vec<(String, String)> = given.map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned())).collect();
    let frame = query.frame(context, &given).await.unwrap_or_else(|e| panic!("{}: {e}", query.name()));
    let columns: Vec<String> = frame.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(columns, query.yields(), "{}", query.name());
    let batches = frame.collect().await.unwrap_or_else(|e| panic!("{} {params}: {e}", query.name()));
    let mut out = Vec::new();
    let mut writer = arrow::json::LineDelimitedWriter::new(&mut out);
    writer.write_batches(&batches.iter().collect::<Vec<_>>()).unwrap();
    writer.finish().unwrap();
    String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Values that every required parameter takes in these tests.
fn cases(file: &str, row: &str, run: &str, model: &str) -> Vec<(&'static str, Value)> {
    let line = json!({"file": file, "row": row});
    vec![
        ("accepted_below", json!({"confidence": "0.8"})),
        ("answers_of_model", json!({"model": model, "version": "1"})),
        ("audit_sample", json!({})),
        ("backfill_gaps", json!({"since": "2026-01-03", "until": "2026-03-04"})),
        ("binding_rulings", json!({})),
        ("challenger_by_chapter", json!({})),
        ("challenger_by_value", json!({})),
        ("codes_not_in_edition", json!({"edition": "2022"})),
        ("confidence_calibration", json!({})),
        ("consistency_findings", json!({})),
        ("corrections_by_heading", json!({})),
        ("cost_by_run", json!({})),
        ("counted_on_day", json!({"day": "2026-02-15"})),
        ("coverage_by_chapter", json!({})),
        ("decisions_by_reviewer", json!({})),
        ("declared_by_value", json!({})),
        (
            "drift_by_chapter",
            json!({"base_since": "2026-01-01", "base_until": "2026-02-15", "since": "2026-03-01", "until": "2099-12-31"}),
        ),
        ("duplicate_texts", json!({})),
        ("files_without_answers", json!({})),
        ("line_history", line.clone()),
        ("lines_by_edition", json!({})),
        ("lines_by_reason", json!({"reason": "out_of_vocabulary"})),
        ("model_versions", json!({})),
        ("moved_with_tariff", json!({})),
        ("oldest_waiting", json!({"day": "2026-04-01"})),
        ("queue_age", json!({"day": "2026-03-23"})),
        ("reasons_by_frequency", json!({})),
        ("reviewer_agreement", json!({})),
        ("reviewers_against_model", json!({})),
        ("run_inputs", json!({"run": run})),
        ("tariff_changes_waiting", json!({})),
        ("texts_most_decided", json!({})),
        ("texts_waiting", json!({})),
        ("threshold_effect", json!({"threshold": "0.6"})),
        ("trend_by_day", json!({})),
        ("value_at_risk", json!({})),
        ("who_decided", line),
    ]
}

/// More values for the parameters, on the invented lake.
fn more_cases() -> Vec<(&'static str, Value)> {
    let rewritten = "file:///lines/date=2026-01-11/a.parquet";
    vec![
        ("accepted_below", json!({"confidence": "0.7", "limit": "2"})),
        ("answers_of_model", json!({"model": "hs", "version": "2"})),
        ("answers_of_model", json!({"model": "hs", "version": "1", "limit": "3"})),
        ("audit_sample", json!({"since": "2026-03-01"})),
        ("audit_sample", json!({"until": "2026-03-01"})),
        ("binding_rulings", json!({"code": "02"})),
        ("challenger_by_chapter", json!({"since": "2026-03-10"})),
        ("challenger_by_value", json!({"until": "2026-03-05", "limit": "6"})),
        ("codes_not_in_edition", json!({"edition": "2017"})),
        ("confidence_calibration", json!({"bins": "3", "model": "b1", "since": "2026-03-22"})),
        ("consistency_findings", json!({"confidence": "0.5", "limit": "12"})),
        ("corrections_by_heading", json!({"since": "2026-03-01", "limit": "4"})),
        ("cost_by_run", json!({"since": "2026-02-01", "limit": "2"})),
        ("counted_on_day", json!({"day": "2026-03-10"})),
        ("coverage_by_chapter", json!({"since": "2026-02-01", "until": "2026-02-28"})),
        ("decisions_by_reviewer", json!({"since": "2026-03-22", "until": "2026-03-23"})),
        ("declared_by_value", json!({"confidence": "0.5", "limit": "9"})),
        (
            "drift_by_chapter",
            json!({"base_since": "2020-01-01", "base_until": "2020-01-31", "since": "2026-03-01", "until": "2026-03-31"}),
        ),
        ("duplicate_texts", json!({"at_least": "10", "limit": "4"})),
        ("files_without_answers", json!({"limit": "2"})),
        ("line_history", json!({"file": "file:///lines/date=2026-01-16/a.parquet", "row": "24"})),
        ("lines_by_edition", json!({"edition": "2022"})),
        ("lines_by_reason", json!({"reason": "below_threshold", "limit": "7"})),
        ("model_versions", json!({"model": "hs"})),
        ("moved_with_tariff", json!({"edition": "2022", "chapter": "85", "limit": "2"})),
        ("oldest_waiting", json!({"day": "2026-04-01", "chapter": "85", "limit": "5"})),
        ("queue_age", json!({"day": "2026-04-30"})),
        ("reasons_by_frequency", json!({"edition": "2022"})),
        ("reviewer_agreement", json!({"digits": "2"})),
        ("reviewer_agreement", json!({"digits": "4", "since": "2026-03-01"})),
        ("reviewers_against_model", json!({"until": "2026-02-13"})),
        ("run_inputs", json!({"run": "202603"})),
        ("tariff_changes_waiting", json!({"language": "fr", "limit": "2"})),
        ("texts_most_decided", json!({"at_least": "9", "limit": "2"})),
        ("texts_waiting", json!({"chapter": "85", "limit": "3"})),
        ("threshold_effect", json!({"threshold": "0.85"})),
        ("trend_by_day", json!({"since": "2026-02-10", "until": "2026-03-02"})),
        ("value_at_risk", json!({"edition": "2017"})),
        ("who_decided", json!({"file": rewritten, "row": "25"})),
        // Binding before newer; the challenger's answer served.
        ("who_decided", json!({"file": "file:///lines/date=2026-01-05/a.parquet", "row": "9"})),
        ("line_history", json!({"file": rewritten, "row": "6"})),
        // First and last day, and the confidence itself, are meant too.
        ("accepted_below", json!({"confidence": "0.8146"})),
        ("audit_sample", json!({"since": "2026-02-10", "until": "2026-02-10"})),
        ("challenger_by_chapter", json!({"since": "2026-03-02", "until": "2026-03-02"})),
        ("challenger_by_value", json!({"since": "2026-03-20", "until": "2026-03-20"})),
        ("confidence_calibration", json!({"since": "2026-02-13", "until": "2026-02-13"})),
        ("consistency_findings", json!({"confidence": "0.9352"})),
        ("corrections_by_heading", json!({"since": "2026-02-13", "until": "2026-02-13"})),
        ("cost_by_run", json!({"since": "2026-02-10", "until": "2026-02-20"})),
        ("counted_on_day", json!({"day": "2026-02-10"})),
        ("coverage_by_chapter", json!({"since": "2026-02-10", "until": "2026-02-10"})),
        ("declared_by_value", json!({"confidence": "0.9256"})),
        ("queue_age", json!({"day": "2026-02-27"})),
        ("queue_age", json!({"day": "2026-03-21"})),
        ("queue_age", json!({"day": "2026-03-22"})),
        ("queue_age", json!({"day": "2026-04-19"})),
        ("queue_age", json!({"day": "2026-06-18"})),
        ("reviewer_agreement", json!({"since": "2026-02-13", "until": "2026-02-13"})),
        ("reviewers_against_model", json!({"since": "2026-02-13", "until": "2026-02-13"})),
        ("threshold_effect", json!({"threshold": "0.5474"})),
    ]
}

/// Whether two values are the same, numbers but for rounding: those of 32 bits are printed short, sums are taken in another order.
fn same(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Number(a), Value::Number(b)) => {
            let [a, b] = [a, b].map(|n| n.as_f64().unwrap());
            (a - b).abs() <= 1e-7 * b.abs().max(1.0)
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        _ => found == expected,
    }
}

/// Holds the answers in a lake to named_expected.py; gives the number of rows of each case.
async fn held_to_expected(lake: &str, cases: &[(&'static str, Value)]) -> Vec<usize> {
    let asked: Vec<Value> = cases.iter().map(|(query, params)| json!({"query": query, "params": params})).collect();
    let expected = python_lines("named_expected.py", &[lake], &asked);
    let context = open(lake).await;
    let mut counts = Vec::new();
    for ((query, params), expected) in cases.iter().zip(&expected) {
        let found = rows(&context, query, params).await;
        let expected = expected.as_array().unwrap();
        assert_eq!(found.len(), expected.len(), "{query} {params}: {found:?}\n{expected:?}");
        for (number, (found, expected)) in found.iter().zip(expected).enumerate() {
            let columns: BTreeSet<&str> = expected.as_object().unwrap().keys().map(String::as_str).collect();
            let promised = named::find(query).unwrap().yields().iter().copied().collect();
            assert_eq!(columns, promised, "{query}: every column that it promises is computed");
            for (column, expected) in expected.as_object().unwrap() {
                let value = found.get(column).unwrap_or(&Value::Null);
                assert!(
                    same(value, expected),
                    "{query} {params}, row {number}, {column}: {value}, expected {expected}"
                );
            }
        }
        counts.push(found.len());
    }
    counts
}

#[test]
fn every_query_gives_what_an_independent_computation_gives() {
    let mut cases = cases("file:///lines/date=2026-01-05/a.parquet", "0", "20260210", "hs");
    let every: Vec<&str> = cases.iter().map(|(query, _)| *query).collect();
    assert_eq!(every, named::list().iter().map(NamedQuery::name).collect::<Vec<_>>(), "every query has its case");
    cases.extend(more_cases());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let counts = runtime.block_on(held_to_expected(invented(), &cases));
    // Something stands in every answer, but where nothing waits in the older edition any more.
    for ((query, params), count) in cases.iter().zip(counts) {
        assert!(count > 0 || (*query == "value_at_risk" && params["edition"] == "2017"), "{query} {params}");
    }
}

/// The same on a lake that the program wrote, with a file that is set aside and decisions of two people on what waits.
#[test]
fn the_queries_hold_on_a_lake_that_the_program_wrote() {
    let dir = folder();
    let (input, lake) = (path(dir.path(), "in"), path(dir.path(), "lake"));
    let flags = ["--declared", "declared_hs", "--value", "value", "--on-bad-file", "quarantine", "--threshold", "0.8"];
    for (day, seed) in [("2026-03-01", "5"), ("2026-03-02", "6")] {
        let output = format!("{input}/date={day}");
        ok(&["sample", "--output", &output, "--rows", "1200", "--seed", seed]);
        if day == "2026-03-02" {
            std::fs::write(format!("{output}/torn.parquet"), "PAR1").unwrap();
        }
        ok(&[&classify_args(&input, &lake)[..], &flags].concat());
    }
    let waiting = "SELECT source_file, source_row, text_digest, hs6, confidence, run_id, model_digest, tariff_edition \
                   FROM current_predictions WHERE decision = 'review' ORDER BY source_file, source_row LIMIT 120";
    let mut decisions = String::new();
    for (number, line) in sql(&lake, waiting).iter().enumerate() {
        for (who, other) in [("Ana", number % 5 == 0), ("Ben", number % 3 == 0)] {
            let code = if other { json!("010121") } else { line["hs6"].clone() };
            let mut decision = json!({
                "decision_id": format!("{who}{number:03}"), "text_digest": line["text_digest"], "hs6": code,
                "verdict": if code == line["hs6"] { "confirm" } else { "correct" }, "tariff_edition": line["tariff_edition"],
                "binding": number == 7, "reviewer": who, "decided_at": format!("2026-03-0{}T10:00:00", 3 + number % 4),
                "shown_run_id": line["run_id"], "shown_hs6": line["hs6"], "shown_confidence": line["confidence"],
                "shown_model_digest": line["model_digest"],
            });
            if number % 2 == 0 {
                decision["source_file"] = line["source_file"].clone();
                decision["source_row"] = line["source_row"].clone();
            }
            decisions += &format!("{decision}\n");
        }
    }
    let file = path(dir.path(), "decisions.jsonl");
    std::fs::write(&file, decisions).unwrap();
    python("write_rows.py", &[&lake, "decisions", &file], &[]);
    let run = sql(&lake, "SELECT max(run_id) AS run FROM runs")[0]["run"].as_str().unwrap().to_owned();
    let line = &sql(&lake, waiting)[0];
    let (file, row) = (line["source_file"].as_str().unwrap(), line["source_row"].to_string());
    let cases = cases(file, &row, &run, "hs");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let counts = runtime.block_on(held_to_expected(&lake, &cases));
    let rows = |name: &str| counts[cases.iter().position(|(query, _)| *query == name).unwrap()];
    for query in ["coverage_by_chapter", "who_decided", "reviewer_agreement", "backfill_gaps", "value_at_risk"] {
        assert!(rows(query) > 0, "{query}");
    }
    // The second run passed the first file over; the torn one is set aside.
    assert_eq!((rows("run_inputs"), rows("files_without_answers"), rows("cost_by_run")), (2, 1, 2));
}

#[test]
fn every_query_reads_what_its_header_says_and_runs_on_an_empty_lake() {
    let dir = folder();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let context = open(&path(dir.path(), "nothing here yet")).await;
        for (query, params) in cases("file:///a.parquet", "0", "2026", "hs") {
            let found = rows(&context, query, &params).await;
            let gaps = query == "backfill_gaps";
            assert!(found.is_empty() != gaps, "{query}: {found:?}");
            let query = named::find(query).unwrap();
            let dialect = datafusion::config::Dialect::default();
            let statement = context.state().sql_to_statement(query.sql(), &dialect).unwrap();
            let read = context.state().resolve_table_references(&statement).unwrap();
            let read: BTreeSet<String> = read.iter().map(|table| table.table().to_owned()).collect();
            assert_eq!(read, query.reads().iter().map(|name| (*name).to_owned()).collect(), "{}", query.name());
        }
    });
}

#[test]
fn a_wrong_name_or_value_says_what_to_do() {
    let told = |e: harmonize::Error| {
        assert_eq!(e.exit_code(), 2);
        e.to_string()
    };
    let find = |name: &str| told(named::find(name).unwrap_err());
    assert_eq!(
        find("coverage-by-chapters"),
        "no query is named coverage-by-chapters; did you mean coverage_by_chapter?"
    );
    assert!(find("drift").contains("did you mean drift_by_chapter?"));
    assert!(find("xyz").contains("they are: accepted_below, answers_of_model,"));
    let values = |name: &str, given: &[(&str, &str)]| {
        let given: Vec<(String, String)> = given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        told(named::find(name).unwrap().values(&given).unwrap_err())
    };
    assert_eq!(
        values("accepted_below", &[]),
        "accepted_below needs confidence: accepted lines below it are listed; give it as confidence=VALUE, a number from 0 to 1"
    );
    assert!(values("accepted_below", &[("confidence", "80%")]).contains("\"80%\" is not a number from 0 to 1"));
    assert!(values("trend_by_day", &[("sinse", "2026-01-01")]).contains("did you mean since?"));
}

/// A value that is a piece of SQL is a value.
#[test]
fn a_value_is_never_read_as_sql() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let context = open(invented()).await;
        for reason in ["x' OR '1'='1", "below_threshold') OR (1=1", "$limit", "vague -- "] {
            assert!(rows(&context, "lines_by_reason", &json!({"reason": reason})).await.is_empty(), "{reason}");
        }
        assert_eq!(rows(&context, "lines_by_reason", &json!({"reason": "vague"})).await.len(), 8);
    });
}

#[test]
fn the_document_lists_every_query_as_its_header_has_it() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/queries.md");
    let document = std::fs::read_to_string(file).unwrap();
    for query in named::list() {
        let section = query.markdown();
        assert!(document.contains(&section), "docs/queries.md differs; it should hold:\n{section}");
    }
    assert_eq!(document.matches("\n### ").count(), named::list().len(), "a section for each query and no other");
}
