use harmonize::sql::VIEWS;
use serde_json::{Value, json};

use crate::named::invented;
use crate::support::lab::{classify_args, folder, lab, ok, ok_with, path, sql};
use crate::support::served::{SECRET, Served};
use crate::support::servers::{S3, python, python_refused};

const SCRIPT: &str = "../docs/python/read_lake.py";

/// A sum of money, to the cent.
fn cents(value: &Value) -> Value {
    value.as_f64().map(|value| (value * 100.0).round()).into()
}

#[test]
fn deltalake_duckdb_polars_and_pandas_read_what_the_program_reads() {
    let lake = invented();
    let found = python(SCRIPT, &[lake, "--since", "2026-02-15"], &[]);
    let counts = sql(
        lake,
        "SELECT decision, count(*) AS lines, sum(value) AS value FROM current_predictions GROUP BY decision ORDER BY lines DESC, decision",
    );
    let by_decision = |rows: &[Value]| -> Vec<(Value, Value, Value)> {
        rows.iter().map(|row| (row["decision"].clone(), row["lines"].clone(), cents(&row["value"]))).collect()
    };
    assert_eq!(by_decision(found["duckdb"].as_array().unwrap()), by_decision(&counts));
    for table in ["predictions", "decisions", "runs", "nomenclature", "correlations", "label_requests"] {
        let rows = &sql(lake, &format!("SELECT count(*) AS n FROM {table}"))[0]["n"];
        assert_eq!(&found["deltalake"]["tables"][table]["rows"], rows, "{table}");
    }
    // Coverage as the query for it: the same months, chapters, lines and shares.
    let coverage = sql(
        lake,
        "SELECT CAST(date_trunc('month', run_date) AS DATE) AS month, substr(hs6, 1, 2) AS chapter, count(*) AS lines, \
         avg(CASE WHEN decision IN ('accept', 'carried', 'mapped') THEN 1.0 ELSE 0.0 END) AS coverage_ratio FROM predictions \
         WHERE coalesce(served, true) AND run_date >= DATE '2026-02-15' GROUP BY 1, 2 ORDER BY 1, 2",
    );
    let polars = found["polars"].as_array().unwrap();
    assert_eq!(polars.len(), coverage.len());
    for (found, expected) in polars.iter().zip(&coverage) {
        for column in ["month", "chapter", "lines"] {
            assert_eq!(found[column], *expected.get(column).unwrap_or(&Value::Null), "{found} {expected}");
        }
        let [a, b] = [found, expected].map(|row| row["coverage_ratio"].as_f64().unwrap());
        assert!((a - b).abs() < 1e-12, "{found} {expected}");
    }
    let cost = sql(lake, "SELECT run_id, lines_written / score_secs AS lines_per_sec FROM runs ORDER BY run_id");
    let pandas = found["pandas"].as_array().unwrap();
    let rates = |rows: &[Value]| -> Vec<(Value, f64)> {
        rows.iter().map(|row| (row["run_id"].clone(), row["lines_per_sec"].as_f64().unwrap())).collect()
    };
    assert_eq!(rates(pandas), rates(&cost));
}

/// The views are SQL that other engines take as it is, but for a function of DataFusion's own.
#[test]
fn duckdb_takes_the_views_as_they_are() {
    let lake = invented();
    let views = VIEWS.iter().filter(|(_, text)| !text.contains("arrow_cast"));
    let views: Vec<&str> = views.map(|(name, _)| *name).collect();
    assert!(views.len() + 3 > VIEWS.len());
    let found = python("views_in_duckdb.py", &[&[lake][..], &views].concat(), &[]);
    for view in views {
        let rows = &sql(lake, &format!("SELECT count(*) AS n FROM {view}"))[0]["n"];
        // No import of this lake is unfinished.
        assert!(rows.as_i64() > Some(0) || view == "unfinished_imports", "{view}");
        assert_eq!(&found[view], rows, "{view}");
    }
}

/// Each run is one version of the table, and the one before can still be read; on an S3 server too.
#[test]
fn every_run_is_a_version_that_can_still_be_read() {
    let dir = folder();
    let input = path(dir.path(), "in");
    let bucket = S3::moto();
    for (lake, env) in [(path(dir.path(), "lake"), Vec::new()), (bucket.url("lake"), bucket.env())] {
        let mut rows = vec![0];
        for seed in ["1", "2"] {
            let output = format!("{input}/{seed}");
            if !std::path::Path::new(&output).exists() {
                ok(&["sample", "--output", &output, "--rows", "500", "--seed", seed]);
            }
            ok_with(&classify_args(&output, &lake), &env);
            rows.push(rows.last().unwrap() + 500);
        }
        let found = python(SCRIPT, &[&lake], &env);
        assert_eq!(found["deltalake"]["rows_after_each_commit"], json!(rows), "{lake}");
        let lines: i64 = found["duckdb"].as_array().unwrap().iter().map(|row| row["lines"].as_i64().unwrap()).sum();
        let answers: i64 = found["polars"].as_array().unwrap().iter().map(|row| row["lines"].as_i64().unwrap()).sum();
        assert_eq!((lines, answers), (1000, 1000), "{lake}");
        assert_eq!(found["pandas"].as_array().unwrap().len(), 2, "{lake}");
        if env.is_empty() {
            let found = python("filters.py", &[&lake], &[]);
            assert_eq!(found["wrong"], json!([]), "conditions that are handed down to the files");
            assert!(found["asked"].as_i64() > Some(100), "{found}");
        }
    }
}

