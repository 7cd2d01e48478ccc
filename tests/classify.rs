use std::collections::BTreeSet;
use std::sync::Arc;

use harmonize::contract::Contract;
use harmonize::lake::Place;
use harmonize::sql::{Limits, VIEWS, register_lake, session};
use serde_json::Value;

use crate::support::lab::{classify_args, folder, lab, number, ok, parquet_files, path, read, run, sql, write_lines};
use crate::support::servers::python;

#[test]
fn an_independent_reader_finds_one_row_for_every_line_with_every_column_of_the_contract() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    let out = ok(&classify_args(&lab().lines, &lake));
    assert!(out.contains("140,000"), "{out}");
    for engine in ["duckdb", "deltalake"] {
        let table = python("read_delta.py", &[&format!("{lake}/predictions"), "--engine", engine, "--no-data"], &[]);
        assert_eq!(table["rows"], 140_000, "{engine}");
        let columns: BTreeSet<&str> = table["schema"].as_object().unwrap().keys().map(String::as_str).collect();
        let schema = Contract::Predictions.schema();
        assert_eq!(columns, schema.fields().iter().map(|f| f.name().as_str()).collect(), "{engine}");
        assert_eq!(table["partition_columns"], serde_json::json!(["run_date"]));
        assert_eq!(table["txns"].as_object().unwrap().len(), 1, "the commit carries the run's fingerprint");
    }
    let n = |query: &str| number(&lake, "predictions", query);
    assert_eq!(n("SELECT count(DISTINCT line_id) AS n FROM t"), 140_000);
    assert_eq!(n("SELECT count(DISTINCT (source_file, source_row)) AS n FROM t"), 140_000);
    assert_eq!(n("SELECT count(*) AS n FROM t WHERE decision = 'accept' AND (hs6 IS NULL OR reasons <> [])"), 0);
    assert_eq!(n("SELECT count(*) AS n FROM t WHERE decision <> 'accept' AND reasons = []"), 0);
    assert_eq!(n("SELECT count(*) AS n FROM t WHERE (decision = 'refuse') <> (hs6 IS NULL)"), 0);
    assert_eq!(n("SELECT count(*) AS n FROM t WHERE hs6 IS NOT NULL AND len(alternatives) <> 5"), 0);
    assert_eq!(n("SELECT count(*) AS n FROM t WHERE hs6 <> alternatives[1].hs6"), 0);
    assert_eq!(
        n("SELECT count(*) AS n FROM t WHERE NOT (confidence BETWEEN 0 AND 1 AND confidence <= confidence_heading \
           + 1e-6 AND confidence_heading <= confidence_chapter + 1e-6)"),
        0
    );
    assert!(n("SELECT count(*) AS n FROM t WHERE decision = 'accept'") > 1000);
    assert!(n("SELECT count(*) AS n FROM t WHERE decision = 'review'") > 1000);
    assert!(n("SELECT count(*) AS n FROM t WHERE list_contains(reasons, 'vague')") > 100);
    assert!(n("SELECT count(*) AS n FROM t WHERE list_contains(reasons, 'audit_sample')") > 10);
}

#[test]
fn the_same_run_again_is_already_done_and_adds_nothing() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    let args = classify_args(&lab().lines, &lake);
    ok(&args);
    let before = python("read_delta.py", &[&format!("{lake}/predictions"), "--no-data"], &[]);
    for _ in 0..2 {
        let out = ok(&args);
        assert!(out.contains("already done"), "{out}");
    }
    let after = python("read_delta.py", &[&format!("{lake}/predictions"), "--no-data"], &[]);
    assert_eq!(before["version"], after["version"]);
    assert_eq!(number(&lake, "runs", "SELECT count(*) AS n FROM t"), 1);
    // Threads, memory and file size change no answer, so they make no new run; another policy does.
    let mut other = args.clone();
    other.extend(["--threads", "1", "--memory", "256MiB", "--target-file-size", "1MiB"]);
    assert!(ok(&other).contains("already done"));
    let mut strict = args.clone();
    strict.extend(["--threshold", "0.999"]);
    assert!(!ok(&strict).contains("already done"));
    assert_eq!(number(&lake, "predictions", "SELECT count(*) AS n FROM t"), 280_000);
    let origins = read(&lake, "runs", "SELECT policy_origin FROM t ORDER BY 1");
    assert_eq!(origins[0]["policy_origin"], "--threshold 0.999");
    assert_eq!(origins[1]["policy_origin"], "bundle");
}

