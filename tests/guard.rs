use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use harmonize::lake::Place;
use harmonize::sql::{Class, Guard, LakeOptions, LakeSession, Limits, external};

use crate::support::lab::{folder, path, write_parquet};
use crate::support::servers::python;

/// Statements, and who may run them: `r` a read-only session, `s` one with objects of its own, `f` that one if it is safe,
/// `w` one that may write. DIR is a folder with files, LAKE the lake in it.
const STATEMENTS: &[(&str, &str)] = &[
    // Queries.
    ("SELECT 1", "rsfw"),
    ("SELECT 'DROP TABLE runs; --'", "rsfw"),
    ("VALUES (1), (2)", "rsfw"),
    ("SELECT * FROM predictions", "rsfw"),
    ("SELECT * FROM review_queue LIMIT 1", "rsfw"),
    ("WITH a AS (SELECT 1 AS x) SELECT * FROM a UNION SELECT 2", "rsfw"),
    ("SELECT (SELECT max(n) FROM mem)", "rsfw"),
    ("SELECT * FROM generate_series(1, 3)", "rsfw"),
    ("SELECT count(*) FROM runs()", "rsfw"),
    ("EXPLAIN SELECT 1", "rsfw"),
    ("EXPLAIN ANALYZE SELECT count(*) FROM runs", "rsfw"),
    ("DESCRIBE predictions", "rsfw"),
    ("SHOW TABLES", "rsfw"),
    ("SHOW COLUMNS FROM runs", "rsfw"),
    ("SHOW ALL", "rsfw"),
    ("SHOW datafusion.execution.batch_size", "rsfw"),
    ("SELECT table_name FROM information_schema.tables", "rsfw"),
    // Files, by every way in.
    ("SELECT * FROM files", "rsw"),
    ("SELECT * FROM view_of_files", "rsw"),
    ("SELECT 1 WHERE EXISTS (SELECT * FROM files)", "rsw"),
    ("SELECT n FROM mem WHERE n IN (SELECT id FROM files)", "rsw"),
    ("WITH a AS (SELECT * FROM files) SELECT * FROM a", "rsw"),
    ("EXPLAIN ANALYZE SELECT * FROM files", "rsw"),
    ("SELECT * FROM 'DIR/lines.csv'", "rsw"),
    ("SELECT * FROM \"DIR/lines.csv\"", "rsw"),
    ("CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION 'DIR/t.parquet'", "sw"),
    ("CREATE EXTERNAL TABLE x STORED AS DELTA LOCATION 's3://bucket/t'", "sw"),
    ("CREATE UNBOUNDED EXTERNAL TABLE x (a INT) STORED AS CSV LOCATION 'DIR/pipe.csv'", ""),
    // What lives with the session.
    ("CREATE VIEW v AS SELECT 1 AS x", "sfw"),
    ("CREATE OR REPLACE VIEW own_view AS SELECT 2 AS x", "sfw"),
    ("CREATE VIEW v AS SELECT * FROM files", "sw"),
    ("DROP VIEW own_view", "sfw"),
    ("DROP TABLE mem", "sfw"),
    ("CREATE SCHEMA more", "sfw"),
    ("PREPARE q AS SELECT $1 + 1", "sfw"),
    ("EXECUTE p(1)", "sfw"),
    ("DEALLOCATE p", "sfw"),
    ("SET datafusion.execution.batch_size = 1000", "sfw"),
    ("SET datafusion.execution.target_partitions = 1", "sfw"),
    ("SET timezone = '+01:00'", "sfw"),
    ("SET datafusion.explain.format = 'tree'", "sfw"),
    ("RESET datafusion.execution.batch_size", "sfw"),
    // Settings that are fixed.
    ("SET datafusion.optimizer.enable_leaf_expression_pushdown = true", ""),
    ("RESET datafusion.optimizer.enable_leaf_expression_pushdown", ""),
    ("SET datafusion.optimizer.max_passes = 0", ""),
    ("SET datafusion.execution.target_partitions = 64", ""),
    ("SET datafusion.execution.target_partitions = 0", ""),
    ("RESET datafusion.execution.target_partitions", ""),
    ("SET datafusion.execution.batch_size = 100000000", ""),
    ("SET datafusion.execution.batch_size = '-1'", ""),
    ("SET datafusion.runtime.memory_limit = '100G'", ""),
    ("RESET datafusion.runtime.memory_limit", ""),
    ("SET datafusion.execution.sort_spill_reservation_bytes = 0", ""),
    ("SET datafusion.sql_parser.dialect = 'mysql'", ""),
    ("SET datafusion.sql_parser.recursion_limit = 100000", ""),
    ("SET DATAFUSION.OPTIMIZER.MAX_PASSES = 0", ""),
    ("SET ROLE operator", ""),
    ("SET SESSION AUTHORIZATION DEFAULT", ""),
    ("SET TRANSACTION READ ONLY", ""),
    ("BEGIN", ""),
    ("COMMIT", ""),
    ("ROLLBACK", ""),
    // Writing.
    ("CREATE TABLE t AS SELECT 1 AS x", "w"),
    ("CREATE TABLE t (a INT)", "w"),
    ("INSERT INTO mem VALUES (1)", "w"),
    ("INSERT INTO files SELECT n FROM mem", "w"),
    ("DELETE FROM mem WHERE n = 1", "w"),
    ("UPDATE mem SET n = 2", "w"),
    ("COPY (SELECT 1) TO 'DIR/out.csv'", "w"),
    ("COPY mem TO 'DIR/out.parquet' PARTITIONED BY (n)", "w"),
    ("EXPLAIN ANALYZE INSERT INTO mem VALUES (1)", "w"),
    ("EXPLAIN INSERT INTO mem VALUES (1)", "w"),
    ("EXPLAIN ANALYZE COPY mem TO 'DIR/out.csv'", "w"),
    ("PREPARE q AS INSERT INTO mem VALUES ($1)", "w"),
    // The lake is never written.
    ("INSERT INTO predictions SELECT * FROM predictions", ""),
    ("INSERT INTO public.runs SELECT * FROM runs", ""),
    ("INSERT INTO datafusion.public.decisions SELECT * FROM decisions", ""),
    ("INSERT INTO \"predictions\" SELECT * FROM predictions", ""),
    ("INSERT INTO PREDICTIONS SELECT * FROM predictions", ""),
    ("INSERT OVERWRITE predictions SELECT * FROM predictions", ""),
    ("DELETE FROM predictions", ""),
    ("UPDATE decisions SET reviewer = 'x'", ""),
    ("TRUNCATE TABLE nomenclature", ""),
    ("EXPLAIN ANALYZE DELETE FROM predictions", ""),
    ("PREPARE q AS DELETE FROM predictions", ""),
    ("DROP TABLE predictions", ""),
    ("DROP TABLE IF EXISTS public.label_requests", ""),
    ("DROP VIEW review_queue", ""),
    ("CREATE OR REPLACE VIEW review_queue AS SELECT 1 AS x", ""),
    ("CREATE OR REPLACE TABLE runs AS SELECT 1 AS x", ""),
    ("CREATE OR REPLACE EXTERNAL TABLE runs STORED AS CSV LOCATION 'DIR/lines.csv'", ""),
    ("DROP SCHEMA public CASCADE", ""),
    ("INSERT INTO delta SELECT 1, 'x'", ""),
    ("DELETE FROM delta", ""),
    ("COPY mem TO 'LAKE/predictions/_delta_log/00000000000000000000.json'", ""),
    ("COPY mem TO 'LAKE/x.csv'", ""),
    ("COPY mem TO 'DIR/other/../lake/x.csv'", ""),
    ("COPY mem TO 'DIR/link/x.csv'", ""),
    ("COPY mem TO 'file://LAKE/x.csv'", ""),
    ("COPY mem TO 'file://DIR/l%61ke/x.csv'", ""),
    ("COPY mem TO 's3://guarded/lake/x.csv'", ""),
    ("COPY mem TO 's3://guarded/lake2/x.csv'", "w"),
    ("INSERT INTO files_of_lake SELECT n FROM mem", ""),
    // What is not known to be harmless.
    ("WITH d AS (DELETE FROM mem RETURNING n) SELECT * FROM d", ""),
    ("WITH i AS (INSERT INTO mem VALUES (1)) SELECT 1", ""),
    ("SELECT n INTO t FROM mem", ""),
    ("MERGE INTO mem USING files ON n = id WHEN MATCHED THEN DELETE", ""),
    ("CREATE DATABASE x", ""),
    ("CREATE FUNCTION f(INT) RETURNS INT RETURN $1 + 1", ""),
    ("DROP FUNCTION abs", ""),
    ("CREATE INDEX i ON mem (n)", ""),
    ("CREATE MATERIALIZED VIEW m AS SELECT 1", ""),
    ("ALTER TABLE mem ADD COLUMN b INT", ""),
    ("GRANT ALL ON mem TO x", ""),
    ("REVOKE ALL ON mem FROM x", ""),
    ("VACUUM", ""),
    ("KILL 1", ""),
    ("CALL f()", ""),
    ("USE x", ""),
    ("ATTACH DATABASE 'x' AS y", ""),
    ("LOAD DATA INPATH 'x' INTO TABLE mem", ""),
    ("COPY INTO mem FROM 's3://bucket/x'", ""),
    ("LISTEN x", ""),
    ("PRAGMA x", ""),
    ("DISCARD ALL", ""),
];

