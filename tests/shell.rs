use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, ListBuilder, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use serde_json::{Value, json};

use crate::support::lab::{
    Ended, classify_args, folder, harmonize, lab, ok, ok_with, path, run, run_with, write_lines, write_parquet,
};
use crate::support::servers::{S3, python};

/// An empty lake.
fn empty() -> (tempfile::TempDir, String) {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    std::fs::create_dir(&lake).unwrap();
    (dir, lake)
}

fn rows(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Rows of `sql` with these arguments.
fn asked(lake: &str, args: &[&str]) -> Vec<Value> {
    rows(&ok(&[&["sql", "--lake", lake, "--format", "ndjson"], args].concat()))
}

fn refused(lake: &str, args: &[&str]) -> Ended {
    let ended = run(&[&["sql", "--lake", lake], args].concat());
    assert_ne!(ended.code, 0, "{args:?}: {}", ended.out);
    ended
}

/// A file of 5,000 rows with what is hard to write: quotes, line breaks, nulls, lists, other scripts.
fn hard_rows(file: &Path) {
    let texts =
        ["plain", "a \"quoted\", one", "two\nlines", "", "棉衬衫 é", "tab\there", "'; DROP TABLE runs; --", "\\N"];
    let rows = 5_000i64;
    let text: StringArray = (0..rows).map(|n| (n % 11 > 0).then(|| texts[n as usize % texts.len()])).collect();
    let mut codes = ListBuilder::new(StringBuilder::new());
    for n in 0..rows {
        (0..n % 4).for_each(|i| codes.values().append_option((i != 2).then(|| format!("{n}-{i}"))));
        codes.append(n % 7 > 0);
    }
    let day: Date32Array = (0..rows).map(|n| Some(20_000 + n as i32)).collect();
    let at = (0..rows).map(|n| Some(1_770_000_000_000_000 + n * 1_000_000)).collect::<TimestampMicrosecondArray>();
    write_parquet(
        file,
        vec![
            ("id", Arc::new((0..rows).collect::<Int64Array>()) as ArrayRef),
            ("text", Arc::new(text)),
            ("price", Arc::new((0..rows).map(|n| (n % 5 > 0).then_some(n as f64 / 8.0)).collect::<Float64Array>())),
            ("day", Arc::new(day)),
            ("at", Arc::new(at.with_timezone("UTC"))),
            ("flag", Arc::new((0..rows).map(|n| Some(n % 2 == 0)).collect::<BooleanArray>())),
            ("codes", Arc::new(codes.finish())),
        ],
    );
}

#[test]
fn every_form_is_read_back_by_other_programs_as_it_was() {
    let (dir, lake) = empty();
    let file = path(dir.path(), "hard.parquet");
    hard_rows(Path::new(&file));
    let query = format!("SELECT * FROM '{file}' ORDER BY id");
    for form in ["csv", "json", "ndjson", "parquet"] {
        let out = path(dir.path(), &format!("out.{form}"));
        ok(&["sql", "--lake", &lake, "--format", form, "--out", &out, &query]);
        let seen = python("same_rows.py", &[&file, form, &out], &[]);
        // 0 + 1 + … + 4,999
        assert_eq!(seen, json!({"rows": 5000, "differences": [], "duckdb": [5000, 12_497_500]}), "{form}");
        // The same bytes on standard output.
        let piped = harmonize(&["sql", "--lake", &lake, "--format", form, &query]).output().unwrap();
        assert!(piped.status.success() && piped.stdout == std::fs::read(&out).unwrap(), "{form}");
    }
    let table = ok(&["sql", "--lake", &lake, &query]);
    assert!(
        table.lines().count() > 5_000 && table.contains("| 4998 | '; DROP TABLE runs; --"),
        "{} lines, {table}",
        table.lines().count()
    );
    for (form, nothing) in [("csv", "id\n"), ("json", "[]\n"), ("ndjson", "")] {
        let out = ok(&["sql", "--lake", &lake, "--format", form, &format!("SELECT id FROM '{file}' WHERE id < 0")]);
        assert_eq!(out, nothing, "{form}");
    }
}

#[test]
fn a_large_answer_is_written_while_it_comes() {
    let (dir, lake) = empty();
    for form in ["csv", "ndjson", "parquet", "table"] {
        let out = std::fs::File::create(dir.path().join("out")).unwrap();
        let query = "SELECT value, value * 2 AS twice, 'description of line ' || value AS text FROM generate_series(1, 3000000)";
        let mut child =
            harmonize(&["sql", "--lake", &lake, "--format", form, query]).stdout(Stdio::from(out)).spawn().unwrap();
        let mut peak = 0;
        while child.try_wait().unwrap().is_none() {
            let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            peak = line.and_then(|kb| kb.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(peak);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert!(child.wait().unwrap().success(), "{form}");
        // The rows themselves are some 130 MB as text, and more as columns of text.
        assert!(peak > 0 && peak < 200_000, "{form}: {peak} kB");
        println!("{form}: {peak} kB");
    }
}

#[test]
fn scripts_run_in_the_order_given_and_the_first_mistake_ends_them() {
    let (dir, lake) = empty();
    let file = path(dir.path(), "two.sql");
    std::fs::write(
        &file,
        "-- a comment; with a semicolon\nSELECT 2 AS n;\n\n\\timing on\nSELECT ';' AS t,\n  3 AS n\n",
    )
    .unwrap();
    let seen = asked(&lake, &["-c", "SELECT 1 AS n; SELECT 10 AS n", "-f", &file, "-c", "SELECT 4 AS n"]);
    assert_eq!(seen, [json!({"n": 1}), json!({"n": 10}), json!({"n": 2}), json!({"t": ";", "n": 3}), json!({"n": 4})]);

    std::fs::write(&file, "SELECT 1 AS n;\n\nSELECT 2 AS n; SELECT 1\n   SELECT;\nSELECT 3 AS n;\n").unwrap();
    let ended = run(&["sql", "--lake", &lake, "--format", "ndjson", "-f", &file]);
    assert_eq!((ended.code, ended.out.as_str()), (2, "{\"n\":1}\n{\"n\":2}\n"), "{}", ended.err);
    assert!(ended.err.contains("two.sql, statement 3, line 3") && ended.err.contains("Line: 4"), "{}", ended.err);

    let ended = refused(&lake, &["-c", "SELECT 1", "-c", "SELECT * FROM nowhere"]);
    assert!(ended.code == 2 && ended.err.contains("-c, statement 1, line 1"), "{}", ended.err);
    assert!(ended.out.contains("| 1 "), "{}", ended.out);
    assert_eq!(refused(&lake, &["-f", "no-such-file.sql"]).code, 2);
    assert_eq!(refused(&lake, &["-c", "\\nonsense"]).code, 2);
    assert_eq!(refused(&lake, &["SELECT 1", "-c", "SELECT 2"]).code, 2);
}

#[test]
fn without_a_terminal_statements_come_from_standard_input() {
    let (_dir, lake) = empty();
    let mut child = harmonize(&["sql", "--lake", &lake, "--format", "ndjson"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all("SELECT 1 AS n;\nSELECT 'é' AS t\n".as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success());
    assert_eq!(rows(&String::from_utf8(ended.stdout).unwrap()), [json!({"n": 1}), json!({"t": "é"})]);
}

#[test]
fn parameters_are_values_and_never_text_of_the_statement() {
    let (dir, lake) = empty();
    let file = path(dir.path(), "lines.parquet");
    write_lines(Path::new(&file), &[Some("shirts"), Some("x' OR '1'='1"), None]);
    let by_text = format!("SELECT line_id FROM '{file}' WHERE description = $text");
    for (value, found) in [
        ("shirts", vec!["0"]),
        ("x' OR '1'='1", vec!["1"]),
        ("' OR 1=1 --", vec![]),
        ("'; DROP TABLE runs; SELECT '", vec![]),
        ("$text", vec![]),
        ("", vec![]),
        ("a=b=c", vec![]),
    ] {
        let given = format!("text={value}");
        let seen: Vec<Value> = asked(&lake, &["--param", &given, &by_text]);
        let wanted: Vec<Value> = found.iter().map(|id| json!({"line_id": id})).collect();
        assert_eq!(seen, wanted, "{value}");
    }
    let typed = asked(
        &lake,
        &[
            "--param",
            "day=2026-02-28",
            "--param",
            "1=2",
            "--param",
            "n=1",
            "-c",
            "SELECT value, DATE '2026-03-01' > $day AS later FROM generate_series(1, 9) WHERE value > $1 LIMIT $n",
        ],
    );
    assert_eq!(typed, [json!({"value": 3, "later": true})]);
    let ended = refused(&lake, &["--param", "day=secret", "SELECT DATE '2026-03-01' > $day"]);
    assert!(ended.code == 2 && ended.err.contains("day") && !ended.err.contains("secret"), "{}", ended.err);
    let ended = refused(&lake, &["SELECT $gone"]);
    assert!(ended.err.contains("--param gone=VALUE"), "{}", ended.err);
    let spared = run(&["sql", "--lake", &lake, "--param", "spare=1", "SELECT 1"]);
    assert!(spared.code == 0 && spared.err.contains("spare"), "{}", spared.err);
    let prepared = asked(&lake, &["-c", "PREPARE p AS SELECT $1 + 1 AS n; EXECUTE p(41)"]);
    assert_eq!(prepared, [json!({"n": 42})]);
}

#[test]
fn named_queries_run_by_flag_and_by_command() {
    let dir = folder();
    let (lake, file) = (path(dir.path(), "lake"), dir.path().join("in/lines.parquet"));
    write_lines(&file, &[Some("cotton shirts for men"), Some("steel bolts"), Some("x")]);
    ok(&classify_args(file.parent().unwrap().to_str().unwrap(), &lake));
    let by_flag = asked(&lake, &["--query", "reasons_by_frequency"]);
    let by_command = asked(&lake, &["-c", "\\run reasons_by_frequency"]);
    assert!(!by_flag.is_empty());
    assert_eq!(by_flag, by_command);
    let by_flag = asked(&lake, &["--query", "threshold_effect", "--param", "threshold=0.5"]);
    assert_eq!(by_flag, asked(&lake, &["-c", "\\run threshold_effect 'threshold=0.5'"]));
    let ended = refused(&lake, &["--query", "threshold_effect"]);
    assert!(ended.code == 2 && ended.err.contains("threshold"), "{}", ended.err);
    let listed = asked(&lake, &["-c", "\\queries"]);
    assert!(listed.len() >= 20 && listed.iter().all(|q| q["purpose"].as_str().unwrap().len() > 10), "{listed:?}");
    let told = asked(&lake, &["-c", "\\queries lines_by_reason"]);
    assert!(told.iter().any(|row| row["what"] == "yields"), "{told:?}");
    let ended = refused(&lake, &["--query", "lines_by_raeson"]);
    assert!(ended.code == 2 && ended.err.contains("lines_by_reason"), "{}", ended.err);
    let ended = refused(&lake, &["-c", "\\run lines_by_reason nonsense=1"]);
    assert!(ended.err.contains("nonsense"), "{}", ended.err);
    // The lake is there from the start.
    let tables = asked(&lake, &["-c", "\\d"]);
    let named =
        |name: &str| tables.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("{name}: {tables:?}"));
    assert_eq!((&named("predictions")["kind"], &named("review_queue")["kind"]), (&json!("table"), &json!("view")));
    let functions = asked(&lake, &["-c", "\\df"]);
    assert!(functions.iter().any(|f| f["function"] == "models" && f["kind"] == "table"), "{functions:?}");
    let blank = |row: &&Value| row.as_object().unwrap().values().any(|value| value == "");
    assert_eq!(tables.iter().chain(&functions).find(blank), None, "each says what it is for");
    let columns = asked(&lake, &["-c", "\\d predictions"]);
    assert!(columns.iter().any(|c| c["column"] == "hs6" && c["type"] == "text" && c["about"] != ""), "{columns:?}");
    assert!(asked(&lake, &["-c", "\\df substr"]).iter().any(|f| f["function"] == "substr"));
}

/// Writes files of each kind below a folder, by programs that are not ours where one can.
fn files_of_each_kind(dir: &Path) -> String {
    let at = |name: &str| path(dir, name);
    for (day, id) in [("2026-03-01", 1), ("2026-03-02", 2)] {
        let file = dir.join(format!("hive/day={day}/part.parquet"));
        write_parquet(&file, vec![("id", Arc::new(Int64Array::from(vec![id, id * 10])) as ArrayRef)]);
    }
    std::fs::write(at("lines.csv"), "id,text\n1,\"a, b\"\n2,c\n").unwrap();
    std::fs::write(at("lines.ndjson"), "{\"id\": 1, \"text\": \"a\"}\n{\"id\": 2, \"text\": null}\n").unwrap();
    python("write_delta.py", &[&at("delta")], &[]);
    at("")
}

#[test]
fn external_tables_of_every_kind_are_read() {
    let (dir, lake) = empty();
    let at = files_of_each_kind(dir.path());
    let create = format!(
        "CREATE EXTERNAL TABLE hive STORED AS PARQUET PARTITIONED BY (day) LOCATION '{at}hive/';
         CREATE EXTERNAL TABLE c STORED AS CSV LOCATION '{at}lines.csv' OPTIONS ('format.has_header' 'true');
         CREATE EXTERNAL TABLE j STORED AS JSON LOCATION '{at}lines.ndjson';
         CREATE EXTERNAL TABLE d STORED AS DELTA LOCATION '{at}delta';"
    );
    let query =
        "SELECT (SELECT sum(id) FROM hive WHERE day = '2026-03-02') AS hive, (SELECT text FROM c WHERE id = 1) AS c,
                 (SELECT count(text) FROM j) AS j, (SELECT count(*) FROM d) AS d, (SELECT max(n) FROM d) AS newest";
    let wanted = json!({"hive": 22, "c": "a, b", "j": 1, "d": 7, "newest": 6});
    assert_eq!(asked(&lake, &["-c", &create, "-c", query]), [wanted]);
    // A file's name stands for its table, and a folder that is a Delta table is read as one.
    let by_name =
        format!("SELECT (SELECT count(*) FROM '{at}lines.csv') AS c, (SELECT count(*) FROM '{at}delta') AS d");
    assert_eq!(asked(&lake, &[&by_name]), [json!({"c": 2, "d": 7})]);
    let ended = refused(&lake, &["-c", &format!("CREATE EXTERNAL TABLE d STORED AS PARQUET LOCATION '{at}delta'")]);
    assert!(ended.err.contains("STORED AS DELTA"), "{}", ended.err);
    let ended = refused(&lake, &["-c", &format!("CREATE EXTERNAL TABLE d STORED AS DELTA LOCATION '{at}hive'")]);
    assert_eq!(ended.code, 20, "{}", ended.err);
    let ended = refused(&lake, &["-c", "CREATE EXTERNAL TABLE d STORED AS CSV LOCATION 'http://127.0.0.1:1/x.csv'"]);
    assert!(ended.code == 2 && ended.err.contains("s3://"), "{}", ended.err);
    // A mistyped name is no folder of the working directory.
    assert!(refused(&lake, &["SELECT * FROM src"]).err.contains("src"));
}

#[test]
fn external_tables_on_s3_are_read_and_copy_writes_there_when_it_may() {
    let (dir, lake) = empty();
    let bucket = S3::moto();
    let env = bucket.env();
    let at = files_of_each_kind(dir.path());
    python(
        "s3_put.py",
        &[&format!("{at}hive/day=2026-03-01/part.parquet"), &bucket.url("hive/day=2026-03-01/a.parquet")],
        &env,
    );
    python("s3_put.py", &[&format!("{at}lines.csv"), &bucket.url("lines.csv")], &env);
    python("s3_put.py", &[&format!("{at}lines.ndjson"), &bucket.url("lines.json")], &env);
    python("write_delta.py", &[&bucket.url("delta")], &env);
    let create = format!(
        "CREATE EXTERNAL TABLE hive STORED AS PARQUET PARTITIONED BY (day) LOCATION '{}';
         CREATE EXTERNAL TABLE c STORED AS CSV LOCATION '{}';
         CREATE EXTERNAL TABLE j STORED AS JSON LOCATION '{}';
         CREATE EXTERNAL TABLE d STORED AS DELTA LOCATION '{}';",
        bucket.url("hive/"),
        bucket.url("lines.csv"),
        bucket.url("lines.json"),
        bucket.url("delta")
    );
    let query = "SELECT (SELECT sum(id) FROM hive WHERE day = '2026-03-01') AS hive, (SELECT count(*) FROM c) AS c,
                 (SELECT count(text) FROM j) AS j, (SELECT count(*) FROM d) AS d";
    let sql = ["sql", "--lake", &lake, "--format", "ndjson"];
    let out = ok_with(&[&sql[..], &["-c", &create, "-c", query]].concat(), &env);
    assert_eq!(rows(&out), [json!({"hive": 11, "c": 2, "j": 1, "d": 7})]);
    let by_name = format!("SELECT count(*) AS n FROM '{}'", bucket.url("lines.csv"));
    assert_eq!(rows(&ok_with(&[&sql[..], &[&by_name]].concat(), &env)), [json!({"n": 2})]);

    let target = bucket.url("out/sevens.parquet");
    let copy = format!("COPY (SELECT n, text FROM '{}' WHERE n > 4) TO '{target}'", bucket.url("delta"));
    let ended = run_with(&[&sql[..], &[&copy]].concat(), &env);
    assert!(ended.code == 2 && ended.err.contains("--allow-write"), "{}", ended.err);
    assert_eq!(rows(&ok_with(&[&sql[..], &["--allow-write", &copy]].concat(), &env)), [json!({"count": 2})]);
    let back = format!("SELECT sum(n) AS n FROM '{target}'");
    assert_eq!(rows(&ok_with(&[&sql[..], &[&back]].concat(), &env)), [json!({"n": 11})]);
    // A lake in the bucket is written by the program's own commands alone.
    let inside = ["sql", "--lake", &bucket.url("lake"), "--allow-write"];
    for target in ["lake/x.csv", "lake/predictions/_delta_log/00000000000000000000.json", "lake/models/x.csv"] {
        let ended = run_with(&[&inside[..], &[&format!("COPY (SELECT 1) TO '{}'", bucket.url(target))]].concat(), &env);
        assert!(ended.code == 2 && ended.err.contains("is inside"), "{target}: {}{}", ended.out, ended.err);
    }
    ok_with(&[&inside[..], &[&format!("COPY (SELECT 1) TO '{}'", bucket.url("lake2/x.csv"))]].concat(), &env);
}

#[test]
fn copy_writes_predictions_when_it_may() {
    let (dir, lake) = empty();
    let (input, out) = (dir.path().join("in/lines.parquet"), path(dir.path(), "out.parquet"));
    write_lines(&input, &[Some("cotton shirts"), None]);
    let copy = format!("COPY (SELECT line_id, hs_predict(description)['decision'] AS d FROM lines) TO '{out}'");
    let args = [
        "sql",
        "--lake",
        &lake,
        "--registry",
        &lab().registry,
        "--model",
        "hs@1",
        "--input",
        input.to_str().unwrap(),
        &copy,
    ];
    assert_eq!(run(&args).code, 2);
    assert!(!Path::new(&out).exists());
    ok(&[&args[..], &["--allow-write"]].concat());
    let query = format!("SELECT line_id, d IS NOT NULL AS decided FROM '{out}' ORDER BY 1");
    assert_eq!(asked(&lake, &[&query]).len(), 2);
}

#[test]
fn a_safe_session_reaches_nothing_but_the_lake() {
    let (dir, lake) = empty();
    let at = files_of_each_kind(dir.path());
    let (csv, script, out) = (format!("{at}lines.csv"), path(dir.path(), "x.sql"), path(dir.path(), "out.csv"));
    std::fs::write(&script, "SELECT 1;").unwrap();
    for statement in [
        format!("SELECT * FROM '{csv}'"),
        format!("SELECT * FROM \"{csv}\""),
        "SELECT * FROM 's3://bucket/x.csv'".into(),
        format!("WITH a AS (SELECT * FROM '{csv}') SELECT * FROM a"),
        format!("SELECT (SELECT count(*) FROM '{csv}')"),
        format!("CREATE EXTERNAL TABLE c STORED AS CSV LOCATION '{csv}'"),
        format!("CREATE EXTERNAL TABLE d STORED AS DELTA LOCATION '{at}delta'"),
        format!("EXPLAIN SELECT * FROM '{csv}'"),
        format!("CREATE VIEW v AS SELECT * FROM '{csv}'"),
        format!("PREPARE p AS SELECT * FROM '{csv}'"),
        format!("COPY (SELECT 1) TO '{out}'"),
        format!("DESCRIBE '{csv}'"),
        format!("\\o {out}"),
        format!("\\i {script}"),
        "SET datafusion.catalog.location = '/'".into(),
        "CREATE TABLE t AS SELECT 1".into(),
    ] {
        let ended = run(&["sql", "--lake", &lake, "--safe", "-c", &statement]);
        assert_eq!(ended.code, 2, "{statement}: {}{}", ended.out, ended.err);
        assert!(!Path::new(&out).exists(), "{statement}");
    }
    // What was refused stays refused, and the rest works.
    let seen = asked(
        &lake,
        &["--safe", "-c", "CREATE VIEW v AS SELECT 1 AS n", "-c", "SELECT * FROM v, (SELECT count(*) AS r FROM runs)"],
    );
    assert_eq!(seen, [json!({"n": 1, "r": 0})]);
    assert_eq!(run(&["sql", "--lake", &lake, "--safe", "--allow-write", "SELECT 1"]).code, 2);
    assert_eq!(run(&["sql", "--lake", &lake, "--safe", "--out", &out, "SELECT 1"]).code, 2);
}

#[test]
fn a_file_of_rows_is_whole_or_not_there() {
    let (dir, lake) = empty();
    let out = path(dir.path(), "out.csv");
    let ended =
        refused(&lake, &["--format", "csv", "--out", &out, "-c", "SELECT 1 AS n", "-c", "SELECT * FROM nowhere"]);
    assert_eq!(ended.code, 2);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "only the lake");
    // A value that cannot be cast, after rows were written.
    let late = "SELECT CAST(CASE WHEN value < 90000 THEN '1' ELSE 'x' END AS INT) AS n FROM generate_series(1, 100000)";
    assert_eq!(refused(&lake, &["--format", "csv", "--out", &out, late]).code, 2);
    assert!(!Path::new(&out).exists());
    ok(&["sql", "--lake", &lake, "--format", "csv", "--out", &out, "-c", "SELECT 1 AS n; SELECT 2 AS n"]);
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "n\n1\nn\n2\n");
    let parquet = path(dir.path(), "out.parquet");
    let ended = refused(&lake, &["--format", "parquet", "--out", &parquet, "-c", "SELECT 1 AS n; SELECT 2 AS n"]);
    assert!(ended.err.contains("one answer"), "{}", ended.err);
    assert_eq!(refused(&lake, &["--out", "/no/such/folder/x", "SELECT 1"]).code, 20);
    let ended =
        refused(&lake, &["--format", "json", "SELECT 1 AS a, a.n, b.n FROM (SELECT 1 AS n) a, (SELECT 2 AS n) b"]);
    assert!(ended.err.contains("AS"), "{}", ended.err);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let (_dir, lake) = empty();
    let query = "SELECT value FROM generate_series(1, 100000000)";
    for form in ["table", "csv", "ndjson", "json"] {
        let mut child =
            harmonize(&["sql", "--lake", &lake, "--format", form, query]).stdout(Stdio::piped()).spawn().unwrap();
        let begun = std::time::Instant::now();
        drop(child.stdout.take());
        assert!(child.wait().unwrap().success(), "{form}");
        // All rows would take much longer.
        assert!(begun.elapsed().as_secs() < 60, "{form}");
    }
}