#[test]
fn a_filter_is_applied_before_scoring_and_its_lines_are_proved() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    let mut args = classify_args(&lab().lines, &lake);
    args.extend(["--where", "origin = 'CN' AND description LIKE '%BOX%'"]);
    ok(&args);
    let wanted = python("count_lines.py", &[&lab().lines, "origin = 'CN' AND description LIKE '%BOX%'"], &[]);
    assert!(wanted["rows"].as_i64().unwrap() > 20, "{wanted}");
    assert_eq!(number(&lake, "predictions", "SELECT count(*) AS n FROM t"), wanted["rows"].as_i64().unwrap());
    // Addresses are those of the file, not of the filtered stream.
    let addressed =
        python("count_lines.py", &[&lab().lines, "origin = 'CN' AND description LIKE '%BOX%'", "--addresses"], &[]);
    let got = read(&lake, "predictions", "SELECT line_id, source_row FROM t ORDER BY line_id LIMIT 50");
    assert_eq!(addressed["addresses"].as_array().unwrap()[..50], got[..50]);
}

#[test]
fn each_row_is_scored_once() {
    use arrow::array::{ArrayRef, StringArray};
    use datafusion::prelude::{col, lit};
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let place = Place::open(&lab().registry).unwrap();
        let loaded = harmonize::registry::Registry::new(place).load(&"hs@1".parse().unwrap()).await.unwrap();
        let classifier = Arc::new(harmonize::sql::Classifier::new(&loaded, &loaded.bundle.policy).unwrap());
        let context = session(Limits { memory_bytes: 1 << 28, threads: 2 }).unwrap();
        let texts: StringArray = (0..1000).map(|i| Some(format!("steel bolt {i}"))).collect();
        let batch =
            arrow::record_batch::RecordBatch::try_from_iter(vec![("text", Arc::new(texts) as ArrayRef)]).unwrap();
        let frame = context.read_batch(batch).unwrap();
        let predict = harmonize::sql::hs_predict(Arc::clone(&classifier));
        // The shape that the job uses: the whole struct in one projection.
        frame.select(vec![predict.call(vec![col("text")]).alias("p"), lit(1)]).unwrap().collect().await.unwrap();
        assert_eq!(classifier.rows(), 1000);
        assert_eq!(classifier.texts(), 1000);
    });
}

#[test]
fn every_view_plans_runs_and_yields_the_columns_that_it_promises() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    ok(&classify_args(&lab().lines, &lake));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for at in [lake.as_str(), &path(dir.path(), "nothing here yet")] {
        runtime.block_on(async {
            let context = session(Limits { memory_bytes: 1 << 30, threads: 2 }).unwrap();
            register_lake(&context, &Place::open(at).unwrap()).await.unwrap();
            for &(name, text) in VIEWS {
                let promised: Vec<&str> = text
                    .lines()
                    .find_map(|l| l.strip_prefix("-- yields:"))
                    .unwrap()
                    .split(',')
                    .map(str::trim)
                    .collect();
                let frame = context.table(name).await.unwrap();
                let columns: Vec<String> = frame.schema().fields().iter().map(|f| f.name().clone()).collect();
                assert_eq!(columns, promised, "{name}");
                let rows: usize = frame.collect().await.unwrap().iter().map(|b| b.num_rows()).sum();
                let expected = match name {
                    _ if at != lake => 0..=0,
                    "run_history" => 1..=1,
                    "challenger_differences" | "findings" | "declared_lines" => 0..=0,
                    name if name.starts_with("same_text_") || name.starts_with("declared_") => 0..=0,
                    "current_nomenclature" | "current_correlations" => 0..=0,
                    "shortened_files" | "unfinished_imports" => 0..=0,
                    "review_queue" => 1..=139_999,
                    _ => 140_000..=140_000,
                };
                assert!(expected.contains(&rows), "{name}: {rows}");
            }
        });
    }
}

