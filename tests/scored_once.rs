use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::Float32Type;

use crate::support::bench::{Bench, LINES, rows, runtime, tables};

/// Read when the tests run: a new case needs no build.
const QUERIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/queries/scored_once.sql");

struct Case {
    header: Vec<(String, String)>,
    statements: String,
}

impl Case {
    fn all() -> Vec<Case> {
        let text = std::fs::read_to_string(QUERIES).unwrap();
        let (_, cases) = text.split_once("\n\n-- name: ").unwrap();
        let cases = cases.split("\n-- name: ").map(|case| {
            let (name, rest) = case.split_once('\n').unwrap();
            let (head, statements): (Vec<&str>, Vec<&str>) = rest.lines().partition(|l| l.starts_with("-- "));
            let mut header = vec![("name".to_string(), name.trim().to_string())];
            let pairs = head.iter().map(|l| l[3..].split_once(": ").unwrap());
            header.extend(pairs.map(|(key, value)| (key.to_string(), value.trim().to_string())));
            Case { header, statements: statements.join("\n") }
        });
        cases.collect()
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.header.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }
}

/// What is wrong with a count; nothing when it is as a header says.
fn miscounted(what: &str, wanted: &str, got: u64) -> Option<String> {
    let right = match wanted.strip_prefix("at most ") {
        Some(most) => got <= most.parse().unwrap(),
        None => got == wanted.parse::<u64>().unwrap(),
    };
    (!right).then(|| format!("{what} {got}, expected {wanted}"))
}

async fn complaints(case: &Case, bench: &Bench) -> Vec<String> {
    let (on, off) = (bench.beside().await, bench.call_by_call().await);
    let (got, without) = (on.got(&case.statements).await, off.got(&case.statements).await);
    let (got, without) = match (got, without) {
        (Ok(got), Ok(without)) => (got, without),
        (got, without) => return vec![format!("with: {:?}, without: {:?}", got.err(), without.err())],
    };
    let mut wrong = Vec::new();
    wrong.extend(miscounted("scored", case.get("scored").unwrap(), got.scored));
    wrong.extend(miscounted("the other scored", case.get("other").unwrap_or("0"), got.other));
    if let Some(texts) = case.get("texts") {
        wrong.extend(miscounted("texts", texts, got.texts));
    }
    if got.schema != without.schema {
        wrong.push(format!("columns are\n{}\nand not\n{}", got.schema, without.schema));
    }
    let ordered = case.get("rows") == Some("ordered");
    let (with, plain) = (rows(&got.batches, ordered), rows(&without.batches, ordered));
    if plain.is_empty() && case.get("rows") != Some("none") {
        wrong.push("there is no row to compare".into());
    }
    if case.get("rows") == Some("some") {
        if with.len() != plain.len() {
            wrong.push(format!("{} rows and not {}", with.len(), plain.len()));
        }
    } else if with != plain {
        let at = with.iter().zip(&plain).position(|(a, b)| a != b).unwrap_or(with.len().min(plain.len()));
        wrong.push(format!(
            "{} rows, {}; row {at}: {:?} and not {:?}",
            with.len(),
            plain.len(),
            with.get(at),
            plain.get(at)
        ));
    }
    wrong
}

#[test]
fn every_shape_of_query_scores_its_lines_once_and_answers_as_without_the_rule() {
    let cases = Case::all();
    assert!(cases.len() >= 40, "{}", cases.len());
    let only = std::env::var("HARMONIZE_QUERY").unwrap_or_default();
    let runtime = runtime();
    let (mut wrong, bench) = (Vec::new(), runtime.block_on(Bench::new()));
    for case in cases.iter().filter(|case| case.get("name").unwrap().contains(only.as_str())) {
        let complaints = runtime.block_on(complaints(case, &bench));
        wrong
            .extend(complaints.into_iter().map(|c| format!("{}: {c}\n{}", case.get("name").unwrap(), case.statements)));
    }
    assert!(wrong.is_empty(), "{} complaints\n\n{}", wrong.len(), wrong.join("\n\n"));
}

/// The model asked of each text by itself, and the answers counted without SQL.
#[test]
fn groups_by_an_answer_are_those_that_the_model_gives_line_by_line() {
    let tables = tables();
    runtime().block_on(async {
        let bench = Bench::new().await;
        let sql = "SELECT hs_predict(d)['hs6'] AS hs6, count(*) AS n FROM lines WHERE x < 3 AND hs_predict(d)['confidence'] > 0.5 GROUP BY 1";
        let got = rows(&bench.run(sql).await, false);
        let answers = bench.predict.predict(&(Arc::new(tables.texts.clone()) as ArrayRef)).unwrap();
        let confidence = answers.column_by_name("confidence").unwrap().as_primitive::<Float32Type>();
        let hs6 = answers.column_by_name("hs6").unwrap().as_string::<i32>();
        let mut counts = std::collections::BTreeMap::new();
        for id in (0..LINES).filter(|id| id % 10 < 3) {
            let sure = confidence.iter().nth(id).unwrap().is_some_and(|c| c > 0.5);
            if sure {
                *counts.entry(hs6.value(id)).or_insert(0) += 1;
            }
        }
        assert!(counts.len() > 10, "{counts:?}");
        let wanted: Vec<String> = counts.iter().map(|(code, n)| format!("|{code}|{n}|")).collect();
        assert_eq!(got, wanted);
    });
}