/// The function crosses into another program's DataFusion and answers as here, to the bit.
#[test]
fn the_python_package_datafusion_takes_the_function_itself() {
    let dir = folder();
    let (input, lake) = (path(dir.path(), "in"), path(dir.path(), "lake"));
    ok(&["sample", "--output", &input, "--rows", "300", "--seed", "5"]);
    ok(&classify_args(&input, &lake));
    // Where `cargo test` makes it; `cargo build` puts it beside the program.
    let library = std::path::Path::new(env!("CARGO_BIN_EXE_harmonize")).with_file_name("deps/libharmonize.so");
    let library = library.to_str().unwrap();
    let script = "../docs/python/hs_predict.py";
    let found = python(script, &[library, &lab().registry, "hs@1", &input], &[]);
    let fields = "hs6 confidence confidence_heading confidence_chapter margin decision reasons text_digest";
    let columns = fields.replace(' ', ", ");
    let expected = sql(
        &lake,
        &format!(
            "SELECT description, {columns} FROM predictions WHERE description IS NOT NULL ORDER BY description, source_row"
        ),
    );
    let mut answers = found["answers"].as_array().unwrap().clone();
    assert_eq!(answers.len(), 300);
    // A null is null; a run has a row that says so.
    answers.retain(|row| !row["description"].is_null());
    answers.sort_by_key(|row| row["description"].as_str().unwrap().to_owned());
    assert!(answers.len() == expected.len() && answers.len() > 250, "{}", answers.len());
    for (answer, expected) in answers.iter().zip(&expected) {
        assert_eq!(answer["description"], expected["description"]);
        for field in fields.split(' ') {
            let (there, here) = (&answer["p"][field], expected.get(field).unwrap_or(&Value::Null));
            let same =
                there == here || (there.is_f64() && there.as_f64().unwrap() as f32 == here.as_f64().unwrap() as f32);
            assert!(same, "{field}: {answer} {expected}");
        }
        assert_eq!(answer["p"]["model"], "hs@1");
    }
    let by_chapter =
        "SELECT substr(hs6, 1, 2) AS chapter, count(*) AS lines FROM predictions GROUP BY 1 ORDER BY 1 NULLS LAST";
    let lines = |rows: &[Value]| -> Vec<(Value, Value)> {
        rows.iter().map(|row| (row.get("chapter").cloned().unwrap_or_default(), row["lines"].clone())).collect()
    };
    assert_eq!(lines(found["by_chapter"].as_array().unwrap()), lines(&sql(&lake, by_chapter)));
    let said = python_refused(script, &[library, &lab().registry, "hs@99", &input]);
    assert!(said.contains("hs@99"), "{said}");
}

#[test]
fn psycopg_and_adbc_bring_the_servers_answers_into_pandas() {
    let lake = invented();
    let served = Served::over(lake, &lab().registry, &[]);
    let dsn = format!("postgresql://ana@127.0.0.1:{}/lake?sslmode=disable", served.port);
    let password = [("PGPASSWORD".to_owned(), format!("ana{SECRET}"))];
    let found =
        python("../docs/python/ask_server.py", &[&dsn, "--chapter", "85", "--text", "cotton shirts"], &password);
    let expected = sql(
        lake,
        "SELECT decision, count(*) AS lines, sum(value) AS value, avg(CAST(confidence AS DOUBLE)) AS mean_confidence, \
         max(run_date) AS last_day FROM current_predictions WHERE hs6 LIKE '85%' GROUP BY decision ORDER BY lines DESC, decision",
    );
    assert!(expected.len() > 2);
    let predicted = ok(&["predict", "--registry", &lab().registry, "--format", "json", "cotton shirts"]);
    let predicted: Value = serde_json::from_str(predicted.trim()).unwrap();
    let near =
        |a: &Value, b: &Value| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() <= 1e-6 * b.as_f64().unwrap().abs();
    for client in ["psycopg", "adbc"] {
        let rows = found[client]["by_decision"].as_array().unwrap();
        assert_eq!(rows.len(), expected.len(), "{client}");
        for (row, expected) in rows.iter().zip(&expected) {
            for column in ["decision", "lines", "last_day"] {
                assert_eq!(row[column], expected[column], "{client} {column}");
            }
            for column in ["value", "mean_confidence"] {
                assert!(near(&row[column], &expected[column]), "{client} {column}: {row} {expected}");
            }
        }
        let one = &found[client]["predicted"][0];
        assert_eq!(one["hs6"], predicted["hs6"], "{client}");
        assert!(near(&one["confidence"], &predicted["confidence"]), "{client}: {one} {predicted}");
    }
}

/// What the document shows of the scripts is what the scripts are.
#[test]
fn the_document_shows_the_scripts_as_they_are() {
    let read = |name: &str| std::fs::read_to_string(format!("{}/docs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let scripts = ["python/read_lake.py", "python/ask_server.py", "python/hs_predict.py"].map(read);
    let document = read("python.md");
    let blocks: Vec<&str> =
        document.split("```python\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 5);
    for block in blocks {
        assert!(scripts.iter().any(|script| script.contains(block)), "no script has\n{block}");
    }
}