/// A person's word counts before the model's, by line before by text; and what is decided leaves the queue.
#[test]
fn decisions_change_the_effective_codes_and_empty_the_queue() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    let file = dir.path().join("in/lines.parquet");
    write_lines(&file, &[Some("spare parts"), Some("spare parts"), Some("gift"), Some("zzkqx")]);
    ok(&classify_args(file.to_str().unwrap(), &lake));
    assert_eq!(sql(&lake, "SELECT * FROM review_queue").len(), 4);
    let rows = sql(&lake, "SELECT line_id, source_file, source_row, text_digest FROM predictions ORDER BY line_id");
    let digest = rows[0]["text_digest"].as_str().unwrap();
    let source = rows[1]["source_file"].as_str().unwrap();
    python("write_decisions.py", &[&format!("{lake}/decisions"), digest, source, "1"], &[]);
    let codes: Vec<(Value, Value)> = sql(&lake, "SELECT hs6, decided_by FROM effective_codes ORDER BY source_row")
        .into_iter()
        .map(|r| (r["hs6"].clone(), r["decided_by"].clone()))
        .collect();
    assert_eq!(codes[0], ("848790".into(), "Ana".into()), "by text");
    assert_eq!(codes[1], ("732690".into(), "Ben".into()), "by line, before by text");
    assert_eq!(codes[2].1, Value::Null, "still open");
    assert_eq!(sql(&lake, "SELECT * FROM review_queue").len(), 2);
    // The file now holds another text in that row: what was decided on the old one does not count for it.
    write_lines(&file, &[Some("spare parts"), Some("zzkqx"), Some("gift"), Some("zzkqx")]);
    ok(&classify_args(file.to_str().unwrap(), &lake));
    let codes = sql(&lake, "SELECT hs6, decided_by FROM effective_codes ORDER BY source_row");
    assert_eq!(codes[0]["hs6"], "848790", "by text, still");
    assert_eq!(codes[1]["decided_by"], Value::Null, "{}", codes[1]);
    assert_eq!(sql(&lake, "SELECT * FROM review_queue WHERE source_row = 1").len(), 1);
}

#[test]
fn descriptions_are_stored_for_all_for_review_or_for_none() {
    for (which, missing) in [("all", 0), ("review", 1), ("none", 2)] {
        let dir = folder();
        let lake = path(dir.path(), "lake");
        let mut args = classify_args(&lab().lines, &lake);
        args.extend(["--store-text", which]);
        ok(&args);
        let n = |query: &str| number(&lake, "predictions", query);
        let accepted = n("SELECT count(*) AS n FROM t WHERE decision = 'accept' AND description IS NULL");
        let review = n("SELECT count(*) AS n FROM t WHERE decision = 'review' AND description IS NULL");
        assert_eq!((accepted > 0, review > 0), (missing > 0, missing > 1), "{which}");
    }
}

#[test]
fn files_have_a_sensible_size_and_the_target_is_kept() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    let mut args = classify_args(&lab().lines, &lake);
    args.extend(["--target-file-size", "1MiB", "--threads", "2"]);
    ok(&args);
    let files = parquet_files(&dir.path().join("lake/predictions"));
    assert!(files.len() > 2, "{files:?}");
    assert!(files.iter().all(|f| f.metadata().unwrap().len() < 4 << 20));
    let dir = folder();
    let lake = path(dir.path(), "lake");
    let mut args = classify_args(&lab().lines, &lake);
    args.extend(["--threads", "2"]);
    ok(&args);
    assert!(parquet_files(&dir.path().join("lake/predictions")).len() <= 2);
}

#[test]
fn every_page_that_we_write_carries_a_crc_that_pyarrow_verifies() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    ok(&classify_args(&lab().lines, &lake));
    let files = parquet_files(&dir.path().join("lake/predictions"));
    let names: Vec<&str> = files.iter().map(|f| f.to_str().unwrap()).collect();
    assert_eq!(python("check_pages.py", &names, &[])["rows"], 140_000);
    // Dictionaries are where values repeat, as the contract says, and nowhere else.
    for name in &names {
        let file = std::fs::File::open(name).unwrap();
        let reader = parquet::file::reader::SerializedFileReader::new(file).unwrap();
        for column in parquet::file::reader::FileReader::metadata(&reader).row_group(0).columns() {
            let path = column.column_path().string();
            let repeats = harmonize::contract::Contract::Predictions.repeats().contains(&path);
            assert_eq!(column.dictionary_page_offset().is_some(), repeats, "{path}");
        }
    }
}

#[test]
fn a_delta_table_as_input_is_read_at_its_current_version() {
    let dir = folder();
    let (first, second) = (path(dir.path(), "first"), path(dir.path(), "second"));
    let file = dir.path().join("in/lines.parquet");
    write_lines(&file, &[Some("steel bolts"), Some("cotton shirt")]);
    ok(&classify_args(file.to_str().unwrap(), &first));
    // An orphan that no version names must not be read.
    let stray = dir.path().join("first/predictions/stray.parquet");
    write_lines(&stray, &[Some("not part of the table")]);
    ok(&classify_args(&format!("{first}/predictions"), &second));
    assert_eq!(number(&second, "predictions", "SELECT count(*) AS n FROM t"), 2);
}