#[test]
fn a_plan_shows_the_model_and_what_it_scored() {
    runtime().block_on(async {
        let bench = Bench::new().await;
        let query =
            "SELECT hs_predict(d)['hs6'], count(*) FROM lines WHERE x < 3 AND hs_predict(d)['confidence'] > 0.5 GROUP BY 1";
        let plan = bench.explained(&format!("EXPLAIN {query}")).await;
        assert_eq!(plan.matches("Score: hs_predict[hs@1](lines.d) AS __score").count(), 1, "{plan}");
        assert_eq!(plan.matches("ScoreExec: hs_predict[hs@1](d@").count(), 1, "{plan}");
        assert_eq!(
            plan.matches("hs_predict[hs@1](").count(),
            2,
            "once in the logical plan, once in the other\n{plan}"
        );
        let analysed = bench.explained(&format!("EXPLAIN ANALYZE {query}")).await;
        let score = analysed.lines().find(|l| l.contains("ScoreExec")).unwrap();
        assert!(score.contains("output_rows=360") && score.contains("elapsed_compute="), "{score}");
        let plain = bench.call_by_call().await.explained(&format!("EXPLAIN {query}")).await;
        assert!(!plain.contains("Score"), "{plain}");
    });
}

/// 24 row groups of 50 lines; ids below 40 are in the first of each month.
#[test]
fn partitions_and_row_groups_are_left_out_as_without_a_model() {
    runtime().block_on(async {
        let bench = Bench::new().await;
        let month =
            "EXPLAIN SELECT id, hs_predict(d)['hs6'] FROM lines WHERE month = '2' AND hs_predict(d)['confidence'] > 0.1";
        let plan = bench.explained(month).await;
        assert!(plan.contains("month=2/") && !plan.contains("month=1/"), "{plan}");
        let ids =
            "EXPLAIN ANALYZE SELECT id, hs_predict(d)['hs6'] FROM lines WHERE hs_predict(d)['confidence'] > 0.1 AND id < 40";
        let plan = bench.explained(ids).await;
        assert!(plan.contains("row_groups_pruned_statistics=24 total \u{2192} 4 matched"), "{plan}");
        assert!(plan.lines().any(|l| l.contains("ScoreExec") && l.contains("output_rows=40")), "{plan}");
    });
}

/// A plan that has been through the optimiser, planned and run once more.
#[test]
fn a_plan_that_was_optimised_before_is_taken_as_it_is() {
    runtime().block_on(async {
        let bench = Bench::new().await;
        let query = "SELECT id, hs_predict(d)['hs6'] FROM lines WHERE hs_predict(d)['confidence'] > 0.5 AND x < 3";
        let context = bench.session.context();
        let plan = context.state().optimize(&bench.session.plan(query).await.unwrap()).unwrap();
        let again = context.execute_logical_plan(plan).await.unwrap();
        let more = again.clone().filter(datafusion::prelude::ident("id").lt(datafusion::prelude::lit(600))).unwrap();
        let before = bench.predict.rows();
        assert_eq!(rows(&again.collect().await.unwrap(), false), rows(&bench.run(query).await, false));
        assert_eq!(bench.predict.rows() - before, 720);
        let wanted = bench.run(&format!("{query} AND id < 600")).await;
        assert_eq!(rows(&more.collect().await.unwrap(), false), rows(&wanted, false));
    });
}

/// Texts go through the network once in a session's memory, also when two relations of a query have them.
#[test]
fn a_text_of_two_relations_goes_through_the_network_once() {
    runtime().block_on(async {
        let bench = Bench::new().await;
        // One thread: two that have the same text at the same moment both ask.
        let query = "SET datafusion.execution.target_partitions = 1; \
                     WITH p AS (SELECT id, x, hs_predict(d) AS p FROM lines WHERE x = 6) \
                     SELECT a.id FROM p AS a JOIN p AS b ON a.id = b.id WHERE a.p['hs6'] = b.p['hs6']";
        assert!(!bench.got(query).await.unwrap().batches.is_empty());
        let distinct =
            bench.run("SELECT count(DISTINCT hs_predict(d)['text_digest']) AS n FROM lines WHERE x = 6").await;
        let distinct = distinct[0].column(0).as_primitive::<arrow::datatypes::Int64Type>().value(0);
        assert_eq!(bench.predict.texts(), distinct as u64);
    });
}