async fn session(dir: &Path) -> LakeSession {
    let lake = dir.join("lake");
    std::fs::create_dir_all(lake.join("predictions_of_others")).unwrap();
    std::os::unix::fs::symlink(&lake, dir.join("link")).unwrap();
    std::fs::write(dir.join("lines.csv"), "id,text\n1,a\n").unwrap();
    for file in ["t.parquet", "many/a.parquet", "lake/predictions_of_others/a.parquet"] {
        write_parquet(&dir.join(file), vec![("id", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]);
    }
    python("write_delta.py", &[&path(dir, "delta")], &[]);
    let options = LakeOptions {
        lake: Place::open(lake.to_str().unwrap()).unwrap(),
        registry: None,
        model: None,
        limits: Limits { memory_bytes: 256 << 20, threads: 2 },
    };
    let session = LakeSession::open(options).await.unwrap();
    let at = dir.to_str().unwrap();
    for statement in [
        "CREATE TABLE mem AS SELECT 1 AS n".to_string(),
        "CREATE VIEW own_view AS SELECT 1 AS x".into(),
        format!("CREATE EXTERNAL TABLE files STORED AS PARQUET LOCATION '{at}/many/'"),
        format!("CREATE EXTERNAL TABLE files_of_lake STORED AS PARQUET LOCATION '{at}/lake/predictions_of_others/'"),
        format!("CREATE EXTERNAL TABLE delta STORED AS DELTA LOCATION '{at}/delta'"),
        "CREATE VIEW view_of_files AS SELECT * FROM files".into(),
        "PREPARE p AS SELECT $1 + 1".into(),
    ] {
        let plan = session.plan(&statement).await.unwrap();
        if !external::prepare(session.context(), &plan).await.unwrap() {
            session.execute(plan).await.unwrap();
        }
    }
    session
}

/// Whether a guard lets a statement through, or why not.
async fn passes(guard: &Guard, session: &LakeSession, sql: &str) -> Result<(), String> {
    let mut parsed = datafusion::sql::parser::DFParser::parse_sql(sql).map_err(|e| format!("parser: {e}"))?;
    let statement = parsed.pop_front().unwrap();
    guard.check_statement(&statement).map_err(|e| e.to_string())?;
    let _files = external::named_files(session.context(), &statement).await.map_err(|e| format!("files: {e}"))?;
    let plan = session.plan_statement(statement).await.map_err(|e| format!("planner: {e}"))?;
    guard.check_plan(&plan).map_err(|e| e.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_is_allowed_to_exactly_the_sessions_that_may_run_it() {
    let dir = folder();
    let session = session(dir.path()).await;
    let places = || vec![Place::open(&path(dir.path(), "lake")).unwrap(), Place::open("s3://guarded/lake").unwrap()];
    let guard = |class| Guard::new(class).protecting(places()).threads_at_most(2);
    let sessions = [
        ('r', guard(Class::ReadOnly)),
        ('s', guard(Class::SessionObjects)),
        ('f', guard(Class::SessionObjects).safe(true)),
        ('w', guard(Class::Write)),
    ];
    let mut wrong = Vec::new();
    for (statement, wanted) in STATEMENTS {
        let sql = statement.replace("LAKE", &path(dir.path(), "lake")).replace("DIR", dir.path().to_str().unwrap());
        let (mut allowed, mut why) = (String::new(), Vec::new());
        for (letter, guard) in &sessions {
            match passes(guard, &session, &sql).await {
                Ok(()) => allowed.push(*letter),
                Err(e) => why.push(format!("{letter}: {e}")),
            }
        }
        if allowed != *wanted || why.iter().any(|e| e.len() > 1_500) {
            wrong.push(format!("{statement}\n  allowed {allowed:?}, wanted {wanted:?}\n  {}", why.join("\n  ")));
        }
        println!("{statement}\n    {allowed:5} {}", why.last().map_or("", String::as_str));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(STATEMENTS.len() >= 120);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_schemas_that_are_allowed_can_be_named() {
    let dir = folder();
    let session = session(dir.path()).await;
    let guard = Guard::new(Class::ReadOnly).only_schemas(vec!["public".into(), "reports".into()]);
    for sql in ["SELECT * FROM runs", "SELECT * FROM public.runs", "SELECT * FROM PUBLIC.runs", "SHOW TABLES"] {
        passes(&guard, &session, sql).await.unwrap();
    }
    for sql in [
        "SELECT * FROM information_schema.tables",
        "SELECT 1 FROM runs WHERE EXISTS (SELECT 1 FROM information_schema.columns)",
        "WITH a AS (SELECT * FROM datafusion.information_schema.views) SELECT * FROM a",
        "SELECT * FROM \"Public\".runs",
        "DESCRIBE information_schema.tables",
        "SELECT * FROM 'x.csv'",
        "SELECT * FROM a.b.c.d",
    ] {
        let why = passes(&guard, &session, sql).await.unwrap_err();
        assert!(!why.starts_with("planner"), "{sql}: {why}");
    }
}

/// A refusal names no text of the statement, which may hold what nobody else may read.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_does_not_repeat_the_statement() {
    let dir = folder();
    let session = session(dir.path()).await;
    for sql in
        ["INSERT INTO mem VALUES ('secret')", "KILL QUERY 1", "CALL f('secret')", "COPY (SELECT 'secret') TO 'x.csv'"]
    {
        let why = passes(&Guard::new(Class::ReadOnly), &session, sql).await.unwrap_err();
        assert!(!why.contains("secret"), "{why}");
    }
}