#[test]
fn a_lake_made_by_another_program_is_refused() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    let file = dir.path().join("in/lines.parquet");
    write_lines(&file, &[Some("steel bolts")]);
    python("write_decisions.py", &[&format!("{lake}/predictions"), "d", "f", "0"], &[]);
    let ended = run(&classify_args(file.to_str().unwrap(), &lake));
    assert_eq!(ended.code, 20, "{}", ended.err);
    assert!(ended.err.contains("does not widen"), "{}", ended.err);
}

/// By the thresholds of the bundle, read from its policy; and the figures of `evaluate` count such rows as a query over the
/// predictions does.
#[test]
fn lines_unsure_of_the_subheading_say_what_is_sure_and_the_figures_count_them() {
    let lab = lab();
    let policy = std::fs::read_to_string(format!("{}/hs/versions/1/policy.json", lab.registry)).unwrap();
    let policy: Value = serde_json::from_str(&policy).unwrap();
    let threshold = |level: &str| policy[level]["threshold"].as_f64().unwrap();
    // The lab's lines prove a heading beyond what the subheading accepts, and no chapter beyond that: it is never told.
    assert!(threshold("heading") < 1.0 && threshold("chapter") > 1.0, "{policy}");

    // With a threshold that nothing reaches every line is asked for its heading and its chapter.
    let dir = folder();
    let lake = path(dir.path(), "lake");
    let file = path(dir.path(), "lines.parquet");
    write_lines(
        std::path::Path::new(&file),
        &[Some("cotton shirts"), Some("steel bolts m8"), Some("plastic bottles"), Some("zqx bolt")],
    );
    ok(&[&classify_args(&file, &lake)[..], &["--threshold", "1"]].concat());
    let query =
        "SELECT confidence_heading AS h, confidence_chapter AS c, array_to_string(reasons, ',') AS r FROM predictions";
    let rows = sql(&lake, query);
    let says = |row: &Value, reason: &str| row["r"].as_str().unwrap().contains(reason);
    for row in rows.iter().filter(|row| says(row, "below_threshold")) {
        let heading = row["h"].as_f64().unwrap() >= threshold("heading");
        let chapter = row["c"].as_f64().unwrap() >= threshold("chapter");
        assert_eq!((says(row, "heading_sure"), says(row, "chapter_sure")), (heading, chapter && !heading), "{row}");
    }
    assert!(rows.len() == 4 && rows.iter().any(|row| says(row, "heading_sure")), "{rows:?}");

    let labelled = ["--input", &lab.labelled, "--registry", &lab.registry];
    let figures = ok(&[&["evaluate", "--label", "hs6", "--json"], &labelled[..]].concat());
    let figures: Value = serde_json::from_str(&figures).unwrap();
    let query = "SELECT hs6 AS label, hs_predict(description) AS p FROM lines";
    let asked = ["sql", "--lake", &lake, "--model", "hs@1", "--format", "ndjson"];
    let answers = ok(&[&asked[..], &labelled, &[query]].concat());
    let codes = harmonize::tariff::Codes::builtin(harmonize::tariff::Edition::Hs2022);
    let mut counted = [[0u64; 2]; 2];
    for line in answers.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let Some(label) = row["label"].as_str().filter(|label| codes.contains(label)) else { continue };
        for (count, reason, digits) in [(0, "heading_sure", 4), (1, "chapter_sure", 2)] {
            if row["p"]["reasons"].as_array().unwrap().iter().any(|said| said == reason) {
                counted[count][0] += 1;
                counted[count][1] += u64::from(row["p"]["hs6"].as_str().unwrap()[..digits] == label[..digits]);
            }
        }
    }
    for (level, [rows, right]) in ["heading_sure", "chapter_sure"].into_iter().zip(counted) {
        let told = &figures[level];
        assert_eq!((told["rows"].as_u64(), told["right_rows"].as_u64()), (Some(rows), Some(right)), "{level}");
    }
    assert!(counted[0][0] > 0, "some are sure of no more than the heading: {counted:?}");
    let page = ok(&[&["evaluate", "--label", "hs6", "--format", "markdown"], &labelled[..]].concat());
    assert!(page.contains("Unsure of the subheading and sure of the "), "{page}");
}
